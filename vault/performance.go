package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// topStatements is how many statements of each sample are kept of each ranking (total time, mean time, I/O,
// calls): the guide's KPI is the top 20.
const topStatements = 20

// StatementQuestions returns what the vault wants to know of a target before it records a sample (the document
// of collect/performance/statements.sql): {"texts": [queryid, ...], "tables": [oid, ...], "plans": [[userid, dbid,
// queryid, toplevel], ...]}.
func (s *Store) StatementQuestions(ctx context.Context, target string, sample json.RawMessage) (json.RawMessage, error) {
	questions, err := one(ctx, s, pgx.RowTo[json.RawMessage], "SELECT monitoring.statement_questions($1, NULL, $2, $3)", target, sample, topStatements)
	if err != nil {
		return nil, fmt.Errorf("ask what is missing of the statements of %s: %w", target, err)
	}
	return questions, nil
}

// RecordStatements records a sample with the answers to these questions ({"texts", "tables", "plans"}), and
// returns how many statements it holds. A sample that is not later than the newest one is left out.
func (s *Store) RecordStatements(ctx context.Context, target string, interval time.Duration, sample, answers json.RawMessage) (int64, error) {
	tag, err := s.pool.Exec(ctx, "SELECT FROM monitoring.record_statement_samples($1, NULL, $2, $3, $4, $5)",
		target, sample, answers, topStatements, int(interval.Seconds()))
	if err != nil {
		return 0, fmt.Errorf("record statements of %s: %w", target, refusal(err))
	}
	return tag.RowsAffected(), nil
}

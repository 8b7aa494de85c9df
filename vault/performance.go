package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// topStatements is how many statements of each sample are kept: the guide's KPI is the top 20.
const topStatements = 20

// MissingStatementTexts returns the queryids among the top statements of a sample (the document of
// collect/performance/statements.sql) whose texts the vault does not hold yet.
func (s *Store) MissingStatementTexts(ctx context.Context, target string, sample json.RawMessage) ([]int64, error) {
	ids, err := one(ctx, s, pgx.RowTo[[]int64], "SELECT monitoring.missing_statement_texts($1, NULL, $2, $3)", target, sample, topStatements)
	if err != nil {
		return nil, fmt.Errorf("look for texts of statements of %s: %w", target, err)
	}
	return ids, nil
}

// RecordStatements records a sample with the texts that were missing (the document of
// collect/performance/texts.sql), and returns how many statements it holds. A sample that is not later
// than the newest one is left out.
func (s *Store) RecordStatements(ctx context.Context, target string, interval time.Duration, sample, texts json.RawMessage) (int64, error) {
	tag, err := s.pool.Exec(ctx, "SELECT FROM monitoring.record_statement_samples($1, NULL, $2, $3, $4, $5)",
		target, sample, texts, topStatements, int(interval.Seconds()))
	if err != nil {
		return 0, fmt.Errorf("record statements of %s: %w", target, refusal(err))
	}
	return tag.RowsAffected(), nil
}

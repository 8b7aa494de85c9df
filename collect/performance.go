package collect

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed performance/statements.sql
	statementsFile string
	//go:embed performance/texts.sql
	textsFile string
)

// StatementsSQL is a query of one row and one column: the document that SampleStatements returns. The
// vault installs it as monitoring.performance_statements().
func StatementsSQL() string { return strings.TrimSpace(statementsFile) }

// TextsSQL is a query of one row and one column, with one argument, a bigint[] of queryids. The vault
// installs it as monitoring.performance_texts(bigint[]).
func TextsSQL() string { return strings.TrimSpace(textsFile) }

// PerformanceMetrics are recorded with every sample of the statements.
var PerformanceMetrics = []Metric{
	{Name: "statement_period_s", Unit: "s", Category: "PERFORMANCE", Description: "Seconds that the newest sample of the statements covers; unknown while they cannot be read"},
	{Name: "statement_evictions_per_h", Unit: "1/h", Category: "PERFORMANCE", Description: "Evictions from pg_stat_statements per hour: what is evicted is not measured; raise pg_stat_statements.max"},
}

// SampleStatements reads the counters of all statements of the target, as the document that
// monitoring.record_statement_samples takes; only the vault looks into it.
func (t *Target) SampleStatements(ctx context.Context) (json.RawMessage, error) {
	return t.document(ctx, "statements", StatementsSQL())
}

// StatementTexts reads the texts of some statements: [[userid, dbid, queryid, toplevel, text], ...].
func (t *Target) StatementTexts(ctx context.Context, queryIDs []int64) (json.RawMessage, error) {
	return t.document(ctx, "statement texts", TextsSQL(), queryIDs)
}

// document runs a query of one row and one column.
func (t *Target) document(ctx context.Context, name, sql string, args ...any) (json.RawMessage, error) {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, "/* onevault "+name+" */ "+sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read the %s of target %s: %w", name, t.Name, plain(err))
	}
	document, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[json.RawMessage])
	if err != nil {
		return nil, fmt.Errorf("read the %s of target %s: %w", name, t.Name, plain(err))
	}
	return document, nil
}

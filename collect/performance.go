package collect

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	//go:embed performance/statements.sql
	statementsFile string
	//go:embed performance/texts.sql
	textsFile string
	//go:embed performance/tables.sql
	tablesFile string
)

// StatementsSQL is a query of one row and one column: the document that SampleStatements returns. The
// vault installs it as monitoring.performance_statements().
func StatementsSQL() string { return strings.TrimSpace(statementsFile) }

// TextsSQL is a query of one row and one column, with one argument, a bigint[] of queryids. The vault
// installs it as monitoring.performance_texts(bigint[]).
func TextsSQL() string { return strings.TrimSpace(textsFile) }

// TablesSQL is a query of one row and one column, with one argument, an oid[]. The vault installs it as
// monitoring.performance_tables(oid[]).
func TablesSQL() string { return strings.TrimSpace(tablesFile) }

// PerformanceMetrics are recorded with every sample of the statements.
var PerformanceMetrics = []Metric{
	{Name: "statement_period_s", Unit: "s", Category: "PERFORMANCE", Description: "Seconds that the newest sample of the statements covers; unknown while they cannot be read"},
	{Name: "statement_evictions_per_h", Unit: "1/h", Category: "PERFORMANCE", Description: "Evictions from pg_stat_statements per hour: what is evicted is not measured; raise pg_stat_statements.max"},
}

// SampleStatements reads the counters of all statements of the target, as the document that
// monitoring.record_statement_samples takes; only the vault looks into it.
func (t *Target) SampleStatements(ctx context.Context) (json.RawMessage, error) {
	document, err := t.document(ctx, "statements", StatementsSQL())
	if err != nil {
		return nil, t.whyNoStatements(ctx, err)
	}
	return document, nil
}

// StatementQuestions is what the vault wants to know of a target before it records a sample: only what it
// does not hold yet, and of few statements and tables.
type StatementQuestions struct {
	Texts  []int64       `json:"texts"`  // queryids
	Tables []uint32      `json:"tables"` // oids
	Plans  []StatementID `json:"plans"`
}

// StatementAnswers are documents that monitoring.record_statement_samples takes.
type StatementAnswers struct {
	Texts  json.RawMessage `json:"texts"`  // [[userid, dbid, queryid, toplevel, text], ...]
	Tables json.RawMessage `json:"tables"` // as performance/tables.sql says
	Plans  []StatementPlan `json:"plans"`
}

// AnswerStatementQuestions reads what the vault wants to know. A plan that cannot be had is an answer as
// well, with its reason.
func (t *Target) AnswerStatementQuestions(ctx context.Context, q StatementQuestions) (StatementAnswers, error) {
	answers := StatementAnswers{Texts: json.RawMessage("[]"), Tables: json.RawMessage("[]"), Plans: []StatementPlan{}}
	var err error
	if len(q.Texts) > 0 {
		if answers.Texts, err = t.document(ctx, "statement texts", TextsSQL(), q.Texts); err != nil {
			return StatementAnswers{}, err
		}
	}
	if len(q.Tables) > 0 {
		if answers.Tables, err = t.document(ctx, "tables", TablesSQL(), q.Tables); err != nil {
			return StatementAnswers{}, err
		}
	}
	if len(q.Plans) > 0 {
		if answers.Plans, err = t.plans(ctx, q.Plans); err != nil {
			return StatementAnswers{}, err
		}
	}
	return answers, nil
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

// whyNoStatements adds the remedy to an error of the server: the extension is missing, too old, or stands in
// a schema where nobody looks for it.
func (t *Target) whyNoStatements(ctx context.Context, cause error) error {
	var pgErr *pgconn.PgError
	if !errors.As(cause, &pgErr) {
		return cause
	}
	switch pgErr.Code {
	case "55000":
		return fmt.Errorf("%w: add pg_stat_statements to shared_preload_libraries and restart the server", cause)
	case "42P01", "42883", "42703": // no such view, function, column
	default:
		return cause
	}
	var database, version, schema *string
	err := t.pool.QueryRow(ctx, `
		SELECT current_database(), e.extversion, n.nspname
		  FROM (VALUES (1)) AS always
		  LEFT JOIN pg_extension e ON e.extname = 'pg_stat_statements'
		  LEFT JOIN pg_namespace n ON n.oid = e.extnamespace AND NOT n.nspname = ANY (current_schemas(true))`).Scan(&database, &version, &schema)
	switch {
	case err != nil:
		return errors.Join(cause, plain(err))
	case version == nil:
		return fmt.Errorf("%w: run CREATE EXTENSION pg_stat_statements in database %s", cause, *database)
	case schema != nil:
		return fmt.Errorf("%w: the extension stands in schema %s; run ALTER ROLE ... SET search_path = public, %s for the collector's role", cause, *schema, *schema)
	}
	return fmt.Errorf("%w: pg_stat_statements %s is too old; run ALTER EXTENSION pg_stat_statements UPDATE in database %s", cause, *version, *database)
}

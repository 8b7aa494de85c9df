package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// sqlTimeout is how long the SQL of one condition may take, and sqlBudget that of all in one round: the other
	// definitions wait for them.
	sqlTimeout = 2 * time.Second
	sqlBudget  = 6 * time.Second
)

// sqlWork is the SQL of a version of a definition that is to be run.
type sqlWork struct {
	hk      []byte
	key     string
	version time.Time
	sql     string
}

// MeasureSQL runs the SQL of the conditions that are due on a target (every as in EvaluateDue) and keeps what each
// yielded, or why it failed, for the evaluation that follows. Where raw SQL is switched off it runs none. An error
// is that of the vault; one of the SQL is an outcome like any other.
func (s *Store) MeasureSQL(ctx context.Context, target string, every time.Duration) error {
	var interval *time.Duration
	if every > 0 {
		interval = &every
	}
	work, err := all(ctx, s, func(row pgx.CollectableRow) (w sqlWork, err error) {
		err = row.Scan(&w.hk, &w.key, &w.version, &w.sql)
		return w, err
	}, "SELECT alert_definition_hk, definition_key, definition_load_date, condition_sql FROM monitoring.sql_work($1, $2)", target, interval)
	if err != nil {
		return fmt.Errorf("list the SQL of conditions: %w", err)
	}
	if len(work) == 0 {
		return nil
	}
	sandbox, closeSandbox := s.openSandbox(ctx)
	defer closeSandbox()
	end := time.Now().Add(sqlBudget)
	for _, w := range work {
		began := time.Now()
		value, problem := "", fmt.Errorf("it was not run: the SQL of other definitions took the %s that there are for a round", sqlBudget)
		if began.Before(end) {
			value, problem = sandbox(ctx, w.sql, target)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("run the SQL of %s: %w", w.key, ctx.Err()) // the worker stops: this says nothing about the SQL
		}
		var why *string
		if problem != nil {
			text := sqlProblem(problem)
			why = &text
		}
		if _, err := s.pool.Exec(ctx, "SELECT monitoring.record_sql_value($1, $2, $3, $4::text::jsonb, $5, $6)",
			w.hk, target, w.version, optional(value), why, time.Since(began)); err != nil {
			return fmt.Errorf("record what the SQL of %s yielded: %w", w.key, refusal(err))
		}
	}
	return nil
}

// openSandbox opens a connection that nothing else uses, before or after: whatever SQL may do to its session ends
// with it. It returns what runs SQL on it and yields a JSON number or boolean (empty: none), and what closes it.
func (s *Store) openSandbox(ctx context.Context) (run func(ctx context.Context, sql, target string) (string, error), end func()) {
	config := s.pool.Config().ConnConfig
	config.RuntimeParams["application_name"] = "onevault raw sql"
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(sqlTimeout.Milliseconds())
	config.RuntimeParams["standard_conforming_strings"] = "on"
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // DISCARD ALL forgets prepared statements
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return func(context.Context, string, string) (string, error) { return "", err }, func() {}
	}
	run = func(ctx context.Context, sql, target string) (string, error) {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
		if err != nil {
			return "", err
		}
		var value *string
		err = tx.QueryRow(ctx, "SELECT monitoring_sql.value_of($1, $2, statement_timestamp())::text", sql, target).Scan(&value)
		if undone := tx.Rollback(ctx); err == nil {
			err = undone
		}
		if _, cleared := conn.Exec(ctx, "DISCARD ALL"); err == nil {
			err = cleared
		}
		if err != nil || value == nil {
			return "", err
		}
		return *value, nil
	}
	return run, func() { _ = conn.Close(context.WithoutCancel(ctx)) } // the server ends it when this cannot
}

// sqlProblem says in words why SQL of a condition yielded nothing.
func sqlProblem(err error) string {
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == "57014":
		return fmt.Sprintf("its SQL took longer than %s", sqlTimeout)
	case errors.As(err, &refused):
		return fmt.Sprintf("its SQL failed: %s (SQLSTATE %s)", refused.Message, refused.Code)
	}
	var connectErr *pgconn.ConnectError
	if errors.As(err, &connectErr) {
		return "its SQL has no connection of its own to the vault"
	}
	return "its SQL failed: " + err.Error()
}

// RawSQL is how the vault stands to conditions that rest on raw SQL.
type RawSQL struct {
	Allowed     bool      `json:"allowed"`
	Why         string    `json:"why,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	Sandboxed   bool      `json:"sandboxed"`   // its functions run as onevault_sql
	Definitions []string  `json:"definitions"` // that are enabled and rest on it
}

// RawSQL reads whether conditions may rest on raw SQL, and which do.
func (s *Store) RawSQL(ctx context.Context) (RawSQL, error) {
	r, err := one(ctx, s, func(row pgx.CollectableRow) (r RawSQL, err error) {
		var since Timestamp
		err = row.Scan(&r.Allowed, &r.Why, &since, &r.Sandboxed, &r.Definitions)
		r.Since = since.Time
		return r, err
	}, `
		SELECT monitoring.raw_sql_allowed(), coalesce(c.config_description, ''), coalesce(c.load_date, '-infinity'),
		       coalesce((SELECT bool_and(p.proowner = to_regrole('onevault_sql')) FROM pg_proc p
		                  WHERE p.pronamespace = to_regnamespace('monitoring_sql') AND p.prosecdef), false),
		       ARRAY(SELECT h.alert_definition_bk FROM monitoring.alert_definition_s d JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
		              WHERE d.load_end_date IS NULL AND d.is_enabled AND d.metric_source = 'sql' ORDER BY 1)
		  FROM (SELECT) AS always
		  LEFT JOIN monitoring.monitor_config_s c ON c.config_type = 'RAW_SQL' AND c.config_name = 'conditions' AND c.load_end_date IS NULL`)
	if err != nil {
		return RawSQL{}, fmt.Errorf("read the switch of raw SQL: %w", err)
	}
	return r, nil
}

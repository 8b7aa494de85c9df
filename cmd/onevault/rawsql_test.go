package main

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

const onSQL = `version: 1
definitions:
  - key: TWO_AT_ONCE
    name: Two At Once
    category: PERFORMANCE
    severity: HIGH
    source: sql
    sql: |
      SELECT count(*) FROM alerts
       WHERE target_name = $1 AND status IN ('OPEN', 'ESCALATED')
    condition: value >= threshold_value
    threshold: 2
    auto_resolve: true
`

func TestDefinition_ThatRestsOnSQLIsWrittenTestedAndTried(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: onSQL}
	i.run(t, "definition", "lint", "-").wants(t, exitError, "-:3: TWO_AT_ONCE", "switched off", "allow_raw_sql")
	i.run(t, "definition", "apply", "-").wants(t, exitError, "switched off")
	conn, err := pgx.Connect(t.Context(), i.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SELECT monitoring.allow_raw_sql(true, 'test')"); err != nil {
		t.Fatal(err)
	}
	i.run(t, "definition", "lint", "-").wants(t, exitDone)
	i.run(t, "definition", "backtest", "-").wants(t, exitDone, "Not tried: TWO_AT_ONCE", "never run")
	i.run(t, "definition", "apply", "-").wants(t, exitDone)
	i.run(t, "definition", "export", "TWO_AT_ONCE").wants(t, exitDone, "sql: |", "SELECT count(*) FROM alerts", "source: sql")
	i.run(t, "definition", "diff", "-").wants(t, exitDone)

	i.stdin = onSQL + `tests:
  - {name: two are enough, definition: TWO_AT_ONCE, series: {value: 0 1 2 2 0}, fires: [10m], clears: [20m]}
`
	i.run(t, "definition", "test", "-").wants(t, exitDone, "ok    two are enough")
	i.stdin = `version: 1
definitions:
  - {key: SLEEPS, name: Sleeps, category: PERFORMANCE, severity: HIGH, source: sql, sql: SELECT pg_sleep(9) IS NULL, condition: value == true}
`
	i.run(t, "definition", "lint", "-").wants(t, exitError, "pg_sleep", "not allowed")
}

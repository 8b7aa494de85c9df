package collect_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

func TestHealthQueries_SelectsYieldTheColumnsOfTheirHeaders(t *testing.T) {
	t.Parallel()
	target := openTarget(t, pgtest.DB(t))
	for _, query := range healthQueries(t) {
		if err := target.LintQuery(t.Context(), query); err != nil {
			t.Errorf("%s.sql: %v", query.Name, err)
		}
	}
}

// Only on a server that archives and logs to files has every metric of a primary a value.
func TestHealthQueries_OnAPrimaryEveryQueryTellsSomething(t *testing.T) {
	t.Parallel()
	target := openTarget(t, archivingServer(t))
	health, err := target.CollectHealth(t.Context(), healthQueries(t))
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]string{"application": "table auth.session_state_s does not exist", "standby": "the server is no standby"}
	for _, run := range health.Runs {
		if run.Error != "" || run.Left != left[run.Query] {
			t.Errorf("%s: error %q, left out: %q", run.Query, run.Error, run.Left)
		}
	}
	if len(health.Runs) != len(healthQueries(t)) {
		t.Errorf("%d runs of %d queries", len(health.Runs), len(healthQueries(t)))
	}
}

func TestHealthQueries_EachMetricHasOneQueryAndADescription(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, query := range healthQueries(t) {
		for _, metric := range query.Metrics {
			if other, twice := seen[metric.Name]; twice {
				t.Errorf("%s is measured by %s and %s", metric.Name, other, query.Name)
			}
			seen[metric.Name] = query.Name
			if metric.Description == "" {
				t.Errorf("%s has no description", metric.Name)
			}
		}
	}
	for _, metric := range collect.WorkerMetrics {
		if query, twice := seen[metric.Name]; twice {
			t.Errorf("%s is measured by the worker and by %s", metric.Name, query)
		}
	}
}

func healthQueries(t *testing.T) []collect.Query {
	t.Helper()
	queries, err := collect.HealthQueries()
	if err != nil {
		t.Fatal(err)
	}
	return queries
}

// archivingServer starts a server of its own that has archived a WAL file: only there every metric of
// a primary exists.
func archivingServer(t *testing.T) (address string) {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Settings: map[string]string{
		"wal_level": "replica", "archive_mode": "on", "archive_command": "true", "logging_collector": "on",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	address = server.URL("postgres")
	conn := connect(t, address)
	exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	exec(t, conn, "CREATE TABLE written AS SELECT 1 AS n")
	exec(t, conn, "SELECT pg_switch_wal()")
	// The archiver tells nobody; its statistics are the event, and the test's own deadline bounds the wait.
	awaitRow(t, conn, "SELECT 1 FROM pg_stat_archiver WHERE last_archived_time IS NOT NULL")
	return address
}

// awaitRow asks until a query yields a row; the server does the waiting in between.
func awaitRow(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	for range 600 {
		if len(column[int](t, conn, sql)) > 0 {
			return
		}
		if _, err := conn.Exec(t.Context(), "SELECT pg_sleep(0.05)"); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s: nothing within 30 s", sql)
}

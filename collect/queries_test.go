package collect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// onlyOnStandby is the end of the query whose last row exists where the server replays another's WAL.
const onlyOnStandby = "WHERE standby"

func TestHealthQueries_HeadersNameWhatTheSQLReturns(t *testing.T) {
	t.Parallel()
	conn := connect(t, archivingServer(t))
	for _, query := range healthQueries(t) {
		if query.Requires != "" {
			continue // its table belongs to the vault; see the next test
		}
		// Of the standby's row a primary can tell at least the name and the shape.
		if query.Name == "replication" && !strings.Contains(query.SQL, onlyOnStandby) {
			t.Errorf("%s.sql has no row for a standby", query.Name)
		}
		query.SQL = strings.ReplaceAll(query.SQL, onlyOnStandby, "")
		if got, want := returnedNames(t, conn, query), headerNames(query); !slices.Equal(got, want) {
			t.Errorf("%s.sql returns %q, its header says %q", query.Name, got, want)
		}
	}
}

func TestHealthQueries_HeadersNameWhatTheSQLReturnsInAVault(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.DB(t))
	checked := 0
	for _, query := range healthQueries(t) {
		if query.Requires == "" {
			continue
		}
		checked++
		if got, want := returnedNames(t, conn, query), headerNames(query); !slices.Equal(got, want) {
			t.Errorf("%s.sql returns %q, its header says %q", query.Name, got, want)
		}
	}
	if checked == 0 {
		t.Error("no query requires a table of the vault")
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

func headerNames(query collect.Query) []string {
	var list []string
	for _, metric := range query.Metrics {
		list = append(list, metric.Name)
	}
	slices.Sort(list)
	return list
}

func returnedNames(t *testing.T, conn *pgx.Conn, query collect.Query) []string {
	t.Helper()
	list := column[string](t, conn, "SELECT m.name FROM ("+query.SQL+") AS m (name, category, unit, value, warning, critical, low_is_bad, source, counter)")
	slices.Sort(list)
	return list
}

// archivingServer starts a server of its own that has archived a WAL file: only there every metric of
// a primary exists.
func archivingServer(t *testing.T) (address string) {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Settings: map[string]string{
		"wal_level": "replica", "archive_mode": "on", "archive_command": "true",
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

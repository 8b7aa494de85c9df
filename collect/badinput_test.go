package collect_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// ownQuery parses a metric of somebody's own, of one column.
func ownQuery(t *testing.T, name, header, sql string) collect.Query {
	t.Helper()
	q, err := collect.ParseOwnQuery(name, "-- metric "+name+" [count] PERFORMANCE: It\n"+header+"\n"+sql)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// majorOf is the major version of the server that the tests run on.
func majorOf(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	return column[int](t, conn, "SELECT current_setting('server_version_num')::integer / 10000")[0]
}

// recordHealth keeps a collection as the worker does.
func recordHealth(t *testing.T, store *vault.Store, at time.Time, samples []collect.Sample) {
	t.Helper()
	var rows []vault.Sample
	for _, s := range samples {
		rows = append(rows, vault.Sample{
			Name: s.Name, Category: s.Category, Unit: s.Unit, Value: s.Value, Warning: s.Warning, Critical: s.Critical, LowIsBad: s.LowIsBad,
			Source: s.Source, Counter: s.Counter, Labels: s.Labels, Evidence: s.Evidence, EverySeconds: int(s.Every.Seconds()), Error: s.Error,
		})
	}
	if n, err := store.RecordHealth(t.Context(), "there", at, time.Minute, rows); err != nil || n == 0 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

func openVault(t *testing.T, address string) *vault.Store {
	t.Helper()
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// Whatever a metric of somebody's own yields is a row of the vault with its reason, and the others go on. The
// built-in queries are asked in the same way, so theirs are tried as well.
func TestCollectHealth_WhateverAQueryYieldsIsARecordedResult(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE TABLE written (n integer)")
	exec(t, conn, "CREATE FUNCTION write_it() RETURNS integer LANGUAGE sql AS 'INSERT INTO written VALUES (1) RETURNING n'")
	major := majorOf(t, conn)
	cases := map[string]struct{ header, sql, reason string }{
		"fails":       {"", "SELECT 1 / 0 AS fails", "division by zero"},
		"no_row":      {"", "SELECT 1 AS no_row WHERE false", "the SELECT yields no row"},
		"nan_value":   {"", "SELECT 'NaN'::float8 AS nan_value", `nan_value is "NaN": that is no number`},
		"infinite":    {"", "SELECT 'Infinity'::float8 AS infinite", `infinite is "Infinity": that is no number`},
		"text_value":  {"", "SELECT 'much'::text AS text_value", `text_value is "much": that is no number`},
		"null_value":  {"", "SELECT NULL::integer AS null_value", "the server told no value"},
		"null_why":    {"-- reason why", "SELECT NULL::integer AS null_why, 'nobody asked' AS why", "nobody asked"},
		"two_rows":    {"", "SELECT n AS two_rows FROM generate_series(1, 2) AS n", "more than 1 row"},
		"many_rows":   {"-- by n\n-- rows 3", "SELECT n, n AS many_rows FROM generate_series(1, 5000000) AS n", "more than 3 rows"},
		"twice":       {"-- by place", "SELECT 'here' AS place, n AS twice FROM generate_series(1, 2) AS n", `2 rows have the same labels {"place": "here"}`},
		"huge":        {"", "SELECT 1e30 AS huge", "larger than can be kept"},
		"no_column":   {"", "SELECT 1 AS other", "no_column does not exist"},
		"two_at_once": {"", "SELECT 1 AS two_at_once; DROP TABLE written", "syntax error"},
		"breaks_out":  {"", "SELECT 1 AS breaks_out) AS onevault_select LIMIT 2) AS r) AS q; DROP TABLE written; SELECT 1 FROM (SELECT r.* FROM (SELECT * FROM (SELECT 1 AS breaks_out", "multiple commands"},
		"writes":      {"", "SELECT write_it() AS writes", "read-only transaction"},
		"is_slow":     {"", "SELECT 1 AS is_slow FROM pg_sleep(60)", "statement timeout"},
		"too_old":     {fmt.Sprintf("\n-- versions %d-", major+1), "SELECT 1 AS too_old", fmt.Sprintf("PostgreSQL %d is not supported: there is a SELECT for the versions %d-", major, major+1)},
		"extension":   {"-- requires extension nothing", "SELECT 1 AS extension", "extension nothing does not exist"},
		"member":      {"-- requires role nobody_has_it", "SELECT 1 AS member", "no member of nobody_has_it"},
	}
	for _, own := range []bool{true, false} {
		var queries []collect.Query
		for name, c := range cases {
			if !own && (name == "writes" || name == "is_slow") {
				continue // said once
			}
			query := ownQuery(t, name, c.header, c.sql)
			query.Own = own
			queries = append(queries, query)
		}
		fine := ownQuery(t, "is_fine", "", "SELECT true AS is_fine")
		fine.Own = own
		health, err := openTarget(t, address).CollectHealth(t.Context(), append(queries, fine))
		if err != nil {
			t.Fatal(err)
		}
		store := openVault(t, address)
		at := time.Now().Add(map[bool]time.Duration{true: 0, false: time.Minute}[own]).Truncate(time.Microsecond)
		recordHealth(t, store, at, health.Samples)
		for _, query := range queries {
			got := column[string](t, store.Pool(), `
				SELECT concat_ws(' ', status, metric_value, additional_context ->> 'error') FROM monitoring.system_health_metric_s
				 WHERE metric_name = $1 AND measurement_timestamp = $2`, query.Name, at)
			want := cases[query.Name].reason
			if len(got) != 1 || !strings.HasPrefix(got[0], "UNKNOWN ") || !strings.Contains(got[0], want) {
				t.Errorf("%s (own: %t): %q, want UNKNOWN with %q", query.Name, own, got, want)
			}
		}
		if got := column[string](t, store.Pool(), `
			SELECT concat_ws(' ', status, trim_scale(metric_value)) FROM monitoring.system_health_metric_s
			 WHERE metric_name = 'is_fine' AND measurement_timestamp = $1`, at); len(got) != 1 || got[0] != "NORMAL 1" {
			t.Errorf("the one that is fine (own: %t): %q", own, got)
		}
	}
	if n := column[int](t, conn, "SELECT count(*) FROM pg_class WHERE relname = 'written'"); n[0] != 1 {
		t.Error("a metric dropped a table")
	}
}

// What a metric sets or holds ends with it: neither the next one nor the next collection meets it.
func TestCollectHealth_AnOwnMetricLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	target := openTarget(t, address)
	queries := []collect.Query{
		ownQuery(t, "a_sets", "", `SELECT length(set_config('default_transaction_read_only', 'off', false) || set_config('statement_timeout', '0', false)
			|| set_config('application_name', 'somebody', false)) AS a_sets`),
		ownQuery(t, "b_locks", "", "SELECT 1 AS b_locks FROM pg_advisory_lock(4711)"),
		ownQuery(t, "c_sees", "-- by read_only, timeout, name", `SELECT current_setting('default_transaction_read_only') AS read_only,
			current_setting('statement_timeout') AS timeout, current_setting('application_name') AS name, 1 AS c_sees`),
	}
	for range 2 {
		health, err := target.CollectHealth(t.Context(), queries)
		if err != nil {
			t.Fatal(err)
		}
		if a := find(t, health.Samples, "a_sets"); a.Value == nil {
			t.Errorf("it could not even set: %s", a.Error)
		}
		var seen map[string]string
		if err := json.Unmarshal(find(t, health.Samples, "c_sees").Labels, &seen); err != nil {
			t.Fatal(err)
		}
		if seen["read_only"] != "on" || seen["timeout"] != "5s" || seen["name"] != "onevault" {
			t.Errorf("the next one sees %v", seen)
		}
	}
	conn := connect(t, address)
	awaitRow(t, conn, "SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711)")
}

func TestLintQuery_ComparesTheSelectWithTheHeader(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	target := openTarget(t, address)
	for sql, want := range map[string]string{
		"SELECT 1 AS mine":                   "",
		"SELECT 1 AS other":                  `no column "mine"`,
		"SELECT 1 AS mine, 2 AS other":       `a column "other" that the header does not name`,
		"SELECT 1 AS mine, 2 AS mine":        `a column "mine"`,
		"SELECT mine FROM nothing":           `relation "nothing" does not exist`,
		"SELECT $1::integer AS mine":         "parameters",
		"SELECT 1 AS mine; SELECT 2 AS mine": "syntax error",
		"WITH d AS (DELETE FROM auth.session_h RETURNING 1) SELECT 1 AS mine FROM d": "must be at the top level",
	} {
		err := target.LintQuery(t.Context(), ownQuery(t, "mine", "", sql))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
	for header, want := range map[string]string{
		"-- requires extension nothing":                                     "which this server does not have",
		"-- requires table shop.nothing":                                    "which this server does not have",
		fmt.Sprintf("\n-- versions %d-", majorOf(t, connect(t, address))+1): "lint it against one of those",
	} {
		if err := target.LintQuery(t.Context(), ownQuery(t, "mine", header, "SELECT 1 AS mine")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", header, err, want)
		}
	}
}

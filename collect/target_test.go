package collect_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"onevault/collect"
	"onevault/pgserver/pgtest"
)

func TestCollectHealth_MeasuresWhatPsqlMeasures(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	want := column[string](t, conn, `SELECT metric_name COLLATE "C" FROM monitoring.collect_system_health_metrics() ORDER BY 1`)
	got := names(collectOnce(t, address)) // psql's function has no place for labels
	if !slices.Equal(got, want) {
		t.Errorf("the collector measures %q,\npsql %q", got, want)
	}
	if len(got) < 35 {
		t.Errorf("only %d metrics", len(got))
	}
}

func TestCollectHealth_EveryMetricHasAValueOrACounter(t *testing.T) {
	t.Parallel()
	for _, sample := range collectOnce(t, pgtest.DB(t)) {
		if sample.Error != "" || sample.Value == nil && sample.Counter == nil {
			t.Errorf("%s: value %v, counter %s, error %q", sample.Name, sample.Value, sample.Counter, sample.Error)
		}
		if sample.Category == "" || sample.Source == "" {
			t.Errorf("%s: category %q, source %q", sample.Name, sample.Category, sample.Source)
		}
	}
}

func TestCollectHealth_MeasuresTheDiskOfThisHost(t *testing.T) {
	t.Parallel()
	disk := find(t, collectOnce(t, pgtest.DB(t)), "disk_usage_pct")
	if disk.Value == nil || *disk.Value <= 0 || *disk.Value > 100 {
		t.Errorf("disk usage %v, error %q", disk.Value, disk.Error)
	}
}

func TestCollectHealth_OneFailingQueryLeavesTheOthers(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "DROP EXTENSION pg_stat_statements CASCADE")
	for _, sample := range collectOnce(t, address) {
		failed := sample.Name == "avg_query_time_ms" || sample.Name == "statement_entries_pct"
		if failed && (sample.Value != nil || !strings.Contains(sample.Error, "pg_stat_statements")) {
			t.Errorf("%s: value %v, error %q; want none, and the cause", sample.Name, sample.Value, sample.Error)
		}
		if !failed && sample.Error != "" {
			t.Errorf("%s fails as well: %s", sample.Name, sample.Error)
		}
	}
}

func TestCollectHealth_RoleWithOnlyPgMonitorMeasuresAll(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	// A watched server that is not the vault has no sessions of the application.
	exec(t, connect(t, address), "DROP SCHEMA auth CASCADE")
	samples := collectOnce(t, asNewRole(t, address, "pg_monitor"))
	all := collectOnce(t, address)
	if got, want := names(samples), names(all); !slices.Equal(got, want) {
		t.Errorf("pg_monitor measures %q,\na superuser %q", got, want)
	}
	for _, sample := range samples {
		if sample.Error != "" {
			t.Errorf("%s: %s", sample.Name, sample.Error)
		}
	}
}

// Without pg_monitor the server shows nulls about the sessions of others. Counting those would read as
// an idle server, so they must be unknown.
func TestCollectHealth_RoleWithoutPgMonitorInventsNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	unknown := map[string]bool{}
	for _, sample := range collectOnce(t, asNewRole(t, address)) {
		unknown[sample.Name] = sample.Value == nil && sample.Counter == nil
	}
	for _, name := range []string{
		"disk_usage_pct", "wal_size_gb", "wal_bytes_per_s", "active_sessions",
		"active_connections", "total_connections", "connection_usage_pct", "idle_in_transaction", "oldest_idle_in_transaction_s",
		"oldest_transaction_s", "oldest_active_query_s", "blocked_backends", "xmin_horizon_age",
		"replication_lag_bytes", "replication_lag_s",
	} {
		if isUnknown, there := unknown[name]; !there || !isUnknown {
			t.Errorf("%s: there %t, unknown %t; want it unknown", name, there, isUnknown)
		}
	}
	for _, name := range []string{"uptime_s", "xid_age_pct", "database_size_gb", "transactions_per_s", "replica_count"} {
		if isUnknown, there := unknown[name]; !there || isUnknown {
			t.Errorf("%s: there %t, unknown %t; want it measured", name, there, isUnknown)
		}
	}
}

func TestCollectHealth_TargetDownIsAnErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // nobody listens there now
	_, err = openTarget(t, "postgres://watcher:s3cret-word@"+address+"/postgres").CollectHealth(t.Context(), healthQueries(t))
	if err == nil {
		t.Fatal("no error from a target that is down")
	}
	if text := err.Error(); !strings.Contains(text, "watched") || strings.Contains(text, "s3cret-word") {
		t.Errorf("got %q, want it to name the target and not the password", text)
	}
}

// A server that goes away in the middle is down, not a server whose remaining queries failed one by one.
func TestCollectHealth_ALostConnectionMeansDownUntilTheServerIsBack(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "DROP TABLE auth.session_state_s CASCADE")
	exec(t, conn, `
		CREATE VIEW auth.session_state_s AS
		    SELECT pg_terminate_backend(pg_backend_pid())::text AS session_status, NULL::timestamptz AS load_end_date`)
	target := openTarget(t, address)
	if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err == nil || !strings.Contains(err.Error(), "reach target watched") {
		t.Errorf("got %v, want the target unreachable", err)
	}
	exec(t, conn, "DROP VIEW auth.session_state_s")
	if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
		t.Errorf("the server is back, but: %v", err)
	}
}

func TestOpenTarget_MalformedURLIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"postgres://watcher:s3cret-word@host:port/db", "s3cret-word", "mysql://a:s3cret-word@h/"} {
		_, err := collect.OpenTarget("watched", address)
		if err == nil {
			t.Errorf("%q is accepted", address)
			continue
		}
		if strings.Contains(err.Error(), "s3cret-word") || !strings.Contains(err.Error(), "watched") {
			t.Errorf("got %q, want it to name the target and not the URL", err)
		}
	}
}

// The watched server itself tells how the collector behaves there.
func TestCollectHealth_IsAModestGuest(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	// What the view sees comes back as the error of a query that cannot read it as a number.
	exec(t, conn, "DROP TABLE auth.session_state_s CASCADE")
	exec(t, conn, `
		CREATE VIEW auth.session_state_s AS
		    SELECT ('seen ' || current_setting('application_name') || '|' || current_setting('transaction_read_only') || '|'
		            || current_setting('statement_timeout') || '|' || current_setting('lock_timeout'))::integer::text AS session_status,
		           NULL::timestamptz AS load_end_date`)
	seen := find(t, collectOnce(t, address), "active_sessions")
	if want := `"seen onevault|on|5s|500ms"`; !strings.Contains(seen.Error, want) {
		t.Errorf("the server saw %q, want %s", seen.Error, want)
	}
}

func TestCollectHealth_TakesTwoConnectionsAtMost(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	target := openTarget(t, address)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// The pool keeps what it opened, so all of its sessions are still there.
	open := column[int](t, connect(t, address), `
		SELECT count(*) FROM pg_stat_activity WHERE application_name = 'onevault' AND datname = current_database()`)[0]
	if open < 1 || open > 2 {
		t.Errorf("%d connections, want 1 or 2", open)
	}
}

func TestCollectHealth_DoesNotWaitForALock(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exec(t, tx, "LOCK TABLE auth.session_state_s IN ACCESS EXCLUSIVE MODE")
	sample := find(t, collectOnce(t, address), "active_sessions")
	if !strings.Contains(sample.Error, "lock timeout") {
		t.Errorf("got value %v, error %q; want a lock timeout", sample.Value, sample.Error)
	}
}

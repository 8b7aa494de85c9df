package activities

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// vaultAt opens the database at an address as the vault.
func vaultAt(t *testing.T, address string) *vault.Store {
	t.Helper()
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func execute(t *testing.T, store *vault.Store, sql string, args ...any) {
	t.Helper()
	if _, err := store.Pool().Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func ask[T any](t *testing.T, store *vault.Store, sql string, args ...any) []T {
	t.Helper()
	rows, err := store.Pool().Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

// looker looks at the vault's own server, and at other servers by their names.
func looker(t *testing.T, store *vault.Store, others map[string]string) (*Security, *safeBuffer) {
	t.Helper()
	targets := map[string]*collect.Target{}
	others = maps.Clone(others)
	if others == nil {
		others = map[string]string{}
	}
	others["local"] = store.Pool().Config().ConnString()
	for name, address := range others {
		target, err := collect.OpenTarget(name, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(target.Close)
		targets[name] = target
	}
	log := new(safeBuffer)
	return &Security{Vault: store, Collection: &Collection{Vault: store, Targets: targets}, Log: slog.New(slog.NewTextHandler(log, nil))}, log
}

func TestDetectSecurityEvents_RunsTheGuidesFunctionWhileItIsOurs(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	security, log := looker(t, store, nil)
	out, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "local"})
	if err != nil || out.Replaced || out.Problem != "" || log.String() != "" {
		t.Errorf("%+v, %v, logged %s", out, err, log)
	}
	if n := ask[int](t, store, "SELECT count(*) FROM monitoring.security_detection"); n[0] != 1 {
		t.Errorf("%d looks are recorded", n[0])
	}
}

// The guide's own function makes keys of a second's resolution, so that it fails when it runs twice in one.
func TestDetectSecurityEvents_TheGuidesFunctionInThePlaceOfOursStopsNothing(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	security, log := looker(t, store, nil)
	text, err := os.ReadFile(filepath.Join("..", "migrations", "testdata", "guide", "08_create_security_event_detection_function.sql"))
	if err != nil {
		t.Fatal(err)
	}
	execute(t, store, string(text))
	execute(t, store, `
		INSERT INTO auth.user_auth_s (user_hk, hash_diff, username, failed_login_attempts, last_failed_login, record_source)
		SELECT util.hash_binary('U' || i), '\x', 'user' || i, 9, clock_timestamp(), 'TEST' FROM generate_series(1, 11) AS i`)

	look := func() DetectSecurityEventsOutput {
		out, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "local"})
		if err != nil {
			t.Fatal(err)
		}
		if !out.Replaced || len(out.Counts) == 0 {
			t.Fatalf("our own checks did not run: %+v", out)
		}
		return out
	}
	// Its keys are of a second: twice in the same one is one event, and no error.
	for range 5 {
		if out := look(); out.Problem != "" || len(out.Theirs) == 0 {
			t.Fatalf("theirs: %+v", out)
		}
	}

	// One that fails takes nothing with it.
	execute(t, store, `
		CREATE OR REPLACE FUNCTION monitoring.detect_security_events()
		    RETURNS TABLE (event_type varchar(100), event_count integer, severity varchar(20))
		    LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''the audit table is gone''; END'`)
	if out := look(); !strings.Contains(out.Problem, "the audit table is gone") {
		t.Errorf("ended with %+v", out)
	}
	if !strings.Contains(log.String(), "our own checks run on") {
		t.Errorf("logged %s", log)
	}
	failures, err := store.DetectorFailures(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(failures[vault.SecurityDetector].Reason, "the audit table is gone") || len(failures) != 1 {
		t.Errorf("recorded %+v", failures)
	}
	status, err := store.SecurityStatus(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range status {
		if check.Failed != "" {
			t.Errorf("the check %s fails: %s", check.Check, check.Failed)
		}
	}
	// Ours are there beside theirs, and ours once.
	kinds := ask[string](t, store, `
		SELECT CASE WHEN security_event_bk LIKE 'SEC\_FAILED\_LOGINS\_%' THEN 'theirs' ELSE 'ours' END
		  FROM monitoring.security_event_s JOIN monitoring.security_event_h USING (security_event_hk)
		 WHERE event_type = 'EXCESSIVE_FAILED_LOGINS' AND security_event_s.load_end_date IS NULL ORDER BY 1`)
	if len(kinds) < 2 || kinds[0] != "ours" || kinds[1] != "theirs" {
		t.Errorf("events are %v", kinds)
	}
}

func TestDetectSecurityEvents_ADroppedFunctionIsSaid(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	security, _ := looker(t, store, nil)
	execute(t, store, "DROP FUNCTION monitoring.detect_security_events()")
	out, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "local"})
	if err != nil || !strings.Contains(out.Problem, "does not exist") {
		t.Errorf("%+v, %v", out, err)
	}
	if n := ask[int](t, store, "SELECT count(*) FROM monitoring.security_detection WHERE findings IS NOT NULL"); n[0] != 1 {
		t.Errorf("our own checks ran %d times", n[0])
	}
}

func TestDetectSecurityEvents_AVaultThatIsDownIsAnError(t *testing.T) {
	t.Parallel()
	security, _ := looker(t, deadVault(t), nil)
	if _, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "local"}); err == nil {
		t.Error("nobody looked, and nobody is told")
	}
}

// ---------------------------------------------------------------- performance

// watching is a collection of the database at one address into the vault at another.
func watching(t *testing.T, watched string, store *vault.Store) *Collection {
	t.Helper()
	target, err := collect.OpenTarget("there", watched)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return &Collection{Vault: store, Targets: map[string]*collect.Target{"there": target}}
}

func TestCollectPerformance_RecordsTheStatementsOfATarget(t *testing.T) {
	t.Parallel()
	watched := vaultAt(t, pgtest.DB(t))
	store := vaultAt(t, pgtest.DB(t))
	c := watching(t, watched.Pool().Config().ConnString(), store)
	in := CollectPerformanceInput{Target: "there"}
	if _, err := c.CollectPerformance(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	// The costliest of the period, whatever the other tests do meanwhile.
	execute(t, watched, "SELECT count(*) AS costliest_of_all FROM generate_series(1, 3000000)")
	out, err := c.CollectPerformance(t.Context(), in)
	if err != nil || out.Statements == 0 || out.Statements > 4*20 || out.Error != "" {
		t.Fatalf("%+v, %v", out, err)
	}
	got := ask[string](t, store, `
		SELECT concat_ws(' ', h.target_name, s.calls, s.query_text)
		  FROM monitoring.performance_metric_s s JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
		 WHERE s.query_text LIKE '%costliest_of_all%'`)
	if len(got) != 1 || got[0] != "there 1 SELECT count(*) AS costliest_of_all FROM generate_series($1, $2)" {
		t.Errorf("recorded %q", got)
	}
	if period := ask[string](t, store, "SELECT target_name || ' ' || status FROM monitoring.system_dashboard WHERE metric_name = 'statement_period_s'"); len(period) != 1 || period[0] != "there NORMAL" {
		t.Errorf("the dashboard says %q", period)
	}
}

func TestCollectPerformance_StatementsThatCannotBeReadAreUnknownAndNoFailure(t *testing.T) {
	t.Parallel()
	watched := vaultAt(t, pgtest.DB(t))
	execute(t, watched, "DROP EXTENSION pg_stat_statements CASCADE")
	store := vaultAt(t, pgtest.DB(t))
	for address, word := range map[string]string{
		watched.Pool().Config().ConnString(): "pg_stat_statements",
		"postgres://u:s3cret@127.0.0.1:1/x":  "connect",
	} {
		out, err := watching(t, address, store).CollectPerformance(t.Context(), CollectPerformanceInput{Target: "there"})
		if err != nil || !strings.Contains(out.Error, word) || strings.Contains(out.Error, "s3cret") {
			t.Errorf("%+v, %v, want it to say %q", out, err, word)
		}
	}
	if got := ask[string](t, store, "SELECT DISTINCT metric_name || ' ' || status FROM monitoring.system_health_metric_s WHERE additional_context ? 'error'"); len(got) != 1 || got[0] != "statement_period_s UNKNOWN" {
		t.Errorf("recorded %q", got)
	}
}

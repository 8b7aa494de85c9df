package activities

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// watchedServer is a PostgreSQL of one test alone, that a vault elsewhere watches.
type watchedServer struct {
	*testing.T
	address  string // of a superuser
	admin    *pgx.Conn
	store    *vault.Store
	security *Security
}

func startWatched(t *testing.T) watchedServer {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Port: pgserver.AnyPort, Settings: map[string]string{
		"log_destination": "jsonlog", "logging_collector": "on", "log_connections": "on",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	w := watchedServer{T: t, address: server.URL("postgres"), store: vaultAt(t, pgtest.DB(t))}
	w.admin, err = pgx.Connect(t.Context(), w.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.admin.Close(context.Background()) })
	w.sql("CREATE ROLE collector LOGIN PASSWORD 'c' IN ROLE pg_monitor")
	w.sql("CREATE ROLE app LOGIN PASSWORD 'the right one'")
	w.sql("CREATE TABLE ledger AS SELECT i FROM generate_series(1, 5000) AS i")
	w.sql("CREATE EXTENSION pg_stat_statements")
	w.security, _ = looker(t, w.store, map[string]string{"pg-2": w.as("collector", "c")})
	return w
}

func (w watchedServer) sql(statements ...string) {
	w.Helper()
	for _, statement := range statements {
		if _, err := w.admin.Exec(w.Context(), statement); err != nil {
			w.Fatalf("%s: %v", statement, err)
		}
	}
}

func (w watchedServer) as(user, password string) string {
	w.Helper()
	u, err := url.Parse(w.address)
	if err != nil {
		w.Fatal("the address of the server is no URL")
	}
	var port string
	if err := w.admin.QueryRow(w.Context(), "SHOW port").Scan(&port); err != nil {
		w.Fatal(err)
	}
	u.User, u.Host, u.RawQuery = url.UserPassword(user, password), net.JoinHostPort("127.0.0.1", port), "sslmode=disable"
	return u.String()
}

func (w watchedServer) logIn(user, password string, refused bool) {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), w.as(user, password))
	if (err != nil) != refused {
		w.Fatalf("%s: %v", user, err)
	}
	if err == nil {
		_ = conn.Close(w.Context())
	}
}

func (w watchedServer) look() DetectSecurityEventsOutput {
	w.Helper()
	out, err := w.security.DetectSecurityEvents(w.Context(), DetectSecurityEventsInput{Target: "pg-2"})
	if err != nil || out.Error != "" || len(out.Failed) > 0 {
		w.Fatalf("%+v, %v", out, err)
	}
	return out
}

// events lists the current events of some types as type, severity, user and source.
func (w watchedServer) events(types ...string) []string {
	w.Helper()
	return ask[string](w.T, w.store, `
		SELECT concat_ws(' ', s.event_type, s.event_severity, s.username, host(s.source_ip), s.event_details ->> 'failures')
		  FROM monitoring.security_event_s s JOIN monitoring.security_event_h h USING (security_event_hk)
		 WHERE s.load_end_date IS NULL AND h.target_name = 'pg-2' AND s.event_type = ANY ($1) ORDER BY 1`, types)
}

// eventually looks until the events of some types are as wanted: statistics and logs of a server come late.
func (w watchedServer) eventually(want []string, types ...string) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		w.look()
		got := w.events(types...)
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("found %q, want %q", got, want)
		}
	}
}

func (w watchedServer) versions() int {
	w.Helper()
	return ask[int](w.T, w.store, "SELECT count(*) FROM monitoring.security_event_s")[0]
}

func (w watchedServer) owner() string {
	w.Helper()
	var name string
	if err := w.admin.QueryRow(w.Context(), "SELECT current_user").Scan(&name); err != nil {
		w.Fatal(err)
	}
	return name
}

func TestDetectSecurityEvents_OfATargetElsewhereByARoleThatMayOnlyMonitor(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	w.sql("CREATE ROLE old SUPERUSER", "GRANT SELECT ON ledger TO PUBLIC")
	first := w.look()
	// What cannot be looked at is said with the remedy.
	if len(first.Skipped) != 3 || first.Skipped["failed_logins"] == "" || first.Skipped["hba_changes"] == "" ||
		!strings.Contains(first.Skipped["weak_hba_rules"], "GRANT SELECT ON pg_hba_file_rules TO collector") {
		t.Errorf("skipped %v", first.Skipped)
	}
	// What stood there before the first look wakes nobody, and is found once.
	if grave := ask[string](t, w.store, "SELECT event_type FROM monitoring.security_event_s WHERE event_severity IN ('HIGH', 'CRITICAL')"); len(grave) > 0 {
		t.Errorf("what stood there before is grave: %v", grave)
	}
	before := w.versions()
	w.look()
	if n := w.versions(); n != before {
		t.Errorf("a second look at the same made %d versions", n-before)
	}

	w.sql("ALTER ROLE app SUPERUSER",
		"GRANT INSERT ON ledger TO PUBLIC",
		"ALTER TABLE ledger ADD COLUMN note text",
		"CREATE FUNCTION public.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
		"CREATE FUNCTION public.trap() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
		"CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION public.trap()",
		"ALTER EVENT TRIGGER guard DISABLE",
		"ALTER SYSTEM SET authentication_timeout = '90s'", "ALTER SYSTEM SET password_encryption = 'md5'", "SELECT pg_reload_conf()")
	w.eventually([]string{"SETTING_CHANGED MEDIUM"}, "SETTING_CHANGED")
	owner := w.owner()
	want := []string{
		"EVENT_TRIGGER_DISABLED HIGH " + owner, "PRIVILEGES_CHANGED HIGH", "ROLE_CHANGED HIGH app", "SCHEMA_CHANGED MEDIUM", "SCHEMA_CHANGED MEDIUM",
		"SECURITY_DEFINER_WITHOUT_SEARCH_PATH HIGH " + owner, "SUPERUSER_ROLE HIGH app", "SUPERUSER_ROLE MEDIUM old",
	}
	w.eventually(want, "EVENT_TRIGGER_DISABLED", "PRIVILEGES_CHANGED", "ROLE_CHANGED", "SCHEMA_CHANGED", "SECURITY_DEFINER_WITHOUT_SEARCH_PATH", "SUPERUSER_ROLE")
	// Which object changed, and which part of it.
	changed := ask[string](t, w.store, `
		SELECT c ->> 'object' || ' ' || (c ->> 'how') || ' ' || (SELECT string_agg(k, ',') FROM jsonb_object_keys(c -> 'before_and_after') AS k)
		  FROM monitoring.security_event_s s, jsonb_array_elements(s.event_details -> 'changes') AS c
		 WHERE s.event_type IN ('SCHEMA_CHANGED', 'SETTING_CHANGED') AND c ->> 'how' = 'changed' ORDER BY 1`)
	if want := []string{"setting authentication_timeout changed value", "table public.ledger changed columns"}; !slices.Equal(changed, want) {
		t.Errorf("changed %q, want %q", changed, want)
	}
	before = w.versions()
	w.look()
	if n := w.versions(); n != before {
		t.Errorf("looking again made %d versions", n-before)
	}
}

func TestDetectSecurityEvents_TablesThatLoseTheirRows(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	w.sql("CREATE TABLE emptied AS SELECT i FROM generate_series(1, 5000) AS i", "CREATE TABLE rewritten AS SELECT i FROM generate_series(1, 5000) AS i")
	// Counters reach the statistics when a session is idle, or ends.
	w.sql("SELECT pg_stat_force_next_flush()", "SELECT 1")
	w.look()
	w.sql("DELETE FROM ledger WHERE i <= 4000", "TRUNCATE emptied", "VACUUM FULL rewritten", "SELECT pg_stat_force_next_flush()", "SELECT 1")
	w.eventually([]string{"MASS_DELETE HIGH", "TABLE_TRUNCATED HIGH"}, "MASS_DELETE", "TABLE_TRUNCATED")
	tables := ask[string](t, w.store, "SELECT affected_tables[1] || ' ' || (event_details ->> 'deleted') FROM monitoring.security_event_s WHERE event_type IN ('MASS_DELETE', 'TABLE_TRUNCATED') ORDER BY 1")
	if want := []string{"public.emptied 0", "public.ledger 4000"}; !slices.Equal(tables, want) {
		t.Errorf("found %q, want %q", tables, want)
	}
}

func TestDetectSecurityEvents_LogInsThatFail(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	w.logIn("app", "a wrong one", true)
	for range 3 { // what stood in the log before the first look is no news, wherever it is by then
		w.look()
		time.Sleep(200 * time.Millisecond)
	}
	logins := []string{"LOGIN_FAILURE", "BRUTE_FORCE", "LOGIN_AFTER_FAILURES", "PASSWORD_SPRAY", "DISTRIBUTED_BRUTE_FORCE"}
	already := len(w.events(logins...))
	if already > 1 {
		t.Fatalf("found %q", w.events(logins...))
	}

	// The hour may turn in between: then the counts are of two hours, and the worst of both is told.
	for range 12 {
		w.logIn("dana", "a wrong one", true)
	}
	sum := func(user string) int {
		return ask[int](t, w.store, "SELECT coalesce(sum(failures), 0)::integer FROM monitoring.security_login WHERE username = $1", user)[0]
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: found %q", what, w.events(logins...))
			}
			w.look()
		}
	}
	until("12 failures of one user", func() bool { return sum("dana") == 12 })
	has := func(prefix string) bool {
		return slices.ContainsFunc(w.events(logins...), func(e string) bool { return strings.HasPrefix(e, prefix) })
	}
	if time.Now().Minute() > 1 && !has("BRUTE_FORCE HIGH dana 127.0.0.1 12") {
		t.Errorf("found %q", w.events(logins...))
	}
	before := w.versions()
	w.look()
	if n := w.versions(); n != before {
		t.Errorf("looking again made %d versions", n-before)
	}

	for _, user := range []string{"erin", "frank", "grace", "heidi", "ivan", "judy"} {
		w.logIn(user, "a wrong one", true)
	}
	until("a spray", func() bool { return sum("judy") == 1 && has("PASSWORD_SPRAY HIGH 127.0.0.1") })

	for range 6 {
		w.logIn("app", "a wrong one", true)
	}
	w.logIn("app", "the right one", false)
	until("a log-in after failures", func() bool { return has("LOGIN_AFTER_FAILURES HIGH app 127.0.0.1") })

	// One event for each, whatever it became.
	if twice := ask[string](t, w.store, `
		SELECT username FROM monitoring.security_event_s s
		 WHERE s.load_end_date IS NULL AND s.event_type = ANY ($1) AND s.username IS NOT NULL
		 GROUP BY username, date_trunc('hour', event_timestamp) HAVING count(*) > 1`, logins); len(twice) > 0 {
		t.Errorf("two events of one user and hour: %v", twice)
	}
}

func TestDetectSecurityEvents_ATargetThatDoesNotAnswerIsRecorded(t *testing.T) {
	t.Parallel()
	store := vaultAt(t, pgtest.DB(t))
	security, _ := looker(t, store, map[string]string{"gone": "postgres://nobody:hunter2@127.0.0.1:1/x"})
	out, err := security.DetectSecurityEvents(t.Context(), DetectSecurityEventsInput{Target: "gone"})
	if err != nil || !strings.Contains(out.Error, "connection refused") || strings.Contains(out.Error, "hunter2") {
		t.Errorf("%+v, %v", out, err)
	}
	status, err := store.SecurityStatus(t.Context(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	if len(status) < 20 || status[0].State() != "FAILED" || !strings.Contains(status[0].Failed, "connection refused") {
		t.Errorf("status %+v", status)
	}
}

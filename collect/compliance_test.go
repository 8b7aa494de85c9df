package collect_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"onevault/collect"
	"onevault/migrations"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

func controls(t *testing.T, ids ...string) []collect.Control {
	t.Helper()
	all, err := collect.Controls()
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(c collect.Control) bool { return !slices.Contains(ids, c.ID) })
}

func checked(t *testing.T, address string, ids ...string) []collect.ControlResult {
	t.Helper()
	results, err := openTarget(t, address).CheckControls(t.Context(), controls(t, ids...))
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestControls_AreThirtyEightWithClausesOfFiveFrameworks(t *testing.T) {
	t.Parallel()
	var frameworks []string
	for i, c := range controls(t) {
		if want := fmt.Sprintf("C%02d", i+1); c.ID != want {
			t.Errorf("control %d is %s, want %s", i, c.ID, want)
		}
		if c.Evidence == "" {
			t.Errorf("%s does not say what it reads", c.ID)
		}
		for _, f := range c.Frameworks() {
			if !slices.Contains(frameworks, f) {
				frameworks = append(frameworks, f)
			}
		}
	}
	slices.Sort(frameworks)
	if want := []string{"GDPR", "HIPAA", "PCI DSS", "SOC 2", "SOX"}; !slices.Equal(frameworks, want) {
		t.Errorf("frameworks %q, want %q", frameworks, want)
	}
	if n := len(controls(t)); n != 38 {
		t.Errorf("%d controls", n)
	}
}

// The document is the reader's list of the controls: it must be the files'.
func TestControls_AreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "docs", "compliance.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range controls(t) {
		var clauses []string
		for _, clause := range c.Clauses {
			clauses = append(clauses, clause.Framework+" "+clause.Clause)
		}
		line := fmt.Sprintf("| %s | %s | %s | %s |", c.ID, c.Title, c.Severity, strings.Join(clauses, "; "))
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("docs/compliance.md lacks: %s", line)
		}
	}
}

// system changes settings of a server of the test's own.
func system(settings ...string) []string {
	var list []string
	for _, s := range settings {
		list = append(list, "ALTER SYSTEM SET "+s)
	}
	return append(list, "SELECT pg_reload_conf()")
}

// The other side of what needs a restart, a certificate or another host is shown in complianceserver_test.go.
func TestCheckControls_FollowWhatIsTrue(t *testing.T) {
	t.Parallel()
	address := durableServer(t)
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	conn := connect(t, address)
	hba := column[string](t, conn, "SHOW hba_file")[0]
	rules := func(lines ...string) []string {
		return []string{"COPY (SELECT unnest(ARRAY['" + strings.Join(lines, "','") + "'])) TO '" + hba + "'"}
	}
	do := func(list ...string) []string { return list }
	backup := func(key, status, ended, tested string) []string {
		return do(fmt.Sprintf(`INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, record_source) VALUES (util.hash_binary('%[1]s'), '%[1]s', 'TEST')`, key),
			fmt.Sprintf(`INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_start_time, backup_end_time, backup_status, recovery_tested, recovery_test_date, record_source)
				VALUES (util.hash_binary('%s'), '\x', 'FULL', now() - interval '%s', now() - interval '%s', '%s', true, now() - interval '%s', 'TEST')`, key, ended, ended, status, tested))
	}
	looked := func(target, findings, failed string) []string {
		return do(fmt.Sprintf("INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings, failed) VALUES ('%s', clock_timestamp(), 'x', %s, '%s')", target, findings, failed))
	}
	minor := func(version string) []string {
		return do(`INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('MINOR'), 'MINOR') ON CONFLICT DO NOTHING`,
			`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
			 SELECT util.hash_binary('MINOR'), '\x', 'minimum_postgres_minor', 'COMPLIANCE', jsonb_build_object((current_setting('server_version_num')::integer / 10000)::text, `+version+`)`)
	}
	const good, bad, partly, unknown = collect.Compliant, collect.NonCompliant, collect.PartiallyCompliant, collect.NotTested
	type step struct {
		does []string
		want string
		says string // in the evidence
	}
	cases := map[string][]step{
		"C01": {{nil, bad, "off"}},
		"C02": {{nil, unknown, "C01"}},
		"C03": {{nil, unknown, "no session from another host"}},
		"C04": {
			{nil, good, "scram"},
			{do("CREATE ROLE old_hash", "ALTER ROLE old_hash SET password_encryption = 'md5'"), bad, "old_hash in every database"},
		},
		"C05": {{nil, good, "0"}, {do("CREATE ROLE hashed PASSWORD 'md5" + strings.Repeat("a", 32) + "'"), bad, "hashed"}},
		"C06": {{rules("local all all peer", "hostssl all all 10.0.0.0/8 scram-sha-256"), good, ""}, {rules("local all all peer", "host all all 10.0.0.0/8 md5"), bad, "line 2: host md5"}, {rules("local all all nonsense"), bad, "line 1"}},
		"C07": {{rules("hostssl all all all scram-sha-256", "host all all all reject", "host all all 10.0.0.0/8 scram-sha-256"), good, ""}, {rules("host all all 0.0.0.0/0 scram-sha-256"), bad, "line 1"}, {rules("host all all all scram-sha-256"), bad, "line 1"}, {rules("local all all peer", "host all all nonsense"), unknown, "cannot be read"}},
		"C08": {{nil, good, ""}, {do("CREATE ROLE boss SUPERUSER"), bad, "boss"}},
		"C09": {{nil, good, ""}, {do("CREATE ROLE top SUPERUSER", "CREATE ROLE middle", "CREATE ROLE bottom", "GRANT top TO middle", "GRANT middle TO bottom"), bad, "bottom"}},
		"C10": {{nil, good, ""}, {do("CREATE ROLE maker CREATEROLE"), bad, "maker CREATEROLE"}},
		"C11": {{nil, good, ""}, {do("CREATE ROLE via", "CREATE ROLE runner", "GRANT pg_execute_server_program TO via", "GRANT via TO runner"), bad, "runner is pg_execute_server_program"}},
		"C12": {{do("REVOKE CREATE ON SCHEMA public FROM PUBLIC"), good, ""}, {do("CREATE SCHEMA open", "GRANT CREATE ON SCHEMA open TO PUBLIC"), bad, "open"}},
		"C13": {{nil, good, ""}, {do("CREATE TABLE public.seen (a int, b int)", "GRANT SELECT (b) ON public.seen TO PUBLIC"), bad, "public.seen"}},
		"C14": {{nil, good, ""}, {do("CREATE FUNCTION public.loose() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'"), bad, "loose()"}, {do("ALTER FUNCTION public.loose() SET search_path = pg_catalog"), bad, "loose()"}, {do("REVOKE EXECUTE ON FUNCTION public.loose() FROM PUBLIC"), good, ""}},
		"C15": {{do(`DO $$ DECLARE r name; BEGIN FOR r IN SELECT rolname FROM pg_roles WHERE rolcanlogin AND oid <> 10 LOOP EXECUTE format('ALTER ROLE %I NOLOGIN', r); END LOOP; END $$`), unknown, "no role but the bootstrap role"}, {do("CREATE ROLE soon LOGIN VALID UNTIL '2020-01-01'"), good, ""}, {do("CREATE ROLE never LOGIN"), partly, "never"}, {do("ALTER ROLE never VALID UNTIL '2020-01-01'", "ALTER ROLE soon VALID UNTIL 'infinity'"), partly, "soon"}, {do("ALTER ROLE soon VALID UNTIL '2020-01-01'"), good, ""}},
		"C16": {{do("DROP ROLE IF EXISTS soon, never"), unknown, "no role but superusers"}, {do("CREATE ROLE bounded LOGIN CONNECTION LIMIT 3 VALID UNTIL '2020-01-01'"), good, ""}, {do("ALTER ROLE bounded CONNECTION LIMIT -1"), bad, "bounded"}},
		"C17": {{nil, good, "0"}},
		"C18": {{system("log_connections = 'on'", "log_disconnections = 'off'"), partly, "off"}, {system("log_disconnections = 'on'"), good, ""}, {system("log_connections = 'off'", "log_disconnections = 'off'"), bad, ""}},
		"C19": {{nil, unknown, "standard error"}, {system("log_destination = 'syslog'"), good, ""}, {system("log_destination = ''"), bad, ""}, {system("log_destination = 'stderr'"), unknown, ""}},
		"C20": {{do("ALTER DATABASE postgres SET pgaudit.log = 'all'"), bad, "pgaudit_preloaded:false"}, {do("ALTER DATABASE postgres RESET pgaudit.log"), bad, ""}},
		"C21": {{system("log_statement = 'none'"), bad, "none"}, {system("log_statement = 'ddl'"), good, ""}, {do("CREATE ROLE quiet", "ALTER ROLE quiet SET log_statement = 'none'"), bad, "quiet"}, {do("ALTER ROLE quiet RESET ALL"), good, ""}},
		"C22": {{system("log_line_prefix = '%m [%p] %q%u@%d %h '"), good, ""}, {system("log_line_prefix = '%m [%p] '"), partly, ""}, {system("log_line_prefix = '%%m %%u %d '"), partly, ""}, {system("log_line_prefix = ''"), bad, ""}, {system("log_destination = 'csvlog'"), bad, "csvlog"}, {system("log_destination = 'stderr'"), bad, ""}},
		"C23": {{nil, unknown, "no files"}},
		"C24": {
			{nil, unknown, "nobody looked"},
			{looked("local", "0", "{}"), unknown, "nobody looked"}, // at another target
			{looked("watched", "0", `{"failed_logins": "log unreadable"}`), unknown, "nobody looked"},
			{looked("watched", "0", "{}"), good, ""},
			{do("INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, target_name) VALUES (util.hash_binary('E'), 'E', 'watched')",
				`INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, investigation_status) VALUES (util.hash_binary('E'), '\x', 'LOGIN_FAILURE', 'HIGH', now(), 'OPEN')`), bad, "1"},
		},
		"C26": {{nil, good, ""}, {do("CREATE ROLE hasty", "ALTER ROLE hasty SET synchronous_commit = off"), bad, "hasty"}, {do("ALTER ROLE hasty SET synchronous_commit = 'no'"), bad, "hasty"}, {append(do("ALTER ROLE hasty RESET ALL"), system("full_page_writes = off")...), bad, "off"}, {system("full_page_writes = on"), good, ""}},
		"C27": {{nil, bad, "off"}},
		"C28": {{nil, unknown, "no backup"}, {backup("OLD", "COMPLETED", "30 hours", "100 days"), bad, ""}, {backup("NEW", "COMPLETED", "1 hour", "100 days"), good, ""}},
		"C29": {{backup("UNTESTED", "COMPLETED", "1 hour", "100 days"), bad, ""}, {backup("TESTED", "COMPLETED", "1 hour", "1 day"), good, ""}},
		"C30": {{nil, partly, "without"}, {do("DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT a.attrelid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p') AND NOT c.relispartition WHERE a.attname = 'tenant_hk' LOOP EXECUTE 'ALTER TABLE ' || t || ' ENABLE ROW LEVEL SECURITY'; END LOOP; END $$"), good, ""}},
		"C31": {{nil, unknown, "minimum_postgres_minor"}, {minor("current_setting('server_version_num')::integer"), good, ""}, {minor("current_setting('server_version_num')::integer + 1"), bad, ""}},
		"C32": {
			{system("idle_session_timeout = '10min'", "idle_in_transaction_session_timeout = '5min'"), good, "600000 ms"},
			{system("idle_session_timeout = '20min'"), partly, ""},
			{system("idle_session_timeout = 0", "idle_in_transaction_session_timeout = 0"), bad, "0 ms"},
			{do("ALTER DATABASE postgres SET idle_session_timeout = '10min'"), unknown, "own role"},
		},
		"C33": {
			{nil, unknown, "no users"},
			{do(`INSERT INTO auth.user_auth_s (user_hk, hash_diff, username, failed_login_attempts, record_source) VALUES ('\x00', '\x', 'clumsy', 9, 'TEST')`), unknown, "not seen at work"},
			{do(`INSERT INTO auth.user_auth_s (user_hk, hash_diff, username, failed_login_attempts, account_locked, record_source) VALUES ('\x01', '\x', 'locked', 11, true, 'TEST')`), good, ""},
			{do(`INSERT INTO auth.user_auth_s (user_hk, hash_diff, username, failed_login_attempts, record_source) VALUES ('\x02', '\x', 'open', 10, 'TEST')`), bad, "open"},
		},
		"C34": {{nil, good, ""}},
		"C35": {{nil, good, ""}, {do("ALTER TABLE monitoring.incident_s DISABLE TRIGGER t60_allow_only_closing"), partly, "incident_s"}},
		"C36": {
			{append(do("TRUNCATE monitoring.security_detection"), looked("local", "0", "{}")...), bad, "0"},
			{looked("watched", "0", "{}"), good, ""},
			{looked("watched", "0", `{"roles": "timeout"}`), partly, "roles"},
			{looked("watched", "NULL", "{}"), partly, "failed_runs:1"},
			{looked("watched", "0", "{}"), good, ""},
		},
		"C37": {{do("DROP EXTENSION IF EXISTS lo"), good, ""}, {do("CREATE LANGUAGE mine HANDLER plpgsql_call_handler"), bad, "language mine"}},
		"C38": {{nil, good, ""}, {do("CREATE TABLE public.cards (card_number text)"), bad, "public.cards.card_number"}},
	}
	// The rules first: a reload that another control asked for must not find them.
	exec(t, conn, "CREATE TABLE public.rules AS SELECT * FROM regexp_split_to_table(pg_read_file('"+hba+"'), E'\\n') WITH ORDINALITY AS l (line, n)")
	for _, id := range slices.SortedFunc(maps.Keys(cases), func(a, b string) int {
		return strings.Compare(strings.Replace(a, "C0", "A", 1), strings.Replace(b, "C0", "A", 1))
	}) {
		if id == "C08" {
			exec(t, conn, "COPY (SELECT line FROM public.rules ORDER BY n) TO '"+hba+"'")
		}
		for n, s := range cases[id] {
			for _, statement := range s.does {
				exec(t, conn, statement)
			}
			got := eventually(t, address, id, s.want)
			if got.Status != s.want || !strings.Contains(fmt.Sprint(got.Evidence), s.says) {
				t.Errorf("%s step %d: %s %v, want %s with %q", id, n, got.Status, got.Evidence, s.want, s.says)
			}
			if (got.Status == unknown) != (got.Score == nil) {
				t.Errorf("%s step %d: %s with score %v", id, n, got.Status, got.Score)
			}
		}
	}
}

// durableServer belongs to one test, with the settings that a server of somebody's data has.
func durableServer(t *testing.T) string {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: serverDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server.URL("postgres")
}

// serverDir is a directory of the test that the server's account passes through.
func serverDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// eventually asks again while the server takes on new settings, which it does when it gets to it.
func eventually(t *testing.T, address, id, want string) collect.ControlResult {
	t.Helper()
	var got collect.ControlResult
	for range 20 {
		if got = checked(t, address, id)[0]; got.Status == want {
			break
		}
	}
	return got
}

// With pg_monitor alone what needs more is NOT_TESTED with the reason, and nothing is COMPLIANT that a
// superuser does not find so.
func TestCheckControls_WithPgMonitorAloneAreNeverBetterThanTheTruth(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	truth := map[string]string{}
	for _, r := range checked(t, address) {
		truth[r.Control.ID] = r.Status
	}
	untested := map[string]string{}
	for _, role := range [][]string{{"pg_monitor"}, {}} {
		for _, r := range checked(t, asNewRole(t, address, role...)) {
			if r.Status == collect.Compliant && truth[r.Control.ID] != collect.Compliant {
				t.Errorf("as %q: %s is COMPLIANT, a superuser finds %s", role, r.Control.ID, truth[r.Control.ID])
			}
			if r.Status == collect.NotTested {
				untested[r.Control.ID] = fmt.Sprint(r.Evidence["reason"])
			}
		}
		if len(role) == 1 && strings.Contains(untested["C03"], "does not see") {
			t.Errorf("pg_monitor sees no sessions: %s", untested["C03"])
		}
	}
	for id, says := range map[string]string{"C05": "pg_authid", "C06": "GRANT SELECT ON pg_hba_file_rules", "C28": "permission denied", "C03": "GRANT pg_monitor"} {
		if !strings.Contains(untested[id], says) {
			t.Errorf("%s says %q, want %q", id, untested[id], says)
		}
	}
}

// The collector bounds its own sessions: that is not the server's setting.
func TestCheckControls_SeeTheServersSettingsAndNotTheCollectors(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.DB(t))
	want := column[string](t, conn, "SELECT reset_val || ' ms' FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")[0]
	if got := checked(t, conn.Config().ConnString(), "C32")[0].Evidence["idle_in_transaction_session_timeout"]; got != want {
		t.Errorf("the timeout is %v, want %s", got, want)
	}
}

// A database without anything of its own is not one in which all is well.
func TestCheckControls_OfAnEmptyDatabaseCannotTell(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "DROP SCHEMA monitoring_sql, monitoring, auth, backup_mgmt, util CASCADE; DROP TABLE public.onevault_migrations, public.onevault_functions")
	for id, says := range map[string]string{"C13": "no table of its own", "C14": "no routine of its own", "C30": "no table with a column tenant_hk", "C38": "no text column"} {
		if r := checked(t, address, id)[0]; r.Status != collect.NotTested || !strings.Contains(fmt.Sprint(r.Evidence["reason"]), says) {
			t.Errorf("%s: %s %v", id, r.Status, r.Evidence)
		}
	}
	for _, id := range []string{"C12", "C13", "C14", "C30", "C37", "C38"} {
		if n, ok := checked(t, address, id)[0].Evidence["databases_not_looked_at"].(float64); !ok || n < 1 {
			t.Errorf("%s does not say that there are other databases: %v", id, checked(t, address, id)[0].Evidence)
		}
	}
}

func TestCheckControls_OutsideAVaultSayWhatIsMissing(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "DROP SCHEMA backup_mgmt CASCADE")
	for _, r := range checked(t, address, "C28", "C29") {
		if r.Status != collect.NotTested || r.Evidence["reason"] != "table backup_mgmt.backup_execution_s does not exist here" {
			t.Errorf("%s %v", r.Status, r.Evidence)
		}
	}
}

func custom(sql string) string {
	return "-- id: MINE\n-- title: Mine\n-- category: ACCESS_CONTROL\n-- severity: LOW\n-- asks: something\n-- clause: ISO 27001 | A.8.3 | Access restriction\n-- remediation: do it\n" + sql
}

func TestCheckControls_WhatIsWrongWithAControlIsNotTestedAndTheOthersRun(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "CREATE TABLE public.written (a serial)")
	var list []collect.Control
	says := []string{"division by zero", "no row", "more than one row", "score is 101", "read-only", "syntax error", "does not say why", "make it an object", "does not exist"}
	for _, sql := range []string{
		"SELECT true, NULL::numeric, jsonb_build_object('n', 1 / 0)", "SELECT true, 1, '{}'::jsonb WHERE false", "SELECT true, 1, '{}'::jsonb FROM generate_series(1, 2)",
		"SELECT true, 101, '{}'::jsonb", "SELECT true, 1, jsonb_build_object('n', nextval('public.written_a_seq'))", "DELETE FROM public.written",
		"SELECT NULL::boolean, 1, NULL::jsonb", "SELECT true, 1, '[]'::jsonb", "SELECT nothing",
	} {
		control, err := collect.ParseControl(custom(sql))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, control)
	}
	list = append(list, controls(t, "C08")...)
	results, err := openTarget(t, address).CheckControls(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range says {
		if reason := fmt.Sprint(results[i].Evidence["reason"]); results[i].Status != collect.NotTested || results[i].Score != nil || !strings.Contains(reason, want) {
			t.Errorf("%s: %s %q, want %q", list[i].SQL, results[i].Status, reason, want)
		}
	}
	if last := results[len(says)]; last.Control.ID != "C08" || last.Status == collect.NotTested {
		t.Errorf("the one after them: %+v", last)
	}
}

func TestCheckControls_ATargetThatIsDownIsAnErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	_, err := openTarget(t, "postgres://u:s3cret@127.0.0.1:1/x").CheckControls(t.Context(), controls(t))
	if err == nil || !strings.Contains(err.Error(), "watched") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func TestParseControl_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	whole := custom("SELECT true, 1, '{}'::jsonb")
	if _, err := collect.ParseControl(whole); err != nil {
		t.Fatal(err)
	}
	for old, wants := range map[string][2]string{
		"-- id: MINE":             {"-- id: mine", `id is "mine"`},
		"-- title: Mine":          {"-- title:", `title is ""`},
		"-- severity: LOW":        {"-- severity: URGENT", `severity is "URGENT": use LOW`},
		"-- asks: something":      {"-- asked: x", `field "asked" is unknown`},
		"-- remediation: do it\n": {"", "remediation is missing"},
		"ISO 27001 | A.8.3 |":     {"ISO 27001", "write FRAMEWORK | CLAUSE"},
		"-- category: A":          {"-- id: A", "id is given twice"},
		"SELECT true":             {"", "refused"},
	} {
		text := strings.Replace(whole, old, wants[0], 1)
		control, err := collect.ParseControl(text)
		if wants[1] == "refused" {
			err = openTarget(t, pgtest.DB(t)).LintControl(t.Context(), control)
		}
		if err == nil || !strings.Contains(err.Error(), wants[1]) {
			t.Errorf("%q: %v, want %q", wants[0], err, wants[1])
		}
	}
}

func TestLintControl_PlansOneSelectAndRunsNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	target := openTarget(t, address)
	for sql, want := range map[string]string{
		"SELECT true, 1, '{}'::jsonb -- fine\n;":                                               "",
		"SELECT true, 1 / 0, '{}'::jsonb WHERE now() > '2000-01-01' AND pg_sleep(100) IS NULL": "",
		"SELECT true, 1, '{}'::jsonb) AS q; DROP TABLE x":                                      "refused",
		"SELECT true; SELECT true":                                                             "refused",
		"DELETE FROM pg_class":                                                                 "refused",
		"SELECT true, 1, x FROM nowhere":                                                       `"nowhere" does not exist`,
		"SELECT true, 1":                                                                       "refused",
		"SELECT true, 1, $1::jsonb":                                                            "parameters",
	} {
		control, err := collect.ParseControl(custom(sql))
		if err == nil {
			err = target.LintControl(t.Context(), control)
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
}

func TestCustomControls_OneThatIsWrongLeavesTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	whole := custom("SELECT true, 1, '{}'::jsonb")
	write("a.sql", whole)
	write("b.sql", whole)
	write("c.sql", strings.Replace(whole, "MINE", "C01", 1))
	write("d.sql", "SELECT 1")
	write("e.sql", strings.Replace(whole, "MINE", "OTHER", 1))
	write("readme.txt", "no control")
	found, problems := collect.CustomControls(dir)
	if len(found) != 2 || !found[0].Custom || found[1].ID != "OTHER" {
		t.Errorf("found %+v", found)
	}
	for i, want := range []string{"b.sql: id MINE is taken by " + filepath.Join(dir, "a.sql"), "c.sql: id C01 is taken by a built-in control", `d.sql: id is ""`} {
		if i >= len(problems) || !strings.Contains(problems[i], want) {
			t.Errorf("problems %q, want %q", problems, want)
		}
	}
	if _, problems := collect.CustomControls(filepath.Join(dir, "nowhere")); len(problems) != 1 {
		t.Errorf("a directory that is not there: %q", problems)
	}
}

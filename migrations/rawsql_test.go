package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/pgserver/pgtest"
)

// allowSQL switches raw SQL conditions on.
func allowSQL(t *testing.T, db database) {
	t.Helper()
	exec(t, db, "SELECT monitoring.allow_raw_sql(true, 'test')")
}

// sqlDefinition is a definition that rests on SQL.
func sqlDefinition(sql string) columns {
	return columns{"metric_source": "sql", "condition_sql": sql, "condition_logic": "value > threshold_value"}
}

// putDefinitionHubs makes keys of definitions that have no version yet.
func putDefinitionHubs(t *testing.T, db database, keys ...string) {
	t.Helper()
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) SELECT util.hash_binary(k), k FROM unnest($1::text[]) AS k", keys)
}

// sandboxed runs SQL of a condition as the worker does, and returns its value as text; NULL is "".
func sandboxed(t *testing.T, conn *pgx.Conn, sql, target string) (string, error) {
	t.Helper()
	var value string
	tx, err := conn.BeginTx(t.Context(), pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return "", err
	}
	defer tx.Rollback(t.Context()) // whatever it did in spite of all is taken back
	if _, err := tx.Exec(t.Context(), "SET LOCAL statement_timeout = '2s'"); err != nil {
		return "", err
	}
	err = tx.QueryRow(t.Context(), "SELECT coalesce(monitoring_sql.value_of($1, $2, now())::text, '')", sql, target).Scan(&value)
	return value, err
}

func TestRawSQL_YieldsANumberABooleanOrNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	worker, _ := member(t, address, "onevault_worker")
	for sql, want := range map[string]string{
		"SELECT 7":             "7",
		"SELECT 1.5 * 2":       "3.0",
		"SELECT 1 < 2":         "true",
		"SELECT NULL::numeric": "",
		"SELECT metric_value FROM health LIMIT 0":                                                                                                            "",
		"SELECT count(*) FROM alerts WHERE target_name = $1 AND status IN ('OPEN', 'ESCALATED')":                                                             "3",
		"select count(*) from monitoring_sql.alerts where target_name = $1 || ''":                                                                            "refused",
		"SELECT count(*) FROM alerts WHERE triggered_at > $2 + interval '1 hour'":                                                                            "0",
		"SELECT max(metric_value) > 5 FROM health h WHERE h.metric_name LIKE 'blocked%' AND target_name = $1":                                                "true",
		"WITH open AS (SELECT a.target_name, count(*) AS n FROM alerts a WHERE a.status <> 'RESOLVED' GROUP BY a.target_name)\nSELECT max(open.n) FROM open": "3",
		"SELECT round(extract(epoch FROM max(age(now(), measured_at)))::numeric / 86400) FROM health":                                                        "0",
		"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY metric_value::float8) FROM health WHERE labels ->> 'x' IS NULL":                                  "9",
		"SELECT count(*) FILTER (WHERE status = 'it''s; -- \"') FROM notifications":                                                                          "0",
	} {
		got, err := sandboxed(t, worker.Conn, sql, "local")
		if want == "refused" {
			if err == nil {
				t.Errorf("%s: %s, want it refused", sql, got)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", sql, got, err, want)
		}
		exec(t, worker, "SELECT monitoring_sql.plan($1)", sql)
	}
	if got, err := sandboxed(t, worker.Conn, "SELECT count(*) FROM alerts WHERE target_name = $1", "elsewhere"); err != nil || got != "0" {
		t.Errorf("on another target: %q, %v", got, err)
	}
}

// breakouts are attempts to do anything but read the views: each must be refused by the text alone where it is
// written, and, past the check of the text, by the rights and the transaction that it runs with.
var breakouts = []struct{ sql, past string }{
	// More than one statement, or none that reads.
	{sql: "SELECT 1; DROP TABLE monitoring.outbox", past: "42601"},
	{sql: "SELECT 1); DROP SCHEMA monitoring CASCADE; SELECT (1", past: "42601"},
	{sql: "SELECT 1) q, (SELECT 2"},
	{sql: "DELETE FROM monitoring.outbox RETURNING 1"},
	{sql: "INSERT INTO monitoring.outbox DEFAULT VALUES RETURNING 1"},
	{sql: "UPDATE alerts SET status = 'RESOLVED' RETURNING 1"},
	{sql: "WITH gone AS (DELETE FROM alerts RETURNING 1) SELECT count(*) FROM gone"},
	{sql: "COPY (SELECT 1) TO PROGRAM 'id'"},
	{sql: "CREATE TABLE x (y int)"},
	{sql: "SELECT 1 INTO x"},
	{sql: "DO $$ BEGIN PERFORM 1; END $$"},
	{sql: "CALL x()"},
	{sql: "EXPLAIN ANALYZE SELECT 1"},
	{sql: "SHOW data_directory"},
	{sql: "SET ROLE postgres"},
	{sql: "RESET ROLE"},
	{sql: "ROLLBACK"},
	{sql: "LISTEN x"},
	{sql: "NOTIFY x, 'y'"},
	{sql: "TABLE alerts"},
	{sql: "VALUES (1)"},
	{sql: ""},
	{sql: " \n "},
	// Other roles and other settings.
	{sql: "SELECT set_config('role', 'none', false) = ''", past: "42501"},
	{sql: "SELECT set_config('role', 'onevault_owner', true) = ''", past: "42501"},
	{sql: "SELECT set_config('session_authorization', 'postgres', false) = ''", past: "42501"},
	{sql: "SELECT set_config('transaction_read_only', 'off', true) = 'off' AND nextval('monitoring.outbox_outbox_id_seq') > 0", past: "*"},
	{sql: "SELECT current_setting('data_directory') = ''"},
	{sql: "SELECT current_user = 'x'"},
	{sql: "SELECT session_user = 'x'"},
	{sql: "SELECT user = 'x'"},
	{sql: "SELECT (SELECT current_role) = 'x'"},
	// SQL within SQL.
	{sql: "SELECT query_to_xml('DELETE FROM monitoring.outbox', true, true, '') IS NULL", past: "*"},
	{sql: "SELECT length(query_to_xml('SELECT * FROM monitoring.notification_config_s', true, true, '')::text)", past: "42501"},
	{sql: "SELECT length(table_to_xml('monitoring.notification_config_s', true, true, '')::text)", past: "42501"},
	{sql: "SELECT length(database_to_xml(true, true, '')::text)"},
	{sql: "SELECT length(schema_to_xml('monitoring', true, true, '')::text)"},
	{sql: "SELECT count(*) FROM ts_stat('SELECT 1')"},
	{sql: "SELECT count(*) FROM dblink('dbname=postgres', 'SELECT 1') AS t(x int)", past: "42883"},
	{sql: "SELECT count(*) FROM crosstab('SELECT 1, 2, 3') AS t(x int)"},
	// Files, other servers, large objects, processes.
	{sql: "SELECT length(pg_read_file('/etc/passwd'))", past: "42501"},
	{sql: "SELECT length(pg_read_binary_file('/etc/passwd'))", past: "42501"},
	{sql: "SELECT count(*) FROM pg_ls_dir('/')", past: "42501"},
	{sql: "SELECT lo_import('/etc/passwd')::int", past: "*"},
	{sql: "SELECT lo_create(0)::int"},
	{sql: "SELECT lo_export(1, '/tmp/x')", past: "*"},
	{sql: "SELECT pg_terminate_backend(1)"},
	{sql: "SELECT pg_reload_conf()", past: "42501"},
	{sql: "SELECT pg_rotate_logfile()", past: "42501"},
	{sql: "SELECT pg_promote()", past: "42501"},
	{sql: "SELECT pg_switch_wal()::text::int", past: "*"},
	{sql: "SELECT pg_logical_emit_message(true, 'x', 'y')::text::int", past: "*"},
	{sql: "SELECT pg_notify('onevault', 'x') IS NULL"},
	{sql: "SELECT pg_stat_reset() IS NULL", past: "42501"},
	// Locks, time, space.
	{sql: "SELECT pg_sleep(60) IS NULL", past: "57014"},
	{sql: "SELECT pg_advisory_lock(1) IS NULL"},
	{sql: "SELECT pg_try_advisory_xact_lock(1)"},
	{sql: "SELECT count(*) FROM (SELECT 1 FROM alerts FOR UPDATE) q", past: "*"},
	{sql: "SELECT count(*) FROM generate_series(1, 1000000000000)", past: "57014"},
	{sql: "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r", past: "57014"},
	{sql: "SELECT length(repeat('x', 1000000000))"},
	{sql: "SELECT length('x' || 'y')"},
	{sql: "SELECT length(string_agg(metric_name, '')) FROM health"},
	{sql: "SELECT 10 ^ 100000 > 1"},
	{sql: "SELECT 'aaaaaaaaaaaaaaaaaaaaaa' ~ '(a*)*b'"},
	{sql: "SELECT nextval('monitoring.outbox_outbox_id_seq')", past: "*"},
	// Tables that are none of its views.
	{sql: "SELECT count(*) FROM monitoring.notification_config_s", past: "42501"},
	{sql: "SELECT count(*) FROM monitoring . alert_instance_s", past: "42501"},
	{sql: "SELECT count(*) FROM monitoring.system_dashboard", past: "42501"},
	{sql: "SELECT count(*) FROM monitoring.evaluate_alert_conditions()", past: "42501"},
	{sql: "SELECT count(*) FROM auth.tenant_h", past: "42501"},
	{sql: "SELECT count(*) FROM backup_mgmt.backup_execution_s", past: "42501"},
	{sql: "SELECT count(*) FROM public.onevault_migrations", past: "42501"},
	{sql: "SELECT count(*) FROM onevault_migrations", past: "42P01"},
	{sql: "SELECT count(*) FROM pg_authid", past: "42501"},
	{sql: "SELECT count(*) FROM pg_catalog.pg_shadow", past: "42501"},
	{sql: "SELECT count(*) FROM pg_stat_activity"},
	{sql: "SELECT count(*) FROM information_schema.tables"},
	{sql: "SELECT 'monitoring.notification_config_s'::regclass::oid::int"},
	{sql: "SELECT regclass 'pg_authid' IS NULL"},
	// The same in other clothes.
	{sql: `SELECT count(*) FROM "pg_authid"`, past: "42501"},
	{sql: `SELECT "pg_sleep"(60) IS NULL`, past: "57014"},
	{sql: `SELECT U&"pg_\0073leep"(60) IS NULL`, past: "57014"},
	{sql: "SELECT pg_catalog.pg_sleep(60) IS NULL", past: "57014"},
	{sql: "SELECT PG_SLEEP (60) IS NULL"},
	{sql: "SELECT pg_sleep/**/(60) IS NULL", past: "57014"},
	{sql: "SELECT length/**/(60)"},
	{sql: "SELECT pg_sleep -- (\n (60) IS NULL"},
	{sql: "SELECT 1 -- comment"},
	{sql: "SELECT E'\\x41' = 'A'"},
	{sql: "SELECT length('a\\')"},
	{sql: "SELECT $$a$$ = 'a'"},
	{sql: "SELECT $x$a$x$ = 'a'"},
	{sql: "SELECT U&'\\0041' = 'A'"},
	{sql: "SELECT B'1' IS NULL"},
	{sql: "SELECT (h.row_to_json)::text IS NULL FROM health h"},
	{sql: "SELECT count(h.to_jsonb) FROM health h"},
	{sql: "SELECT OPERATOR(pg_catalog.-) 1"},
	{sql: "SELECT 1 OPERATOR(pg_catalog.+) 2"},
	{sql: "SELECT cast('1' AS xml) IS NULL"},
	{sql: "SELECT '<x/>'::xml IS NULL"},
	{sql: "SELECT count(*) FROM alerts TABLESAMPLE system (1)"},
	{sql: "SELECT length(upper(pg_sleep(60)::text))", past: "57014"},
	{sql: "SELECT coalesce(1, (SELECT pg_sleep(60) IS NULL)::int)"},
	{sql: "SELECT 1 WHERE pg_sleep(60) IS NULL", past: "57014"},
	{sql: "SELECT version() = ''"},
	{sql: "SELECT inet_server_addr() IS NULL"},
	{sql: "SELECT txid_current()"},
	{sql: "SELECT ‘1’ = '1'"},
	{sql: "SELECT 1 AS ä"},
	{sql: "SELECT\u00a01"},
	{sql: "SELECT $3::int", past: "42P02"},
	{sql: "SELECT 0x10"},
	{sql: "SELECT 1e9"},
	{sql: "SELECT 1_000"},
	{sql: "SELECT (1"},
	{sql: "SELECT 1)"},
	// What is allowed by its words and yields no number and no boolean.
	{sql: "SELECT 'text'"},
	{sql: "SELECT now()"},
	{sql: "SELECT 1, 2"},
	{sql: "SELECT h FROM health h LIMIT 1"},
	{sql: "SELECT labels FROM health LIMIT 1"},
	{sql: "SELECT nothing FROM health"},
	{sql: "SELECT 1 FROM nowhere"},
}

func TestRawSQL_CannotBreakOut(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	allowSQL(t, admin)
	// Whatever it does would be seen here.
	fingerprint := `
		SELECT string_agg(format('%s %s %s', c.oid::regclass, c.relowner::regrole, coalesce(xpath('/row/c/text()',
		           query_to_xml(CASE WHEN c.relkind IN ('r', 'p') THEN format('SELECT count(*) AS c FROM %s', c.oid::regclass) ELSE 'SELECT 0 AS c' END, false, true, ''))::text, '')), E'\n' ORDER BY c.oid)
		       || (SELECT string_agg(p.oid::regprocedure::text || p.proowner::regrole || coalesce(p.proacl::text, ''), ' ' ORDER BY p.oid) FROM pg_proc p WHERE p.pronamespace::regnamespace::text LIKE 'monitoring%')
		       || (SELECT count(*) FROM pg_largeobject_metadata) || (SELECT string_agg(oid::regrole::text || rolsuper, ' ' ORDER BY oid) FROM pg_roles WHERE rolname LIKE 'onevault%')
		       || (SELECT last_value FROM monitoring.outbox_outbox_id_seq)
		  FROM pg_class c WHERE c.relnamespace IN ('monitoring'::regnamespace, 'monitoring_sql'::regnamespace, 'public'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'S')`
	before := value[string](t, admin, fingerprint)
	putDefinitionHubs(t, admin, "X")
	after := func(sql string) {
		t.Helper()
		if now := value[string](t, admin, fingerprint); now != before {
			t.Errorf("%s left something behind", sql)
			before = now
		}
	}
	before = value[string](t, admin, fingerprint)
	worker, _ := member(t, address, "onevault_worker")
	for _, b := range breakouts {
		got, err := sandboxed(t, worker.Conn, b.sql, "local")
		if err == nil {
			t.Errorf("%s: it ran and yielded %s", b.sql, got)
		}
		// Where it is written it is refused by what it says, and never run.
		sql, args := definitionRow("X", sqlDefinition(b.sql))
		_, err = admin.Exec(t.Context(), sql, args...)
		if refusal := (*pgconn.PgError)(nil); !errors.As(err, &refusal) || refusal.Code != "22023" || !strings.Contains(refusal.Message, "condition_sql") {
			t.Errorf("%s: as a definition it got %v", b.sql, err)
		}
		after(b.sql)
	}
	if held := value[int](t, worker, "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"); held != 0 {
		t.Errorf("%d advisory locks are held", held)
	}
	if who := value[string](t, worker, "SELECT current_user || ' ' || current_setting('transaction_read_only')"); strings.Contains(who, "onevault_sql") || !strings.HasSuffix(who, " off") {
		t.Errorf("the session is %s afterwards", who)
	}
}

// The check of the text may have a hole: then the rights, the transaction and the time still hold.
func TestRawSQL_CannotBreakOutPastTheCheckOfItsText(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	exec(t, admin, "CREATE OR REPLACE FUNCTION monitoring_sql.check_statement(p_sql text) RETURNS void LANGUAGE sql AS $$ $$")
	exec(t, admin, "GRANT SELECT ON public.onevault_migrations TO onevault_worker")
	worker, _ := member(t, address, "onevault_worker")
	tried := 0
	for _, b := range breakouts {
		if b.past == "" {
			continue
		}
		tried++
		got, err := sandboxed(t, worker.Conn, b.sql, "local")
		refusal := (*pgconn.PgError)(nil)
		if !errors.As(err, &refusal) || b.past != "*" && refusal.Code != b.past {
			t.Errorf("%s: it yielded %q, %v; want it to fail with %s", b.sql, got, err, b.past)
		}
	}
	if tried < 30 {
		t.Errorf("only %d were tried", tried)
	}
	if rows := value[int](t, admin, "SELECT count(*)::int FROM monitoring.outbox"); rows == 0 {
		t.Error("the outbox was emptied")
	}
}

func TestRawSQL_RunsInNoOtherWay(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	worker, _ := member(t, address, "onevault_worker")
	const call = "SELECT monitoring_sql.value_of('SELECT 1', 'local', now())"
	refused(t, worker, "55000", []string{"read-only", "statement_timeout"}, call)
	for _, setting := range []string{"0", "'11s'"} {
		err := pgx.BeginTxFunc(t.Context(), worker.Conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SET LOCAL statement_timeout = "+setting); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), call)
			return err
		})
		wantText(t, err, "statement_timeout")
	}
	exec(t, worker, "SET statement_timeout = '2s'")
	refused(t, worker, "55000", []string{"read-only"}, call)
	operator, _ := member(t, address, "onevault_operator")
	reader, _ := member(t, address, "onevault_reader")
	refused(t, operator, denied, nil, call)
	refused(t, reader, denied, nil, call)
	refused(t, reader, denied, nil, "SELECT count(*) FROM monitoring_sql.alerts")
	exec(t, operator, "SELECT count(*) FROM monitoring_sql.alerts")

	// Without its own role it runs nothing, whoever calls it.
	exec(t, admin, "ALTER FUNCTION monitoring_sql.value_of(text, text, timestamptz) OWNER TO CURRENT_USER")
	_, err := sandboxed(t, admin, "SELECT 1", "local")
	wantText(t, err, "would run as")
}

func TestRawSQL_IsOffUntilTheOwnerSwitchesItOn(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	putDefinitionHubs(t, admin, "X", "Y")
	sql, args := definitionRow("X", sqlDefinition("SELECT 1"))
	refused(t, admin, "55000", []string{"switched off", "allow_raw_sql"}, sql, args...)

	const setting = `INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary(util.bk('RAW_SQL', 'conditions')), '\x', 'conditions', 'RAW_SQL', '{"allow": true}')`
	exec(t, admin, "INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary(util.bk('RAW_SQL', 'conditions')), util.bk('RAW_SQL', 'conditions'))")
	for _, role := range []string{"onevault_operator", "onevault_worker"} {
		session, _ := member(t, address, role)
		refused(t, session, denied, nil, setting)
		refused(t, session, denied, nil, "SELECT monitoring.allow_raw_sql(true, 'mine')")
		exec(t, admin, "SET ROLE "+role)
		refused(t, admin, denied, nil, setting) // nor does a superuser by a role that may not
		exec(t, admin, "RESET ROLE")
	}
	// Nor does an operator by a function that runs with the owner's rights.
	exec(t, admin, "CREATE FUNCTION public.switch_it_on() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ "+setting+" $$")
	exec(t, admin, "ALTER FUNCTION public.switch_it_on() OWNER TO onevault_owner")
	trickster, _ := member(t, address, "onevault_operator")
	refused(t, trickster, denied, []string{"may not say"}, "SELECT public.switch_it_on()")
	refused(t, admin, "22023", []string{"no setting of raw SQL"}, strings.Replace(setting, "{\"allow\": true}", "{\"allow\": \"yes\"}", 1))
	refused(t, admin, "22023", []string{"no setting of raw SQL"}, strings.Replace(setting, "'RAW_SQL', '{", "'raw_sql', '{", 1))
	refused(t, admin, "22023", []string{"p_why is empty"}, "SELECT monitoring.allow_raw_sql(true, ' ')")
	owner, _ := member(t, address, "onevault_owner")
	exec(t, owner, "SELECT monitoring.allow_raw_sql(true, 'CHG-7')")
	exec(t, admin, sql, args...)
	operator, _ := member(t, address, "onevault_operator")
	more, with := definitionRow("Y", sqlDefinition("SELECT count(*) FROM alerts"))
	exec(t, operator, more, with...)

	// Off again: nothing of it is run, each look is an ERROR, and it can still be disabled.
	exec(t, admin, "SELECT monitoring.record_sql_value(alert_definition_hk, 'local', definition_load_date, '7', NULL, '1 ms') FROM monitoring.sql_work('local')")
	exec(t, owner, "SELECT monitoring.allow_raw_sql(false, 'CHG-8')")
	if n := value[int](t, admin, "SELECT count(*)::int FROM monitoring.sql_work('local', '0')"); n != 0 {
		t.Errorf("%d are to be run", n)
	}
	if got := value[string](t, admin, "SELECT string_agg(result, ' ') FROM monitoring.evaluate_definitions('local', NULL, '0') WHERE definition_key IN ('X', 'Y')"); got != "ERROR ERROR" {
		t.Errorf("the looks are %s", got)
	}
	given := sqlDefinition("SELECT 1")
	given["is_enabled"] = false
	define(t, admin, "X", given)
}

func TestRawSQL_DefinitionsThatCouldNotWorkAreRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	allowSQL(t, db)
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary('ORG1'), 'ORG1', now(), 'TEST'")
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk) VALUES (util.hash_binary('T'), 'T', util.hash_binary('ORG1'))")
	putDefinitionHubs(t, db, "X")
	for _, c := range []struct {
		key   string
		given columns
		words []string
	}{
		{"X", columns{"metric_source": "sql", "condition_logic": "value > 1"}, []string{"condition_sql is empty"}},
		{"X", columns{"condition_sql": "SELECT 1"}, []string{"metric_source", "sql"}},
		{"X", columns{"metric_source": "sql", "condition_sql": "SELECT 1", "condition_logic": "valu > 1"}, []string{"unknown metric", "value"}},
		{"X", sqlDefinition("SELECT 'a'"), []string{"type text", "number or a boolean"}},
		{"X", sqlDefinition("SELECT 1, 2"), []string{"cannot be planned", "one column"}},
		{"X", sqlDefinition("SELECT metric FROM health"), []string{"cannot be planned", "metric"}},
		{"X", sqlDefinition("SELECT pg_sleep(1) IS NULL"), []string{"pg_sleep"}},
		{"X", sqlDefinition("SELECT " + strings.Repeat("1 + ", 1000) + "1"), []string{"4000"}},
		{"T", sqlDefinition("SELECT 1"), []string{"tenant"}},
	} {
		sql, args := definitionRow(c.key, c.given)
		refused(t, db, "22023", c.words, sql, args...)
	}
}

func TestRawSQL_OneEvaluatorReadsWhatItYielded(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	allowSQL(t, db)
	given := sqlDefinition("SELECT count(*) FROM alerts WHERE target_name = $1")
	given["clear_condition_logic"] = "value < 2"
	define(t, db, "X", given)
	define(t, db, "ALONE", sqlDefinition("SELECT count(*) FROM incidents"))
	look := func() string {
		return value[string](t, db, "SELECT result || ' ' || decision FROM monitoring.evaluate_definitions('local', NULL, '0') WHERE definition_key = 'X'")
	}
	yield := func(v, problem any) {
		exec(t, db, `
			SELECT monitoring.record_sql_value(alert_definition_hk, 'local', definition_load_date, $1::text::jsonb, $2::text, '1 ms')
			  FROM monitoring.sql_work('local', '0') WHERE definition_key = 'X'`, v, problem)
	}
	for _, c := range []struct {
		value, problem any
		want           string
	}{
		{"1", nil, "FALSE NONE"},
		{"7", nil, "TRUE FIRED"},
		{"3", nil, "FALSE HOLDING"},
		{nil, nil, "NO_DATA HOLDING"},
		{nil, "canceling statement due to statement timeout", "ERROR HOLDING"},
		{"1.5", nil, "FALSE RESOLVED"},
		{"true", nil, "ERROR NONE"},
	} {
		yield(c.value, c.problem)
		if got := look(); got != c.want {
			t.Errorf("after %v, %v: %s, want %s", c.value, c.problem, got, c.want)
		}
	}
	// What it yielded is an input of the look, and the reason of an error stands with it.
	if got := value[string](t, db, "SELECT string_agg(coalesce(inputs ->> 'value', reason), ' ' ORDER BY evaluated_at) FROM monitoring.alert_evaluation_s WHERE alert_definition_hk = util.hash_binary('X')"); !strings.HasPrefix(got, "1 7 3 no value of value the source sql could not be read: canceling statement") {
		t.Errorf("the looks say %s", got)
	}
	if got := value[bool](t, db, "SELECT bool_and(agrees) FROM monitoring.explain_definition('X') WHERE recorded_result <> 'ERROR' OR result = 'ERROR'"); !got {
		t.Error("explaining it does not agree")
	}
	// A value of another version, and one that is too old, are none.
	given["condition_sql"] = "SELECT count(*) + 1 FROM alerts WHERE target_name = $1"
	yield("7", nil)
	define(t, db, "X", given)
	if got := look(); got != "NO_DATA NONE" {
		t.Errorf("with the value of the version before: %s", got)
	}
	yield("7", nil)
	exec(t, db, "UPDATE monitoring.sql_value SET measured_at = measured_at - interval '11 minutes'")
	if got := look(); got != "NO_DATA NONE" {
		t.Errorf("with an old value: %s", got)
	}
	// Without $1 it says nothing of a target.
	if got := strings.Join(values[string](t, db, "SELECT definition_key FROM monitoring.sql_work('pg-1', '0')"), " "); got != "X" {
		t.Errorf("on a target that is not local these are run: %s", got)
	}
	if got := strings.Join(values[string](t, db, "SELECT definition_key FROM monitoring.evaluate_definitions('pg-1', NULL, '0') WHERE definition_key IN ('X', 'ALONE')"), " "); got != "X" {
		t.Errorf("on a target that is not local these are evaluated: %s", got)
	}
}

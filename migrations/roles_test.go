package migrations_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/migrations"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// member makes a role that may log in and is a member of another, and returns a session of it.
func member(t *testing.T, address, of string) (*listener, string) {
	t.Helper()
	name, as := newRole(t, address)
	exec(t, connect(t, address), "GRANT "+of+" TO "+name)
	return listen(t, as), name
}

// twoTenants fills a vault with an alert, a measurement and a definition of the tenants ORG1 and ORG2
// each, and of nobody, and with a channel that holds a secret address.
func twoTenants(t *testing.T, db database) {
	t.Helper()
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary(t), t, now(), 'TEST' FROM unnest(ARRAY['ORG1', 'ORG2']) AS t")
	exec(t, db, "UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp() WHERE load_end_date IS NULL") // of the pack
	for _, tenant := range []string{"ORG1", "ORG2", ""} {
		key := "D_" + tenant
		exec(t, db, `
			INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk)
			VALUES (util.hash_binary($1), $1, util.hash_binary(nullif($2, '')))`, key, tenant)
		define(t, db, key, nil)
		exec(t, db, `
			SELECT monitoring.record_health_samples('local', util.hash_binary(nullif($1, '')), clock_timestamp(), 300,
			           '[{"name": "blocked_backends", "category": "PERFORMANCE", "value": 9, "low_is_bad": false}]')`, tenant)
		exec(t, db, "SELECT monitoring.evaluate_definitions('local', util.hash_binary(nullif($1, '')), interval '0', $1 <> '')", tenant)
	}
	putChannel(t, db, "SLACK", columns{"configuration": `{"webhook_url": "https://hooks.slack.example/services/s3cret-word"}`})
	exec(t, db, `
		SELECT monitoring.record_notification(jsonb_build_object('alert_key', alert_instance_bk, 'channel_key', 'SLACK',
		           'channel_type', 'SLACK', 'recipient', '#ops', 'event', 'FIRED', 'delivery_key', 'k', 'status', 'DELIVERED',
		           'attempt', 0, 'at', now(), 'class', 'ACCEPTED', 'duration_ms', 12))
		  FROM monitoring.active_alerts_dashboard`)
}

// denied is what PostgreSQL says to whoever lacks a right.
const denied = "42501"

func TestRoles_DoWhatTheyAreForAndNothingElse(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	alert := value[string](t, admin, "SELECT encode(alert_instance_hk, 'hex') FROM monitoring.alert_current WHERE alert_definition_bk = 'D_ORG1'")
	nobodys := value[string](t, admin, "SELECT short_id FROM monitoring.alert_current WHERE alert_definition_bk = 'D_'")
	hk := "decode('" + alert + "', 'hex')"
	putDefinition := `
		WITH hub AS (INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
		             VALUES (util.hash_binary('NEW'), 'NEW') ON CONFLICT DO NOTHING)
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('D_ORG1'), '\x', 'Renamed', 'PERFORMANCE', 'LOW', 'system_health', 'blocked_backends > 1')`
	statements := []struct {
		sql                              string
		worker, operator, reader, nobody bool
	}{
		// What each is for.
		{"SELECT count(*) FROM monitoring.system_dashboard", true, true, true, false},
		{"SELECT count(*) FROM monitoring.active_alerts_dashboard", true, true, true, false},
		{"SELECT count(*) FROM monitoring.alert_current", true, true, true, false},
		{"SELECT alert_instance_hk FROM monitoring.alert_instance_h WHERE alert_instance_hk = monitoring.find_alert('" + nobodys + "')", true, true, true, false},
		{"SELECT channel_name, is_enabled FROM monitoring.notification_config_s", true, true, true, false},
		{"SELECT count(*) FROM monitoring.condition_identifier", true, true, true, false},
		{"SELECT count(*) FROM public.onevault_migrations", true, true, true, false},
		{"SELECT configuration FROM monitoring.notification_config_s", true, true, false, false},
		{"SELECT monitoring.matching_channels(util.hash_binary('D_'), 'HIGH', 'PERFORMANCE', NULL)", true, true, false, false},
		{"SELECT count(*) FROM monitoring.outbox", true, true, false, false},
		{"SELECT count(*) FROM monitoring.reader_tenant", true, true, false, false},
		{"SELECT count(*) FROM auth.tenant_h", true, true, false, false},
		{"SELECT monitoring.acknowledge_alert(" + hk + ", 'dana')", true, true, false, false},
		{"SELECT monitoring.resolve_alert(" + hk + ", 'dana')", true, true, false, false},
		{"SELECT monitoring.send_alert_notifications(" + hk + ")", true, true, false, false},
		{"SELECT count(*) FROM monitoring.evaluate_alert_conditions()", true, true, false, false},
		{putDefinition, true, true, false, false},
		{"INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('X'), 'X')", true, true, false, false},
		{"INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('X'), 'X')", false, true, false, false},
		{"INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value) VALUES " +
			"(util.hash_binary(util.bk('RETENTION', 'alert_instance_s')), '\\x', 'alert_instance_s', 'RETENTION', '{\"keep\": \"30 days\", \"archive\": false}')", false, true, false, false},
		{"UPDATE monitoring.monitor_config_s SET load_end_date = clock_timestamp()", false, false, false, false},

		{"SELECT monitoring.incident_note(monitoring.create_incident_from_alerts(ARRAY[" + hk + "], 'Slow', NULL), 'dana', 'looking')", true, true, false, false},
		{"SELECT monitoring.resolve_incident(monitoring.create_incident_from_alerts(ARRAY[" + hk + "], 'Slow', NULL), 'dana')", true, true, false, false},
		{"SELECT count(*) FROM monitoring.incident_summary_dashboard", true, true, true, false},
		{"SELECT count(*) FROM monitoring.alerts_as_of(now())", true, true, true, false},

		// Whoever may read may export what they see, and leaves a trace of it that they cannot read.
		{"SELECT monitoring.record_evidence_export('SOX', NULL, now() - interval '1 day', now(), now(), 'x', 'ALL', repeat('a', 64), repeat('b', 64), 1, 1, true, NULL, 'x')", true, true, true, false},
		{"SELECT count(*) FROM monitoring.evidence_export_s", true, true, false, false},
		{"INSERT INTO monitoring.evidence_export_h (evidence_export_hk, evidence_export_bk) VALUES (util.hash_binary('X'), 'X')", true, false, false, false},
		{"SELECT count(*) FROM monitoring.open_security_events", true, true, true, false},
		{"DO $$ BEGIN PERFORM monitoring.resolve_security_event('\\x00', 'dana'); EXCEPTION WHEN no_data_found THEN NULL; END $$", true, true, false, false},

		// What only the worker does.
		{"SELECT count(*) FROM monitoring.collect_performance_metrics()", true, false, false, false},
		{"SELECT count(*) FROM monitoring.detect_security_events()", true, false, false, false},
		{"SELECT monitoring.roll_up('system_health_metric_s', now() - interval '3 hours', now())", true, false, false, false},
		{"SELECT monitoring.purge_queue('outbox')", true, false, false, false},
		{"SELECT monitoring.put_retention_defaults()", true, false, false, false},
		{"SELECT monitoring.digest_of('system_health_metric_s', now() - interval '1 hour', now()), count(*) FROM monitoring.retention_plan()", true, true, false, false},
		{"SELECT count(*) FROM monitoring.collect_system_health_metrics()", true, false, false, false},
		{"SELECT monitoring.record_alert_changes('[]')", true, false, false, false},
		{"SELECT monitoring.change_alert_state(" + hk + ", 'RESOLVED', now(), 'dana', 'x', NULL, NULL)", true, false, false, false},
		{"SELECT monitoring.ensure_partitions(current_date + 700, current_date + 701)", true, false, false, false},
		{"UPDATE monitoring.outbox SET relayed_at = now(), outcome = 'x'", true, false, false, false},
		{"UPDATE monitoring.system_health_metric_s SET load_end_date = clock_timestamp() WHERE metric_name = 'x'", true, false, false, false},

		// What nobody may but the owner, and mostly not even he.
		{"INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ('onevault_reader', util.hash_binary('ORG1'))", false, false, false, false},
		{"DELETE FROM monitoring.outbox", false, false, false, false},
		{"UPDATE monitoring.outbox SET payload = '{}'", false, false, false, false},
		{"UPDATE monitoring.alert_instance_s SET alert_status = 'RESOLVED'", false, false, false, false},
		{"UPDATE monitoring.alert_instance_h SET target_name = 'x'", false, false, false, false},
		{"DELETE FROM monitoring.alert_instance_s", false, false, false, false},
		{"TRUNCATE monitoring.alert_instance_s", false, false, false, false},
		{"ALTER TABLE monitoring.alert_instance_s DISABLE TRIGGER ALL", false, false, false, false},
		{"ALTER TABLE monitoring.alert_instance_s DISABLE ROW LEVEL SECURITY", false, false, false, false},
		{"DROP TABLE monitoring.outbox", false, false, false, false},
		{"CREATE TABLE monitoring.mine (x int)", false, false, false, false},
		{"CREATE FUNCTION monitoring.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", false, false, false, false},
		{"SELECT monitoring.grant_privileges()", false, false, false, false},
		{"SELECT monitoring.enforce_discipline()", false, false, false, false},
		{"INSERT INTO public.onevault_migrations (version_id, is_applied) VALUES (999, true)", false, false, false, false},
		{"DELETE FROM public.onevault_functions", false, false, false, false},
		{"UPDATE auth.user_auth_s SET account_locked = true", false, false, false, false},
	}
	for _, role := range []struct {
		name    string
		allowed func(i int) bool
	}{
		{"onevault_worker", func(i int) bool { return statements[i].worker }},
		{"onevault_operator", func(i int) bool { return statements[i].operator }},
		{"onevault_reader", func(i int) bool { return statements[i].reader }},
		{"onevault_collector", func(i int) bool { return statements[i].nobody }},
		{"pg_read_all_stats", func(i int) bool { return statements[i].nobody }}, // nobody of ours
	} {
		session, _ := member(t, address, role.name)
		for i, s := range statements {
			tx, err := session.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = tx.Exec(t.Context(), s.sql)
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			var refusal *pgconn.PgError
			switch {
			case role.allowed(i) && err != nil:
				t.Errorf("%s may not: %s: %v", role.name, firstLine(s.sql), err)
			case !role.allowed(i) && err == nil:
				t.Errorf("%s may: %s", role.name, firstLine(s.sql))
			case !role.allowed(i) && (!errors.As(err, &refusal) || refusal.Code != denied):
				t.Errorf("%s: %s: refused for another reason: %v", role.name, firstLine(s.sql), err)
			}
		}
	}
}

func TestRoles_WhatAnOperatorDoesIsRecordedWithHisOwnName(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	key := alertIn(t, admin, "A", "OPEN")
	session, name := member(t, address, "onevault_operator")
	// A schema of his own, first in his path, with functions like ours: nothing of it runs with the owner's rights.
	exec(t, admin, "CREATE SCHEMA "+name+" AUTHORIZATION "+name)
	exec(t, session, "CREATE FUNCTION "+name+`.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS
		$$ BEGIN RAISE EXCEPTION 'run as %', current_user; END $$`)
	exec(t, session, "SET search_path = "+name+", pg_catalog")
	if !value[bool](t, session, "SELECT monitoring.acknowledge_alert(util.hash_binary($1), 'dana', 'looking')", key) {
		t.Error("not acknowledged")
	}
	exec(t, session, "RESET search_path")
	exec(t, session, `
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('A'), '\x', 'Renamed', 'PERFORMANCE', 'LOW', 'system_health', 'blocked_backends > 1')`)
	if via := value[string](t, admin, `
		SELECT changed_via FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1) AND load_end_date IS NULL`, key); via != "psql:"+name {
		t.Errorf("acknowledged via %q, want psql:%s", via, name)
	}
	if by := value[string](t, admin, `
		SELECT last_modified_by FROM monitoring.alert_definition_s WHERE alert_definition_hk = util.hash_binary('A') AND load_end_date IS NULL`); by != name {
		t.Errorf("last modified by %q, want %s", by, name)
	}
	if n := value[int](t, admin, "SELECT count(*) FROM monitoring.alert_definition_s WHERE alert_definition_hk = util.hash_binary('A')"); n != 2 {
		t.Errorf("%d versions of the definition, want 2: the one before is closed by itself", n)
	}
}

// What was known when is not for people on call to say.
func TestRoles_AnOperatorWritesNoHistory(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	define(t, admin, "A", nil)
	session, _ := member(t, address, "onevault_operator")
	insert := `
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, load_date, load_end_date, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('A'), $1::timestamptz, $2::timestamptz, '\x', $3, 'PERFORMANCE', 'LOW', 'system_health', 'blocked_backends > 1')`
	refused(t, session, denied, []string{"has ended already", "load_end_date"}, insert, "2020-01-01", "2020-02-01", "as if it had been")
	for _, moment := range []string{"2020-01-01", "2090-01-01"} {
		exec(t, session, insert, moment, nil, "from "+moment)
		if !value[bool](t, admin, `
			SELECT abs(extract(epoch FROM clock_timestamp() - load_date)) < 60 FROM monitoring.alert_definition_s
			 WHERE alert_definition_hk = util.hash_binary('A') AND load_end_date IS NULL AND alert_name = $1`, "from "+moment) {
			t.Errorf("a version of today counts from %s", moment)
		}
	}
}

func TestRoles_OperatorCommandsRunAsTheOwnerAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, bad := range values[string](t, db, `
		SELECT oid::regprocedure || ' ' || coalesce(proconfig::text, 'without search_path') FROM pg_proc
		 WHERE pronamespace = 'monitoring'::regnamespace AND prosecdef
		   AND NOT coalesce('search_path=pg_catalog, monitoring, pg_temp' = ANY (proconfig), false)`) {
		t.Errorf("SECURITY DEFINER with another search_path: %s", bad)
	}
	for _, bad := range values[string](t, db, `
		SELECT oid::regprocedure::text FROM pg_proc
		 WHERE pronamespace = 'monitoring'::regnamespace AND proname = ANY (monitoring.operator_commands()) AND provolatile = 'v' AND NOT prosecdef`) {
		t.Errorf("operators may call %s, but it runs with their own rights", bad)
	}
	for _, bad := range values[string](t, db, `
		SELECT oid::regprocedure::text FROM pg_proc
		 WHERE pronamespace = 'monitoring'::regnamespace AND (proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0))`) {
		t.Errorf("everybody may call %s", bad)
	}
	for _, bad := range values[string](t, db, `
		SELECT relname FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relowner <> 'onevault_owner'::regrole AND relkind IN ('r', 'p', 'v', 'S')
		UNION ALL
		SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'monitoring'::regnamespace AND proowner <> 'onevault_owner'::regrole`) {
		t.Errorf("%s does not belong to onevault_owner", bad)
	}
}

// sight is what a session sees of the tenants ORG1, ORG2 and of nobody.
func sight(t *testing.T, db database) map[string]string {
	t.Helper()
	saw := map[string]string{}
	const tenant = "coalesce(CASE tenant_hk WHEN util.hash_binary('ORG1') THEN 'ORG1' WHEN util.hash_binary('ORG2') THEN 'ORG2' END, '-')"
	for what, from := range map[string]string{
		"definitions":   "monitoring.alert_definition_s JOIN monitoring.alert_definition_h USING (alert_definition_hk)",
		"measurements":  "monitoring.system_health_metric_s JOIN monitoring.system_health_metric_h USING (health_metric_hk)",
		"evaluations":   "monitoring.alert_evaluation_s",
		"alerts":        "monitoring.alert_instance_s JOIN monitoring.alert_instance_h USING (alert_instance_hk)",
		"notifications": "monitoring.notification_log_s JOIN monitoring.notification_log_h USING (notification_log_hk) JOIN monitoring.alert_instance_h USING (alert_instance_hk)",
		"dashboard":     "monitoring.active_alerts_dashboard JOIN monitoring.alert_instance_h USING (alert_instance_bk)",
	} {
		saw[what] = value[string](t, db, "SELECT coalesce(string_agg(DISTINCT "+tenant+", ' ' ORDER BY "+tenant+"), 'nothing') FROM "+from)
	}
	// Without the hub beside it: the satellite alone shows no more.
	saw["rows of notifications"] = value[string](t, db, "SELECT count(*)::text FROM monitoring.notification_log_s")
	saw["rows of the dashboard"] = value[string](t, db, "SELECT count(*)::text FROM monitoring.system_dashboard WHERE metric_name = 'blocked_backends'")
	saw["rows of alerts"] = value[string](t, db, "SELECT count(*)::text FROM monitoring.alert_instance_s")
	return saw
}

func TestReader_SeesHisTenantsAndWhatBelongsToNone(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	give := func(role, tenant string) {
		t.Helper()
		exec(t, admin, "INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ($1, util.hash_binary($2))", role, tenant)
	}
	nobodys, _ := member(t, address, "onevault_reader")
	one, oneName := member(t, address, "onevault_reader")
	give(oneName, "ORG1")
	both, bothName := member(t, address, "onevault_reader")
	group, _ := newRole(t, address)
	exec(t, admin, "GRANT "+group+" TO "+bothName)
	give(bothName, "ORG1")
	give(group, "ORG2") // through a group
	operator, _ := member(t, address, "onevault_operator")
	worker, _ := member(t, address, "onevault_worker")
	dump, _ := member(t, address, "pg_read_all_data")

	for _, c := range []struct {
		who  string
		db   database
		want string
		rows string
	}{
		{"a reader without a tenant", nobodys, "-", "1"},
		{"a reader of ORG1", one, "- ORG1", "2"},
		{"a reader of both", both, "- ORG1 ORG2", "3"},
		{"an operator", operator, "- ORG1 ORG2", "3"},
		{"a worker", worker, "- ORG1 ORG2", "3"},
		{"the owner", admin, "- ORG1 ORG2", "3"},
		{"whoever may read all data", dump, "- ORG1 ORG2", "3"},
	} {
		for what, saw := range sight(t, c.db) {
			want := c.want
			if strings.HasPrefix(what, "rows of") {
				want = c.rows
			}
			if saw != want {
				t.Errorf("%s sees %s of %q, want %q", c.who, what, saw, want)
			}
		}
	}

	// No setting and no SET ROLE shows more, and a partition by its own name shows nothing.
	exec(t, one, "SET row_security = off")
	refused(t, one, denied, []string{"row-level security"}, "SELECT count(*) FROM monitoring.alert_instance_s")
	exec(t, one, "RESET row_security")
	exec(t, one, "SET ROLE onevault_reader")
	if saw := sight(t, one)["alerts"]; saw != "- ORG1" {
		t.Errorf("after SET ROLE he sees alerts of %q", saw)
	}
	exec(t, one, "RESET ROLE")
	partition := value[string](t, admin, "SELECT tableoid::regclass::text FROM monitoring.system_health_metric_s LIMIT 1")
	refused(t, one, denied, []string{"permission denied"}, "SELECT count(*) FROM "+partition)
	exec(t, admin, "GRANT SELECT ON ALL TABLES IN SCHEMA monitoring TO "+oneName)
	if n := value[int](t, one, "SELECT count(*) FROM "+partition); n != 0 {
		t.Errorf("%d rows of the partition, past the policies of its table", n)
	}

	// Taken back, it is gone at once.
	exec(t, admin, "DELETE FROM monitoring.reader_tenant WHERE role_name = $1", oneName)
	if saw := sight(t, one)["alerts"]; saw != "-" {
		t.Errorf("afterwards he sees alerts of %q", saw)
	}
	refused(t, admin, "22023", []string{`"nobody_here" is no role`, "GRANT onevault_reader"},
		"INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ('nobody_here', util.hash_binary('ORG1'))")
}

func TestReader_SeesOnlyTablesThatHaveAPolicy(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, table := range values[string](t, db, `
		SELECT c.relname FROM pg_class c
		 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		   AND has_any_column_privilege('onevault_reader', c.oid, 'SELECT')
		   AND NOT (c.relrowsecurity AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'readers'))
		   AND c.relname <> ALL (monitoring.tables_of_nobody())`) {
		t.Errorf("readers see %s, whose rows tell no tenant", table)
	}
	for _, view := range values[string](t, db, `
		SELECT relname FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('v', 'm')
		   AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)`) {
		t.Errorf("%s reads with its owner's rights: past the policies", view)
	}
}

func TestRoles_APartitionMadeLaterIsCoveredToo(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	worker, _ := member(t, address, "onevault_worker")
	exec(t, worker, `
		SELECT monitoring.record_health_samples('local', NULL, now() + interval '300 days', 300,
		           '[{"name": "x", "category": "CAPACITY", "value": 1, "low_is_bad": false}]')`)
	partition := value[string](t, admin, "SELECT tableoid::regclass::text FROM monitoring.system_health_metric_s WHERE metric_name = 'x'")
	if !value[bool](t, admin, "SELECT relrowsecurity FROM pg_class WHERE oid = $1::text::regclass", partition) {
		t.Errorf("%s lets everybody pass to whom it is granted", partition)
	}
	reader, _ := member(t, address, "onevault_reader")
	if n := value[int](t, reader, "SELECT count(*) FROM monitoring.system_health_metric_s WHERE metric_name = 'x'"); n != 1 {
		t.Errorf("a reader sees %d rows of it", n)
	}
}

func TestUp_TakesBackWhatRolesWereGivenByHand(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "GRANT ALL ON ALL TABLES IN SCHEMA monitoring TO onevault_reader")
	exec(t, conn, "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA monitoring TO onevault_reader, PUBLIC")
	exec(t, conn, "ALTER VIEW monitoring.system_dashboard RESET (security_invoker)")
	exec(t, conn, "ALTER POLICY readers ON monitoring.alert_instance_h TO PUBLIC")
	exec(t, conn, "UPDATE public.onevault_functions SET sha256 = 'of an older text' WHERE script_name = '70_views.sql'")
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	for _, left := range values[string](t, conn, `
		SELECT 'INSERT on ' || relname FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p') AND has_table_privilege('onevault_reader', oid, 'INSERT')
		UNION ALL SELECT 'EXECUTE of acknowledge_alert' WHERE has_function_privilege('onevault_reader', 'monitoring.acknowledge_alert(bytea, varchar, text)', 'EXECUTE')
		UNION ALL SELECT 'the view' WHERE (SELECT reloptions FROM pg_class WHERE oid = 'monitoring.system_dashboard'::regclass) IS NULL
		UNION ALL SELECT 'the policy' WHERE (SELECT polroles FROM pg_policy WHERE polrelid = 'monitoring.alert_instance_h'::regclass AND polname = 'readers') <> ARRAY['onevault_reader'::regrole::oid]`) {
		t.Errorf("still there: %s", left)
	}
}

// ---------------------------------------------------------------- making the roles

// ownServer starts a server that has no role of ours; those of the shared one are in use by other tests.
func ownServer(t *testing.T) string {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true})
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

func TestUp_MakesTheRolesOnceForDatabasesThatAreMigratedTogether(t *testing.T) {
	t.Parallel()
	address := ownServer(t)
	conn := connect(t, address)
	const databases = 6
	for i := range databases {
		exec(t, conn, fmt.Sprintf("CREATE DATABASE vault_%d TEMPLATE template0", i))
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range databases {
		wg.Go(func() {
			<-start
			if err := migrations.Up(t.Context(), onDatabase(t, address, fmt.Sprintf("vault_%d", i)), nil); err != nil {
				t.Errorf("database %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	roles := values[string](t, conn, `
		SELECT rolname || ': ' || shobj_description(oid, 'pg_authid') FROM pg_roles
		 WHERE rolname LIKE 'onevault\_%' AND NOT rolcanlogin AND NOT rolsuper AND NOT rolcreaterole ORDER BY rolname`)
	if len(roles) != 6 || !strings.HasPrefix(roles[0], "onevault_collector: OneVault: measures") {
		t.Errorf("the roles are %q", roles)
	}
	if !value[bool](t, conn, "SELECT pg_has_role('onevault_worker', 'pg_monitor', 'USAGE') AND NOT pg_has_role('onevault_reader', 'pg_monitor', 'MEMBER')") {
		t.Error("the worker cannot measure, or the reader can")
	}
	if missing, err := migrations.MissingRoles(t.Context(), address); err != nil || len(missing) > 0 {
		t.Errorf("missing %q, %v", missing, err)
	}
}

// plainOwner makes a database whose owner is no superuser, ready to be migrated by him.
func plainOwner(t *testing.T, address, attributes string) (admin *pgx.Conn, as string) {
	t.Helper()
	server := connect(t, address)
	exec(t, server, "CREATE ROLE plain LOGIN "+attributes+" PASSWORD 'plain'")
	exec(t, server, "CREATE DATABASE plain OWNER plain TEMPLATE template0")
	admin = connect(t, onDatabase(t, address, "plain"))
	exec(t, admin, "CREATE EXTENSION pg_stat_statements")
	exec(t, admin, "GRANT CREATE ON SCHEMA public TO plain")
	u := parse(t, onDatabase(t, address, "plain"))
	u.User = url.UserPassword("plain", "plain")
	return admin, u.String()
}

func TestUp_WithoutTheRightToMakeRolesSaysWhatASuperuserMustRun(t *testing.T) {
	t.Parallel()
	admin, as := plainOwner(t, ownServer(t), "")
	var progress []string
	tell := func(line string) { progress = append(progress, line) }
	if err := migrations.Up(t.Context(), as, tell); err != nil {
		t.Fatal(err)
	}
	missing, err := migrations.MissingRoles(t.Context(), as)
	if err != nil || len(missing) != 9 {
		t.Fatalf("missing %q, %v; want six roles and three memberships", missing, err)
	}
	said := strings.Join(progress, "\n")
	for _, statement := range missing {
		if !strings.Contains(said, statement) {
			t.Errorf("migrate up does not say %q: %s", statement, said)
		}
	}
	// The vault works for its owner, who is all there is.
	plain := connect(t, as)
	if n := value[int](t, plain, "SELECT count(*) FROM monitoring.evaluate_alert_conditions()"); n < 15 {
		t.Errorf("%d definitions evaluated", n)
	}

	// With exactly these statements, the next migrate up gives the rights.
	for _, statement := range missing {
		exec(t, admin, statement)
	}
	progress = nil
	if err := migrations.Up(t.Context(), as, tell); err != nil {
		t.Fatal(err)
	}
	if want := []string{"gave the roles of the vault their rights"}; !slices.Equal(progress, want) {
		t.Errorf("progress is %q, want %q", progress, want)
	}
	exec(t, admin, "SET ROLE onevault_operator")
	if n := value[int](t, admin, "SELECT count(*) FROM monitoring.evaluate_alert_conditions()"); n < 15 {
		t.Errorf("an operator evaluated %d definitions", n)
	}
	exec(t, admin, "RESET ROLE")

	// And as a member of onevault_owner he gives the objects to it, and goes on migrating.
	exec(t, admin, "GRANT onevault_owner TO plain")
	for range 2 {
		if err := migrations.Up(t.Context(), as, nil); err != nil {
			t.Fatal(err)
		}
		if owner := value[string](t, admin, "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p', 'v')"); owner != "onevault_owner" {
			t.Errorf("the tables belong to %s", owner)
		}
		if _, err := migrations.Down(t.Context(), as); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUp_ARoleThatMayMakeRolesMakesThem(t *testing.T) {
	t.Parallel()
	admin, as := plainOwner(t, ownServer(t), "CREATEROLE")
	if err := migrations.Up(t.Context(), as, nil); err != nil {
		t.Fatal(err)
	}
	missing, err := migrations.MissingRoles(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	// From PostgreSQL 16 on, pg_monitor is only for those to give who administer it.
	if value[int](t, admin, "SELECT current_setting('server_version_num')::int") >= 160000 {
		missing = slices.DeleteFunc(missing, func(s string) bool { return s == "GRANT pg_monitor TO onevault_collector" })
	}
	if len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
	if owner := value[string](t, admin, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'monitoring'"); owner != "onevault_owner" {
		t.Errorf("the schema belongs to %s", owner)
	}
	if owners := value[string](t, admin, `
		SELECT string_agg(DISTINCT proowner::regrole::text, ' ') FILTER (WHERE prosecdef) || ', ' || string_agg(DISTINCT proowner::regrole::text, ' ') FILTER (WHERE NOT prosecdef)
		  FROM pg_proc WHERE pronamespace = 'monitoring_sql'::regnamespace`); owners != "onevault_sql, onevault_owner" {
		t.Errorf("the sandbox of raw SQL belongs to %s", owners)
	}
	// And it is still its migrator.
	exec(t, admin, "DELETE FROM public.onevault_functions")
	if err := migrations.Up(t.Context(), as, nil); err != nil {
		t.Fatal(err)
	}
}

func TestUp_SaysWhichRightsTheOwnerOfPhase1MustGive(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	// Phase 1 belongs to somebody else, who gave the vault's owner no more than he needs himself.
	name, as := newRole(t, address)
	for _, sql := range []string{
		"GRANT CREATE ON DATABASE " + admin.Config().Database + " TO " + name, "GRANT CREATE, USAGE ON SCHEMA public TO " + name,
		"ALTER SCHEMA monitoring OWNER TO " + name,
		"REVOKE ALL ON ALL TABLES IN SCHEMA auth FROM onevault_owner, onevault_worker, onevault_operator",
	} {
		exec(t, admin, sql)
	}
	for _, object := range values[string](t, admin, `
		SELECT format('ALTER %s monitoring.%I OWNER TO ', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname)
		  FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p', 'v')
		UNION ALL SELECT format('ALTER ROUTINE %s OWNER TO ', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'monitoring'::regnamespace
		UNION ALL SELECT 'ALTER TABLE public.onevault_functions OWNER TO ' UNION ALL SELECT 'ALTER TABLE public.onevault_migrations OWNER TO '`) {
		exec(t, admin, object+name)
	}
	exec(t, admin, "DELETE FROM public.onevault_functions WHERE script_name = 'privileges'")
	var progress []string
	if err := migrations.Up(t.Context(), as, func(line string) { progress = append(progress, line) }); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(progress, "\n")
	for _, want := range []string{"GRANT SELECT ON ALL TABLES IN SCHEMA auth TO onevault_operator, onevault_owner, onevault_worker", "GRANT USAGE ON SCHEMA backup_mgmt"} {
		if !strings.Contains(said, want) {
			t.Errorf("migrate up does not say %q: %s", want, said)
		}
	}
}

func TestPending_OfAWorkersRoleKnowsAnEmptyVaultAndANewerOne(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	_, as := newRole(t, address)
	exec(t, admin, "GRANT onevault_worker TO "+parse(t, as).User.Username())
	if pending, err := migrations.Pending(t.Context(), as); err != nil || pending != 0 {
		t.Errorf("pending %d, %v", pending, err)
	}
	exec(t, admin, "INSERT INTO public.onevault_migrations (version_id, is_applied) VALUES (999, true)")
	_, err := migrations.Pending(t.Context(), as)
	wantText(t, err, "schema version 999", "use a newer onevault")
}

func TestReader_PaysLittleForThePolicies(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	admin := connect(t, address)
	twoTenants(t, admin)
	reader, name := member(t, address, "onevault_reader")
	exec(t, admin, "INSERT INTO monitoring.reader_tenant (role_name, tenant_hk) VALUES ($1, util.hash_binary('ORG1'))", name)
	plan := strings.Join(values[string](t, reader, "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) SELECT * FROM monitoring.system_dashboard"), "\n")
	// The tenants are asked for once, not for each row.
	if strings.Contains(plan, "reader_tenants()") && !strings.Contains(plan, "InitPlan") {
		t.Errorf("the tenants are asked for in each row:\n%s", plan)
	}
	if !strings.Contains(plan, "Index Scan") {
		t.Errorf("no index is used:\n%s", plan)
	}
}

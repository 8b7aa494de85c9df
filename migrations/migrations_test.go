package migrations_test

import (
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"onevault/migrations"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

func TestUp_FillsAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	address := emptyDatabase(t)
	if pending, err := migrations.Pending(t.Context(), address); err != nil || pending < 2 {
		t.Errorf("pending %d, %v; want every step", pending, err)
	}
	var progress []string
	if err := migrations.Up(t.Context(), address, func(line string) { progress = append(progress, line) }); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(progress[0], "applied 00001_foundation.sql in ") || progress[len(progress)-1] != "put 97_comments.sql" {
		t.Errorf("progress is %q", progress)
	}
	if pending, err := migrations.Pending(t.Context(), address); err != nil || pending != 0 {
		t.Errorf("pending %d, %v; want none", pending, err)
	}
	steps, err := migrations.Status(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if step.AppliedAt.IsZero() {
			t.Errorf("step %d %s is not applied", step.Version, step.Name)
		}
	}
	conn := connect(t, address)
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.alert_definition_s WHERE load_end_date IS NULL AND record_source = 'SETUP_SCRIPT'"); n < 15 {
		t.Errorf("%d default definitions", n)
	}
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.collect_system_health_metrics()"); n < 30 {
		t.Errorf("%d metrics collected", n)
	}
}

func TestUp_SecondRunDoesNothing(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	before := value[string](t, conn, objects)
	err := migrations.Up(t.Context(), address, func(line string) { t.Errorf("it did something: %s", line) })
	if err != nil {
		t.Fatal(err)
	}
	if after := value[string](t, conn, objects); after != before {
		t.Error("objects were made again")
	}
}

// objects is a digest of everything that Up makes; xmin changes when a function is put again.
const objects = `
	SELECT md5(string_agg(kind || id::text || version, ',' ORDER BY kind, id))
	  FROM (SELECT 'f' AS kind, oid AS id, xmin::text AS version FROM pg_proc WHERE pronamespace = 'monitoring'::regnamespace
	        UNION ALL
	        SELECT 'c', oid, relnatts::text FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace
	        UNION ALL
	        SELECT 'd', 0, count(*)::text FROM monitoring.alert_definition_s) AS o`

func TestUp_ManyAtOnceApplyEachStepOnce(t *testing.T) {
	t.Parallel()
	address := emptyDatabase(t)
	var (
		mu       sync.Mutex
		progress []string
		wg       sync.WaitGroup
	)
	for range 4 {
		wg.Go(func() {
			err := migrations.Up(t.Context(), address, func(line string) {
				mu.Lock()
				defer mu.Unlock()
				step, _, _ := strings.Cut(line, " in ")
				progress = append(progress, step)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(progress)
	if unique := slices.Compact(slices.Clone(progress)); len(unique) != len(progress) || len(progress) < 10 {
		t.Errorf("done more than once, or not at all: %q", progress)
	}
}

// inventory lists all that a vault consists of, down to its comments, rights and policies.
const inventory = `
	WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname = 'monitoring')
	SELECT 'table ' || c.relname || ' ' || c.relkind::text || c.relrowsecurity || c.relowner::regrole::text || coalesce(c.reloptions::text, '')
	       || coalesce((SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(c.relacl) AS x), '') || coalesce(obj_description(c.oid, 'pg_class'), '')
	  FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p', 'v', 'i', 'I', 'S') AND NOT c.relispartition
	UNION ALL
	SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull || coalesce((SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(a.attacl) AS x), '')
	       || coalesce(pg_get_expr(d.adbin, d.adrelid), '') || coalesce(col_description(c.oid, a.attnum), '')
	  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	 WHERE c.relnamespace IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
	UNION ALL
	SELECT 'constraint ' || c.relname || ' ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
	  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE c.relnamespace IN (SELECT oid FROM ours) AND NOT c.relispartition
	UNION ALL
	SELECT 'trigger ' || pg_get_triggerdef(g.oid)
	  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid WHERE c.relnamespace IN (SELECT oid FROM ours) AND NOT g.tgisinternal AND NOT c.relispartition
	UNION ALL
	SELECT 'index ' || indexdef FROM pg_indexes i JOIN pg_class c ON c.relname = i.tablename AND c.relnamespace IN (SELECT oid FROM ours)
	 WHERE i.schemaname = 'monitoring' AND NOT c.relispartition
	UNION ALL
	SELECT 'view ' || c.relname || ' ' || pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM ours) AND c.relkind = 'v'
	UNION ALL
	SELECT 'function ' || p.oid::regprocedure::text || md5(pg_get_functiondef(p.oid)) || p.proowner::regrole::text || coalesce((SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(p.proacl) AS x), '') || coalesce(obj_description(p.oid, 'pg_proc'), '')
	  FROM pg_proc p WHERE p.pronamespace IN (SELECT oid FROM ours)
	UNION ALL
	SELECT 'policy ' || tablename || ' ' || policyname || roles::text || cmd || qual FROM pg_policies WHERE schemaname = 'monitoring'
	ORDER BY 1`

// wantSame fails with what two inventories do not share.
func wantSame(t *testing.T, when string, got, want []string) {
	t.Helper()
	for _, thing := range want {
		if !slices.Contains(got, thing) {
			t.Errorf("%s: gone: %s", when, thing)
		}
	}
	for _, thing := range got {
		if !slices.Contains(want, thing) {
			t.Errorf("%s: new: %s", when, thing)
		}
	}
}

// One vault is taken back step by step; a copy of each state returns.
func TestDown_ToAnyStepAndUpAgainMakesTheSameVault(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	steps, err := migrations.Status(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, address)
	exec(t, conn, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ORG1'), 'ORG1', 'TEST')")
	someOfEach(t, conn)
	want := values[string](t, conn, inventory)
	if err := conn.Close(t.Context()); err != nil { // who is copied has no visitors
		t.Fatal(err)
	}
	for back := 1; back <= len(steps); back++ {
		newest := steps[len(steps)-back]
		step, err := migrations.Down(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if step.Version != newest.Version || step.Name != newest.Name {
			t.Errorf("took back %+v, while the newest is %+v", step, newest)
		}
		taken := copyOf(t, address)
		t.Run(newest.Name, func(t *testing.T) {
			t.Parallel()
			if back < len(steps) {
				if pending, err := migrations.Pending(t.Context(), taken); err != nil || pending != back {
					t.Errorf("pending %d, %v; want %d", pending, err, back)
				}
			}
			if err := migrations.Up(t.Context(), taken, nil); err != nil {
				t.Fatal(err)
			}
			conn := connect(t, taken)
			wantSame(t, "after the return", values[string](t, conn, inventory), want)
			if n := value[int](t, conn, "SELECT count(*) FROM monitoring.evaluate_alert_conditions()"); n < 15 {
				t.Errorf("%d definitions evaluated after the return", n)
			}
		})
	}
}

// someOfEach puts rows into the tables that later steps change, so that taking them back meets some.
func someOfEach(t *testing.T, db database) {
	t.Helper()
	key := alertIn(t, db, "A", "ACKNOWLEDGED")
	exec(t, db, "SELECT monitoring.create_incident_from_alerts(ARRAY[util.hash_binary($1)], 'Slow', NULL)", key)
	exec(t, db, "SELECT monitoring.collect_system_health_metrics()")
	exec(t, db, "SELECT monitoring.record_health_samples('local', NULL, clock_timestamp(), 60, monitoring.measure('wraparound'))")
	exec(t, db, "SELECT monitoring.apply_metric('jobs', 'It', 'count', 'CAPACITY', 'SELECT 1 AS jobs')")
	exec(t, db, "SELECT monitoring.resolve_alert(util.hash_binary($1), 'dana')", key)
}

func TestDown_ToNothingLeavesPhase1AndTheRoles(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ORG1'), 'ORG1', 'TEST')")
	steps, err := migrations.Status(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	for range steps {
		if _, err := migrations.Down(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func() {
		t.Helper()
		for _, left := range values[string](t, conn, `
			SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public', 'util', 'auth', 'backup_mgmt')
			UNION ALL
			SELECT c.oid::regclass::text FROM pg_class c
			 WHERE c.relnamespace = 'public'::regnamespace
			   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
			UNION ALL
			SELECT p.oid::regprocedure::text FROM pg_proc p
			 WHERE p.pronamespace = 'public'::regnamespace
			   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
			UNION ALL
			SELECT 'a right of ' || d.refobjid::regrole || ' on ' || pg_describe_object(d.classid, d.objid, d.objsubid)
			  FROM pg_shdepend d
			 WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND d.refclassid = 'pg_authid'::regclass
			   AND d.refobjid::regrole::text LIKE 'onevault%'
			   AND pg_describe_object(d.classid, d.objid, d.objsubid) NOT LIKE '%schema public'`) {
			t.Errorf("left behind: %s", left)
		}
	}
	nothing()
	if n := value[int](t, conn, "SELECT count(*) FROM auth.tenant_h WHERE tenant_bk = 'ORG1'"); n != 1 {
		t.Error("a tenant of Phase 1 is lost")
	}
	_, err = migrations.Down(t.Context(), address)
	wantText(t, err, "nothing to take back")
	nothing()

	// And it is a database like any other to begin with.
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	fresh := connect(t, pgtest.DB(t))
	wantSame(t, "from nothing", values[string](t, conn, inventory), values[string](t, fresh, inventory))
}

func TestDown_ToAnOlderVersionAndUpKeepsWhatThatVersionHeld(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	key := alertIn(t, conn, "KEPT", "RESOLVED")
	putChannel(t, conn, "KEPT", nil)
	exec(t, conn, `
		SELECT monitoring.record_notification(jsonb_build_object('alert_key', $1::text, 'channel_key', 'KEPT', 'channel_type', 'SLACK', 'recipient', '#ops',
		           'event', 'FIRED', 'delivery_key', 'k', 'status', 'DELIVERED', 'attempt', 0, 'at', now(), 'class', 'ACCEPTED', 'duration_ms', 12))`, key)
	exec(t, conn, "SELECT monitoring.tell_workflow('NOTIFY', util.hash_binary($1), '{}')", key)
	exec(t, conn, "SELECT monitoring.collect_system_health_metrics()")
	exec(t, conn, "SELECT monitoring.evaluate_alert_conditions()")
	held := func() map[string]string {
		t.Helper()
		digests := map[string]string{}
		for table, from := range map[string]string{
			"definition":    "monitoring.alert_definition_s AS s WHERE alert_definition_hk = util.hash_binary('KEPT')",
			"alerts":        "monitoring.alert_instance_s AS s",
			"channels":      "monitoring.notification_config_s AS s",
			"notifications": "monitoring.notification_log_s AS s",
			"measurements":  "monitoring.system_health_metric_s AS s",
			"evaluations":   "monitoring.alert_evaluation_s AS s",
			"outbox":        "monitoring.outbox AS s",
		} {
			digests[table] = value[string](t, conn, "SELECT count(*) || ' ' || md5(string_agg(t, ',' ORDER BY t)) FROM (SELECT (jsonb_strip_nulls(to_jsonb(s)))::text AS t FROM "+from+") AS r")
		}
		return digests
	}
	before := held()
	for {
		step, err := migrations.Down(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if step.Version == 3 {
			break
		}
	}
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	after := held()
	for table, digest := range before {
		if after[table] != digest || strings.HasPrefix(digest, "0 ") {
			t.Errorf("%s: %s before, %s after", table, digest, after[table])
		}
	}
	// And its history goes on.
	exec(t, conn, `
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('KEPT'), '\x', 'Renamed', 'PERFORMANCE', 'LOW', 'system_health', 'blocked_backends > 1')`)
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.alert_definition_s WHERE alert_definition_hk = util.hash_binary('KEPT') AND load_end_date IS NULL"); n != 1 {
		t.Errorf("%d current versions", n)
	}
}

func TestUp_RefusesADatabaseOfANewerBuild(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "INSERT INTO public.onevault_migrations (version_id, is_applied) VALUES (999, true)")
	wantText(t, migrations.Up(t.Context(), address, nil), "schema version 999", "use a newer onevault")
	_, err := migrations.Pending(t.Context(), address)
	wantText(t, err, "schema version 999", "use a newer onevault")
	// It would take back a step that it does not know.
	_, err = migrations.Down(t.Context(), address)
	wantText(t, err, "schema version 999", "use a newer onevault")
}

func TestUp_PutsAFunctionAgainWhenItsTextChanged(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	// As an older build left it.
	exec(t, conn, `
		CREATE OR REPLACE FUNCTION monitoring.alert_transition_allowed(p_from text, p_to text) RETURNS boolean
		    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT true'`)
	exec(t, conn, "SELECT monitoring.remember_functions('40_lifecycle.sql', ARRAY['alert_transition_allowed'])")
	exec(t, conn, "UPDATE public.onevault_functions SET sha256 = 'of an older text' WHERE script_name = '40_lifecycle.sql'")
	exec(t, conn, "UPDATE public.onevault_functions SET sha256 = 'of an older text' WHERE script_name = '55_health_queries'")

	var progress []string
	if err := migrations.Up(t.Context(), address, func(line string) { progress = append(progress, line) }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"put 40_lifecycle.sql", "put 55_health_queries"}; !slices.Equal(progress, want) {
		t.Errorf("progress is %q, want %q", progress, want)
	}
	if value[bool](t, conn, "SELECT monitoring.alert_transition_allowed('RESOLVED', 'OPEN')") {
		t.Error("the old function is still there")
	}
}

func TestUp_LeavesADefinitionAsItsOwnerMadeIt(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, `
		INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic)
		VALUES (util.hash_binary('DISK_WARNING'), '\x', 'Ours', 'CAPACITY', 'LOW', 'system_health', 'disk_usage_pct > 60')`)
	exec(t, conn, "DELETE FROM public.onevault_functions")
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	name := value[string](t, conn, `
		SELECT alert_name FROM monitoring.alert_definition_s WHERE alert_definition_hk = util.hash_binary('DISK_WARNING') AND load_end_date IS NULL`)
	if name != "Ours" {
		t.Errorf("the definition is %q again", name)
	}
}

func TestUp_TellsTheGrantThatARoleLacks(t *testing.T) {
	t.Parallel()
	address := emptyDatabase(t)
	name, as := newRole(t, address)
	conn := connect(t, address)
	database := conn.Config().Database
	grants := []string{`GRANT CREATE ON DATABASE "` + database + `" TO "` + name + `"`, `GRANT CREATE ON SCHEMA public TO "` + name + `"`}
	wantText(t, migrations.Up(t.Context(), as, nil), grants...)

	// With exactly these, what still needs a superuser is named, with the statement.
	for _, grant := range grants {
		exec(t, conn, grant)
	}
	wantText(t, migrations.Up(t.Context(), as, nil), "CREATE EXTENSION pg_stat_statements")

	// And with that done, the role brings up the vault by itself.
	exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	if err := migrations.Up(t.Context(), as, nil); err != nil {
		t.Fatal(err)
	}
}

func TestUp_TellsWhereTheDatabaseOrThePasswordIsWrong(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	err := migrations.Up(t.Context(), onDatabase(t, address, "there_is_no_such_database"), nil)
	wantText(t, err, "there_is_no_such_database", "CREATE DATABASE")

	stranger := parse(t, address)
	stranger.User = url.UserPassword("nobody_of_that_name", "s3cret-word")
	err = migrations.Up(t.Context(), stranger.String(), nil)
	wantText(t, err, "nobody_of_that_name", "check user and password")
	if strings.Contains(err.Error(), "s3cret-word") {
		t.Errorf("the error repeats the password: %v", err)
	}
}

func TestUp_TellsHowToLoadStatementStatistics(t *testing.T) {
	t.Parallel()
	bare, err := pgserver.Start(t.Context(), pgserver.Config{Ephemeral: true, Settings: map[string]string{"shared_preload_libraries": ""}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	err = migrations.Up(t.Context(), bare.URL("postgres"), nil)
	wantText(t, err, "shared_preload_libraries", "restart")
}

// phase1 is what an installation of Phase 1 may have made already, in its own way.
const phase1 = `
	CREATE SCHEMA util;
	CREATE SCHEMA auth;
	CREATE FUNCTION util.hash_binary(input text) RETURNS bytea LANGUAGE sql IMMUTABLE
	    AS $$ SELECT sha256(convert_to(input, 'UTF8')) $$;
	COMMENT ON FUNCTION util.hash_binary(text) IS 'of somebody else';
	CREATE TABLE auth.tenant_h (tenant_hk bytea PRIMARY KEY, tenant_bk varchar(255) NOT NULL UNIQUE, load_date timestamptz, record_source varchar(100) NOT NULL);
	CREATE TABLE auth.user_auth_s (user_hk bytea, load_date timestamptz, load_end_date timestamptz, username text, failed_login_attempts integer, PRIMARY KEY (user_hk, load_date));
	INSERT INTO auth.user_auth_s VALUES ('\x01', now(), NULL, 'dana', 7)`

func TestUp_KeepsAndUsesWhatPhase1Made(t *testing.T) {
	t.Parallel()
	address := emptyDatabase(t)
	conn := connect(t, address)
	exec(t, conn, phase1)
	before := value[uint32](t, conn, "SELECT 'util.hash_binary'::regproc::oid")
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	if after := value[uint32](t, conn, "SELECT 'util.hash_binary'::regproc::oid"); after != before {
		t.Error("util.hash_binary of somebody else was replaced")
	}
	if comment := value[string](t, conn, "SELECT obj_description('util.hash_binary'::regproc)"); comment != "of somebody else" {
		t.Errorf("its comment is %q", comment)
	}
	// The column that the guide's detection reads is added, and the rows are there.
	n := value[int](t, conn, "SELECT count(*) FROM auth.user_auth_s WHERE failed_login_attempts > 5 AND last_failed_login IS NULL")
	if n != 1 {
		t.Errorf("%d rows of Phase 1, want 1", n)
	}
	// Hub keys are checked with the function that was there.
	used := value[int](t, conn, `
		SELECT count(*) FROM pg_depend
		 WHERE classid = 'pg_constraint'::regclass AND refclassid = 'pg_proc'::regclass AND refobjid = $1`, before)
	if used < 5 {
		t.Errorf("%d key checks use it", used)
	}
}

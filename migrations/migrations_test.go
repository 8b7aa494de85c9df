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

func TestDown_TakesBackTheNewestStepAndUpPutsAllAgain(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ORG1'), 'ORG1', 'TEST')")

	step, err := migrations.Down(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := migrations.Status(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	if newest := steps[len(steps)-1]; step.Version != newest.Version || step.Name != newest.Name || !newest.AppliedAt.IsZero() {
		t.Errorf("took back %+v, while the newest is %+v", step, newest)
	}
	if pending, err := migrations.Pending(t.Context(), address); err != nil || pending != 1 {
		t.Errorf("pending %d, %v; want 1", pending, err)
	}

	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.evaluate_alert_conditions()"); n < 15 {
		t.Errorf("%d definitions evaluated after the return", n)
	}

	// All the way back: what may belong to Phase 1 stays.
	for range steps {
		if _, err := migrations.Down(t.Context(), address); err != nil {
			t.Fatal(err)
		}
	}
	if value[bool](t, conn, "SELECT to_regnamespace('monitoring') IS NOT NULL") {
		t.Error("the schema monitoring is still there")
	}
	if n := value[int](t, conn, "SELECT count(*) FROM auth.tenant_h WHERE tenant_bk = 'ORG1'"); n != 1 {
		t.Error("a tenant of Phase 1 is lost")
	}
	_, err = migrations.Down(t.Context(), address)
	wantText(t, err, "nothing to take back")
}

func TestUp_RefusesADatabaseOfANewerBuild(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	exec(t, connect(t, address), "INSERT INTO public.onevault_migrations (version_id, is_applied) VALUES (999, true)")
	wantText(t, migrations.Up(t.Context(), address, nil), "schema version 999", "use a newer onevault")
	_, err := migrations.Pending(t.Context(), address)
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

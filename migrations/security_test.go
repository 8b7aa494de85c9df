package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

// events lists the current events about an object, but those of changes, which every test makes: type,
// severity, investigation, versions.
func events(t *testing.T, db database, object string) []string {
	t.Helper()
	return values[string](t, db, `
		SELECT format('%s %s %s %s', s.event_type, s.event_severity, s.investigation_status,
		           (SELECT count(*) FROM monitoring.security_event_s v WHERE v.security_event_hk = s.security_event_hk))
		  FROM monitoring.security_event_s s
		 WHERE s.load_end_date IS NULL AND s.event_details::text LIKE '%' || $1 || '%' AND NOT s.event_details ? 'changes'
		 ORDER BY s.event_timestamp`, object)
}

func wantEvents(t *testing.T, db database, object string, want ...string) {
	t.Helper()
	if got := events(t, db, object); !slices.Equal(got, want) {
		t.Errorf("events about %s: %q, want %q", object, got, want)
	}
}

// detect looks once. The server is shared with other tests, so only what it says of a type is returned.
func detect(t *testing.T, db database, eventType string) []string {
	t.Helper()
	return values[string](t, db, `
		SELECT event_count || ' ' || severity FROM monitoring.detect_security_events() WHERE event_type = $1`, eventType)
}

func TestSecurity_ARoleThatBecomesSuperuserIsOneEventUntilItIsGone(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	before, _ := newRole(t, address)
	role, _ := newRole(t, address)
	exec(t, db, "ALTER ROLE "+before+" SUPERUSER")
	detect(t, db, "")
	// What stood there before anybody looked wakes nobody.
	wantEvents(t, db, before, "SUPERUSER_ROLE MEDIUM OPEN 1")

	exec(t, db, "ALTER ROLE "+role+" SUPERUSER")
	detect(t, db, "")
	detect(t, db, "")
	wantEvents(t, db, role, "SUPERUSER_ROLE HIGH OPEN 1")
	wantEvents(t, db, before, "SUPERUSER_ROLE MEDIUM OPEN 1")

	// What people write on it survives the next look.
	exec(t, db, `
		INSERT INTO monitoring.security_event_s
		SELECT (jsonb_populate_record(s, '{"load_date": null, "investigation_status": "FALSE_POSITIVE", "investigation_notes": "approved"}')).*
		  FROM monitoring.security_event_s s WHERE s.load_end_date IS NULL AND s.username = $1`, role)
	detect(t, db, "")
	wantEvents(t, db, role, "SUPERUSER_ROLE HIGH FALSE_POSITIVE 2")

	exec(t, db, "ALTER ROLE "+role+" NOSUPERUSER")
	exec(t, db, "ALTER ROLE "+before+" NOSUPERUSER")
	detect(t, db, "")
	wantEvents(t, db, role, "SUPERUSER_ROLE HIGH FALSE_POSITIVE 2")
	wantEvents(t, db, before, "SUPERUSER_ROLE MEDIUM RESOLVED 2")
	// Should it come back, that is another event.
	exec(t, db, "ALTER ROLE "+before+" SUPERUSER")
	detect(t, db, "")
	wantEvents(t, db, before, "SUPERUSER_ROLE MEDIUM RESOLVED 2", "SUPERUSER_ROLE HIGH OPEN 1")
}

func TestSecurity_WhoCanBecomeSuperuserThroughAMembershipIsFound(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	super, _ := newRole(t, address)
	between, _ := newRole(t, address)
	role, _ := newRole(t, address)
	exec(t, db, "ALTER ROLE "+super+" SUPERUSER")
	exec(t, db, "GRANT "+super+" TO "+between)
	detect(t, db, "")
	exec(t, db, "GRANT "+between+" TO "+role)
	detect(t, db, "")
	if got := value[string](t, db, "SELECT event_severity || ' ' || (event_details -> 'through')::text FROM monitoring.security_event_s WHERE username = $1 AND event_type = 'SUPERUSER_ROLE'", role); got != `HIGH ["`+super+`"]` {
		t.Errorf("got %s", got)
	}
}

func TestSecurity_OpenSchemasAndOpenDefinersAreFoundWithTheRemedy(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	detect(t, db, "")
	if own := values[string](t, db, "SELECT event_type || ' ' || event_details::text FROM monitoring.security_event_s WHERE event_type <> 'SUPERUSER_ROLE' AND database_name = current_database()"); len(own) > 0 {
		t.Errorf("OneVault's own schema is found: %q", own)
	}
	exec(t, db, "CREATE SCHEMA everybodys")
	exec(t, db, "GRANT CREATE ON SCHEMA everybodys TO PUBLIC")
	exec(t, db, "CREATE FUNCTION everybodys.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
	exec(t, db, "CREATE FUNCTION everybodys.careful() RETURNS integer LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'")
	detect(t, db, "")
	wantEvents(t, db, "everybodys.lend", "SECURITY_DEFINER_WITHOUT_SEARCH_PATH HIGH OPEN 1")
	wantEvents(t, db, "everybodys.careful")
	wantEvents(t, db, `"schema": "everybodys"`, "PUBLIC_CREATE_GRANT MEDIUM OPEN 1")
	for _, remedy := range values[string](t, db, "SELECT mitigation_actions[1] FROM monitoring.security_event_s WHERE event_details::text LIKE '%everybodys%' AND NOT event_details ? 'changes'") {
		exec(t, db, remedy)
	}
	detect(t, db, "")
	wantEvents(t, db, "everybodys.lend", "SECURITY_DEFINER_WITHOUT_SEARCH_PATH HIGH RESOLVED 2")
	wantEvents(t, db, `"schema": "everybodys"`, "PUBLIC_CREATE_GRANT MEDIUM RESOLVED 2")
}

func TestSecurity_ADangerousStatementIsAnEventInEachHourInWhichItRan(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "SELECT monitoring.detect_security_events()")
	mine := func() []string {
		return values[string](t, db, `
			SELECT format('%s %s %s', event_severity, event_details ->> 'what', event_details ->> 'new_calls')
			  FROM monitoring.security_event_s WHERE load_end_date IS NULL AND database_name = current_database() AND event_type = 'DANGEROUS_STATEMENT' ORDER BY 1`)
	}
	// Neither the putting of the checks, nor looking, is one.
	if got := mine(); len(got) > 0 {
		t.Errorf("found of a fresh vault: %q", values[string](t, db, "SELECT event_details::text FROM monitoring.security_event_s WHERE database_name = current_database()"))
	}
	// The template of these databases was migrated on this server.
	if own := values[string](t, db, "SELECT left(details ->> 'statement', 200) FROM monitoring.security_dangerous_statements() WHERE details ->> 'statement' ~ 'FUNCTION monitoring\\.'"); len(own) > 0 {
		t.Errorf("the putting of our own functions is found: %q", own)
	}
	exec(t, db, "SELECT pg_read_file('PG_VERSION')")
	exec(t, db, "CREATE TABLE lines (line text)")
	exec(t, db, "COPY lines FROM PROGRAM 'echo hunter2'")
	exec(t, db, "SELECT monitoring.detect_security_events()")
	want := []string{"HIGH reads files or folders of the server 1", "HIGH runs a program on the server 1"}
	if got := mine(); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	exec(t, db, "SELECT monitoring.detect_security_events()")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.security_event_s WHERE database_name = current_database() AND event_type = 'DANGEROUS_STATEMENT'"); n != 2 {
		t.Errorf("looking again made %d versions of 2", n)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.security_event_s WHERE event_details::text LIKE '%hunter2%'"); n != 0 {
		t.Error("what a program is called with stands in the evidence")
	}
	exec(t, db, "SELECT pg_read_file('PG_VERSION')")
	exec(t, db, "SELECT pg_read_file('PG_VERSION')")
	exec(t, db, "SELECT monitoring.detect_security_events()")
	if got := mine(); !slices.Contains(got, "HIGH reads files or folders of the server 2") {
		t.Errorf("after two more calls: %q", got)
	}
}

// failLogins makes users of the application fail to log in.
func failLogins(t *testing.T, db database, from, to, attempts int, at time.Time) {
	t.Helper()
	exec(t, db, `
		INSERT INTO auth.user_auth_s (user_hk, hash_diff, username, failed_login_attempts, last_failed_login, record_source)
		SELECT util.hash_binary('U' || i), '\x', 'user' || i, $3, $4, 'TEST' FROM generate_series($1::integer, $2::integer) AS i`, from, to, attempts, at)
}

func TestSecurity_FailedLoginsAsTheGuideCountsThem(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	now := value[time.Time](t, db, "SELECT now()")
	failLogins(t, db, 1, 10, 6, now.Add(-time.Minute))
	failLogins(t, db, 11, 20, 5, now.Add(-time.Minute)) // not more than 5
	failLogins(t, db, 21, 30, 9, now.Add(-2*time.Hour)) // not within the hour
	if got := detect(t, db, "FAILED_LOGINS"); fmt.Sprint(got) != "[10 HIGH]" {
		t.Errorf("counted %q", got)
	}
	wantEvents(t, db, "failed_login_count") // 10 are not more than 10
	failLogins(t, db, 31, 31, 6, now)
	if got := detect(t, db, "EXCESSIVE_FAILED_LOGINS"); fmt.Sprint(got) != "[1 HIGH]" {
		t.Errorf("told %q", got)
	}
	detect(t, db, "")
	wantEvents(t, db, `"failed_login_count": 11`, "EXCESSIVE_FAILED_LOGINS HIGH OPEN 1")

	// Who settled it is left in peace until there is more of it.
	exec(t, db, `
		INSERT INTO monitoring.security_event_s
		SELECT (jsonb_populate_record(s, '{"load_date": null, "investigation_status": "RESOLVED"}')).*
		  FROM monitoring.security_event_s s WHERE s.load_end_date IS NULL AND s.event_type = 'EXCESSIVE_FAILED_LOGINS'`)
	detect(t, db, "")
	wantEvents(t, db, `"failed_login_count": 11`, "EXCESSIVE_FAILED_LOGINS HIGH RESOLVED 2")
	failLogins(t, db, 32, 32, 7, now)
	detect(t, db, "")
	wantEvents(t, db, `"failed_login_count": 12`, "EXCESSIVE_FAILED_LOGINS HIGH OPEN 3")
}

func TestSecurity_OneCheckThatCannotLookHidesNothing(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "ALTER TABLE auth.user_auth_s DROP COLUMN last_failed_login")
	exec(t, db, `
		CREATE OR REPLACE FUNCTION monitoring.security_public_create() RETURNS SETOF monitoring.security_finding
		    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken by the test'; END $$`)
	exec(t, db, "CREATE FUNCTION public.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
	exec(t, db, "SELECT monitoring.detect_security_events()")
	wantEvents(t, db, `"function": "public.lend()"`, "SECURITY_DEFINER_WITHOUT_SEARCH_PATH MEDIUM OPEN 1")
	if got := value[string](t, db, "SELECT failed::text || (skipped ->> 'failed_logins') FROM monitoring.security_detection"); !strings.Contains(got, `{"public_create": "broken by the test"}`) ||
		!strings.Contains(got, "auth.user_auth_s lacks") {
		t.Errorf("recorded %s", got)
	}
	exec(t, db, "DROP TABLE auth.user_auth_s")
	exec(t, db, "DROP EXTENSION pg_stat_statements CASCADE")
	exec(t, db, "SELECT monitoring.detect_security_events()")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.security_detection WHERE skipped ? 'failed_logins' AND skipped ? 'dangerous_statements'"); n != 1 {
		t.Error("checks that do not apply are not said to be skipped")
	}
}

func TestSecurity_ConcurrentLooksMakeNoSecondEvent(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "SELECT monitoring.detect_security_events()")
	exec(t, db, "CREATE FUNCTION public.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
	done := make(chan error, 6)
	for range 6 {
		conn := connect(t, address)
		go func() {
			_, err := conn.Exec(t.Context(), "SELECT monitoring.detect_security_events()")
			done <- err
		}()
	}
	for range 6 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	wantEvents(t, db, `"function": "public.lend()"`, "SECURITY_DEFINER_WITHOUT_SEARCH_PATH HIGH OPEN 1")
}

// ---------------------------------------------------------------- what conditions are given

// inputsOf is what a metric source offers now.
func inputsOf(t *testing.T, db database, source string) string {
	t.Helper()
	return value[string](t, db, "SELECT monitoring.condition_inputs($1, 'local', NULL, interval '10 minutes', clock_timestamp())::text", source)
}

func TestConditions_NobodyLookedIsNotNothingFound(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	for _, source := range []string{"performance", "security_events", "capacity", "compliance", "backup_failures"} {
		if got := inputsOf(t, db, source); got != "{}" {
			t.Errorf("%s of a vault in which nobody looked: %s", source, got)
		}
	}
	exec(t, db, `
		INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings) VALUES ('local', clock_timestamp(), 'test', 0)`)
	if got := inputsOf(t, db, "security_events"); got != `{"event_count": 0, "critical_event_count": 0, "high_severity_event_count": 0}` {
		t.Errorf("after a look that found nothing: %s", got)
	}
	// The first sample holds totals of long ago; only a second one is about now.
	first := `{"sampled_at": %q, "stats_reset": "2020-01-01", "evicted": 0, "readable": true, "entries": [[10, 5, 1, true, 100, 900000, 0, 0, 0, 0, 0, 0, 0, 0]]}`
	at := value[time.Time](t, db, "SELECT clock_timestamp() - interval '2 minutes'")
	record := func(document string, at time.Time) {
		exec(t, db, "SELECT FROM monitoring.record_statement_samples('local', NULL, $1, '{}', 20, 60)", fmt.Sprintf(document, at.Format(time.RFC3339Nano)))
	}
	record(first, at)
	if got := inputsOf(t, db, "performance"); got != "{}" {
		t.Errorf("after the first sample: %s", got)
	}
	record(first, at.Add(time.Minute))
	if got := inputsOf(t, db, "performance"); got != `{"sample_count": 0, "total_time_ms": 0, "slow_query_count": 0}` {
		t.Errorf("after a period in which nothing ran: %s", got)
	}
	record(strings.Replace(first, "true, 100, 900000", "true, 102, 902000", 1), at.Add(2*time.Minute))
	if got := inputsOf(t, db, "performance"); got != `{"sample_count": 1, "total_time_ms": 2000.0000, "max_mean_time_ms": 1000.0000, "slow_query_count": 1}` {
		t.Errorf("after a period with a slow statement: %s", got)
	}
}

func TestConditions_FalsePositivesAndOldEventsDoNotCount(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	for i, c := range []struct{ severity, status, age string }{
		{"HIGH", "OPEN", "5 minutes"},
		{"CRITICAL", "RESOLVED", "59 minutes"},
		{"LOW", "OPEN", "1 minute"},
		{"CRITICAL", "FALSE_POSITIVE", "1 minute"},
		{"CRITICAL", "OPEN", "61 minutes"},
	} {
		exec(t, db, "INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk) VALUES (util.hash_binary($1), $1)", fmt.Sprint("E", i))
		exec(t, db, `
			INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, investigation_status)
			VALUES (util.hash_binary($1), '\x', 'TEST', $2, clock_timestamp() - $3::interval, $4)`, fmt.Sprint("E", i), c.severity, c.age, c.status)
	}
	if got := inputsOf(t, db, "security_events"); got != `{"because": "TEST, and 1 more within the hour", "event_count": 3, "critical_event_count": 1, "high_severity_event_count": 2}` {
		t.Errorf("got %s", got)
	}
}

func TestConditions_CapacityAndCompliance(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk) VALUES (util.hash_binary('D1'), 'D1'), (util.hash_binary('D2'), 'D2')")
	exec(t, db, `
		INSERT INTO monitoring.capacity_metric_s (capacity_metric_hk, hash_diff, resource_type, utilization_percentage, projected_full_date, measurement_timestamp)
		VALUES (util.hash_binary('D1'), '\x', 'DISK', 99, current_date + 1, clock_timestamp() - interval '90 minutes'),
		       (util.hash_binary('D1'), '\x', 'DISK', 40, NULL, clock_timestamp() - interval '30 minutes'),
		       (util.hash_binary('D2'), '\x', 'DISK', 70, (now() AT TIME ZONE 'UTC')::date + 9, clock_timestamp() - interval '30 minutes')`)
	if got := inputsOf(t, db, "capacity"); got != `{"min_days_to_full": 9, "max_utilization_percentage": 70.00}` {
		t.Errorf("capacity: %s", got)
	}
	check := func(key, status, priority string, due int) {
		exec(t, db, "INSERT INTO monitoring.compliance_check_h (compliance_check_hk, compliance_check_bk) VALUES (util.hash_binary($1), $1)", key)
		exec(t, db, `
			INSERT INTO monitoring.compliance_check_s (compliance_check_hk, hash_diff, compliance_framework, check_name, check_status, remediation_required, remediation_priority, remediation_deadline)
			VALUES (util.hash_binary($1::text), '\x', 'SOX', $1::text, $2::text, $2::text <> 'COMPLIANT', nullif($3, ''), current_date + $4::integer)`, key, status, priority, due)
	}
	check("UNTESTED", "NOT_TESTED", "", -1)
	if got := inputsOf(t, db, "compliance"); got != "{}" {
		t.Errorf("compliance of controls that nobody tested: %s", got)
	}
	check("FINE", "COMPLIANT", "", -1)
	check("WORST", "NON_COMPLIANT", "CRITICAL", -3)
	check("BAD", "NON_COMPLIANT", "HIGH", 3)
	if got := inputsOf(t, db, "compliance"); got != `{"non_compliant_count": 2, "overdue_remediation_count": 1, "critical_non_compliant_count": 1}` {
		t.Errorf("compliance: %s", got)
	}
}

func TestSecurity_AReleaseOfOursIsKnownInEachOfItsSchemas(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	if got := values[string](t, db, `
		SELECT n.nspname::text FROM pg_namespace n
		 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
		   AND monitoring.own_migration_since('local', n.nspname, ARRAY['public.onevault_migrations'], '-infinity') IS NULL`); len(got) > 0 {
		t.Errorf("a release of ours would page as a change that nobody knows of in %q", got)
	}
	if got := value[bool](t, db, "SELECT monitoring.own_migration_since('local', 'sales', ARRAY['sales.orders'], '-infinity') IS NULL"); !got {
		t.Error("a change of another schema passes for a release of ours")
	}
}

// ---------------------------------------------------------------- replaced functions

func TestReplaced_TheGuidesBodyStaysUntilItIsRepaired(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	up := func(move func(progress func(string)) error) []string {
		t.Helper()
		var progress []string
		if err := move(func(line string) { progress = append(progress, line) }); err != nil {
			t.Fatal(err)
		}
		return progress
	}
	migrate := func(progress func(string)) error { return migrations.Up(t.Context(), address, progress) }
	repair := func(progress func(string)) error { return migrations.Repair(t.Context(), address, progress) }
	source := func() bool {
		return value[bool](t, db, "SELECT prosrc LIKE '%v_unauthorized_access%' FROM pg_proc WHERE oid = 'monitoring.detect_security_events()'::regprocedure")
	}
	if said := up(repair); len(said) > 0 {
		t.Errorf("with nothing to repair it did %q", said)
	}
	guide(t, db, "create_security_event_detection_function")
	left := "monitoring.detect_security_events() was replaced and is left so; `onevault migrate repair` puts ours"
	if got := values[string](t, db, "SELECT function_signature || ' ' || function_state FROM monitoring.replaced_functions()"); fmt.Sprint(got) != "[monitoring.detect_security_events() REPLACED]" {
		t.Errorf("noticed %q", got)
	}
	if said := up(migrate); !slices.Equal(said, []string{left}) {
		t.Errorf("up said %q", said)
	}
	// Our text changes: theirs is still theirs.
	exec(t, db, "UPDATE public.onevault_functions SET sha256 = 'of an older text' WHERE script_name = '64_security.sql'")
	if said := up(migrate); !slices.Equal(said, []string{"put 64_security.sql", left}) || !source() {
		t.Errorf("up said %q", said)
	}
	if said := up(repair); !slices.Equal(said, []string{"put 64_security.sql", "monitoring.detect_security_events() is ours again"}) || source() {
		t.Errorf("repair said %q", said)
	}
	if said := up(migrate); len(said) > 0 {
		t.Errorf("after the repair up said %q", said)
	}
}

func TestReplaced_ADroppedFunctionIsMissedAndPutAgain(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "DROP FUNCTION monitoring.rate_performance(numeric)")
	if got := values[string](t, db, "SELECT function_signature || ' ' || function_state FROM monitoring.replaced_functions()"); fmt.Sprint(got) != "[monitoring.rate_performance(numeric) MISSING]" {
		t.Errorf("noticed %q", got)
	}
	if err := migrations.Repair(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, db, "SELECT monitoring.rate_performance(1)"); got != "EXCELLENT" {
		t.Errorf("the function that was put again says %s", got)
	}
}

func TestReplaced_EveryFunctionOfAFreshVaultIsKnownAndOurs(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	if got := values[string](t, db, `
		SELECT p.oid::regprocedure::text FROM pg_proc p
		 WHERE p.pronamespace = 'monitoring'::regnamespace
		   AND NOT EXISTS (SELECT FROM monitoring.installed_function i WHERE to_regprocedure(i.function_signature) = p.oid)`); len(got) > 0 {
		t.Errorf("nobody would notice that these are replaced: %q", got)
	}
	if got := values[string](t, db, "SELECT function_signature FROM monitoring.replaced_functions()"); len(got) > 0 {
		t.Errorf("replaced: %q", got)
	}
}

// ---------------------------------------------------------------- comparing with the last look

// changes lists the changes that were found in a group, as severity and the objects.
func changes(t *testing.T, db database, eventType, group string) []string {
	t.Helper()
	return values[string](t, db, `
		SELECT s.event_severity || ' ' || (SELECT string_agg((c ->> 'object') || ' ' || (c ->> 'how'), ', ' ORDER BY c ->> 'object') FROM jsonb_array_elements(s.event_details -> 'changes') AS c)
		  FROM monitoring.security_event_s s
		 WHERE s.load_end_date IS NULL AND s.event_type = $1 AND s.event_details ->> 'where' = $2 ORDER BY s.event_timestamp`, eventType, group)
}

func TestSecurity_ChangesOfASchemaAreOneEventThatNamesTheObjects(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "CREATE SCHEMA app")
	exec(t, db, "CREATE TABLE app.kept (i integer)")
	exec(t, db, "CREATE TABLE app.dropped (i integer)")
	detect(t, db, "")
	exec(t, db, "CREATE TABLE app.made (i integer)")
	exec(t, db, "DROP TABLE app.dropped")
	exec(t, db, "ALTER TABLE app.kept ENABLE ROW LEVEL SECURITY")
	exec(t, db, "CREATE TABLE app.partitioned (i integer) PARTITION BY RANGE (i)")
	exec(t, db, "CREATE TEMPORARY TABLE passing (i integer)")
	detect(t, db, "")
	detect(t, db, "")
	// A partition follows its table.
	exec(t, db, "CREATE TABLE app.partition PARTITION OF app.partitioned DEFAULT")
	detect(t, db, "")
	want := []string{"MEDIUM table app.dropped gone, table app.kept changed, table app.made appeared, table app.partitioned appeared"}
	if got := changes(t, db, "SCHEMA_CHANGED", "app"); !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
	if got := value[string](t, db, `
		SELECT jsonb_path_query_first(event_details, '$.changes[*] ? (@.object == "table app.kept").before_and_after')::text
		  FROM monitoring.security_event_s WHERE event_details ->> 'where' = 'app' AND event_type = 'SCHEMA_CHANGED'`); got != `{"row_security": ["off", "on"]}` {
		t.Errorf("of the table that changed it is told %s", got)
	}
}

func TestSecurity_AMigrationOfTheVaultIsRecordedAndWakesNobody(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	detect(t, db, "")
	detect(t, db, "")
	if got := values[string](t, db, "SELECT event_details::text FROM monitoring.security_event_s WHERE event_type = 'SCHEMA_CHANGED'"); len(got) > 0 {
		t.Errorf("of a vault at rest: %q", got)
	}
	replaceByHand := "CREATE OR REPLACE FUNCTION monitoring.rate_performance(p_mean_ms numeric) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 'EXCELLENT' $$"
	exec(t, db, replaceByHand)
	detect(t, db, "")
	if err := migrations.Repair(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	detect(t, db, "")
	exec(t, db, replaceByHand)
	detect(t, db, "")
	const it = "routine monitoring.rate_performance(numeric) changed"
	if got, want := changes(t, db, "SCHEMA_CHANGED", "monitoring"), []string{"MEDIUM " + it, "LOW " + it, "MEDIUM " + it}; !slices.Equal(got, want) {
		t.Errorf("by hand, by a migration, by hand: %q, want %q", got, want)
	}
}

func TestSecurity_AClientFromANewNetworkIsToldOnceAndAtFirstWithoutNoise(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	see := func(at string, networks ...string) {
		t.Helper()
		var findings []string
		for _, network := range networks {
			findings = append(findings, fmt.Sprintf(`{"event_type": "NEW_CLIENT_NETWORK", "severity": "HIGH", "object": "app from %s", "happened_at": %q, "username": "app",
				"source_ip": "10.1.2.3", "details": {"network": %q}, "false_positive_likelihood": 70}`, network, at, network))
		}
		exec(t, db, "SELECT monitoring.record_security_results('pg-9', $1, $2, 1)", at, fmt.Sprintf(`[{"check": "client_networks", "findings": [%s]}]`, strings.Join(findings, ",")))
	}
	see("2026-05-01T00:00:00Z", "10.1.2.0/24")
	see("2026-05-02T00:00:00Z", "10.1.2.0/24", "10.1.3.0/24") // within the first week
	see("2026-05-20T00:00:00Z", "10.1.3.0/24", "10.1.4.0/24")
	see("2026-05-20T00:15:00Z", "10.1.2.0/24", "10.1.4.0/24")
	see("2026-12-01T00:00:00Z", "10.1.2.0/24") // nobody came from there for half a year
	got := values[string](t, db, "SELECT event_severity || ' ' || (event_details ->> 'network') FROM monitoring.security_event_s WHERE event_type = 'NEW_CLIENT_NETWORK' ORDER BY event_timestamp")
	if want := []string{"LOW 10.1.3.0/24", "HIGH 10.1.4.0/24", "HIGH 10.1.2.0/24"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestSecurity_ALogIsCountedOnceHoweverOftenItIsRead(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	read := func(from, to, failures, successes string) {
		t.Helper()
		exec(t, db, "SELECT monitoring.record_security_results('pg-9', '2026-05-04T03:59:00Z', $1, 1)",
			fmt.Sprintf(`[{"check": "server_log", "reading": {"from": %s, "to": %s, "failures": [%s], "successes": [%s]}}]`, from, to, failures, successes))
	}
	failure := func(source, user string, n int) string {
		return fmt.Sprintf(`{"source": %q, "username": %q, "database": "app", "count": %d, "first": "2026-05-04T03:10:00Z", "last": "2026-05-04T03:12:00Z", "codes": {"28P01": %d}}`, source, user, n, n)
	}
	told := func(want ...string) {
		t.Helper()
		got := values[string](t, db, `
			SELECT concat_ws(' ', event_type, event_severity, username, host(source_ip), event_details ->> 'failures') FROM monitoring.security_event_s
			 WHERE load_end_date IS NULL ORDER BY 1`)
		if !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	read("null", `{"offset": 0}`, "", "")
	read(`{"offset": 0}`, `{"offset": 10}`, failure("10.0.0.1", "app", 4), "")
	read(`{"offset": 0}`, `{"offset": 10}`, failure("10.0.0.1", "app", 4), "") // by another worker, or again
	told("LOGIN_FAILURE LOW app 10.0.0.1 4")
	read(`{"offset": 10}`, `{"offset": 20}`, failure("10.0.0.1", "app", 7), "")
	told("BRUTE_FORCE HIGH app 10.0.0.1 11")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.security_event_h"); n != 1 {
		t.Errorf("%d events of one user, address and hour", n)
	}
	// From another address he logged in as always; from this one after he had failed.
	success := `{"source": %q, "username": "app", "database": "app", "count": 1, "first": "2026-05-04T03:13:00Z", "last": "2026-05-04T03:13:00Z"}`
	read(`{"offset": 20}`, `{"offset": 30}`, "", fmt.Sprintf(success, "10.0.0.2"))
	told("BRUTE_FORCE HIGH app 10.0.0.1 11")
	read(`{"offset": 30}`, `{"offset": 40}`, failure("10.0.0.1", "app", 10), fmt.Sprintf(success, "10.0.0.1"))
	told("LOGIN_AFTER_FAILURES CRITICAL app 10.0.0.1 21")
	// One user from many addresses, and a spray whose single tries do not flood the list.
	var many []string
	for i := range 5 {
		many = append(many, failure(fmt.Sprintf("10.0.1.%d", i), "dana", 2))
	}
	read(`{"offset": 40}`, `{"offset": 50}`, strings.Join(many, ","), "")
	many = nil
	for i := range 30 {
		many = append(many, failure("10.0.2.1", fmt.Sprint("user", i), 1))
	}
	read(`{"offset": 50}`, `{"offset": 60}`, strings.Join(many, ","), "")
	got := values[string](t, db, "SELECT event_type || ' ' || count(*) FROM monitoring.security_event_s WHERE load_end_date IS NULL GROUP BY event_type ORDER BY 1")
	if want := []string{"DISTRIBUTED_BRUTE_FORCE 1", "LOGIN_AFTER_FAILURES 1", "LOGIN_FAILURE 5", "PASSWORD_SPRAY 1"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// ---------------------------------------------------------------- what people say

func TestSecurity_AFalsePositiveIsRecordedAgainAndCountsAsOne(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "CREATE SCHEMA everybodys")
	detect(t, db, "")
	open := func() { exec(t, db, "GRANT CREATE ON SCHEMA everybodys TO PUBLIC"); detect(t, db, "") }
	shut := func() { exec(t, db, "REVOKE CREATE ON SCHEMA everybodys FROM PUBLIC"); detect(t, db, "") }
	open()
	const first = "(SELECT security_event_hk FROM monitoring.security_event_s WHERE event_type = 'PUBLIC_CREATE_GRANT' ORDER BY event_timestamp LIMIT 1)"
	refused(t, db, "22023", []string{"p_reason is empty"}, "SELECT monitoring.mark_security_event_false_positive("+first+", 'dana', ' ')")
	refused(t, db, "22023", []string{"p_actor"}, "SELECT monitoring.mark_security_event_false_positive("+first+", '', 'a sandbox')")
	refused(t, db, "P0002", []string{"no security event"}, "SELECT monitoring.resolve_security_event('\\x00', 'dana')")
	if !value[bool](t, db, "SELECT monitoring.mark_security_event_false_positive("+first+", 'dana', 'a sandbox', 'cli:dana@host')") {
		t.Error("nothing was changed")
	}
	if value[bool](t, db, "SELECT monitoring.mark_security_event_false_positive("+first+", 'erin', 'a sandbox')") {
		t.Error("it was marked twice")
	}
	refused(t, db, "55000", []string{"was called a false positive by dana"}, "SELECT monitoring.resolve_security_event("+first+", 'erin')")
	shut()
	open()
	list := func() []string {
		return values[string](t, db, `
			SELECT investigation_status || ' ' || coalesce(false_positive_of, '-') || ' ' || coalesce(changed_by || ' ' || regexp_replace(changed_via, ':[^:]*$', ''), '-')
			  FROM monitoring.security_event_s WHERE load_end_date IS NULL AND event_type = 'PUBLIC_CREATE_GRANT' ORDER BY event_timestamp`)
	}
	id := value[string](t, db, "SELECT monitoring.security_event_short_id("+first+")")
	if got, want := list(), []string{"FALSE_POSITIVE - dana cli:dana@host", "FALSE_POSITIVE " + id + " -"}; !slices.Equal(got, want) {
		t.Errorf("stand %q, want %q", got, want)
	}
	if n := value[int](t, db, "SELECT coalesce((SELECT event_count FROM monitoring.detect_security_events() WHERE event_type = 'PUBLIC_CREATE_GRANT'), 0)"); n != 0 {
		t.Errorf("%d count", n)
	}
	// Taken up again, it excuses nothing more.
	exec(t, db, "SELECT monitoring.investigate_security_event("+first+", 'erin')")
	shut()
	open()
	if got := list(); len(got) != 3 || got[2] != "OPEN - -" {
		t.Errorf("stand %q", got)
	}
	// Another finding is none of it.
	exec(t, db, "CREATE SCHEMA another")
	exec(t, db, "GRANT CREATE ON SCHEMA another TO PUBLIC")
	detect(t, db, "")
	if got := list(); len(got) != 4 || got[3] != "OPEN - -" {
		t.Errorf("stand %q", got)
	}
}

func TestSecurity_EventsBelongToAnIncident(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	detect(t, db, "")
	exec(t, db, "CREATE FUNCTION public.lend() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'")
	detect(t, db, "")
	const event = "(SELECT security_event_hk FROM monitoring.security_event_s WHERE event_type = 'SECURITY_DEFINER_WITHOUT_SEARCH_PATH' ORDER BY load_date LIMIT 1)"
	create := "SELECT encode(monitoring.create_incident_from_security_events(ARRAY[" + event + "], 'A lender', NULL, NULL, 'dana'), 'hex')"
	hk := value[string](t, db, create)
	if again := value[string](t, db, create); again != hk {
		t.Error("the same event has two incidents")
	}
	if n := value[int](t, db, "SELECT monitoring.add_security_events_to_incident(decode($1, 'hex'), ARRAY["+event+"], 'erin')", hk); n != 0 {
		t.Errorf("%d came again", n)
	}
	if got := value[string](t, db, `
		SELECT concat_ws(' ', i.incident_severity, i.incident_priority, i.incident_status, e.investigation_status, e.incident_response_triggered, e.changed_by)
		  FROM monitoring.security_event_incident_l l
		  JOIN monitoring.incident_s i ON i.incident_hk = l.incident_hk AND i.load_end_date IS NULL
		  JOIN monitoring.security_event_s e ON e.security_event_hk = l.security_event_hk AND e.load_end_date IS NULL`); got != "HIGH P2 OPEN INVESTIGATING t dana" {
		t.Errorf("stands %s", got)
	}
	refused(t, db, "P0002", []string{"no security event"}, "SELECT monitoring.create_incident_from_security_events(ARRAY['\\x00'::bytea], 'x')")
	refused(t, db, "22023", []string{"0 events"}, "SELECT monitoring.create_incident_from_security_events('{}', 'x')")
	refused(t, db, "22023", []string{"p_incident_title is empty"}, "SELECT monitoring.create_incident_from_security_events(ARRAY["+event+"], ' ')")
	// It lives as any other.
	exec(t, db, "SELECT monitoring.resolve_incident(decode($1, 'hex'), 'dana', 'gone')", hk)
	exec(t, db, "SELECT monitoring.close_incident(decode($1, 'hex'), 'dana')", hk)
	refused(t, db, "55000", []string{"was closed by dana"}, "SELECT monitoring.add_security_events_to_incident(decode($1, 'hex'), ARRAY["+event+"], 'erin')", hk)
	if other := value[string](t, db, create); other == hk {
		t.Error("what is closed was taken up again")
	}
}

package migrations_test

import (
	"sync"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// The state satellite of channels stands for all four: the same triggers keep each.

func putHub(t *testing.T, db database, key string) {
	t.Helper()
	exec(t, db, `
		INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk)
		VALUES (util.hash_binary($1), $1)`, key)
}

const putVersion = `
	INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration)
	VALUES (util.hash_binary($1), '\xdead', $2, 'SLACK', '{"webhook_url_env": "URL"}')`

func TestDiscipline_HubKeysAreHashesOfTheirBusinessKeys(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	refused(t, db, "23514", []string{"notification_config_h_key_is_hash"},
		"INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('A'), 'B')")
	refused(t, db, "23514", []string{"alert_definition_h_key_is_hash"},
		"INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES ('\\x00', 'B')")
	refused(t, db, "23514", []string{"alert_definition_h_key_is_usable"},
		"INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('A/B'), 'A/B')")
	hubs := values[string](t, db, `
		SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND c.relname LIKE '%\_h'
		   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c' AND pg_get_constraintdef(k.oid) LIKE '%hash_binary%')`)
	if len(hubs) > 0 {
		t.Errorf("hubs without a check of their key: %v", hubs)
	}
}

func TestDiscipline_HashDiffIsComputedWhateverTheCallerPasses(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	exec(t, db, putVersion, "C", "first")
	if !value[bool](t, db, `
		SELECT hash_diff = sha256(convert_to(
		           (jsonb_strip_nulls(to_jsonb(s)) - ARRAY['notification_config_hk', 'load_date', 'load_end_date', 'hash_diff', 'record_source'])::text, 'UTF8'))
		  FROM monitoring.notification_config_s s`) {
		t.Error("hash_diff is not the hash of the described columns")
	}
	// The session's settings must not change it: it is compared across sessions.
	conn := connect(t, pgtest.DB(t))
	openAlert(t, conn, "A", time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC))
	hash := value[[]byte](t, conn, "SELECT hash_diff FROM monitoring.alert_instance_s")
	exec(t, conn, "SET timezone = 'Asia/Tokyo'; SET bytea_output = 'escape'; SET datestyle = 'German'")
	exec(t, conn, "INSERT INTO monitoring.alert_instance_s SELECT * FROM monitoring.alert_instance_s")
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.alert_instance_s WHERE hash_diff = $1", hash); n != 1 {
		t.Errorf("%d versions with the hash of the first, want the first alone", n)
	}
	if n := value[int](t, conn, "SELECT count(*) FROM monitoring.alert_instance_s"); n != 1 {
		t.Errorf("%d versions: the same content in another time zone is no new version", n)
	}
}

func TestDiscipline_AnUnchangedRowIsNoNewVersion(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	for _, name := range []string{"first", "first", "second", "second", "first"} {
		exec(t, db, putVersion, "C", name)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_s"); n != 3 {
		t.Errorf("%d versions, want 3: first, second, first", n)
	}
	wantOneUnbrokenHistory(t, db, "C")
}

// wantOneUnbrokenHistory: one current row, and each version ends where the next begins.
func wantOneUnbrokenHistory(t *testing.T, db database, key string) {
	t.Helper()
	type history struct{ Versions, Current, Broken int }
	rows, err := db.Query(t.Context(), `
		SELECT count(*), count(*) FILTER (WHERE load_end_date IS NULL),
		       count(*) FILTER (WHERE load_end_date IS DISTINCT FROM next OR load_end_date <= load_date)
		  FROM (SELECT load_date, load_end_date, lead(load_date) OVER (ORDER BY load_date) AS next
		          FROM monitoring.notification_config_s WHERE notification_config_hk = util.hash_binary($1)) AS v`, key)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var h history
	for rows.Next() {
		if err := rows.Scan(&h.Versions, &h.Current, &h.Broken); err != nil {
			t.Fatal(err)
		}
	}
	if h.Current != 1 || h.Broken != 0 {
		t.Errorf("the history of %s has %d current rows and %d breaks in %d versions", key, h.Current, h.Broken, h.Versions)
	}
}

func TestDiscipline_BlindWritersQueueAndLeaveOneCurrentRow(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C") // and no version: the first one is raced for as well
	address := db.Config().ConnString()
	const writers, each = 40, 25
	start := make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		conn := connect(t, address)
		wg.Go(func() {
			<-start
			for i := range each {
				if _, err := conn.Exec(t.Context(), putVersion, "C", "version "+string(rune('A'+w))+string(rune('A'+i))); err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
	wantOneUnbrokenHistory(t, db, "C")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_s"); n != writers*each {
		t.Errorf("%d versions, want %d", n, writers*each)
	}
}

func TestDiscipline_LoadDatesGrowWithinOneTransaction(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	putHub(t, db, "C")
	exec(t, db, "BEGIN")
	for _, name := range []string{"1", "2", "3", "4"} {
		// As the guide gives it: equal throughout the transaction.
		exec(t, db, `
			INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, hash_diff, channel_name, channel_type, configuration)
			VALUES (util.hash_binary('C'), util.current_load_date(), '\x', $1, 'SLACK', '{"webhook_url_env": "URL"}')`, name)
	}
	// A clock that went back must not, either.
	exec(t, db, `
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, hash_diff, channel_name, channel_type, configuration)
		VALUES (util.hash_binary('C'), now() - interval '1 hour', '\x', '5', 'SLACK', '{"webhook_url_env": "URL"}')`)
	exec(t, db, "COMMIT")
	wantOneUnbrokenHistory(t, db, "C")
	if names := value[string](t, db, "SELECT string_agg(channel_name, '' ORDER BY load_date) FROM monitoring.notification_config_s"); names != "12345" {
		t.Errorf("in the order of load_date: %s", names)
	}
}

func TestDiscipline_AClosedVersionMayBeLoadedFromElsewhere(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	exec(t, db, putVersion, "C", "now")
	exec(t, db, `
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, load_end_date, hash_diff, channel_name, channel_type, configuration)
		VALUES (util.hash_binary('C'), now() - interval '2 days', now() - interval '1 day', '\x', 'then', 'SLACK', '{"webhook_url_env": "URL"}')`)
	if name := value[string](t, db, "SELECT channel_name FROM monitoring.notification_config_s WHERE load_end_date IS NULL"); name != "now" {
		t.Errorf("the current row is %q", name)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_s"); n != 2 {
		t.Errorf("%d versions", n)
	}
}

func TestDiscipline_HistoryIsNeverChanged(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	exec(t, db, putVersion, "C", "first")
	exec(t, db, putVersion, "C", "second")
	changed := []string{"monitoring.notification_config_s is history and cannot be changed", "INSERT a new version"}
	deleted := []string{"is history and cannot be deleted", "retention"}
	for _, sql := range []string{
		"UPDATE monitoring.notification_config_s SET channel_name = 'other' WHERE load_end_date IS NULL",
		"UPDATE monitoring.notification_config_s SET load_end_date = now(), channel_name = 'other' WHERE load_end_date IS NULL",
		"UPDATE monitoring.notification_config_s SET load_end_date = load_date - interval '1 s' WHERE load_end_date IS NULL",
		"UPDATE monitoring.notification_config_s SET load_end_date = now() WHERE load_end_date IS NOT NULL",
		"UPDATE monitoring.notification_config_s SET load_end_date = NULL WHERE load_end_date IS NOT NULL",
		"UPDATE monitoring.notification_config_s SET record_source = 'x' WHERE load_end_date IS NULL",
	} {
		refused(t, db, "55000", changed, sql)
	}
	refused(t, db, "55000", deleted, "DELETE FROM monitoring.notification_config_s")
	refused(t, db, "55000", deleted, "TRUNCATE monitoring.notification_config_s")

	exec(t, db, "UPDATE monitoring.notification_config_s SET load_end_date = clock_timestamp() WHERE load_end_date IS NULL")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_s WHERE load_end_date IS NULL"); n != 0 {
		t.Errorf("%d current rows after the closing update", n)
	}
}

func TestDiscipline_MeasurementsAreNeverChanged(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.collect_system_health_metrics()")
	partition := value[string](t, db, "SELECT tableoid::regclass::text FROM monitoring.system_health_metric_s LIMIT 1")
	for _, table := range []string{"monitoring.system_health_metric_s", partition} {
		refused(t, db, "55000", []string{"is history and cannot be changed"}, "UPDATE "+table+" SET metric_value = 0")
		refused(t, db, "55000", []string{"is history and cannot be deleted"}, "DELETE FROM "+table)
	}
	refused(t, db, "55000", []string{"is history and cannot be deleted"}, "TRUNCATE monitoring.system_health_metric_s")
	refused(t, db, "55000", []string{"is history and cannot be deleted"}, "TRUNCATE "+partition)

	// Retracting one sample is the closing update.
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_end_date = clock_timestamp() WHERE metric_name = 'uptime_s'")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.system_dashboard WHERE metric_name = 'uptime_s'"); n != 0 {
		t.Error("a retracted sample is on the dashboard")
	}
}

func TestDiscipline_HubsAreFrozen(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, hub := range values[string](t, db, `
		SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'monitoring'::regnamespace AND relkind = 'r' AND relname ~ '_[hl]$'`) {
		n := value[int](t, db, `
			SELECT count(*) FROM pg_trigger WHERE tgrelid = $1::text::regclass AND tgfoid = 'monitoring.refuse_change'::regproc AND tgenabled = 'O'`, hub)
		if n == 0 {
			t.Errorf("nothing protects %s", hub)
		}
	}
	sentence := []string{"monitoring.alert_definition_h is a hub: its rows are never changed or deleted"}
	refused(t, db, "55000", sentence, "UPDATE monitoring.alert_definition_h SET record_source = 'x'")
	refused(t, db, "55000", sentence, "DELETE FROM monitoring.alert_definition_h")
	refused(t, db, "55000", nil, "TRUNCATE monitoring.alert_definition_h CASCADE")
}

func TestPartitions_AreMadeAheadAndForWhateverIsRecorded(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	covers := func(at string) int {
		return value[int](t, db, `
			SELECT count(*) FROM pg_class
			 WHERE oid IN (to_regclass('monitoring.system_health_metric_s_p' || to_char(date_trunc('week', (`+at+`) AT TIME ZONE 'UTC'), 'YYYYMMDD')),
			               to_regclass('monitoring.alert_evaluation_s_p' || to_char(date_trunc('week', (`+at+`) AT TIME ZONE 'UTC'), 'YYYYMMDD')))`)
	}
	for _, at := range []string{"now()", "now() + interval '7 days'", "now() + interval '14 days'", "now() - interval '34 days'"} {
		if covers(at) != 2 {
			t.Errorf("no partitions at %s", at)
		}
	}
	// A worker with samples of long ago, or of a far future, loses none.
	for _, at := range []string{"now() - interval '200 days'", "now() + interval '300 days'"} {
		if covers(at) != 0 {
			t.Errorf("partitions at %s already", at)
		}
		exec(t, db, "SELECT monitoring.record_health_samples('local', NULL, "+at+", 300, '[{\"name\": \"x\", \"category\": \"CAPACITY\", \"value\": 1, \"low_is_bad\": false}]')")
		if covers(at) != 2 {
			t.Errorf("no partitions at %s after a sample", at)
		}
	}
	if made := value[int](t, db, "SELECT monitoring.ensure_partitions(current_date, current_date + 7)"); made != 0 {
		t.Errorf("%d partitions were made twice", made)
	}
}

// putStatus inserts a version of an alert by plain SQL, past every function.
const putStatus = `
	INSERT INTO monitoring.alert_instance_s (alert_instance_hk, hash_diff, alert_status, triggered_timestamp, urgency_level, escalation_level)
	VALUES (util.hash_binary($1), '\x', $2, '2026-05-04 03:12:00+00', 'HIGH', 0)`

func TestDiscipline_AnIllegalChangeOfStatusIsRefusedWhoeverInsertsIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	statuses := []string{"OPEN", "ACKNOWLEDGED", "ESCALATED", "RESOLVED", "SUPPRESSED"}
	for _, from := range statuses {
		for _, to := range statuses {
			if from == to {
				continue // a further version of the same status counts messages, for example
			}
			key := alertIn(t, db, from+"_"+to, from)
			if value[bool](t, db, "SELECT monitoring.alert_transition_allowed($1, $2)", from, to) {
				exec(t, db, putStatus, key, to)
				if got := statusOf(t, db, key); got != to {
					t.Errorf("%s to %s: it is %s", from, to, got)
				}
				continue
			}
			refused(t, db, "55000", []string{"is " + from + " and cannot become " + to, "alert A-"}, putStatus, key, to)
			if got := statusOf(t, db, key); got != from {
				t.Errorf("%s to %s was refused, and it is %s", from, to, got)
			}
		}
	}
}

func TestDiscipline_AnAlertBeginsOpenOrSuppressed(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", nil)
	for _, status := range []string{"ACKNOWLEDGED", "ESCALATED", "RESOLVED", "OPEN", "SUPPRESSED"} {
		exec(t, db, `
			INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk)
			VALUES (util.hash_binary($1), $1, util.hash_binary('D'))`, status)
		if status == "OPEN" || status == "SUPPRESSED" {
			exec(t, db, putStatus, status, status)
			continue
		}
		refused(t, db, "55000", []string{"cannot begin as " + status, "OPEN, or SUPPRESSED"}, putStatus, status, status)
	}
	// A life that is loaded from elsewhere, oldest version first, may end as it ended.
	exec(t, db, `
		INSERT INTO monitoring.alert_instance_s (alert_instance_hk, load_date, load_end_date, hash_diff, alert_status, triggered_timestamp)
		VALUES (util.hash_binary('RESOLVED'), now() - interval '2 days', now() - interval '1 day', '\x', 'OPEN', now() - interval '2 days')`)
	exec(t, db, putStatus, "RESOLVED", "RESOLVED")
}

func TestDiscipline_OfTwoChangesAtOnceTheSecondIsJudgedByWhatTheFirstLeft(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	first, second, watch := connect(t, address), connect(t, address), connect(t, address)
	key := alertIn(t, first, "A", "OPEN")
	exec(t, first, "BEGIN")
	exec(t, first, putStatus, key, "RESOLVED")
	answer := make(chan error, 1)
	go func() {
		_, err := second.Exec(t.Context(), putStatus, key, "ACKNOWLEDGED")
		answer <- err
	}()
	for !value[bool](t, watch, "SELECT cardinality(pg_blocking_pids($1)) > 0", int32(second.PgConn().PID())) {
		select {
		case err := <-answer:
			t.Fatalf("it did not wait: %v", err)
		default:
		}
	}
	exec(t, first, "COMMIT")
	wantText(t, <-answer, "is RESOLVED and cannot become ACKNOWLEDGED")
	if got := statusOf(t, watch, key); got != "RESOLVED" {
		t.Errorf("it is %s", got)
	}
}

func TestDiscipline_NoVersionEndsBeforeItCame(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putHub(t, db, "C")
	refused(t, db, "22023", []string{"load_end_date", "of a row of monitoring.notification_config_s lies before its load_date"}, `
		INSERT INTO monitoring.notification_config_s (notification_config_hk, load_date, load_end_date, hash_diff, channel_name, channel_type, configuration)
		VALUES (util.hash_binary('C'), now(), now() - interval '1 day', '\x', 'then', 'SLACK', '{"webhook_url_env": "URL"}')`)
	exec(t, db, "SELECT monitoring.collect_system_health_metrics()")
	refused(t, db, "23514", []string{"system_health_metric_s_ends_after_it_came"}, `
		INSERT INTO monitoring.system_health_metric_s (health_metric_hk, load_date, load_end_date, hash_diff, metric_name, metric_category, measurement_timestamp)
		SELECT health_metric_hk, load_date, load_date - interval '1 s', hash_diff, metric_name, metric_category, now()
		  FROM monitoring.system_health_metric_s LIMIT 1`)
	for _, table := range values[string](t, db, `
		SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'p'
		   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.conname = c.relname || '_ends_after_it_came' AND k.convalidated)`) {
		t.Errorf("a row of %s may end before it came", table)
	}
}

// With the triggers off, as a superuser can have them, the unique index still stands.
func TestDiscipline_ASecondCurrentRowIsRefusedEvenWithoutTriggers(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	putHub(t, db, "C")
	exec(t, db, putVersion, "C", "first")
	exec(t, db, "SET session_replication_role = replica")
	refused(t, db, "23505", []string{"notification_config_s_one_current"}, putVersion, "C", "second")
	for _, table := range values[string](t, db, `
		SELECT c.relname FROM pg_class c
		 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition AND c.relname LIKE '%\_s'
		   AND (SELECT cardinality(conkey) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p') = 2
		   AND to_regclass('monitoring.' || c.relname || '_one_current') IS NULL`) {
		t.Errorf("%s may have two current rows of one key", table)
	}
}

// A set-up script may run again; what it says of a known key must be what is known.
func TestDiscipline_AKnownKeyIsNoSecondRowAndNoError(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for range 2 {
		exec(t, db, `
			INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, tenant_hk, load_date, record_source)
			VALUES (util.hash_binary('C'), 'C', NULL, clock_timestamp(), 'ADMIN_SETUP')`)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.notification_config_h WHERE notification_config_bk = 'C'"); n != 1 {
		t.Errorf("%d rows of one key", n)
	}
	exec(t, db, "INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('T'), 'T', 'test')")
	refused(t, db, "23505", []string{"notification_config_h_pkey"}, `
		INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, tenant_hk)
		VALUES (util.hash_binary('C'), 'C', util.hash_binary('T'))`)
}

func TestDiscipline_LinksAreCheckedAndFrozenToo(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	key := alertIn(t, db, "A", "OPEN")
	exec(t, db, "SELECT monitoring.create_incident_from_alerts(ARRAY[util.hash_binary($1)], 'Slow', NULL)", key)
	refused(t, db, "23514", []string{"alert_incident_l_key_is_hash"}, `
		INSERT INTO monitoring.alert_incident_l (link_alert_incident_hk, alert_instance_hk, incident_hk)
		SELECT util.hash_binary('forged'), alert_instance_hk, incident_hk FROM monitoring.alert_incident_l`)
	sentence := []string{"monitoring.alert_incident_l is a link: its rows are never changed or deleted"}
	refused(t, db, "55000", sentence, "UPDATE monitoring.alert_incident_l SET record_source = 'x'")
	refused(t, db, "55000", sentence, "DELETE FROM monitoring.alert_incident_l")
}

func TestDiscipline_EveryTableIsProtectedAgainstEveryWayToForget(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	// By what each table has, so that a table of a later step is not forgotten.
	for _, gap := range values[string](t, db, `
		WITH wanted AS (
		    SELECT c.oid, c.relname, w.trigger_name
		      FROM pg_class c
		     CROSS JOIN LATERAL (VALUES (CASE WHEN c.relname ~ '_s$' THEN 't60_allow_only_closing' ELSE 't60_refuse_change' END), ('t60_refuse_truncate')) AS w (trigger_name)
		     WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname ~ '_[hls]$'
		    UNION ALL
		    SELECT c.oid, c.relname, w.trigger_name
		      FROM pg_class c
		     CROSS JOIN LATERAL (VALUES ('t60_allow_only_closing'), ('t60_refuse_truncate')) AS w (trigger_name)
		     WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND c.relispartition
		)
		SELECT w.relname || ' without ' || w.trigger_name FROM wanted w
		 WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = w.oid AND g.tgname = w.trigger_name AND g.tgenabled = 'O')`) {
		t.Errorf("%s", gap)
	}
	refused(t, db, "55000", []string{"monitoring.system_health_metric_h is a hub: its rows are never changed or deleted", "as a new version"},
		"TRUNCATE monitoring.system_health_metric_h CASCADE")
	for _, table := range values[string](t, db, `
		SELECT oid::regclass::text FROM pg_class
		 WHERE relnamespace = 'monitoring'::regnamespace AND relkind IN ('r', 'p') AND relname ~ '_[hls]$' AND NOT relispartition`) {
		refused(t, db, "55000", nil, "TRUNCATE "+table+" CASCADE")
	}
}

// Each week is a table: nobody, not even a worker that was taken over, fills the catalog with them.
func TestPartitions_OfATimeThatNobodyNeedsAreRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	before := value[int](t, db, "SELECT count(*) FROM monitoring.partitions()")
	for _, span := range []string{"'0001-01-01', '9999-01-01'", "'-infinity', '2026-01-01'", "'2026-01-01', 'infinity'", "NULL, '2026-01-01'", "'2026-01-01', NULL"} {
		refused(t, db, "22023", []string{"partitions from", "at most ten years"}, "SELECT monitoring.ensure_partitions("+span+")")
		refused(t, db, "22023", []string{"partitions from", "at most ten years"}, "SELECT monitoring.ensure_partitions_of('system_health_metric_s', "+span+")")
	}
	if after := value[int](t, db, "SELECT count(*) FROM monitoring.partitions()"); after != before {
		t.Errorf("%d partitions were made", after-before)
	}
}

// A row of a storm must not cost the planning of the statements that keep it in order; the other tests of the
// discipline hold for these tables as for all.
func TestDiscipline_BusyTablesPlanTheirStatementsOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, table := range []string{"alert_instance_h", "alert_instance_s", "notification_log_h", "notification_log_s"} {
		if dynamic := value[bool](t, db, `
			SELECT bool_or(p.prosrc LIKE '%EXECUTE%')
			  FROM pg_trigger g
			  JOIN pg_proc p ON p.oid = g.tgfoid
			 WHERE g.tgrelid = ('monitoring.' || $1)::regclass AND NOT g.tgisinternal AND (g.tgtype & 4) > 0`, table); dynamic {
			t.Errorf("a trigger plans a statement for each row of %s", table)
		}
	}
}

package migrations_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/migrations"
	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// pack is what this build brings: the default definitions of a new vault.
const pack = `
	SELECT h.alert_definition_bk AS key, d.* FROM monitoring.alert_definition_s d JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
	 WHERE d.load_end_date IS NULL AND d.record_source = 'SETUP_SCRIPT'`

func TestDefaults_EachSaysWhatItMeansWhereToLookAndWhatToDo(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	rows, err := db.Query(t.Context(), "SELECT key::text, alert_name::text, alert_description, coalesce(runbook, '') FROM ("+pack+") AS p ORDER BY key")
	if err != nil {
		t.Fatal(err)
	}
	type definition struct{ Key, Name, About, Runbook string }
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[definition])
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 40 {
		t.Errorf("%d default definitions", len(list))
	}
	parts := regexp.MustCompile(`^[A-Z].{20,}[.] Look: .{20,}[.?] Do: .{20,}[.]$`)
	said := map[string]string{}
	for _, d := range list {
		if !parts.MatchString(d.Runbook) {
			t.Errorf("%s: the runbook is no \"<meaning>. Look: ... Do: ...\": %q", d.Key, d.Runbook)
		}
		if d.About == "" || len(d.Name) > 40 {
			t.Errorf("%s is %q: %q", d.Key, d.Name, d.About)
		}
		if other := said[d.Runbook]; other != "" {
			t.Errorf("%s and %s have the same runbook", d.Key, other)
		}
		said[d.Runbook] = d.Key
	}
}

func TestDefaults_AreHeardByTheChannelsOfTheGuide(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	known := []string{"PERFORMANCE", "SECURITY", "BACKUP", "CAPACITY", "COMPLIANCE"}
	for _, category := range values[string](t, db, "SELECT DISTINCT alert_category::text FROM ("+pack+") AS p") {
		if !slices.Contains(known, category) {
			t.Errorf("no channel of the guide filters on %s", category)
		}
	}
	for _, wrong := range values[string](t, db, `
		SELECT format('%s: %s', key, problem)
		  FROM (`+pack+`) AS p,
		       LATERAL (VALUES
		           (CASE WHEN alert_severity = 'CRITICAL' AND NOT escalation_enabled THEN 'CRITICAL, and nobody is told again' END),
		           (CASE WHEN alert_severity = 'LOW' AND escalation_enabled THEN 'LOW, and it escalates' END),
		           (CASE WHEN evaluation_frequency_minutes > 60 THEN 'looked at too seldom' END),
		           (CASE WHEN alert_severity = 'CRITICAL' AND pending_minutes > 6 THEN 'CRITICAL, and it waits long' END),
		           (CASE WHEN condition_logic LIKE '%threshold_value%' AND threshold_operator IS NULL THEN 'a threshold without an operator' END),
		           (CASE WHEN NOT is_enabled THEN 'disabled' END)) AS v (problem)
		 WHERE problem IS NOT NULL`) {
		t.Error(wrong)
	}
}

func TestDefaults_ClearConditionsLieBeyondTheirThresholds(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	// Whatever the metrics are, what clears an alert must not be what fires it.
	for _, both := range values[string](t, db, `
		SELECT format('%s at %s', key, x)
		  FROM (`+pack+`) AS p,
		       unnest(ARRAY[0, 0.5, 1, 5, 10, 29, 31, 45, 46, 50, 51, 74, 76, 80, 86, 91, 94, 96, 98, 99, 301, 1e6, 1e9, 2e9]) AS x,
		       LATERAL (SELECT jsonb_object_agg(i, x) || jsonb_build_object('threshold_value', threshold_value) AS inputs
		                  FROM unnest((monitoring.compile_condition(condition_logic)).identifiers || (monitoring.compile_condition(clear_condition_logic)).identifiers) AS i
		                 WHERE i <> 'threshold_value') AS g
		 WHERE clear_condition_logic IS NOT NULL
		   AND (monitoring.evaluate_condition(condition_logic, inputs)).result = 'TRUE'
		   AND (monitoring.evaluate_condition(clear_condition_logic, inputs)).result <> 'FALSE'`) {
		t.Errorf("%s it fires and clears", both)
	}
}

func TestDefinition_RunbookIsOneLine(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"runbook": strings.Repeat("é", 500)})
	for given, words := range map[string][]string{
		"look\nact":              {"has 8 characters and 2 lines", "one line of at most 500 characters"},
		"look\r\nact\n":          {"3 lines"},
		strings.Repeat("é", 501): {"has 501 characters", "runbook_url"},
	} {
		sql, args := definitionRow("D", columns{"runbook": given})
		refused(t, db, "22023", words, sql, args...)
	}
}

// migrateAgain runs Up as after an update of the program whose default definitions are others.
func migrateAgain(t *testing.T, db database, address string) {
	t.Helper()
	exec(t, db, "DELETE FROM public.onevault_functions WHERE script_name = '90_default_definitions.sql'")
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
}

// amend writes a new version of a definition: the current one, with some of it changed.
func amend(t *testing.T, db database, key, to string) {
	t.Helper()
	exec(t, db, `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, jsonb_build_object('load_date', clock_timestamp(), 'load_end_date', NULL) || $2::jsonb)).*
		  FROM monitoring.alert_definition_s d WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, key, to)
}

func currentOf(t *testing.T, db database, key string) string {
	t.Helper()
	return value[string](t, db, `
		SELECT concat_ws(' ', record_source, trim_scale(threshold_value), left(coalesce(runbook, 'no runbook'), 10)) FROM monitoring.alert_definition_s
		 WHERE alert_definition_hk = util.hash_binary($1) AND load_end_date IS NULL`, key)
}

func TestUp_BringsOnlyItsOwnDefinitionsUpToDate(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	before := value[int](t, db, "SELECT count(*) FROM monitoring.alert_definition_s")
	migrateAgain(t, db, address)
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_definition_s"); n != before {
		t.Errorf("the same text made %d versions", n-before)
	}

	// As an older build put it: still ours.
	exec(t, db, "SET onevault.puts_defaults = 'on'")
	amend(t, db, "PG_DEADLOCKS", `{"threshold_value": 7, "runbook": null}`)
	exec(t, db, "RESET onevault.puts_defaults")
	// Changed by somebody, who copied the row with everything in it.
	amend(t, db, "DISK_WARNING", `{"threshold_value": 60, "runbook": "call Erin"}`)
	amend(t, db, "PG_WAL_SIZE", `{"threshold_value": 20, "record_source": "OURS"}`)
	// Changed, and put back as it was.
	amend(t, db, "PG_LONG_TRANSACTION", `{"threshold_value": 1, "record_source": "OURS"}`)
	amend(t, db, "PG_LONG_TRANSACTION", `{"threshold_value": 3600, "record_source": "SETUP_SCRIPT"}`)
	for key, want := range map[string]string{
		"PG_DEADLOCKS": "SETUP_SCRIPT 7 no runbook", "DISK_WARNING": "ALERTING_SYSTEM 60 call Erin",
		"PG_WAL_SIZE": "OURS 20 WAL is kep", "PG_LONG_TRANSACTION": "SETUP_SCRIPT 3600 A transact",
	} {
		if got := currentOf(t, db, key); got != want {
			t.Errorf("before, %s is %q, want %q", key, got, want)
		}
	}
	migrateAgain(t, db, address)
	for key, want := range map[string]string{
		"PG_DEADLOCKS": "SETUP_SCRIPT 5 Transactio", "DISK_WARNING": "ALERTING_SYSTEM 60 call Erin",
		"PG_WAL_SIZE": "OURS 20 WAL is kep", "PG_LONG_TRANSACTION": "SETUP_SCRIPT 3600 A transact",
	} {
		if got := currentOf(t, db, key); got != want {
			t.Errorf("after, %s is %q, want %q", key, got, want)
		}
	}
}

// sampleAll measures the server with every health query, as the collector does, and records it as if it
// had been at that moment.
func sampleAll(t *testing.T, db database, at time.Time) {
	t.Helper()
	exec(t, db, `SELECT monitoring.ensure_partitions_around($1)`, at)
	samples := `[{"name": "target_reachable", "category": "AVAILABILITY", "value": 1, "low_is_bad": true}, {"name": "disk_usage_pct", "category": "CAPACITY", "value": 40, "low_is_bad": false}]`
	for _, query := range values[string](t, db, "SELECT query_name::text FROM monitoring.health_query") {
		samples = value[string](t, db, "SELECT ($1::jsonb || monitoring.measure($2))::text", samples, query)
	}
	exec(t, db, "SELECT monitoring.record_health_samples('local', NULL, $1, 300, $2::jsonb)", at, samples)
}

// lookAt evaluates the whole pack as if it were that moment, and returns what is not FALSE.
func lookAt(t *testing.T, db database, at time.Time) []string {
	t.Helper()
	return values[string](t, db, `
		SELECT concat_ws(' ', p.alert_definition_bk, e.result, e.decision, trim_scale(e.evaluated_value))
		  FROM (SELECT h.alert_definition_bk, d FROM monitoring.alert_definition_s AS d JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
		         WHERE d.load_end_date IS NULL AND d.metric_source <> 'worker') AS p,
		       LATERAL monitoring.condition_inputs((p.d).metric_source, 'local', NULL, make_interval(mins => (p.d).lookback_minutes), $1) AS i,
		       LATERAL (SELECT e.* FROM monitoring.evaluate_definition(p.d, p.alert_definition_bk, 'local', NULL, $1, i, NULL) AS e WHERE (p.d).alert_by = '{}'
		                UNION ALL
		                SELECT e.* FROM monitoring.evaluate_label_sets(p.d, p.alert_definition_bk, 'local', NULL, $1, i, NULL, false, true) AS e
		                 WHERE (p.d).alert_by <> '{}') AS e
		 WHERE e.result <> 'FALSE' ORDER BY 1`, at)
}

// A server of its own: what other tests do to theirs (locks, rollbacks, connections) is no quiet.
func TestDefaults_OnAFreshIdleServerNothingFires(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("/tmp", "onevault-definitions-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // the server may run as another account
		t.Fatal(err)
	}
	config := pgserver.Config{Dir: filepath.Join(dir, "server")}
	server, err := pgserver.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := migrations.Up(t.Context(), server.URL("postgres"), nil); err != nil {
		t.Fatal(err)
	}
	db, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().UTC().Truncate(time.Microsecond).Add(-minutes(60))
	var last []string
	for minute := 0; minute < 40; minute += 2 {
		at := began.Add(minutes(float64(minute)))
		if minute%4 == 0 {
			sampleAll(t, db, at.Add(-time.Second))
		}
		last = lookAt(t, db, at)
		for _, line := range last {
			if !strings.Contains(line, " NO_DATA ") {
				t.Errorf("minute %d: %s", minute, line)
			}
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_h"); n > 0 {
		t.Errorf("%d alerts fired: %v", n, values[string](t, db, "SELECT alert_instance_bk::text FROM monitoring.alert_instance_h"))
	}
	// What cannot be known here is said, and nothing else: no backup was ever recorded, WAL is not archived, there is no slot,
	// nobody was told of anything, and nobody samples statements, forecasts, judges, looks for security events or audits.
	var unknown []string
	for _, line := range last {
		// Whether anything was read or committed between two samples is the server's own affair.
		if key := strings.Fields(line)[0]; key != "PG_CACHE_HIT_LOW" && key != "PG_ROLLBACK_RATIO" {
			unknown = append(unknown, key)
		}
	}
	want := []string{
		"BACKUP_FAILURE_ALERT", "BACKUP_STALE", "CAPACITY_FORECAST_FULL", "COMPLIANCE_CRITICAL_FINDING",
		"METRICS_ANOMALOUS_TOGETHER", "METRIC_ANOMALY", "NOTIFICATION_DELIVERY_FAILING", "NOTIFICATION_DELIVERY_RATE",
		"PG_ARCHIVER_FAILING", "PG_SLOT_INACTIVE", "PG_SLOW_QUERIES", "SECURITY_GRAVE_EVENT", "SECURITY_HIGH_SEVERITY_EVENTS",
	}
	if !slices.Equal(unknown, want) {
		t.Errorf("unknown are %v\nwant %v", unknown, want)
	}

	// A restart that was seen does fire, once.
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if server, err = pgserver.Start(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	db = connect(t, server.URL("postgres"))
	at := began.Add(minutes(40))
	sampleAll(t, db, at.Add(-20*time.Second)) // nobody looks between this sample and the next
	var fired []string
	for minute := 0; minute < 20; minute += 2 {
		if minute%4 == 0 {
			sampleAll(t, db, at.Add(minutes(float64(minute))-time.Second))
		}
		for _, line := range lookAt(t, db, at.Add(minutes(float64(minute)))) {
			if strings.Contains(line, " FIRED ") {
				fired = append(fired, strings.Fields(line)[0])
			}
		}
	}
	if !slices.Equal(fired, []string{"PG_RESTARTED"}) {
		t.Errorf("after a restart %v fired", fired)
	}
	if open := values[string](t, db, "SELECT alert_definition_bk::text FROM monitoring.alert_current WHERE alert_status <> 'RESOLVED'"); len(open) > 0 {
		t.Errorf("twenty minutes later %v are open", open)
	}
}

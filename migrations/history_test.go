package migrations_test

import (
	"fmt"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// recordSeries writes one sample of a metric every five minutes, as if it had been measured then; valueAt
// gives SQL over t, the minutes before the end.
func recordSeries(t *testing.T, db database, metric string, from, to time.Time, valueAt string) {
	t.Helper()
	exec(t, db, `
		SELECT count(r.*)
		  FROM generate_series($2::timestamptz + interval '5 minutes', $3, interval '5 minutes') AS at,
		       LATERAL (SELECT extract(epoch FROM $3 - at) / 60 AS t) AS m,
		       LATERAL monitoring.record_health_samples('local', NULL, at, 300, jsonb_build_array(jsonb_build_object(
		           'name', $1::text, 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'test', 'value', `+valueAt+`))) AS r`, metric, from, to)
}

func TestHistory_CallsLookAtTheWindowThatTheyName(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	recordSeries(t, db, "blocked_backends", at.Add(-2*time.Hour), at, "120 - m.t")                 // 5, 10, ... 120 now
	recordSeries(t, db, "blocked_backends", at.Add(-26*time.Hour), at.Add(-24*time.Hour), "7")     // the same hours of the day before
	recordSeries(t, db, "idle_in_transaction", at.Add(-time.Hour), at.Add(-35*time.Minute), "m.t") // a gap of over half an hour
	for call, want := range map[string]string{
		"avg(blocked_backends, 15m)":              "115",
		"min(blocked_backends, 15m)":              "110",
		"max(blocked_backends,15 m)":              "120",
		"stddev(blocked_backends, 15m)":           "5",
		"delta(blocked_backends, 1h)":             "55",
		"rate(blocked_backends, 1h)":              "0.0167", // 55 in 55 minutes
		"avg(blocked_backends, 900s)":             "115",
		"avg(blocked_backends, 1h, 1d ago)":       "7",
		"delta(blocked_backends, 1h , 24h ago)":   "0",
		"forecast(blocked_backends, 1h)":          "180",
		"max(blocked_backends, 5m)":               "120",
		"delta(blocked_backends, 5m)":             "", // one sample has no difference
		"avg(blocked_backends, 5h)":               "", // less than half of it was measured
		"avg(idle_in_transaction, 15m)":           "", // nothing was measured
		"avg(idle_in_transaction, 1h)":            "", // 25 minutes of 60
		"forecast(idle_in_transaction, 1h)":       "",
		"avg(blocked_backends, 1h, 3d ago)":       "",
		"stddev(blocked_backends, 5m)":            "", // of one sample
		"max(blocked_backends, 1h, 30m ago)":      "90",
		"forecast(blocked_backends, 2h, 1h ago)":  "180", // exactly half of its past is enough
		"forecast(blocked_backends, 30m, 1h ago)": "90",
	} {
		got := value[string](t, db, `
			SELECT coalesce(trim_scale((monitoring.history_inputs(c.identifiers, 'local', NULL, $2) ->> c.identifiers[1])::numeric)::text, '')
			  FROM monitoring.compile_condition($1 || ' > 0') AS c`, call, at)
		if got != want {
			t.Errorf("%s is %q, want %q", call, got, want)
		}
	}
}

func TestHistory_IsRecordedSoThatTheEvaluationCanBeDoneAgainWithoutIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	recordSeries(t, db, "blocked_backends", at.Add(-2*time.Hour), at, "50")
	recordSeries(t, db, "blocked_backends", at.Add(-26*time.Hour), at.Add(-24*time.Hour), "20")
	define(t, db, "D", columns{"condition_logic": "avg(blocked_backends, 1h) > 2 * avg(blocked_backends,1h,1d ago) && blocked_backends > 10"})
	wantDecision(t, db, "D", at, `{"blocked_backends": 50}`, "TRUE", "FIRED")
	inputs := value[string](t, db, "SELECT inputs::text FROM monitoring.alert_evaluation_s")
	if want := `{"blocked_backends": 50, "avg(blocked_backends, 1h)": 50.0000, "avg(blocked_backends, 1h, 1d ago)": 20.0000}`; inputs != want {
		t.Errorf("recorded were %s, want %s", inputs, want)
	}
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_end_date = clock_timestamp()") // all is retracted
	explained := value[string](t, db, `
		SELECT e.agrees || ' ' || e.result || ' ' || trim_scale(e.value)
		  FROM monitoring.alert_instance_h h, LATERAL monitoring.explain_alert(h.alert_instance_hk) AS e`)
	if explained != "true TRUE 50" {
		t.Errorf("explained as %q", explained)
	}
	sides := values[string](t, db, `
		SELECT format('%s | %s %s %s', x.comparison, x.left_value, x.operator, x.right_value)
		  FROM monitoring.alert_evaluation_s e, monitoring.alert_definition_s d,
		       LATERAL monitoring.explain_condition(d.condition_logic, e.inputs) AS x
		 WHERE d.alert_definition_hk = e.alert_definition_hk ORDER BY x.ordinal`)
	if want := "[avg(blocked_backends, 1h) > 2 * avg(blocked_backends,1h,1d ago) | 50 > 40 blocked_backends > 10 | 50 > 10]"; fmt.Sprint(sides) != want {
		t.Errorf("the comparisons are %v, want %s", sides, want)
	}
}

func TestHistory_AWindowThatWasNotMeasuredIsNoData(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"condition_logic": "avg(blocked_backends, 1h) < 100"})
	wantDecision(t, db, "D", noon(), `{"blocked_backends": 50}`, "NO_DATA", "NONE")
	if reason := value[string](t, db, "SELECT reason FROM monitoring.alert_evaluation_s"); reason != "no value of avg(blocked_backends, 1h)" {
		t.Errorf("the reason is %q", reason)
	}
}

func TestHistory_ATenantsOwnSeriesGoesBeforeTheServers(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary('ORG1'), 'ORG1', now(), 'TEST'")
	recordSeries(t, db, "blocked_backends", at.Add(-time.Hour), at, "50")
	exec(t, db, `
		SELECT count(r.*) FROM generate_series($1::timestamptz - interval '14 minutes', $1, interval '5 minutes') AS at,
		       LATERAL monitoring.record_health_samples('local', util.hash_binary('ORG1'), at, 300, '[{"name": "blocked_backends", "category": "PERFORMANCE", "low_is_bad": false, "source": "test", "value": 9}]') AS r`, at)
	got := value[string](t, db, `
		SELECT concat_ws(' ', trim_scale(monitoring.window_value('max(blocked_backends, 15m)', 'local', util.hash_binary('ORG1'), $1)),
		                      trim_scale(monitoring.window_value('max(blocked_backends, 15m)', 'local', NULL, $1)),
		                      trim_scale(monitoring.window_value('max(blocked_backends, 15m)', 'local', util.hash_binary('ORG2'), $1)))`, at)
	if got != "9 50 50" {
		t.Errorf("the tenant, the server and a tenant without its own see %q", got)
	}
}

func TestFiring_FollowsTheNewestLookAtTheOtherDefinition(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "CAUSE", nil)
	define(t, db, "BOTH", columns{"condition_logic": `firing("CAUSE") == 1 && blocked_backends > 1`})
	wantDecision(t, db, "BOTH", at, bad, "NO_DATA", "NONE") // nobody looked at the cause yet
	wantDecision(t, db, "CAUSE", at.Add(minutes(1)), good, "FALSE", "NONE")
	wantDecision(t, db, "BOTH", at.Add(minutes(2)), bad, "FALSE", "NONE")
	wantDecision(t, db, "CAUSE", at.Add(minutes(3)), bad, "TRUE", "FIRED")
	wantDecision(t, db, "BOTH", at.Add(minutes(4)), bad, "TRUE", "FIRED")
	wantDecision(t, db, "CAUSE", at.Add(minutes(5)), "{}", "NO_DATA", "HOLDING")
	wantDecision(t, db, "BOTH", at.Add(minutes(6)), bad, "NO_DATA", "HOLDING") // what is not known resolves nothing
	wantDecision(t, db, "CAUSE", at.Add(minutes(7)), good, "FALSE", "RESOLVED")
	wantDecision(t, db, "BOTH", at.Add(minutes(8)), bad, "FALSE", "RESOLVED")
	wantDecision(t, db, "BOTH", at.Add(minutes(60)), bad, "NO_DATA", "NONE") // nobody looked for long
}

func TestEvaluateDue_WhatRestsOnOthersIsLookedAtAfterThem(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	// Whichever key comes first, one of the two pairs is in the wrong order by it.
	define(t, db, "A", nil)
	define(t, db, "Z", nil)
	define(t, db, "ON_A", columns{"condition_logic": `firing("A") == 1`})
	define(t, db, "ON_Z", columns{"condition_logic": `firing("Z") == 1`})
	define(t, db, "ON_BOTH", columns{"condition_logic": `firing("A") == 1 && firing("Z") == 1`})
	record(t, db, "blocked_backends", time.Now().Add(-time.Second), 99)
	due(t, db, "0")
	for _, key := range []string{"A", "Z", "ON_A", "ON_Z", "ON_BOTH"} {
		if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_current WHERE alert_definition_bk = $1 AND alert_status = 'OPEN'", key); n != 1 {
			t.Errorf("%s has %d open alerts after one round, want 1", key, n)
		}
	}
}

func TestDefinition_CallsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for condition, words := range map[string][]string{
		"avg(blocked_backends) > 1":                {`cannot be read at "avg(blocked_backends) > 1"`, "avg(replication_lag_s, 15m)"},
		"avg(blocked_backends, 15) > 1":            {"cannot be read at", "in s, m, h or d"},
		"avg(blocked_backends, 15m, 1d) > 1":       {"cannot be read at", "7d ago"},
		"avg(blocked_backends + 1, 15m) > 1":       {"cannot be read at"},
		"avg(avg(blocked_backends, 5m), 15m) > 1":  {"cannot be read at"},
		"forecast(blocked_backends) > 1":           {"cannot be read at", "forecast(wal_size_gb, 4h)"},
		"firing(CAUSE) == 1":                       {"cannot be read at", `firing("PG_REPLICATION_LAG")`},
		`firing("NO SUCH") == 1`:                   {`unknown definition "NO SUCH"`, "onevault definition list"},
		"avg(blocked_backend, 15m) > 1":            {`unknown metric "blocked_backend"`, `Did you mean "blocked_backends"?`},
		"avg(failed_backup_count, 15m) > 1":        {`unknown metric "failed_backup_count"`, "History is kept of the metrics of system_health"},
		"avg(blocked_backends, 0m) > 1":            {"looks at no time at all", "1s to 28d"},
		"avg(blocked_backends, 29d) > 1":           {"looks at more than 28 days", "1s to 28d"},
		"avg(blocked_backends, 1d, 28d ago) > 1":   {"looks at more than 28 days"},
		"median(blocked_backends, 15m) > 1":        {`cannot be read at ", 15m) > 1"`, "the calls avg, min, max"},
		"sum(blocked_backends) > 1":                {"malformed"},
		`firing("D") == 1`:                         {`"Name of D" rests on itself: D`},
		`firing("ON_D") == 1 && 1 > 0`:             {`rests on itself: ON_D -> D`},
		`blocked_backends > 1 || firing("X") == 1`: {`unknown definition "X"`},
	} {
		define(t, db, "D", nil)
		define(t, db, "ON_D", columns{"condition_logic": `firing("D") == 1`})
		sql, args := definitionRow("D", columns{"condition_logic": condition})
		refused(t, db, "22023", words, sql, args...)
	}
	sql, args := definitionRow("D", columns{"clear_condition_logic": `firing("ON_D") == 0`})
	refused(t, db, "22023", []string{"rests on itself"}, sql, args...)
}

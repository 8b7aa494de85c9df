package vault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// history begins to read what the test wrote.
func (f *fixture) history() *vault.History {
	f.Helper()
	h, err := f.store.History(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { h.Close(context.Background()) })
	return h
}

func spec(condition string) vault.DefinitionSpec {
	return vault.DefinitionSpec{
		Key: "TRIED", Name: "Tried", Category: "PERFORMANCE", Severity: "HIGH", Enabled: true, Source: "system_health", Condition: condition,
		EveryMinutes: 5, LookbackMinutes: 10, NoData: "NO_DATA", NoDataMinutes: 15, AutoResolve: true,
	}
}

func nobodyFires(string, time.Time) (int, bool) { return 0, false }

// measured fills two days of a target with samples whose times, values and gaps are drawn at random.
func (f *fixture) measured(random *rand.Rand, since time.Time, tenant string, metrics ...string) {
	f.Helper()
	for _, metric := range metrics {
		f.exec(`
			INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, tenant_hk, target_name)
			SELECT util.hash_binary(k), k, decode(nullif($3, ''), 'hex'), $2
			  FROM monitoring.health_key($2, decode(nullif($3, ''), 'hex'), $1, '{}') AS k
			ON CONFLICT DO NOTHING`, metric, "pg-1", tenant)
		var (
			times  []time.Time
			values []*float64
		)
		for at := since; at.Before(since.Add(48 * time.Hour)); at = at.Add(time.Duration(200+random.IntN(200)) * time.Second) {
			if random.IntN(12) == 0 {
				at = at.Add(time.Duration(random.IntN(120)) * time.Minute)
			}
			value := float64(random.IntN(100))
			switch {
			case metric == "target_reachable":
				value = float64(min(1, random.IntN(10)))
			case random.IntN(15) == 0:
				times, values = append(times, at), append(values, nil)
				continue
			}
			if random.IntN(4) == 0 {
				at = at.Truncate(5 * time.Minute) // at the very moment of a look
			}
			times, values = append(times, at), append(values, &value)
		}
		f.exec(`
			INSERT INTO monitoring.system_health_metric_s (
			    health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, measurement_interval_seconds, status)
			SELECT DISTINCT ON (t) util.hash_binary(monitoring.health_key($2, decode(nullif($3, ''), 'hex'), $1, '{}')), '\x', $1, 'PERFORMANCE', v, t, 300,
			       CASE WHEN v IS NULL THEN 'UNKNOWN' ELSE 'NORMAL' END
			  FROM unnest($4::timestamptz[], $5::float8[]) AS u (t, v)`, metric, "pg-1", tenant, times, values)
	}
}

func TestHistoryLooks_FindWhatTheEvaluatorFinds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const tenant = "abababababababababababababababababababababababababababababababab"
	f.exec(`INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, load_date, record_source) VALUES (decode($1, 'hex'), 'acme', now(), 'TEST')`, tenant)
	f.exec(`UPDATE monitoring.condition_identifier SET every_s = 3600 WHERE metric_source = 'system_health' AND identifier = 'invalid_indexes'`)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	since := yesterday().Add(-36 * time.Hour).Truncate(time.Hour)
	f.measured(random, since, "", "target_reachable", "connection_usage_pct", "replication_lag_s", "invalid_indexes", "wal_size_gb", "transactions_per_s")
	f.measured(random, since, tenant, "replication_lag_s")
	var (
		h  = f.history()
		hk []byte
	)
	for _, given := range []struct {
		condition, clear string
		tenant           bool
	}{
		{condition: "connection_usage_pct > threshold_value", clear: "connection_usage_pct < 40"},
		{condition: "replication_lag_s > threshold_value && connection_usage_pct > 10", tenant: true},
		{condition: "invalid_indexes > threshold_value"},
		{condition: "target_reachable < 1"},
		{condition: "connection_usage_pct / replication_lag_s > 2"},
		{condition: "avg(replication_lag_s, 15m) > threshold_value", tenant: true},
		{condition: "avg(connection_usage_pct, 1h) > 1.1 * avg(connection_usage_pct, 1h, 6h ago)", clear: "min(connection_usage_pct, 10m) < 30"},
		{condition: "min(connection_usage_pct, 20m) > 20"},
		{condition: "max(connection_usage_pct, 20m) > 80"},
		{condition: "stddev(transactions_per_s, 30m) > 25"},
		{condition: "delta(transactions_per_s, 30m) > 25"},
		{condition: "rate(transactions_per_s, 25m) > 0.01"},
		{condition: "forecast(wal_size_gb, 2h) > 60"},
	} {
		d := spec(given.condition)
		d.Clear, d.Threshold = given.clear, "50.5"
		hk = nil
		if given.tenant {
			hk = value[[]byte](f, "SELECT decode($1, 'hex')", tenant)
		}
		got, err := h.Looks(t.Context(), d, vault.Subject{Target: "pg-1", Tenant: hk, Since: since.Add(7 * time.Hour), Until: since.Add(47 * time.Hour)}, nobodyFires)
		if err != nil {
			t.Fatal(given.condition, err)
		}
		if len(got) != 480 {
			t.Fatalf("%s: %d looks, want 480", given.condition, len(got))
		}
		kinds := map[alert.Result]int{}
		for _, l := range got {
			kinds[l.Result]++
			if !l.Kept {
				t.Fatalf("%s: the look at %v is said to be without history", given.condition, l.At)
			}
			if random.IntN(10) > 0 {
				continue
			}
			want := f.evaluated(d, hk, l.At)
			text := fmt.Sprintf("%s %s %s %v %v", l.Result, textOf(l.Value), l.Reason, l.Clears, l.Unreachable)
			if text != want {
				t.Fatalf("%s at %v: %s, want %s", given.condition, l.At, text, want)
			}
		}
		if kinds[alert.ResultTrue] == 0 || kinds[alert.ResultFalse] == 0 || kinds[alert.ResultNoData] == 0 && given.condition != "target_reachable < 1" {
			t.Errorf("%s: %v: the samples do not show every result", given.condition, kinds)
		}
	}
}

func textOf(value *float64) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprintf("%.4f", *value)
}

// evaluated is what the evaluator says at one moment, as it takes its inputs.
func (f *fixture) evaluated(d vault.DefinitionSpec, tenant []byte, at time.Time) string {
	f.Helper()
	return value[string](f, `
		SELECT e.result || ' ' || coalesce(round(e.evaluated_value, 4)::text, '-') || ' ' || coalesce(e.reason, '') || ' '
		       || (e.result = 'FALSE' AND ($2 = '' OR (monitoring.evaluate_condition($2, i.inputs)).result = 'TRUE')) || ' '
		       || (monitoring.unreachable_since('pg-1', $6) IS NOT NULL)
		  FROM monitoring.compile_condition($1) AS c
		 CROSS JOIN monitoring.compile_condition(coalesce(nullif($2, ''), $1)) AS k,
		       LATERAL (SELECT monitoring.condition_inputs($3, 'pg-1', $5, make_interval(mins => $7::integer), $6)
		                       || jsonb_strip_nulls(jsonb_build_object('threshold_value', nullif($4, '')::numeric))
		                       || monitoring.history_inputs(c.identifiers || k.identifiers, 'pg-1', $5, $6) AS inputs) AS i,
		       LATERAL monitoring.evaluate_condition($1, i.inputs) AS e`, d.Condition, d.Clear, d.Source, d.Threshold, tenant, at, d.LookbackMinutes)
}

func TestHistoryLooks_WithoutMeasurementsNothingIsKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	since := yesterday().Add(-36 * time.Hour).Truncate(time.Hour)
	f.measured(rand.New(rand.NewPCG(1, 1)), since.Add(12*time.Hour), "", "connection_usage_pct")
	d := spec("avg(connection_usage_pct, 1h, 1h ago) > 50")
	looks, err := f.history().Looks(t.Context(), d, vault.Subject{Target: "pg-1", Since: since, Until: since.Add(24 * time.Hour)}, nobodyFires)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, l := range looks {
		if l.Kept {
			kept++
		}
		if l.Kept && l.At.Before(since.Add(14*time.Hour)) {
			t.Fatalf("the look at %v reaches into a time of which nothing is kept", l.At)
		}
	}
	equal(f, "looks that are kept", kept, 120)
}

func TestHistory_CannotWrite(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := f.history()
	d := spec("connection_usage_pct > 1")
	d.Threshold = "0"
	if err := h.CheckDefinition(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	d.Condition = "connection_usage_pc > 1"
	if err := h.CheckDefinition(t.Context(), d, nil); err == nil {
		t.Error("an unknown metric is accepted")
	}
	d.Condition = `firing("NEW") == 1`
	if err := h.CheckDefinition(t.Context(), d, nil); err == nil {
		t.Error("an unknown definition is accepted")
	}
	if err := h.CheckDefinition(t.Context(), d, []string{"NEW"}); err != nil {
		t.Error(err)
	}
}

func TestCourse_DecidesAsTheVaultDoes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const seed = 7 // courses that come to every decision
	random := rand.New(rand.NewPCG(seed, 2))
	minutes := func(n int) int { return []int{0, 0, 5, 12, 30}[random.IntN(min(n, 5))] }
	seen := map[alert.Decision]int{}
	flapped := 0
	for run := range 24 {
		key := fmt.Sprintf("COURSE_%d", run)
		timing := alert.Timing{
			Pending: time.Duration(minutes(5)) * time.Minute, ClearFor: time.Duration(minutes(5)) * time.Minute,
			Suppress: time.Duration(minutes(5)*3) * time.Minute, NoData: []string{"NO_DATA", "ALERT", "OK", "KEEP"}[random.IntN(4)],
			NoDataAfter: time.Duration(minutes(4)) * time.Minute, AutoResolve: random.IntN(3) > 0,
			FireLooks: 1, OfLooks: 1, MinOpen: time.Duration(minutes(5)) * time.Minute, Reopen: time.Duration(minutes(5)*2) * time.Minute,
			FlapCount: []int{0, 2, 3, 4}[random.IntN(4)], FlapWindow: time.Duration(5+minutes(5)*2) * time.Minute,
		}
		if random.IntN(2) == 0 {
			timing.OfLooks = 2 + random.IntN(4)
			timing.FireLooks = 1 + random.IntN(timing.OfLooks)
		}
		if run%6 == 0 { // one that is sure to come and go
			timing = alert.Timing{NoData: timing.NoData, AutoResolve: true, FireLooks: 1, OfLooks: 1, Reopen: timing.Reopen, FlapCount: 2, FlapWindow: time.Hour}
		}
		f.define(key, row{
			"pending_minutes": timing.Pending.Minutes(), "clear_minutes": timing.ClearFor.Minutes(), "suppression_window_minutes": timing.Suppress.Minutes(),
			"no_data_state": timing.NoData, "no_data_minutes": timing.NoDataAfter.Minutes(), "auto_resolve": timing.AutoResolve,
			"clear_condition_logic": "connection_usage_pct < 50", "fire_looks": timing.FireLooks, "of_looks": timing.OfLooks,
			"min_open_minutes": timing.MinOpen.Minutes(), "reopen_minutes": timing.Reopen.Minutes(),
			"flap_count": timing.FlapCount, "flap_minutes": timing.FlapWindow.Minutes(),
		})
		course := alert.Course{Timing: timing}
		at := yesterday().Add(-20 * 24 * time.Hour)
		look := alert.Look{Result: alert.ResultFalse, Clears: true}
		for range 60 {
			at = at.Add(time.Duration(1+random.IntN(8)) * time.Minute)
			if random.IntN(80) == 0 {
				at = at.Add(8 * 24 * time.Hour) // nobody looked for long
			}
			var (
				in      inputs
				problem *string
			)
			if random.IntN(3) == 0 {
				look = alert.Look{Result: []alert.Result{alert.ResultTrue, alert.ResultTrue, alert.ResultFalse, alert.ResultFalse, alert.ResultNoData, alert.ResultError}[random.IntN(6)]}
				look.Clears = look.Result == alert.ResultFalse && random.IntN(4) > 0
			}
			look.At = at
			switch {
			case look.Result == alert.ResultTrue:
				in = usage(90)
			case look.Result == alert.ResultFalse && look.Clears:
				in = usage(10)
			case look.Result == alert.ResultFalse:
				in = usage(60)
			case look.Result == alert.ResultNoData:
				in = inputs{}
			default:
				text := "broken"
				in, problem = inputs{}, &text
			}
			got := course.Look(look)
			want := f.lookWith(key, at, in, problem)
			if string(look.Result)+" "+string(got) != want {
				t.Fatalf("run %d with %+v, at %v: %s %s, want %s", run, timing, at, look.Result, got, want)
			}
			seen[got]++
			flaps := value[bool](f, `SELECT coalesce(bool_or(flapping_since IS NOT NULL), false) FROM monitoring.alert_current WHERE alert_definition_bk = $1 AND alert_status <> 'RESOLVED'`, key)
			if flaps != course.Flapping() {
				t.Fatalf("run %d with %+v, at %v: flapping is %v, want %v", run, timing, at, course.Flapping(), flaps)
			}
			if flaps {
				flapped++
			}
			if got.Firing() && random.IntN(15) == 0 {
				f.exec(`SELECT monitoring.change_alert_state(alert_instance_hk, 'RESOLVED', $2, 'dana', 'test', NULL, NULL)
				          FROM monitoring.alert_current WHERE alert_definition_bk = $1 AND alert_status <> 'RESOLVED'`, key, at)
				course.Resolve()
			}
		}
	}
	for _, d := range []alert.Decision{alert.DecisionNone, alert.DecisionPending, alert.DecisionFired, alert.DecisionSuppressed, alert.DecisionUnsuppressed, alert.DecisionReopened, alert.DecisionHolding, alert.DecisionResolved} {
		if seen[d] == 0 {
			t.Errorf("no course came to %s", d)
		}
	}
	if flapped == 0 {
		t.Error("no alert was flapping")
	}
}

func TestHistoryLooks_OtherSourcesFindWhatTheEvaluatorFinds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	since := time.Now().UTC().Add(-6 * time.Hour).Truncate(time.Microsecond)
	for _, sql := range []string{
		`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, target_name)
		 SELECT util.hash_binary(k), k, 'local' FROM unnest(ARRAY['statement_period_s', 'target_reachable']) AS m, monitoring.health_key('local', NULL, m, '{}') AS k`,
		`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
		 SELECT util.hash_binary(monitoring.health_key('local', NULL, m, '{}')), '\x', m, 'PERFORMANCE',
		        CASE WHEN m = 'target_reachable' THEN (n <> 7)::integer WHEN n = 11 THEN 90000 ELSE 300 END, $1::timestamptz + n * interval '7 minutes'
		   FROM generate_series(0, 50) AS n, unnest(ARRAY['statement_period_s', 'target_reachable']) AS m WHERE n NOT BETWEEN 20 AND 24`,
		`INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk, target_name)
		 SELECT util.hash_binary(k), k, 'local' FROM generate_series(1, 8) AS i, LATERAL (SELECT util.bk('local', 'STATEMENT', i::text, 'SYSTEM') AS k) AS b`,
		`INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, query_hash, total_time_ms, mean_time_ms, calls,
		     measurement_period_start, measurement_period_end, performance_rating)
		 SELECT h.performance_metric_hk, '\x', 'x', 100 * random(), 1000 * random(), 10, at - CASE WHEN n % 9 = 0 THEN interval '9 days' ELSE interval '7 minutes' END, at,
		        (ARRAY['GOOD', 'POOR', 'CRITICAL'])[1 + (3 * random())::integer % 3]
		   FROM generate_series(0, 50) AS n, LATERAL (SELECT $1::timestamptz + n * interval '7 minutes' AS at) AS a, monitoring.performance_metric_h h
		  WHERE random() < 0.5 AND n <> 33`,
		`INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk, target_name)
		 SELECT util.hash_binary('S' || i), 'S' || i, 'local' FROM generate_series(1, 12) AS i`,
		`INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, investigation_status)
		 SELECT util.hash_binary('S' || i), '\x', 'X', (ARRAY['LOW', 'HIGH', 'CRITICAL'])[1 + i % 3], $1::timestamptz + i * i * interval '2 minutes',
		        CASE WHEN i = 5 THEN 'FALSE_POSITIVE' ELSE 'OPEN' END FROM generate_series(1, 12) AS i`,
		`INSERT INTO monitoring.security_detection (target_name, detected_at, detector, findings)
		 SELECT 'local', $1::timestamptz + i * interval '45 minutes', 'd', CASE WHEN i <> 3 THEN 0 END FROM generate_series(2, 4) AS i`,
		`INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk, target_name)
		 SELECT util.hash_binary('C' || i), 'C' || i, 'local' FROM generate_series(1, 3) AS i`,
		`INSERT INTO monitoring.capacity_metric_s (capacity_metric_hk, hash_diff, resource_type, utilization_percentage, projected_full_date, measurement_timestamp)
		 SELECT util.hash_binary('C' || i), '\x', 'DISK', 100 * random(), CASE WHEN i < 3 THEN current_date + (100 * random())::integer END, $1::timestamptz + n * interval '55 minutes'
		   FROM generate_series(1, 3) AS i, generate_series(0, 3) AS n`,
		`INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, load_date, record_source)
		 SELECT util.hash_binary('B' || i), 'B' || i, now(), 'TEST' FROM generate_series(1, 3) AS i`,
		`INSERT INTO backup_mgmt.backup_execution_s (backup_hk, load_date, hash_diff, backup_type, backup_start_time, backup_end_time, backup_status, record_source)
		 SELECT util.hash_binary('B' || i), now(), '\x', 'FULL', now() - i * interval '7 hours 50 minutes', now() - i * interval '7 hours', CASE WHEN i = 2 THEN 'COMPLETED' ELSE 'FAILED' END, 'TEST'
		   FROM generate_series(1, 3) AS i`,
		`INSERT INTO monitoring.incident_h (incident_hk, incident_bk) SELECT util.hash_binary('I' || i), 'I' || i FROM generate_series(1, 4) AS i`,
		`INSERT INTO monitoring.incident_s (incident_hk, hash_diff, incident_title, incident_status, incident_severity, incident_priority, created_timestamp, sla_breach)
		 SELECT util.hash_binary('I' || i), '\x', 'x', (ARRAY['OPEN', 'INVESTIGATING', 'RESOLVED', 'OPEN'])[i], 'HIGH', 'P2', now() - i * interval '70 minutes', false
		   FROM generate_series(1, 4) AS i`,
		`INSERT INTO monitoring.compliance_check_h (compliance_check_hk, compliance_check_bk, target_name)
		 SELECT util.hash_binary('K' || i), 'K' || i, 'local' FROM generate_series(1, 4) AS i`,
		`INSERT INTO monitoring.compliance_check_s (compliance_check_hk, hash_diff, compliance_framework, check_name, check_status, remediation_required, remediation_priority, remediation_deadline)
		 SELECT util.hash_binary('K' || i), '\x', 'SOX', 'x', (ARRAY['COMPLIANT', 'NON_COMPLIANT', 'NON_COMPLIANT', 'NOT_TESTED'])[i], i = 2, 'CRITICAL', current_date - 1
		   FROM generate_series(1, 4) AS i`,
	} {
		if strings.Contains(sql, "$1") {
			f.exec(sql, since)
		} else {
			f.exec(sql)
		}
	}
	f.exec(`INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('C'), 'C')`)
	fired := f.fire("TOLD")
	for i, status := range []string{"DELIVERED", "FAILED", "PENDING"} {
		f.exec(`SELECT monitoring.record_notification(jsonb_build_object('alert_key', $1::text, 'channel_key', 'C', 'channel_type', 'EMAIL', 'recipient', $2::text,
		            'event', 'FIRED', 'delivery_key', $2::text, 'status', $3::text, 'attempt', 1, 'at', now()))`, fired, fmt.Sprint("r", i), status)
	}
	// Of a channel with enough of them for a rate, until they are a day old.
	f.exec(`INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('D'), 'D')`)
	f.exec(`SELECT monitoring.record_notification(jsonb_build_object('alert_key', $1::text, 'channel_key', 'D', 'channel_type', 'EMAIL', 'recipient', i::text,
	            'event', 'FIRED', 'delivery_key', i::text, 'status', CASE i WHEN 1 THEN 'BOUNCED' ELSE 'DELIVERED' END, 'attempt', 1, 'at', now() - interval '22 hours'))
	          FROM generate_series(1, 22) AS i`, fired)
	// And of one whose circuit refused the last of them.
	f.exec(`INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk) VALUES (util.hash_binary('E'), 'E')`)
	f.exec(`SELECT monitoring.record_notification(jsonb_build_object('alert_key', $1::text, 'channel_key', 'E', 'channel_type', 'EMAIL', 'recipient', i::text,
	            'event', 'FIRED', 'delivery_key', 'e' || i, 'status', 'PENDING', 'class', 'NOT_SENT', 'reason', 'circuit open since then', 'attempt', 1,
	            'at', now() - make_interval(mins => 7 * i))) FROM generate_series(0, 1) AS i`, fired)
	h := f.history()
	now := time.Now().UTC()
	for _, source := range []string{"performance", "security_events", "capacity", "backup_failures", "incidents", "compliance", "notifications"} {
		found := map[string]bool{}
		// What is no measurement is as it stood at the time; so it is asked for of the hours to come.
		from, until := since, now
		if !slices.Contains([]string{"performance", "security_events", "capacity"}, source) {
			from, until = now, now.Add(8*time.Hour)
		}
		for _, identifier := range column[string](f, "SELECT identifier FROM monitoring.condition_identifier WHERE metric_source = $1", source) {
			d := spec(identifier + " >= 0")
			d.Source, d.EveryMinutes = source, 3
			looks, err := h.Looks(t.Context(), d, vault.Subject{Target: "local", Since: from, Until: until}, nobodyFires)
			if err != nil {
				t.Fatal(err)
			}
			for n, l := range looks {
				if n%5 != 0 {
					continue
				}
				want := value[string](f, `SELECT coalesce(round((monitoring.condition_inputs($1, 'local', NULL, '10 minutes', $2) ->> $3)::numeric, 4)::text, '-')`, source, l.At, identifier)
				if got := textOf(l.Value); got != want {
					t.Fatalf("%s at %v: %s, want %s", identifier, l.At, got, want)
				}
				found[identifier+" "+want] = true
			}
		}
		if len(found) < 3 {
			t.Errorf("%s: the rows show only %v", source, found)
		}
		// What came later was not known then.
		d := spec(map[string]string{"backup_failures": "failed_backup_count >= 0", "compliance": "non_compliant_count >= 0"}[source])
		if d.Source = source; d.Condition != "" {
			looks, err := h.Looks(t.Context(), d, vault.Subject{Target: "local", Since: since, Until: since.Add(time.Hour)}, nobodyFires)
			if err != nil || looks[0].Result != alert.ResultNoData {
				t.Errorf("%s: before its rows came: %+v, %v", source, looks[0], err)
			}
		}
	}
}

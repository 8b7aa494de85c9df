package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

// onSQL makes a definition that fires when its SQL yields more than 2.
func (f *fixture) onSQL(key, sql string) {
	f.Helper()
	f.define(key, row{"metric_source": "sql", "condition_sql": sql, "condition_logic": "value > 2", "threshold_value": nil, "evaluation_frequency_minutes": 1})
}

// manySamples are enough to make a join of three of them last for ever.
func (f *fixture) manySamples() {
	f.Helper()
	f.exec(`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk) VALUES (util.hash_binary('M'), 'M')`)
	f.exec(`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
	        SELECT util.hash_binary('M'), '\x', 'm', 'PERFORMANCE', 1, now() - n * interval '1 second' FROM generate_series(1, 3000) AS n`)
}

// measure runs the SQL that is due, and evaluates; it returns each result with the reason of an error.
func (f *fixture) measure() map[string]string {
	f.Helper()
	if err := f.store.MeasureSQL(f.Context(), "local", 0); err != nil {
		f.Fatal(err)
	}
	evaluations, err := f.store.EvaluateDue(f.Context(), "local", time.Nanosecond)
	if err != nil {
		f.Fatal(err)
	}
	results := map[string]string{}
	for _, e := range evaluations {
		results[e.DefinitionKey] = strings.TrimSpace(e.Result + " " + value[string](f, `
			SELECT coalesce(reason, '') FROM monitoring.alert_evaluation_s WHERE alert_definition_hk = util.hash_binary($1) ORDER BY evaluated_at DESC LIMIT 1`, e.DefinitionKey))
	}
	return results
}

func TestMeasureSQL_IsWhatTheEvaluationReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	_, address := f.loginAs("onevault_worker")
	f.store = f.open(address)
	f.exec("SELECT monitoring.allow_raw_sql(true, 'test')")
	for range 3 {
		f.sample("connection_usage_pct", 90)
	}
	f.manySamples()
	f.onSQL("MANY", "SELECT count(*) FROM health WHERE target_name = $1 AND measured_at <= $2")
	f.onSQL("FEW", "SELECT count(*) FROM incidents")
	f.onSQL("NONE", "SELECT metric_value FROM health WHERE metric_name = 'no such'")
	f.onSQL("TWO_ROWS", "SELECT metric_value FROM health")
	f.onSQL("DIVIDES", "SELECT sum(metric_value) / (count(*) - count(*)) FROM health")
	f.onSQL("SLOW", "SELECT count(*) FROM health a, health b, health c WHERE a.metric_value + b.metric_value + c.metric_value < 0")
	got := f.measure()
	for key, want := range map[string]string{
		"MANY": "TRUE", "FEW": "FALSE", "NONE": "NO_DATA no value of value",
		"TWO_ROWS": "ERROR the source sql could not be read: its SQL failed: more than one row returned by a subquery used as an expression (SQLSTATE 21000)",
		"DIVIDES":  "ERROR the source sql could not be read: its SQL failed: division by zero (SQLSTATE 22012)",
		"SLOW":     "ERROR the source sql could not be read: its SQL took longer than 2s",
	} {
		if got[key] != want {
			t.Errorf("%s: %q, want %q", key, got[key], want)
		}
	}
	// Each is run when it is due, and not before.
	before := value[time.Time](f, "SELECT max(measured_at) FROM monitoring.sql_value")
	if err := f.store.MeasureSQL(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	equal(f, "when the SQL was run last", value[time.Time](f, "SELECT max(measured_at) FROM monitoring.sql_value").UTC(), before.UTC())
	if left := value[int](f, "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onevault raw sql' AND state = 'active'"); left != 0 {
		t.Errorf("%d sessions still run SQL", left)
	}

	state, err := f.store.RawSQL(t.Context())
	if err != nil || !state.Allowed || !state.Sandboxed || state.Why != "test" || len(state.Definitions) != 6 || time.Since(state.Since) > time.Hour {
		t.Errorf("the switch is %+v, %v", state, err)
	}
}

func TestMeasureSQL_SlowOnesLeaveTimeForTheOthersOfTheRound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.exec("SELECT monitoring.allow_raw_sql(true, 'test')")
	f.manySamples()
	for _, key := range []string{"A", "B", "C", "D"} {
		f.onSQL(key, "SELECT count(*) FROM health a, health b, health c WHERE a.metric_value + b.metric_value + c.metric_value < 0")
	}
	got := f.measure()
	if !strings.HasSuffix(got["A"], "took longer than 2s") || !strings.Contains(got["D"], "it was not run") || !strings.HasPrefix(got["D"], "ERROR") {
		t.Errorf("the looks are %v", got)
	}
}

func TestHistoryLooks_OfRawSQLAreThoseThatWereRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.exec("SELECT monitoring.allow_raw_sql(true, 'test')")
	const sql = "SELECT count(*) FROM alerts WHERE target_name = $1"
	f.onSQL("TRIED", sql)
	d := spec("value > 2")
	d.Source, d.SQL, d.EveryMinutes, d.LookbackMinutes = "sql", sql, 5, 10
	since := time.Now().UTC().Add(-time.Hour).Truncate(5 * time.Minute)
	in := vault.Subject{Target: "local", Since: since, Until: since.Add(30 * time.Minute)}
	_, err := f.history().Looks(t.Context(), d, in, nobodyFires)
	if none := (*vault.NoHistoryError)(nil); !errors.As(err, &none) || !strings.Contains(none.Why, "never run") {
		t.Errorf("without any record: %v", err)
	}

	// 7, an error, nothing for three looks, then 1 and no value.
	problem := "its SQL failed"
	for _, look := range []struct {
		minute  int
		in      inputs
		problem *string
	}{{0, inputs{"value": 7}, nil}, {5, inputs{}, &problem}, {20, inputs{"value": 1}, nil}, {25, inputs{}, nil}} {
		f.lookWith("TRIED", since.Add(time.Duration(look.minute)*time.Minute), look.in, look.problem)
	}
	looks, err := f.history().Looks(t.Context(), d, in, nobodyFires)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range looks {
		if l.Kept {
			got = append(got, string(l.Result))
		} else {
			got = append(got, "-")
		}
	}
	equal(f, "the looks", strings.Join(got, " "), "TRUE - - - FALSE NO_DATA")

	// Other SQL has no history of its own.
	d.SQL = "SELECT count(*) + 0 FROM alerts WHERE target_name = $1"
	if _, err := f.history().Looks(t.Context(), d, in, nobodyFires); err == nil {
		t.Error("SQL that was never run has looks")
	}
	if err := f.history().CheckDefinition(t.Context(), d, nil); err != nil {
		t.Error(err)
	}
	d.SQL = "SELECT pg_sleep(1) IS NULL"
	if err := f.history().CheckDefinition(t.Context(), d, nil); err == nil || !strings.Contains(err.Error(), "pg_sleep") {
		t.Errorf("SQL that is not allowed is taken: %v", err)
	}
}

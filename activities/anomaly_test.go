package activities

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/anomaly"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// past puts a metric into the vault, a sample each five minutes in the days before a moment. value is SQL over `at`.
func past(t testing.TB, store *vault.Store, metric, unit string, now time.Time, days float64, value string) {
	t.Helper()
	from := now.Add(-time.Duration(days * 24 * float64(time.Hour)))
	exec(t, store.Pool(), "SELECT monitoring.ensure_partitions($1::date, $2::date + 14)", from, now)
	exec(t, store.Pool(), `
		INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, record_source, target_name)
		SELECT util.hash_binary(bk), bk, 'TEST', 'local' FROM (SELECT util.bk('local', 'HEALTH', $1, 'SYSTEM') AS bk) AS k`, metric)
	exec(t, store.Pool(), fmt.Sprintf(`
		INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, metric_unit, measurement_timestamp, record_source)
		SELECT monitoring.health_metric_key('local', $1), '\x', $1, 'PERFORMANCE', %s, $2, at, 'TEST'
		  FROM generate_series($3::timestamptz, $4::timestamptz - interval '1 minute', '5 minutes') AS at`, value), metric, unit, from, now)
}

// dayAndNight is a season with a little noise, the same in every run.
const dayAndNight = `200 + 100 * sin(extract(hour FROM at AT TIME ZONE 'UTC') * pi() / 12) + 4 * sin(extract(epoch FROM at)::numeric::float8)`

func exec(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func measured(t *testing.T, store *vault.Store, at time.Time, metric, unit string, value *float64, reason string) {
	t.Helper()
	if _, err := store.RecordHealth(t.Context(), "local", at, 5*time.Minute, []vault.Sample{
		{Name: metric, Category: "PERFORMANCE", Unit: unit, Value: value, Source: "test", Error: reason},
	}); err != nil {
		t.Fatal(err)
	}
}

// recently leaves room for a story that ends before now.
func recently() time.Time { return time.Now().UTC().Truncate(5 * time.Minute).Add(-20 * time.Minute) }

type recorded struct {
	At       time.Time
	State    string
	Score    *float64
	Median   *float64
	Outside  int
	Reason   *string
	Baseline bool
}

func scoresOf(t *testing.T, store *vault.Store, metric string) []recorded {
	t.Helper()
	rows, err := store.Pool().Query(t.Context(), `
		SELECT measured_at, anomaly_state, score, median, outside_count, reason,
		       EXISTS (SELECT FROM monitoring.anomaly_baseline_s b WHERE b.health_metric_hk = s.health_metric_hk AND b.load_date = s.baseline_load_date)
		  FROM monitoring.anomaly_score_s s WHERE metric_name = $1 ORDER BY measured_at`, metric)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[recorded])
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func score(t *testing.T, store *vault.Store, at time.Time) ScoreAnomaliesOutput {
	t.Helper()
	out, err := (&Collection{Vault: store}).ScoreAnomalies(t.Context(), ScoreAnomaliesInput{Target: "local", At: at})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ptr(value float64) *float64 { return &value }

// usually is what dayAndNight gives at a moment, without its noise.
func usually(at time.Time) float64 { return 200 + 100*math.Sin(float64(at.UTC().Hour())*math.Pi/12) }

func TestScoreAnomalies_JudgesWhatWasMeasuredAndTellsInWords(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	past(t, store, "transactions_per_s", "1/s", now, 28, dayAndNight)

	first := score(t, store, now)
	if !slices.Equal(first.Learned, []string{"transactions_per_s"}) || first.Scored != 11 || len(first.Anomalous) > 0 {
		t.Fatalf("the first run: %+v", first)
	}
	for i := range 4 {
		measured(t, store, now.Add(time.Duration(i)*5*time.Minute), "transactions_per_s", "1/s", ptr(1000), "")
	}
	at := now.Add(16 * time.Minute)
	out := score(t, store, at)
	if out.Scored != 4 || len(out.Learned) > 0 || !slices.Equal(out.Anomalous, []string{"transactions_per_s"}) {
		t.Fatalf("after four wild samples: %+v", out)
	}
	if again := score(t, store, at); again.Scored != 0 {
		t.Errorf("judged again: %+v", again)
	}
	rows := scoresOf(t, store, "transactions_per_s")
	var states string
	for i, r := range rows {
		states += r.State[:1]
		if !r.Baseline {
			t.Errorf("row %d names no baseline", i)
		}
		if math.Abs(*r.Median-usually(r.At)) > 5 {
			t.Errorf("usual at %s is %v, want %v", r.At, *r.Median, usually(r.At))
		}
	}
	if states != "NNNNNNNNNNNNNAA" {
		t.Errorf("states %s", states)
	}
	if last := rows[len(rows)-1]; last.Outside != 4 || *last.Score < 20 {
		t.Errorf("the last: %+v", last)
	}

	// The conditions are told, and the alert says which metric, what is usual, and since when.
	var inputs struct {
		Count   int     `json:"anomalous_metric_count"`
		High    int     `json:"high_metric_count"`
		Low     int     `json:"low_metric_count"`
		Worst   float64 `json:"worst_score"`
		Judged  int     `json:"judged_metric_count"`
		Because string  `json:"because"`
	}
	if err := store.Pool().QueryRow(t.Context(), "SELECT monitoring.condition_inputs('anomaly', 'local', NULL, '10 minutes', $1)", at).Scan(&inputs); err != nil {
		t.Fatal(err)
	}
	since := "since " + now.Format("2006-01-02 15:04 UTC")
	if inputs.Count != 1 || inputs.High != 1 || inputs.Low != 0 || inputs.Worst < 20 || inputs.Judged != 1 ||
		!strings.HasPrefix(inputs.Because, "transactions_per_s is 1000 1/s, usually ") || !strings.Contains(inputs.Because, since) {
		t.Errorf("inputs %+v, want %q", inputs, since)
	}
	if _, err := store.EvaluateDue(t.Context(), "local", 0); err != nil {
		t.Fatal(err)
	}
	var reason string
	var agrees bool
	if err := store.Pool().QueryRow(t.Context(), `
		SELECT s.trigger_details ->> 'reason', e.agrees
		  FROM monitoring.alert_definition_h d JOIN monitoring.alert_instance_h h USING (alert_definition_hk) JOIN monitoring.alert_instance_s s USING (alert_instance_hk),
		       LATERAL monitoring.explain_alert(h.alert_instance_hk) AS e
		 WHERE d.alert_definition_bk = 'METRIC_ANOMALY'`).Scan(&reason, &agrees); err != nil {
		t.Fatal(err)
	}
	if reason != inputs.Because || !agrees {
		t.Errorf("the alert says %q and explaining agrees: %t; want %q", reason, agrees, inputs.Because)
	}
	outbox, err := store.TakeOutbox(t.Context())
	if err != nil || outbox == nil {
		t.Fatalf("the outbox: %v, %v", outbox, err)
	}
	defer outbox.Release()
	unrelayed, err := outbox.Unrelayed(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(unrelayed, func(r vault.OutboxRow) bool { return r.Definition.Key == "METRIC_ANOMALY" }); i < 0 || unrelayed[i].Alert.Reason != reason {
		t.Errorf("the workflow is told %+v", unrelayed)
	}
	var together int
	if err := store.Pool().QueryRow(t.Context(), `
		SELECT count(*) FROM monitoring.alert_definition_h JOIN monitoring.alert_instance_h USING (alert_definition_hk)
		 WHERE alert_definition_bk = 'METRICS_ANOMALOUS_TOGETHER'`).Scan(&together); err != nil || together != 0 {
		t.Errorf("%d alerts of several metrics, %v", together, err)
	}
}

func TestScoreAnomalies_UnderAWeekOfHistorySaysSoAndFiresNothing(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	past(t, store, "wal_bytes_per_s", "B/s", now, 3.5, "1000")
	measured(t, store, now, "wal_bytes_per_s", "B/s", ptr(1e12), "")
	out := score(t, store, now.Add(time.Minute))
	rows := scoresOf(t, store, "wal_bytes_per_s")
	if len(rows) == 0 || len(out.Anomalous) > 0 {
		t.Fatalf("%+v, %d rows", out, len(rows))
	}
	for _, r := range rows {
		if r.State != string(anomaly.Learning) || r.Score != nil || r.Reason == nil || !strings.Contains(*r.Reason, "3.5 of 7 days") {
			t.Fatalf("got %+v", r)
		}
	}
	var inputs string
	if err := store.Pool().QueryRow(t.Context(), "SELECT monitoring.condition_inputs('anomaly', 'local', NULL, '10 minutes', $1)", now).Scan(&inputs); err != nil || inputs != "{}" {
		t.Errorf("inputs %s, %v: nothing is known", inputs, err)
	}
	if again := score(t, store, now.Add(2*time.Minute)); len(again.Learned) > 0 {
		t.Errorf("learned again at once: %+v", again)
	}
	if later := score(t, store, now.Add(7*time.Hour)); len(later.Learned) != 1 {
		t.Errorf("not learned again hours later: %+v", later)
	}
}

func TestScoreAnomalies_WhatIsMissingIsUnknownAndClearsNothing(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	past(t, store, "total_connections", "connections", now, 28, dayAndNight)
	for i, value := range []*float64{ptr(0), ptr(0), ptr(0), nil, nil} {
		reason := ""
		if value == nil {
			reason = "permission denied for pg_stat_activity"
		}
		measured(t, store, now.Add(time.Duration(i)*5*time.Minute), "total_connections", "connections", value, reason)
	}
	score(t, store, now.Add(21*time.Minute))
	rows := scoresOf(t, store, "total_connections")
	last := rows[len(rows)-1]
	if last.State != string(anomaly.Unknown) || last.Reason == nil || !strings.Contains(*last.Reason, "permission denied") || last.Score != nil {
		t.Errorf("the last: %+v", last)
	}
	count := func(at time.Time) *int {
		var n *int
		if err := store.Pool().QueryRow(t.Context(), `
			SELECT (monitoring.condition_inputs('anomaly', 'local', NULL, '10 minutes', $1) ->> 'anomalous_metric_count')::integer`, at).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(now.Add(21 * time.Minute)); n == nil || *n != 1 {
		t.Errorf("%v anomalous metrics while it is unknown, want still 1", n)
	}
	if n := count(now.Add(50 * time.Minute)); n != nil {
		t.Errorf("%v anomalous metrics when nothing was judged for long, want no value", *n)
	}
}

func TestScoreAnomalies_LearnsFromHoursWhereTheSamplesHaveLeft(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	from := now.AddDate(0, 0, -21)
	exec(t, store.Pool(), "SELECT monitoring.ensure_partitions($1::date, $2::date + 14)", from, now)
	past(t, store, "active_connections", "connections", now, 9, "10 + sin(extract(epoch FROM at)::numeric::float8)")
	exec(t, store.Pool(), `
		INSERT INTO monitoring.system_health_metric_hourly_s (health_metric_hk, hash_diff, hour_start, metric_name, metric_category, sample_count, value_count,
		    min_value, avg_value, max_value, normal_count, warning_count, critical_count, unknown_count, first_sample_at, last_sample_at)
		SELECT monitoring.health_metric_key('local', 'active_connections'), '\x', hour, 'active_connections', 'PERFORMANCE', 12, 12, 9, 10, 11, 12, 0, 0, 0, hour, hour
		  FROM generate_series(date_trunc('hour', $1::timestamptz), $2, '1 hour') AS hour`, from, now)
	history, err := store.AnomalyHistory(t.Context(), "local", "active_connections", now)
	if err != nil {
		t.Fatal(err)
	}
	if days := now.Sub(slices.MinFunc(history, func(a, b anomaly.Sample) int { return a.At.Compare(b.At) }).At).Hours() / 24; days < 20.5 || len(history) < 9*288+12*72 || len(history) > 9*288+13*72 {
		t.Errorf("%d samples over %v days", len(history), days)
	}
	score(t, store, now)
	var kinds string
	if err := store.Pool().QueryRow(t.Context(), "SELECT bucket_kinds FROM monitoring.anomaly_baseline_s WHERE load_end_date IS NULL AND metric_name = 'active_connections'").Scan(&kinds); err != nil {
		t.Fatal(err)
	}
	if strings.Count(kinds, "W") < 100 {
		t.Errorf("learned from %s", kinds)
	}
}

func TestScoreAnomalies_ASettingIsObeyedAtTheNextSample(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	past(t, store, "blocked_backends", "count", now, 28, "0")
	set := func(change map[string]any, enabled *bool) {
		if err := store.SetAnomaly(t.Context(), "blocked_backends", change, enabled); err != nil {
			t.Fatal(err)
		}
	}
	set(map[string]any{"samples": 1, "time_zone": "Asia/Kolkata"}, nil)
	measured(t, store, now, "blocked_backends", "count", ptr(40), "")
	if out := score(t, store, now.Add(time.Minute)); len(out.Anomalous) != 1 {
		t.Errorf("one sample was to be enough: %+v", out)
	}
	var zone string
	if err := store.Pool().QueryRow(t.Context(), "SELECT time_zone FROM monitoring.anomaly_baseline_s WHERE load_end_date IS NULL").Scan(&zone); err != nil || zone != "Asia/Kolkata" {
		t.Errorf("learned by the hours of %q, %v", zone, err)
	}
	set(map[string]any{"time_zone": "UTC"}, nil)
	if out := score(t, store, now.Add(2*time.Minute)); len(out.Learned) != 1 {
		t.Errorf("other hours, the same baseline: %+v", out)
	}
	off := false
	set(nil, &off)
	measured(t, store, now.Add(5*time.Minute), "blocked_backends", "count", ptr(40), "")
	if out := score(t, store, now.Add(6*time.Minute)); out.Scored != 0 {
		t.Errorf("judged although it is switched off: %+v", out)
	}
	for field, change := range map[string]map[string]any{
		"direction":     {"direction": "UP"},
		"score":         {"score": 0},
		"samples":       {"samples": 1.5},
		"time_zone":     {"time_zone": "Mars/Base"},
		"'sensitivity'": {"sensitivity": 6},
		"least_spread":  {"least_spread": "much"},
	} {
		if err := store.SetAnomaly(t.Context(), "blocked_backends", change, nil); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v: %v", change, err)
		}
	}
	if err := store.SetAnomaly(t.Context(), "bloked_backends", nil, nil); err == nil || !strings.Contains(err.Error(), `Did you mean "blocked_backends"`) {
		t.Errorf("a wrong name: %v", err)
	}
}

// The database and the package count the hours of the week alike.
func TestHourOfWeek_IsTheSameInSQL(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	for _, name := range []string{"UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Date(2026, 3, 27, 0, 10, 0, 0, time.UTC); at.Day() != 3; at = at.Add(37 * time.Minute) {
			var hour int
			if err := store.Pool().QueryRow(t.Context(), "SELECT monitoring.hour_of_week($1, $2)", at, name).Scan(&hour); err != nil {
				t.Fatal(err)
			}
			if want := anomaly.HourOfWeek(at, zone) + 1; hour != want {
				t.Fatalf("%s in %s: %d, want %d", at, name, hour, want)
			}
		}
	}
}

func TestScoreAnomalies_TwoAtOnceRecordEachSampleOnce(t *testing.T) {
	t.Parallel()
	store, _ := openVault(t)
	now := recently()
	past(t, store, "transactions_per_s", "1/s", now, 10, dayAndNight)
	done := make(chan error)
	for range 4 {
		go func() {
			_, err := (&Collection{Vault: store}).ScoreAnomalies(t.Context(), ScoreAnomaliesInput{Target: "local", At: now})
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if rows := scoresOf(t, store, "transactions_per_s"); len(rows) != 11 {
		t.Errorf("%d rows, want 11", len(rows))
	}
	var versions int
	if err := store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM monitoring.anomaly_baseline_s").Scan(&versions); err != nil || versions != 1 {
		t.Errorf("%d versions of the baseline, %v", versions, err)
	}
}

// One tick of all default metrics of a target with a month of history, in milliseconds of CPU of the server's processes,
// which a busy machine does not lengthen. It reads them where Linux shows them.
func BenchmarkScoreAnomalies(b *testing.B) {
	store, err := vault.Open(b.Context(), pgtest.DB(b))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	now := time.Now().UTC().Truncate(5 * time.Minute).Add(-24 * time.Hour)
	rows, err := store.Pool().Query(b.Context(), "SELECT metric_name FROM monitoring.anomaly_settings() ORDER BY 1")
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		b.Fatal(err)
	}
	for _, metric := range metrics {
		past(b, store, metric, "1/s", now, 28, dayAndNight)
	}
	exec(b, store.Pool(), "ANALYZE")
	collection := &Collection{Vault: store}
	spent := func() (ms float64) {
		rows, err := store.Pool().Query(b.Context(), "SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
		if err != nil {
			b.Fatal(err)
		}
		pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
		if err != nil {
			b.Fatal(err)
		}
		for _, pid := range pids {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
			if err != nil {
				b.Skip("the processes of the server are not on this machine: ", err)
			}
			var nanoseconds float64
			if _, err := fmt.Sscan(string(text), &nanoseconds); err != nil {
				b.Fatal(err)
			}
			ms += nanoseconds / 1e6
		}
		return ms
	}
	run := func(at time.Time) ScoreAnomaliesOutput {
		out, err := collection.ScoreAnomalies(b.Context(), ScoreAnomaliesInput{Target: "local", At: at})
		if err != nil {
			b.Fatal(err)
		}
		return out
	}
	before, learned := spent(), 0
	for learned < len(metrics) {
		learned += len(run(now).Learned)
	}
	learning := (spent() - before) / float64(learned)

	var samples []vault.Sample
	for _, metric := range metrics {
		samples = append(samples, vault.Sample{Name: metric, Category: "PERFORMANCE", Unit: "1/s", Value: ptr(200), Source: "test"})
	}
	judging, scored := 0.0, 0
	for b.Loop() {
		b.StopTimer()
		now = now.Add(5 * time.Minute)
		if _, err := store.RecordHealth(b.Context(), "local", now, 5*time.Minute, samples); err != nil {
			b.Fatal(err)
		}
		before := spent()
		b.StartTimer()
		scored += run(now.Add(time.Second)).Scored
		b.StopTimer()
		judging += spent() - before
		b.StartTimer()
	}
	if scored != b.N*len(metrics) {
		b.Errorf("%d samples were judged, want %d", scored, b.N*len(metrics))
	}
	b.ReportMetric(judging/float64(b.N), "server-cpu-ms/tick")
	b.ReportMetric(learning, "server-cpu-ms/baseline")
	b.ReportMetric(float64(len(metrics)), "metrics")
}

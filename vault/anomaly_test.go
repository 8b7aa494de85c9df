package vault_test

import (
	"testing"
	"time"

	"onevault/anomaly"
	"onevault/vault"
)

func TestAnomalies_TheWorkerRecordsAndPeopleSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, address := f.loginAs("onevault_worker")
	worker := f.open(address)
	_, address = f.loginAs("onevault_operator")
	operator := f.open(address)
	ctx, at := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	f.sample("transactions_per_s", 90)

	metrics, err := worker.JudgedMetrics(ctx, "local", at.Add(time.Second))
	if err != nil || len(metrics) != 1 || metrics[0].Name != "transactions_per_s" || len(metrics[0].Samples) != 1 || !metrics[0].LearnedAt.IsZero() {
		t.Fatalf("to be judged are %+v, %v", metrics, err)
	}
	baseline := &anomaly.Baseline{From: at.Add(-time.Hour), To: at, Samples: 12, Hours: 1, Level: 80, Widened: 1}
	for i := range baseline.Buckets {
		baseline.Buckets[i] = anomaly.Bucket{Kind: anomaly.HourOfDayKind, Median: float64(i), MAD: 1, Spread: 2, Samples: 12}
	}
	for range 2 { // as a retry does
		if err := worker.RecordBaseline(ctx, "local", "transactions_per_s", "UTC", at, baseline, anomaly.Progress{Hours: 1}, 12, ""); err != nil {
			t.Fatal(err)
		}
	}
	equal(f, "versions of the baseline", value[int](f, "SELECT count(*) FROM monitoring.anomaly_baseline_s"), 1)
	metrics, err = worker.JudgedMetrics(ctx, "local", at.Add(time.Second))
	if err != nil || len(metrics) != 1 || len(metrics[0].Samples) != 1 {
		t.Fatalf("to be judged are %+v, %v", metrics, err)
	}
	m := metrics[0]
	want := baseline.Buckets[anomaly.HourOfWeek(m.Samples[0].At, nil)]
	if m.Samples[0].Bucket != want || !m.LearnedAt.Equal(at) || m.BaselineZone != "UTC" || m.Rule.Direction != anomaly.Both {
		t.Errorf("judged by %+v of %+v, want %+v", m.Samples[0].Bucket, m, want)
	}
	verdict := anomaly.Judge(m.Rule, m.Samples[0].Bucket, anomaly.Sample{At: m.Samples[0].At, Value: 90}, m.Last)
	scores := []vault.AnomalyScore{vault.JudgedScore(m, m.Samples[0], verdict)}
	for _, want := range []int{1, 0} {
		if n, err := worker.RecordScores(ctx, "local", scores); err != nil || n != want {
			t.Errorf("recorded %d, %v; want %d", n, err, want)
		}
	}
	if metrics, err = worker.JudgedMetrics(ctx, "local", at.Add(time.Second)); err != nil || len(metrics) != 1 || len(metrics[0].Samples) != 0 {
		t.Errorf("what was judged is to be judged again: %+v, %v", metrics, err)
	}

	change := map[string]any{"score": 9}
	if err := operator.SetAnomaly(ctx, "transactions_per_s", change, nil); err != nil {
		t.Errorf("an operator may not set: %v", err)
	}
	if list, err := operator.Anomalies(ctx, "", at.Add(time.Minute)); err != nil || len(list) != 1 || list[0].Sensitivity != 9 {
		t.Errorf("an operator sees %+v, %v", list, err)
	}
	if err := worker.SetAnomaly(ctx, "transactions_per_s", change, nil); code(err) != "42501" {
		t.Errorf("a worker may set: %v", err)
	}
	if _, err := operator.RecordScores(ctx, "local", scores); code(err) != "42501" {
		t.Errorf("an operator may record: %v", err)
	}
}

package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"onevault/anomaly"
	"onevault/vault"
)

// unusual is a vault with three days of judged metrics: the load fell an hour ago, WAL is as usual, another is learned,
// and one has no value.
func unusual(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	l.sql("SELECT monitoring.ensure_partitions('2026-03-30', '2026-05-11')")
	for target, metrics := range map[string]string{
		"local":     "'transactions_per_s', 'wal_bytes_per_s', 'blocked_backends', 'total_connections'",
		"pg-prod-3": "'wal_bytes_per_s'",
	} {
		l.sql(`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, target_name)
		       SELECT util.hash_binary(bk), bk, '` + target + `' FROM unnest(ARRAY[` + metrics + `]) AS m, LATERAL (SELECT util.bk('` + target + `', 'HEALTH', m, 'SYSTEM') AS bk) AS k`)
	}
	rule := anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3}
	judged := func(metric, unit string, direction anomaly.Direction, spread float64, value func(hours float64) (usual, measured float64)) []vault.AnomalyScore {
		var scores []vault.AnomalyScore
		var last anomaly.Verdict
		rule.Direction = direction
		m := vault.JudgedMetric{Name: metric, Rule: rule, Baseline: now.Add(-13 * time.Hour)}
		for at := now.Add(-72*time.Hour + 2*time.Minute); at.Before(now); at = at.Add(20 * time.Minute) {
			usual, measured := value(at.Sub(now).Hours())
			bucket := anomaly.Bucket{Kind: anomaly.HourOfWeekKind, Median: usual, MAD: spread / 2, Spread: spread, Samples: 48}
			last = anomaly.Judge(rule, bucket, anomaly.Sample{At: at, Value: measured}, last)
			scores = append(scores, vault.JudgedScore(m, vault.PendingSample{At: at, Value: &measured, Unit: unit, Bucket: bucket}, last))
		}
		return scores
	}
	load := func(h float64) (float64, float64) {
		usual := 300 + 200*math.Sin(h*math.Pi/12)
		if h > -1.5 {
			return usual, 12
		}
		return usual, usual + 15*math.Sin(7*h)
	}
	wal := func(h float64) (float64, float64) { return 4 << 20, 4<<20 + 1e5*math.Sin(5*h) }
	connections := 42.0
	l.scored("local", judged("transactions_per_s", "1/s", anomaly.Both, 20, load))
	l.scored("local", judged("wal_bytes_per_s", "B/s", anomaly.High, 1<<18, wal))
	l.scored("local", []vault.AnomalyScore{
		{Metric: "blocked_backends", At: now.Add(-2 * time.Minute), Unit: "count", State: anomaly.Unknown, Reason: "permission denied for pg_stat_activity"},
		{Metric: "total_connections", At: now.Add(-2 * time.Minute), Value: &connections, Unit: "connections", State: anomaly.Learning, Reason: "too little history: 3.5 of 7 days, 84 of 100 hours with a value"},
	})
	l.scored("pg-prod-3", judged("wal_bytes_per_s", "B/s", anomaly.High, 1<<18, wal))
	return l
}

func (l life) scored(target string, scores []vault.AnomalyScore) {
	l.t.Helper()
	if n, err := l.store.RecordScores(l.t.Context(), target, scores); err != nil || n != len(scores) {
		l.t.Fatalf("%d of %d scores, %v", n, len(scores), err)
	}
}

func TestAnomaly_ListsAndDrawsWhatIsUnusual(t *testing.T) {
	t.Parallel()
	l := unusual(t)
	for name, args := range map[string]string{
		"anomaly-list":     "anomaly list --target local",
		"anomaly-wide":     "anomaly list -o wide",
		"anomaly-name":     "anomaly list --target local -o name",
		"anomaly-show":     "anomaly show transactions_per_s",
		"anomaly-high":     "anomaly show wal_bytes_per_s --target pg-prod-3 --days 1",
		"anomaly-learning": "anomaly show total_connections",
	} {
		got := l.cli(strings.Fields(args)...)
		got.wants(t, exitDone)
		golden(t, name, got.out)
	}
	l.cli("anomaly", "list").wants(t, exitDone, "LEARNING: too little history: 3.5 of 7 days")
}

func TestAnomaly_InATerminal(t *testing.T) {
	t.Parallel()
	l := unusual(t)
	got := invocation{url: l.url, color: true}.run(t, "anomaly", "show", "transactions_per_s")
	got.wants(t, exitDone)
	golden(t, "anomaly-terminal", got.out)
}

func TestAnomaly_ForPrograms(t *testing.T) {
	t.Parallel()
	got := unusual(t).cli("anomaly", "show", "transactions_per_s", "-o", "json")
	got.wants(t, exitDone)
	var shown struct {
		vault.ListedAnomaly
		Scores []vault.ScoredSample `json:"scores"`
	}
	if err := json.Unmarshal([]byte(got.out), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.State != anomaly.Anomalous || shown.Low == nil || shown.High == nil || len(shown.Scores) != 216 || shown.Since.IsZero() || shown.Sensitivity != 6 {
		t.Errorf("got %+v with %d scores", shown.ListedAnomaly, len(shown.Scores))
	}
}

func TestAnomalySet_ChangesWhatIsGivenAndNothingElse(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	setting := func(metric string) string {
		var text string
		if err := l.store.Pool().QueryRow(t.Context(), `
			SELECT concat_ws(' ', direction, score, samples, least_spread, least_percent, time_zone, is_enabled)
			  FROM monitoring.anomaly_settings() WHERE metric_name = $1`, metric).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct{ args, metric, want string }{
		{"wal_bytes_per_s --score 8 --direction low", "wal_bytes_per_s", "LOW 8 3 65536 5 UTC t"},
		{"wal_bytes_per_s --samples 5 --time-zone Europe/Berlin", "wal_bytes_per_s", "LOW 8 5 65536 5 Europe/Berlin t"},
		{"wal_bytes_per_s --off", "wal_bytes_per_s", "LOW 8 5 65536 5 Europe/Berlin f"},
		{"wal_bytes_per_s --score 7", "wal_bytes_per_s", "LOW 7 5 65536 5 Europe/Berlin f"},
		{"wal_bytes_per_s --on", "wal_bytes_per_s", "LOW 7 5 65536 5 Europe/Berlin t"},
		{"replica_count --least-spread 0.1 --least-percent 0", "replica_count", "BOTH 6 3 0.1 0 UTC t"},
	} {
		l.cli(append([]string{"anomaly", "set"}, strings.Fields(c.args)...)...).wants(t, exitDone, "set how "+c.metric+" is judged")
		if got := setting(c.metric); got != c.want {
			t.Errorf("after %s: %s, want %s", c.args, got, c.want)
		}
	}
}

func TestAnomaly_SaysWhatToDoInstead(t *testing.T) {
	t.Parallel()
	l := unusual(t)
	l.cli("anomaly", "show", "nothing").wants(t, exitNotFound, `no metric "nothing" was judged within a day`, "see `onevault anomaly list`")
	l.cli("anomaly", "show", "wal_bytes_per_s").wants(t, exitUsage, "judged on several targets: local, pg-prod-3", "--target")
	l.cli("anomaly", "show", "transactions_per_s", "--days", "400").wants(t, exitUsage, "--days is 400")
	l.cli("anomaly", "set", "wal_bytes_per_s").wants(t, exitUsage, "nothing is to be changed")
	l.cli("anomaly", "set", "wal_byte_per_s", "--score", "8").wants(t, exitError, `Did you mean "wal_bytes_per_s"`)
	l.cli("anomaly", "set", "wal_bytes_per_s", "--direction", "up").wants(t, exitError, "neither HIGH, LOW nor BOTH")
	l.cli("anomaly", "set", "wal_bytes_per_s", "--on", "--off").wants(t, exitUsage, "--on and --off")
	newLife(t).cli("anomaly", "list").wants(t, exitDone, "no metric was judged within a day")
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

const noisyLag = `version: 1
definitions:
  - key: NOISY_LAG
    name: Noisy Lag
    category: PERFORMANCE
    severity: HIGH
    condition: replication_lag_s > threshold_value
    threshold: 30
    suppress: 0m
    auto_resolve: true
`

// pastLag is two days of a replica that falls behind for one sample every three hours, and for half an hour
// at hour 20. Of the alerts of that time the vault holds three: of the spike at hour 3, which somebody marked as a
// false positive, of the one at hour 6, and of the half hour.
func pastLag(t *testing.T, url string) (since time.Time) {
	t.Helper()
	since = time.Now().UTC().Add(-72 * time.Hour).Truncate(time.Hour)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		`INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
		 SELECT util.hash_binary(k), k FROM monitoring.health_key('local', NULL, 'replication_lag_s', '{}') AS k ON CONFLICT DO NOTHING`,
		`INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
		 SELECT util.hash_binary(monitoring.health_key('local', NULL, 'replication_lag_s', '{}')), '\x', 'replication_lag_s', 'PERFORMANCE',
		        CASE WHEN m BETWEEN 1200 AND 1225 THEN 100 WHEN m % 180 = 0 AND m > 0 THEN 40 ELSE 5 END, $1::timestamptz + make_interval(mins => m)
		   FROM generate_series(0, 2875, 5) AS m`,
		`SELECT e.decision
		   FROM unnest(ARRAY[180, 185, 360, 365, 1201, 1231]) WITH ORDINALITY AS u (m, o),
		        monitoring.alert_definition_s d, LATERAL monitoring.evaluate_definition(d, 'NOISY_LAG', 'local', NULL,
		            $1::timestamptz + make_interval(mins => m), jsonb_build_object('replication_lag_s', CASE o % 2 WHEN 1 THEN 40 ELSE 5 END), NULL) AS e
		  WHERE d.alert_definition_hk = util.hash_binary('NOISY_LAG') AND d.load_end_date IS NULL`,
		`INSERT INTO monitoring.alert_instance_s
		 SELECT (jsonb_populate_record(s, '{"false_positive": true, "load_date": null}')).* FROM monitoring.alert_instance_s s
		  WHERE load_end_date IS NULL AND triggered_timestamp = $1::timestamptz + interval '3 hours'`,
	} {
		args := []any{since}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return since
}

func TestDefinitionBacktest_AFileAgainstWhatStandsAndWhatWas(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: noisyLag}
	i.run(t, "definition", "apply", "-").wants(t, exitDone)
	since := pastLag(t, i.url)
	file := filepath.Join(t.TempDir(), "quieter.yaml")
	if err := os.WriteFile(file, []byte(noisyLag+"    pending: 5m\n    clear_for: 5m\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	span := []string{"--since", since.Format(time.RFC3339), "--until", since.Add(48 * time.Hour).Format(time.RFC3339)}

	i.run(t, append([]string{"definition", "backtest", file}, span...)...).wants(t, exitDone,
		"16 -> 1", "1 of 2 real alerts are still caught", "is still caught, 5m later", "is lost", "1 that were marked false positive would not come again",
		"nothing was written")
	i.run(t, append([]string{"definition", "backtest", "NOISY_LAG", "-o", "wide"}, span...)...).wants(t, exitDone,
		"2 of 2 real alerts are still caught; 0 are lost", "13 alerts are new", "100%")
	// It takes in nothing of the times before the samples began.
	early := i.run(t, "definition", "backtest", "NOISY_LAG", "--since", since.Add(-48*time.Hour).Format(time.RFC3339),
		"--until", since.Add(48*time.Hour).Format(time.RFC3339))
	early.wants(t, exitDone, "50% of the looks reach into a time of which no single measurements are kept", "50%")

	var report trialReport
	if err := json.Unmarshal([]byte(i.run(t, append([]string{"definition", "backtest", file, "-o", "json"}, span...)...).out), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Trials) != 1 || len(report.Trials[0].Run.Alerts) != 1 || !report.Trials[0].Run.Alerts[0].Begin.Equal(since.Add(1205*time.Minute)) ||
		report.Trials[0].Caught[0].Later != 300 || report.Trials[0].Run.Firing != 30*60 {
		t.Errorf("the report is %+v", report.Trials)
	}
}

func TestDefinitionBacktest_CompositesRestOnWhatIsTried(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: noisyLag}
	i.run(t, "definition", "apply", "-").wants(t, exitDone)
	since := pastLag(t, i.url)
	span := []string{"--since", since.Format(time.RFC3339), "--until", since.Add(48 * time.Hour).Format(time.RFC3339)}
	i.stdin = noisyLag + `    pending: 5m
  - key: RESTS
    name: Rests
    category: PERFORMANCE
    severity: HIGH
    condition: firing("NOISY_LAG") == 1
    suppress: 0m
`
	i.run(t, append([]string{"definition", "backtest", "-"}, span...)...).wants(t, exitDone, "NOISY_LAG", "16 -> 1", "RESTS", "new",
		"People end the alerts of RESTS")
	i.stdin = strings.Replace(i.stdin, "replication_lag_s > threshold_value", `firing("RESTS") == 1`, 1)
	i.run(t, append([]string{"definition", "backtest", "-"}, span...)...).wants(t, exitError, "rests on itself")
}

func TestDefinitionBacktest_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t)}
	i.run(t, "definition", "backtest", "NO_SUCH").wants(t, exitNotFound, "no definition NO_SUCH")
	i.run(t, "definition", "backtest", "no/such.yaml").wants(t, exitNotFound, "there is no file")
	i.run(t, "definition", "backtest", "--target", "elsewhere").wants(t, exitNotFound, "no target elsewhere")
	i.run(t, "definition", "backtest", "--since", "soon").wants(t, exitUsage, `--since "soon"`)
	i.run(t, "definition", "backtest", "--since", "1h", "--until", "2h").wants(t, exitUsage, "nothing to look at")
	// Of all that stand, those of which nothing is kept are named, and the others tried.
	i.run(t, "definition", "backtest", "--since", "1h").wants(t, exitDone, "Not tried: DEFINITION_ERROR", "evaluation keeps no history", "Not tried: VAULT_UNREACHABLE", "0 pages")
	i.run(t, "definition", "backtest", "VAULT_UNREACHABLE").wants(t, exitDone, "Not tried: VAULT_UNREACHABLE")
	i.stdin = strings.Replace(noisyLag, "replication_lag_s", "replication_lagg_s", 1)
	i.run(t, "definition", "backtest", "-").wants(t, exitError, "-:3: NOISY_LAG", `Did you mean "replication_lag_s"?`)
}

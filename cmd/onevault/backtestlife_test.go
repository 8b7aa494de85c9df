package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/pgserver/pgtest"
)

// restless are definitions that between them use all that decides when an alert begins, ends and pages.
const restless = `version: 1
definitions:
  - {key: SPEAKS, name: Speaks, category: PERFORMANCE, severity: HIGH, condition: connection_usage_pct > 50, suppress: 0m, reopen: 20m,
     clear_for: 5m, auto_resolve: true, flap_count: 2, flap_window: 1h}
  - {key: RESTLESS, name: Restless, category: PERFORMANCE, severity: HIGH, condition: replication_lag_s > 50, clear: replication_lag_s < 40, suppress: 30m,
     fire_looks: 2, of_looks: 3, min_open: 15m, reopen: 15m, flap_count: 3, flap_window: 1h, no_data: ALERT, no_data_after: 10m, auto_resolve: true}
  - {key: CRITICAL, name: Critical, category: PERFORMANCE, severity: CRITICAL, condition: replication_lag_s > 60, pending: 5m, suppress: 45m,
     flap_count: 4, flap_window: 2h, no_data: OK, auto_resolve: true}
  - {key: BY_HAND, name: By Hand, category: PERFORMANCE, severity: LOW, condition: blocked_backends > 50 && firing("SPEAKS") == 0, suppress: 0m, reopen: 30m}
`

// lived is what a course of evaluations in the vault came to.
type lived struct {
	begins, pages, ends []time.Time
	decisions           map[alert.Decision]int
	held, flapping      int
}

// live evaluates definitions at each of a series of looks, as the worker has the vault do it, and tells people as an
// alert's workflow does: it asks what mutes the alert when it opens, and again at each look while it is owed.
// The alerts that the definition leaves to people are ended by one as soon as they clear.
func live(t *testing.T, conn *pgx.Conn, keys []string, since time.Time, looks int) map[string]*lived {
	t.Helper()
	type standing struct {
		key  string // of the alert; empty: none
		owed bool
	}
	courses, alerts := map[string]*lived{}, map[string]*standing{}
	for _, key := range keys {
		courses[key], alerts[key] = &lived{decisions: map[alert.Decision]int{}}, &standing{}
	}
	for n := range looks {
		at := since.Add(time.Duration(n) * 5 * time.Minute)
		for _, key := range keys {
			c, a := courses[key], alerts[key]
			var (
				decision      alert.Decision
				byHand, clear bool
				flaps         bool
				bk            *string
			)
			if err := conn.QueryRow(t.Context(), `
				SELECT e.decision, NOT d.auto_resolve, e.result = 'FALSE'
				  FROM monitoring.alert_definition_s d,
				       LATERAL monitoring.evaluate_definition(d, $1, 'local', NULL, $2, monitoring.condition_inputs('system_health', 'local', NULL, '10 min', $2), NULL) AS e
				 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, key, at).Scan(&decision, &byHand, &clear); err != nil {
				t.Fatal(err)
			}
			if err := conn.QueryRow(t.Context(), `
				SELECT max(alert_instance_bk), coalesce(bool_or(flapping_since = $2), false) FROM monitoring.alert_current
				 WHERE alert_definition_bk = $1 AND alert_status <> 'RESOLVED'`, key, at).Scan(&bk, &flaps); err != nil {
				t.Fatal(err)
			}
			if byHand && clear && decision == alert.DecisionHolding {
				if _, err := conn.Exec(t.Context(), "SELECT monitoring.change_alert_state(util.hash_binary($1), 'RESOLVED', $2, 'dana', 'test', NULL, NULL)", *bk, at); err != nil {
					t.Fatal(err)
				}
				decision = alert.DecisionResolved
			}
			c.decisions[decision]++
			switch {
			case decision.Opens():
				if decision != alert.DecisionReopened {
					c.begins = append(c.begins, at)
				}
				if flaps {
					c.flapping++
				}
				a.key, a.owed = *bk, true
			case decision == alert.DecisionResolved && a.key != "":
				if a.owed {
					c.held++
				}
				c.ends = append(c.ends, at)
				a.key, a.owed = "", false
			}
		}
		for _, key := range keys {
			if a := alerts[key]; a.owed {
				var mutes int
				if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM monitoring.mutes_of(ARRAY[$1], $2)", a.key, at).Scan(&mutes); err != nil {
					t.Fatal(err)
				}
				if mutes == 0 {
					courses[key].pages = append(courses[key].pages, at)
					a.owed = false
				}
			}
		}
	}
	for key, a := range alerts {
		if a.owed {
			courses[key].held++
		}
	}
	return courses
}

func TestDefinitionBacktest_OpensReopensHoldsAndPagesAsTheVaultDoes(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: restless}
	i.run(t, "definition", "apply", "-").wants(t, exitDone)
	conn, err := pgx.Connect(t.Context(), i.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	random := rand.New(rand.NewPCG(11, 3)) // of which all that is counted below comes

	// In the time to come, since what is planned now mutes nothing that was.
	const looks = 240
	since := time.Now().UTC().Add(time.Hour).Truncate(time.Hour).Add(time.Hour)
	until := since.Add(looks * 5 * time.Minute)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	exec("SELECT monitoring.ensure_partitions(current_date, current_date + 30)")
	for _, metric := range []string{"target_reachable", "connection_usage_pct", "replication_lag_s", "blocked_backends"} {
		values := make([]*float64, looks)
		level, stays := 30.0, 0
		for n := range values {
			if stays--; stays < 0 {
				level, stays = float64(random.IntN(100)), []int{0, 0, 0, 1, 2, 3, 8, 20}[random.IntN(8)]
			}
			value := level
			if metric == "target_reachable" {
				value = 1
			} else if random.IntN(15) == 0 {
				continue // not measured
			}
			values[n] = &value
		}
		exec(`
			WITH hub AS (
			    INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk)
			    SELECT util.hash_binary(k), k FROM monitoring.health_key('local', NULL, $1, '{}') AS k
			    ON CONFLICT DO NOTHING)
			INSERT INTO monitoring.system_health_metric_s (health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp)
			SELECT util.hash_binary(monitoring.health_key('local', NULL, $1, '{}')), '\x', $1, 'PERFORMANCE', v, $2::timestamptz + (o - 1) * interval '5 min' - interval '1 s'
			  FROM unnest($3::float8[]) WITH ORDINALITY AS u (v, o) WHERE v IS NOT NULL`, metric, since, values)
	}
	for n := range 5 {
		from := since.Add(time.Duration(random.IntN(looks)) * 5 * time.Minute)
		exec("SELECT monitoring.add_silence($1, $2, 'test', $3, $4)", []string{[]string{"definition=RESTLESS", "severity=HIGH", "target=local"}[n%3]},
			from.Add(time.Duration(1+random.IntN(24))*5*time.Minute), from, n == 4)
	}
	exec("SELECT monitoring.add_maintenance('nightly', '{definition=CRITICAL}', $1, '4 hours', 'test', p_include_critical => true)", since.Add(5*time.Hour))
	exec("INSERT INTO monitoring.inhibition_h (inhibition_hk, inhibition_bk) VALUES (util.hash_binary('TEST'), 'TEST')")
	exec(`INSERT INTO monitoring.inhibition_s (inhibition_hk, hash_diff, source_definition, muted_matchers, inhibition_comment)
	      VALUES (util.hash_binary('TEST'), '\x', 'SPEAKS', '{definition=~^(RESTLESS|CRITICAL)$}', 'test')`)

	keys := []string{"SPEAKS", "RESTLESS", "CRITICAL", "BY_HAND"}
	courses := live(t, conn, keys, since, looks)
	var report trialReport
	ran := i.run(t, append([]string{"definition", "backtest", "-o", "json", "--since", since.Format(time.RFC3339), "--until", until.Format(time.RFC3339)}, keys...)...)
	ran.wants(t, exitDone)
	if err := json.Unmarshal([]byte(ran.out), &report); err != nil {
		t.Fatal(err)
	}
	all := lived{decisions: map[alert.Decision]int{}}
	for _, trial := range report.Trials {
		want := courses[trial.Key]
		var got lived
		for _, e := range trial.Run.Alerts {
			got.begins = append(got.begins, e.Begin)
			got.pages = append(got.pages, e.Pages...)
			for _, s := range e.Stretches {
				if !s.To.IsZero() {
					got.ends = append(got.ends, s.To)
				}
			}
		}
		for what, times := range map[string][2][]time.Time{"begins": {got.begins, want.begins}, "ends": {got.ends, want.ends}, "pages": {got.pages, want.pages}} {
			if !slices.EqualFunc(times[0], times[1], time.Time.Equal) {
				t.Errorf("%s: the %s are %v, want %v", trial.Key, what, offsets(times[0], since), offsets(times[1], since))
			}
		}
		counts := func(suppressed, reopened, flapping, held, pages int) string {
			return fmt.Sprintf("%d suppressed, %d reopened, %d flapping, %d held, %d pages", suppressed, reopened, flapping, held, pages)
		}
		r := trial.Run
		if got, want := counts(r.Suppressed, r.Reopened, r.Flapping, r.Held, r.Pages), counts(want.decisions[alert.DecisionSuppressed],
			want.decisions[alert.DecisionReopened], want.flapping, want.held, len(want.pages)); got != want {
			t.Errorf("%s: %s, want %s", trial.Key, got, want)
		}
		for d, n := range want.decisions {
			all.decisions[d] += n
		}
		all.held, all.flapping, all.pages = all.held+want.held, all.flapping+want.flapping, append(all.pages, want.pages...)
	}
	if len(report.Trials) != len(keys) || len(all.pages) == 0 || all.held == 0 || all.flapping == 0 || all.decisions[alert.DecisionReopened] == 0 || all.decisions[alert.DecisionSuppressed] == 0 {
		t.Errorf("the courses show too little: %+v", all)
	}
}

// offsets are times as minutes since another.
func offsets(times []time.Time, since time.Time) []int {
	minutes := make([]int, len(times))
	for n, at := range times {
		minutes[n] = int(at.Sub(since) / time.Minute)
	}
	return minutes
}

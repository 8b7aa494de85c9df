package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/pgserver/pgtest"
)

const bySlots = `version: 1
definitions:
  - {key: EACH, name: Each, category: CAPACITY, severity: HIGH, condition: slot_retained_bytes > 50, alert_by: [slot], suppress: 0m, reopen: 15m,
     fire_looks: 2, of_looks: 3, clear_for: 5m, no_data: OK, auto_resolve: true}
  - {key: MISSED, name: Missed, category: CAPACITY, severity: HIGH, condition: slot_retained_bytes > 60, clear: slot_retained_bytes < 40, alert_by: [slot],
     suppress: 0m, no_data: ALERT, no_data_after: 10m, auto_resolve: true}
  - {key: WINDOW, name: Window, category: CAPACITY, severity: HIGH, condition: "avg(slot_retained_bytes, 15m) > 50 && connection_usage_pct < 90", alert_by: [slot],
     suppress: 0m, pending: 5m, auto_resolve: true}
  - {key: RESTS, name: Rests, category: CAPACITY, severity: HIGH, condition: firing("EACH") == 1, suppress: 0m, auto_resolve: true}
`

// comings lists what alerts did, as label set, minute and what happened.
func comings(t *testing.T, conn *pgx.Conn, key string, since time.Time) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		SELECT DISTINCT coalesce(h.labels ->> 'slot', 'target'), s.changed_at, s.alert_status
		  FROM monitoring.alert_instance_h h JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
		 WHERE h.alert_definition_hk = util.hash_binary($1) AND s.alert_status IN ('OPEN', 'RESOLVED')`, key)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var (
			slot, status string
			at           time.Time
		)
		err := row.Scan(&slot, &at, &status)
		return coming(slot, at, since, status), err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func coming(slot string, at, since time.Time, what string) string {
	return fmt.Sprintf("%s %04d %s", slot, int(at.Sub(since)/time.Minute), what)
}

func TestDefinitionBacktest_FollowsEachLabelSetAsTheVaultDoes(t *testing.T) {
	t.Parallel()
	i := invocation{url: pgtest.DB(t), stdin: bySlots}
	i.run(t, "definition", "apply", "-").wants(t, exitDone)
	conn, err := pgx.Connect(t.Context(), i.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	random := rand.New(rand.NewPCG(7, 5))
	const looks = 150
	since := time.Now().UTC().Add(time.Hour).Truncate(time.Hour).Add(time.Hour)
	exec("SELECT monitoring.ensure_partitions(current_date, current_date + 30)")
	exec("SELECT monitoring.add_silence('{label.slot=c}', $1, 'test', $2)", since.Add(30*time.Hour), since.Add(-time.Minute))

	// Windows do not reach into a time before the first measurement: those looks would not count.
	exec(`SELECT monitoring.record_health_samples('local', NULL, $1, 60, '[{"name": "target_reachable", "category": "AVAILABILITY", "value": 1, "low_is_bad": true, "source": "test"}]')`, since.Add(-time.Hour))

	keys := []string{"EACH", "MISSED", "WINDOW", "RESTS"}
	slots := []string{"a", "b", "c", "d"}
	level, stays := map[string]int{}, map[string]int{}
	silent := 0 // collections that are left out
	for n := range looks {
		at := since.Add(time.Duration(n) * 5 * time.Minute)
		samples := []map[string]any{}
		for _, slot := range slots {
			if stays[slot]--; stays[slot] < 0 {
				level[slot], stays[slot] = random.IntN(120), []int{0, 1, 2, 3, 6, 12}[random.IntN(6)]
			}
			if level[slot] < 100 { // else it is gone
				samples = append(samples, map[string]any{
					"name": "slot_retained_bytes", "category": "CAPACITY", "unit": "B", "value": level[slot], "low_is_bad": false, "source": "test",
					"labels": map[string]string{"slot": slot, "type": "physical"}, "every_s": 300,
				})
			}
		}
		if silent--; silent < -20 && random.IntN(10) == 0 {
			silent = 8
		}
		// A collection without any slot leaves no trace of having been made: see docs/backtesting.md.
		if len(samples) > 0 && silent <= 0 {
			exec("SELECT monitoring.record_collection('local', NULL, $1, 60, $2, $3)", at.Add(-time.Second), samples, []map[string]any{{"query": "slots", "rows": len(samples)}})
		}
		exec(`SELECT monitoring.record_health_samples('local', NULL, $1, 60, '[{"name": "connection_usage_pct", "category": "PERFORMANCE", "value": 10, "low_is_bad": false, "source": "test"},
			{"name": "target_reachable", "category": "AVAILABILITY", "value": 1, "low_is_bad": true, "source": "test"}]')`, at.Add(-time.Second))
		for _, key := range keys {
			exec(`
				SELECT CASE WHEN d.alert_by = '{}'
				            THEN (SELECT e.decision FROM monitoring.evaluate_definition(d, $1, 'local', NULL, $2, '{}', NULL) AS e)
				            ELSE (SELECT e.decision FROM monitoring.evaluate_label_sets(d, $1, 'local', NULL, $2,
				                      monitoring.condition_inputs('system_health', 'local', NULL, '10 min', $2), NULL, false, true) AS e) END
				  FROM monitoring.alert_definition_s d
				 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, key, at)
		}
	}

	var report trialReport
	ran := i.run(t, append([]string{
		"definition", "backtest", "-o", "json", "--since", since.Format(time.RFC3339), "--until", since.Add(looks * 5 * time.Minute).Format(time.RFC3339),
	}, keys...)...)
	ran.wants(t, exitDone)
	if err := json.Unmarshal([]byte(ran.out), &report); err != nil {
		t.Fatal(err)
	}
	ofTarget := 0
	for _, trial := range report.Trials {
		var got []string
		pages := map[time.Time]bool{}
		for _, e := range trial.Run.Alerts {
			slot := e.Labels["slot"]
			if slot == "" {
				slot = "target"
				ofTarget++
			}
			for _, s := range e.Stretches {
				if got = append(got, coming(slot, s.From, since, string(alert.StatusOpen))); !s.To.IsZero() {
					got = append(got, coming(slot, s.To, since, string(alert.StatusResolved)))
				}
				if slot != "c" {
					pages[s.From] = true
				}
			}
		}
		slices.Sort(got)
		want := comings(t, conn, trial.Key, since)
		if !slices.Equal(got, want) {
			t.Errorf("%s: alerts\n%s\nwant\n%s", trial.Key, strings.Join(got, ", "), strings.Join(want, ", "))
		}
		if trial.Key != "RESTS" && (trial.Run.Held == 0 || trial.Run.Pages != len(pages) || trial.Run.Messages < trial.Run.Pages) {
			t.Errorf("%s: %d pages in %d messages, %d held; want %d pages, none for the silenced slot", trial.Key, trial.Run.Pages, trial.Run.Messages, trial.Run.Held, len(pages))
		}
		if len(want) < 4 || len(trial.Lost)+len(trial.New) > 0 {
			t.Errorf("%s: %d lost, %d new of %d comings and goings", trial.Key, len(trial.Lost), len(trial.New), len(want))
		}
	}
	if len(report.Trials) != len(keys) || ofTarget == 0 {
		t.Errorf("%d trials, %d alerts that there was no data at all: %s", len(report.Trials), ofTarget, ran.out)
	}
	i.run(t, "definition", "backtest", "EACH", "--since", since.Format(time.RFC3339), "--until", since.Add(looks*5*time.Minute).Format(time.RFC3339)).
		wants(t, exitDone, "real alerts are still caught")
}

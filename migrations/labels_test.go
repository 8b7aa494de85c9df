package migrations_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// slots records a sample of slot_retained_bytes for each slot, as one collection at a moment; the others are gone.
func slots(t *testing.T, db database, at time.Time, retained map[string]any) {
	t.Helper()
	samples := []map[string]any{}
	for slot, bytes := range retained {
		samples = append(samples, map[string]any{
			"name": "slot_retained_bytes", "category": "CAPACITY", "unit": "B", "value": bytes, "low_is_bad": false, "source": "test",
			"labels": map[string]string{"slot": slot, "type": "physical"}, "every_s": 60,
		})
	}
	exec(t, db, "SELECT monitoring.record_collection('local', NULL, $1, 60, $2, $3)", at, samples,
		[]map[string]any{{"query": "slots", "rows": len(samples)}})
}

// bySlot defines D, which fires for each slot that retains more than 5 bytes.
func bySlot(t *testing.T, db database, given columns) {
	t.Helper()
	row := columns{"alert_by": []string{"slot"}, "condition_logic": "slot_retained_bytes > threshold_value", "threshold_value": 5}
	for name, value := range given {
		row[name] = value
	}
	define(t, db, "D", row)
}

// lookAtSets evaluates D, which alerts by labels, and returns what the look as a whole came to.
func lookAtSets(t *testing.T, db database, at time.Time) string {
	t.Helper()
	return value[string](t, db, `
		SELECT e.result || ' ' || e.decision
		  FROM monitoring.alert_definition_s d,
		       LATERAL monitoring.evaluate_label_sets(d, 'D', 'local', NULL, $1,
		                   monitoring.condition_inputs('system_health', 'local', NULL, make_interval(mins => d.lookback_minutes), $1), NULL, false, true) AS e
		 WHERE d.alert_definition_hk = util.hash_binary('D') AND d.load_end_date IS NULL`, at)
}

// setsChanged are the rows that a look wrote about label sets, as slot: result decision.
func setsChanged(t *testing.T, db database, at time.Time) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT (labels ->> 'slot') || ': ' || result || ' ' || decision
		  FROM monitoring.alert_label_evaluation_s WHERE evaluated_at = $1 ORDER BY labels`, at), ", ")
}

// alertsBySlot are the alerts as they stand, as slot: status.
func alertsBySlot(t *testing.T, db database) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT coalesce(h.labels ->> 'slot', 'target') || ': ' || s.alert_status
		  FROM monitoring.alert_instance_h h JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
		 WHERE s.load_end_date IS NULL AND h.alert_definition_hk = util.hash_binary('D') ORDER BY h.labels, s.triggered_timestamp`), ", ")
}

// wantSets collects, looks and checks what became of the look and of the label sets.
func wantSets(t *testing.T, db database, at time.Time, retained map[string]any, look, changed, alerts string) {
	t.Helper()
	slots(t, db, at, retained)
	if got := lookAtSets(t, db, at); got != look {
		t.Errorf("at %s with %v: the look is %s, want %s", at.Format("15:04"), retained, got, look)
	}
	if got := setsChanged(t, db, at); got != changed {
		t.Errorf("at %s with %v: changed %q, want %q", at.Format("15:04"), retained, got, changed)
	}
	if got := alertsBySlot(t, db); got != alerts {
		t.Errorf("at %s with %v: alerts %q, want %q", at.Format("15:04"), retained, got, alerts)
	}
}

type sizes = map[string]any

func TestLabels_EachSetOverTheLineHasAnAlertOfItsOwn(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, nil)
	at := noon()
	wantSets(t, db, at, sizes{"a": 7, "b": 1, "c": 9}, "TRUE FIRED", "a: TRUE FIRED, b: FALSE NONE, c: TRUE FIRED", "a: OPEN, c: OPEN")
	keys := values[string](t, db, "SELECT alert_instance_bk FROM monitoring.alert_instance_h ORDER BY labels")
	stamp := at.Format("20060102T150405.000000")
	for i, slot := range []string{"A", "C"} {
		want := "ALERT||LOCAL||D||SYSTEM||" + strings.Replace(stamp, ".", "", 1) + "||"
		if !strings.HasPrefix(keys[i], want) || !strings.HasSuffix(keys[i], "#"+slot) {
			t.Errorf("key %s, want %s<hash>#%s", keys[i], want, slot)
		}
	}
	if outbox := outboxOf(t, db); outbox != "FIRED FIRED" {
		t.Errorf("the outbox holds %s", outbox)
	}
	// What is as before is no row; the look is one.
	wantSets(t, db, at.Add(minutes(1)), sizes{"a": 7, "b": 1, "c": 9}, "TRUE HOLDING", "a: TRUE HOLDING, c: TRUE HOLDING", "a: OPEN, c: OPEN")
	wantSets(t, db, at.Add(minutes(2)), sizes{"a": 8, "b": 2, "c": 9}, "TRUE HOLDING", "", "a: OPEN, c: OPEN")
	wantSets(t, db, at.Add(minutes(3)), sizes{"a": 1, "b": 6, "c": 9}, "TRUE FIRED", "a: FALSE RESOLVED, b: TRUE FIRED", "a: RESOLVED, b: OPEN, c: OPEN")
	wantSets(t, db, at.Add(minutes(4)), sizes{"a": 1, "b": 1, "c": 1}, "FALSE RESOLVED",
		"a: FALSE NONE, b: FALSE RESOLVED, c: FALSE RESOLVED", "a: RESOLVED, b: RESOLVED, c: RESOLVED")
	looks := values[string](t, db, "SELECT result || ' ' || decision_reason || coalesce(' (' || reason || ')', '') FROM monitoring.alert_evaluation_s ORDER BY evaluated_at")
	want := []string{
		"TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 7; slot=c: 9)", "TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 7; slot=c: 9)",
		"TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 8; slot=c: 9)", "TRUE 2 TRUE, 1 FALSE of the label sets (slot=b: 6; slot=c: 9)",
		"FALSE 3 FALSE of the label sets",
	}
	if !slices.Equal(looks, want) {
		t.Errorf("looks\n%s\nwant\n%s", strings.Join(looks, "\n"), strings.Join(want, "\n"))
	}
}

func TestLabels_ThousandsOfSetsAreOneStatement(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const sets = 200
	bySlot(t, db, nil)
	at := noon()
	retained := func(of func(i int) any) sizes {
		all := sizes{}
		for i := range sets {
			all[fmt.Sprintf("slot_%d", i)] = of(i)
		}
		return all
	}
	look := func(minute float64, what string) {
		slots(t, db, at.Add(minutes(minute)), retained(func(i int) any {
			if what == "all over" {
				return 9
			}
			return i % 6 / 5 * 3
		}))
		began := time.Now()
		got := lookAtSets(t, db, at.Add(minutes(minute)))
		t.Logf("%s: %s in %s", what, got, time.Since(began).Round(time.Millisecond))
	}
	look(0, "first")
	look(1, "nothing new")
	look(2, "nothing new")
	look(3, "all over")
	look(4, "all over")
	look(5, "all over")
	look(6, "all clear")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_label_evaluation_s WHERE evaluated_at IN ($1, $2)", at.Add(minutes(1)), at.Add(minutes(5))); n != 0 {
		t.Errorf("%d rows of what is as before", n)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_s WHERE load_end_date IS NULL AND alert_status = 'RESOLVED'"); n != sets {
		t.Errorf("%d alerts ended, want %d", n, sets)
	}
}

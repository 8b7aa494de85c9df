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
	// It is c that clears, though b fired last.
	wantSets(t, db, at.Add(minutes(4)), sizes{"a": 1, "b": 6, "c": 1}, "TRUE HOLDING",
		"a: FALSE NONE, b: TRUE HOLDING, c: FALSE RESOLVED", "a: RESOLVED, b: OPEN, c: RESOLVED")
	wantSets(t, db, at.Add(minutes(5)), sizes{"a": 1, "b": 1, "c": 1}, "FALSE RESOLVED",
		"b: FALSE RESOLVED, c: FALSE NONE", "a: RESOLVED, b: RESOLVED, c: RESOLVED")
	looks := values[string](t, db, "SELECT result || ' ' || decision_reason || coalesce(' (' || reason || ')', '') FROM monitoring.alert_evaluation_s ORDER BY evaluated_at")
	want := []string{
		"TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 7; slot=c: 9)", "TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 7; slot=c: 9)",
		"TRUE 2 TRUE, 1 FALSE of the label sets (slot=a: 8; slot=c: 9)", "TRUE 2 TRUE, 1 FALSE of the label sets (slot=b: 6; slot=c: 9)",
		"TRUE 1 TRUE, 2 FALSE of the label sets (slot=b: 6)", "FALSE 3 FALSE of the label sets",
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

func TestLabels_PendingAndNOfMAreCountedPerSet(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, columns{"fire_looks": 2, "of_looks": 3, "pending_minutes": 1})
	at := noon()
	wantSets(t, db, at, sizes{"a": 7, "b": 1}, "TRUE PENDING", "a: TRUE PENDING, b: FALSE NONE", "")
	wantSets(t, db, at.Add(minutes(1)), sizes{"a": 1, "b": 7}, "TRUE PENDING", "a: FALSE NONE, b: TRUE PENDING", "")
	wantSets(t, db, at.Add(minutes(2)), sizes{"a": 7, "b": 7}, "TRUE FIRED", "a: TRUE PENDING, b: TRUE FIRED", "b: OPEN")
	wantSets(t, db, at.Add(minutes(3)), sizes{"a": 7, "b": 7}, "TRUE FIRED", "a: TRUE FIRED, b: TRUE HOLDING", "a: OPEN, b: OPEN")
	if got := value[string](t, db, "SELECT true_looks || ' of ' || of_looks FROM monitoring.alert_label_evaluation_s WHERE decision = 'FIRED' AND labels = '{\"slot\": \"a\"}'"); got != "2 of 3" {
		t.Errorf("a fired with %s", got)
	}
	wantExplained(t, db)
}

// wantExplained explains every alert of D, and fails unless its evaluation agrees.
func wantExplained(t *testing.T, db database) {
	t.Helper()
	for _, e := range values[string](t, db, `
		SELECT concat_ws(' ', h.labels::text, e.evidence, e.agrees, e.disagreement)
		  FROM monitoring.alert_instance_h h, monitoring.explain_alert(h.alert_instance_hk) AS e ORDER BY h.labels`) {
		if !strings.HasSuffix(e, "} EVALUATION t") {
			t.Errorf("explained: %s", e)
		}
	}
}

func TestLabels_ASetThatIsGoneFollowsTheRuleForMissingData(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule, look, changed, alerts string
	}{
		{"KEEP", "FALSE HOLDING", "a: NO_DATA HOLDING", "a: OPEN"},
		{"OK", "FALSE RESOLVED", "a: NO_DATA RESOLVED", "a: RESOLVED"},
		{"ALERT", "FALSE FIRED", "a: NO_DATA HOLDING, b: FALSE NONE, c: NO_DATA FIRED", "a: OPEN, c: OPEN"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			t.Parallel()
			db := pgtest.Pool(t)
			bySlot(t, db, columns{"no_data_state": c.rule, "no_data_minutes": 0})
			at := noon()
			wantSets(t, db, at, sizes{"a": 7, "c": 1}, "TRUE FIRED", "a: TRUE FIRED, c: FALSE NONE", "a: OPEN")
			slots(t, db, at.Add(minutes(1)), sizes{"b": 1})
			look := lookAtSets(t, db, at.Add(minutes(1)))
			changed := setsChanged(t, db, at.Add(minutes(1)))
			if c.rule != "ALERT" {
				c.changed += ", b: FALSE NONE, c: NO_DATA NONE"
			}
			if look != c.look || changed != c.changed || alertsBySlot(t, db) != c.alerts {
				t.Errorf("%s, %s, %s; want %s, %s, %s", look, changed, alertsBySlot(t, db), c.look, c.changed, c.alerts)
			}
			reason := value[string](t, db, "SELECT reason FROM monitoring.alert_label_evaluation_s WHERE evaluated_at = $1 AND labels ->> 'slot' = 'a'", at.Add(minutes(1)))
			if reason != "gone: no sample of slot=a" {
				t.Errorf("the reason is %q", reason)
			}
		})
	}
}

func TestLabels_AGoneSetWhoseAlertAPersonEndedIsForgotten(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, columns{"no_data_state": "ALERT", "no_data_minutes": 0})
	at := noon()
	wantSets(t, db, at, sizes{"a": 7, "b": 1}, "TRUE FIRED", "a: TRUE FIRED, b: FALSE NONE", "a: OPEN")
	wantSets(t, db, at.Add(minutes(1)), sizes{"b": 1}, "FALSE HOLDING", "a: NO_DATA HOLDING", "a: OPEN")
	exec(t, db, "SELECT monitoring.resolve_alert(alert_instance_hk, 'dana', 'the slot was dropped') FROM monitoring.alert_instance_h")
	wantSets(t, db, at.Add(minutes(2)), sizes{"b": 1}, "FALSE NONE", "a: NO_DATA NONE", "a: RESOLVED")
	wantSets(t, db, at.Add(minutes(3)), sizes{"b": 1}, "FALSE NONE", "", "a: RESOLVED")
	if left := values[string](t, db, "SELECT labels ->> 'slot' FROM monitoring.alert_label_state"); !slices.Equal(left, []string{"b"}) {
		t.Errorf("known are %v", left)
	}
}

func TestLabels_WithoutAnyDataTheDefinitionLacksItAsAWhole(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, columns{"no_data_state": "ALERT", "no_data_minutes": 0})
	at := noon()
	wantSets(t, db, at, sizes{"a": 1, "b": 1}, "FALSE NONE", "a: FALSE NONE, b: FALSE NONE", "")
	wantSets(t, db, at.Add(minutes(1)), sizes{}, "NO_DATA FIRED", "a: NO_DATA NONE, b: NO_DATA NONE", "target: OPEN")
	if reason := value[string](t, db, "SELECT reason FROM monitoring.alert_evaluation_s WHERE evaluated_at = $1", at.Add(minutes(1))); reason != "no series of slot_retained_bytes" {
		t.Errorf("the reason is %q", reason)
	}
	wantSets(t, db, at.Add(minutes(2)), sizes{"a": 1, "b": 1}, "FALSE RESOLVED", "a: FALSE NONE, b: FALSE NONE", "target: RESOLVED")
}

func TestLabels_AnOpenAlertEndsUnderTheVersionItBeganWith(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, nil)
	at := time.Now().UTC()
	look := func() string {
		t.Helper()
		return value[string](t, db, `SELECT result || ' ' || decision FROM monitoring.evaluate_definitions('local', NULL, interval '0') WHERE definition_key = 'D'`)
	}
	slots(t, db, at.Add(-time.Minute), sizes{"a": 7, "b": 1})
	if got := look(); got != "TRUE FIRED" {
		t.Fatal(got)
	}
	bySlot(t, db, columns{"threshold_value": 100})
	if got := look(); got != "FALSE NONE" || alertsBySlot(t, db) != "a: OPEN" {
		t.Errorf("under the new version %s, alerts %s", got, alertsBySlot(t, db))
	}
	slots(t, db, time.Now().UTC(), sizes{"a": 3, "b": 1})
	if got := look(); alertsBySlot(t, db) != "a: RESOLVED" {
		t.Errorf("%s, alerts %s", got, alertsBySlot(t, db))
	}
}

func TestLabels_SilencesMatchThem(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, nil)
	wantSets(t, db, noon(), sizes{"a": 7, "b": 8}, "TRUE FIRED", "a: TRUE FIRED, b: TRUE FIRED", "a: OPEN, b: OPEN")
	exec(t, db, "SELECT monitoring.add_silence('{label.slot=a}', clock_timestamp() + interval '1 hour', 'its consumer is rebuilt')")
	muted := values[string](t, db, `
		SELECT h.labels ->> 'slot' FROM monitoring.mutes_of(ARRAY(SELECT alert_instance_bk FROM monitoring.alert_instance_h)) AS m
		  JOIN monitoring.alert_instance_h h ON h.alert_instance_bk = m.alert_key`)
	if !slices.Equal(muted, []string{"a"}) {
		t.Errorf("muted are %v", muted)
	}
}

func TestLabels_WhatCannotBeEvaluatedIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('D'), 'D')")
	for _, c := range []struct {
		given columns
		words []string
	}{
		{columns{"condition_logic": "slot_retained_bytes > 5"}, []string{"has a series for each slot, type", "alert_by"}},
		{columns{"condition_logic": "avg(slot_retained_bytes, 15m) > 5"}, []string{"has a series for each slot, type"}},
		{columns{"condition_logic": "slot_retained_bytes > 5", "alert_by": []string{"slots"}}, []string{"has no label slots", "Its labels are slot, type"}},
		{columns{"alert_by": []string{"slot"}}, []string{"condition_logic names no metric with labels"}},
		{columns{"condition_logic": "slot_retained_bytes > 5", "alert_by": []string{"slot", "slot"}}, []string{"Name each label once"}},
		{columns{"metric_source": "capacity", "condition_logic": "min_days_to_full < 3", "alert_by": []string{"slot"}}, []string{"metric_source is capacity"}},
	} {
		sql, args := definitionRow("D", c.given)
		refused(t, db, "22023", c.words, sql, args...)
	}
}

func TestLabels_SeveralSeriesInOneSetAreAnErrorThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, columns{"alert_by": []string{"type"}})
	at := noon()
	slots(t, db, at, sizes{"a": 7, "b": 8})
	if got := lookAtSets(t, db, at); got != "ERROR NONE" {
		t.Errorf("the look is %s", got)
	}
	want := "slot_retained_bytes has 2 series with these labels, such as slot=a, type=physical: let alert_by name more of its labels"
	if got := value[string](t, db, "SELECT reason FROM monitoring.alert_label_evaluation_s"); got != want {
		t.Errorf("the reason is %q, want %q", got, want)
	}
}

func TestLabels_WindowsAreOfEachSeries(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	bySlot(t, db, columns{"condition_logic": "avg(slot_retained_bytes, 4m) > threshold_value"})
	at := noon()
	for i := range 3 {
		slots(t, db, at.Add(minutes(float64(i-3))), sizes{"a": 6, "b": 3 * i})
	}
	wantSets(t, db, at, sizes{"a": 6, "b": 9}, "TRUE FIRED", "a: TRUE FIRED, b: FALSE NONE", "a: OPEN")
	if got := value[string](t, db, "SELECT string_agg(inputs ->> 'avg(slot_retained_bytes, 4m)', ' ' ORDER BY labels) FROM monitoring.alert_label_evaluation_s"); got != "6.0000 4.5000" {
		t.Errorf("the windows are %s", got)
	}
	wantExplained(t, db)
}

func TestLabels_OfThousandsEachIsDecidedAboutForItself(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const sets = 2000
	bySlot(t, db, nil)
	at := noon()
	// All but every tenth go over the line, and then all but the first fall below it.
	all := sizes{}
	for i := range sets {
		all[fmt.Sprintf("slot_%04d", i)] = min(i%10, 1) * 9
	}
	slots(t, db, at, all)
	lookAtSets(t, db, at)
	standing := func() string {
		return strings.Join(values[string](t, db, `
			SELECT s.alert_status || ' ' || count(*)
			  FROM monitoring.alert_instance_s s WHERE s.load_end_date IS NULL GROUP BY s.alert_status ORDER BY s.alert_status`), ", ")
	}
	if got := standing(); got != "OPEN 1800" {
		t.Fatalf("after the opening: %s, want OPEN 1800", got)
	}
	acknowledge := func(slot string) {
		exec(t, db, `
			SELECT monitoring.acknowledge_alert(h.alert_instance_hk, 'dana', 'mine')
			  FROM monitoring.alert_instance_h h WHERE h.labels ->> 'slot' = $1`, slot)
	}
	acknowledge("slot_0001")
	acknowledge("slot_0002")
	for slot := range all {
		all[slot] = 0
	}
	all["slot_0001"], all["slot_0003"], all["slot_0010"] = 9, 9, 9
	slots(t, db, at.Add(minutes(1)), all)
	lookAtSets(t, db, at.Add(minutes(1)))
	if got, want := standing(), "ACKNOWLEDGED 1, OPEN 2, RESOLVED 1798"; got != want {
		t.Errorf("after the clearing: %s, want %s", got, want)
	}
	active := strings.Join(values[string](t, db, `
		SELECT h.labels ->> 'slot' || ' ' || s.alert_status
		  FROM monitoring.alert_instance_h h JOIN monitoring.alert_instance_s s USING (alert_instance_hk)
		 WHERE s.load_end_date IS NULL AND s.alert_status <> 'RESOLVED' ORDER BY 1`), ", ")
	if want := "slot_0001 ACKNOWLEDGED, slot_0003 OPEN, slot_0010 OPEN"; active != want {
		t.Errorf("active are %s, want %s", active, want)
	}
	told := values[string](t, db, "SELECT kind || ' ' || count(*) FROM monitoring.outbox WHERE kind IN ('FIRED', 'RESOLVED') GROUP BY kind ORDER BY kind")
	if want := []string{"FIRED 1801", "RESOLVED 1798"}; !slices.Equal(told, want) {
		t.Errorf("told: %v, want %v", told, want)
	}
}

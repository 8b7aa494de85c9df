package vault_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/vault"
)

func TestEvaluation_FiresOnceAndHoldsUntilCleared(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", nil)
	f.follow("USAGE", yesterday(), looks{
		{0, usage(10), "FALSE NONE"},
		{5, usage(80), "TRUE FIRED"},
		{10, usage(95), "TRUE HOLDING"},
		{15, usage(81), "TRUE HOLDING"},
		{20, usage(75), "FALSE RESOLVED"},
		{25, usage(75), "FALSE NONE"},
		{30, usage(76), "TRUE FIRED"},
	})
	if got := f.statuses("USAGE"); !slices.Equal(got, []string{"RESOLVED", "OPEN"}) {
		t.Errorf("alerts %v", got)
	}
	kinds := column[string](f, `SELECT kind FROM monitoring.outbox ORDER BY outbox_id`)
	if !slices.Equal(kinds, []string{"FIRED", "RESOLVED", "FIRED"}) {
		t.Errorf("workflows hear %v", kinds)
	}
	equal(f, "the workflow's id", value[string](f, `SELECT DISTINCT workflow_id FROM monitoring.alert_current`), "alert/local/USAGE")
}

func TestEvaluation_SuppressesWithinTheWindowAndOpensAfterIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday()
	f.define("USAGE", row{"suppression_window_minutes": 60})
	f.follow("USAGE", start, looks{
		{0, usage(80), "TRUE FIRED"},
		{5, usage(10), "FALSE RESOLVED"},
		{10, usage(85), "TRUE SUPPRESSED"},
		{59, usage(86), "TRUE HOLDING"},
	})
	if got := f.statuses("USAGE"); !slices.Equal(got, []string{"RESOLVED", "SUPPRESSED"}) {
		t.Fatalf("alerts %v", got)
	}
	reason := value[string](f, `SELECT suppression_reason FROM monitoring.alert_instance_s WHERE alert_status = 'SUPPRESSED'`)
	want := "fired again within 60 minutes of " + start.Format("2006-01-02 15:04:05 UTC")
	equal(f, "reason", reason, want)
	equal(f, "facts for workflows before the window ends", value[int](f, `SELECT count(*) FROM monitoring.outbox`), 2)

	f.follow("USAGE", start, looks{
		{60, usage(87), "TRUE UNSUPPRESSED"},
		{65, usage(88), "TRUE HOLDING"},
	})
	if got := f.statuses("USAGE"); !slices.Equal(got, []string{"RESOLVED", "OPEN"}) {
		t.Errorf("alerts %v", got)
	}
	equal(f, "the last fact", value[string](f, `SELECT kind FROM monitoring.outbox ORDER BY outbox_id DESC LIMIT 1`), "FIRED")
}

func TestEvaluation_ASuppressedFiringThatClearsTellsNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday()
	f.define("USAGE", row{"suppression_window_minutes": 60, "auto_resolve": false})
	f.follow("USAGE", start, looks{{0, usage(80), "TRUE FIRED"}})
	f.exec(`SELECT monitoring.resolve_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current`)
	facts := value[int](f, `SELECT count(*) FROM monitoring.outbox`)
	f.follow("USAGE", start, looks{
		{10, usage(85), "TRUE SUPPRESSED"},
		{15, usage(10), "FALSE RESOLVED"}, // nobody was told, so nobody has to close it
		// The window counts from the opening that called people, not from the suppressed firing.
		{61, usage(85), "TRUE FIRED"},
	})
	equal(f, "facts for workflows", value[int](f, `SELECT count(*) FROM monitoring.outbox`), facts+1)
}

func TestEvaluation_WaitsForPendingMinutes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", row{"pending_minutes": 10})
	f.follow("USAGE", yesterday(), looks{
		{0, usage(80), "TRUE PENDING"},
		{9, usage(80), "TRUE PENDING"},
		{10, usage(10), "FALSE NONE"}, // counted anew from here
		{11, usage(80), "TRUE PENDING"},
		{20, usage(80), "TRUE PENDING"},
		{21, usage(80), "TRUE FIRED"},
	})
}

func TestEvaluation_ClearsByItsOwnConditionAndTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", row{"clear_condition_logic": "connection_usage_pct < threshold_value - 10", "clear_minutes": 10})
	f.follow("USAGE", yesterday(), looks{
		{0, usage(80), "TRUE FIRED"},
		{5, usage(70), "FALSE HOLDING"}, // no longer true, not yet clear
		{20, usage(70), "FALSE HOLDING"},
		{25, usage(60), "FALSE HOLDING"},
		{30, usage(68), "FALSE HOLDING"}, // clear no more
		{35, usage(60), "FALSE HOLDING"},
		{44, usage(60), "FALSE HOLDING"},
		{45, usage(60), "FALSE RESOLVED"},
	})
}

func TestEvaluation_WithoutAutoResolveStaysOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", row{"auto_resolve": false})
	f.follow("USAGE", yesterday(), looks{
		{0, usage(80), "TRUE FIRED"},
		{5, usage(10), "FALSE HOLDING"},
		{600, usage(10), "FALSE HOLDING"},
	})
	if got := f.statuses("USAGE"); !slices.Equal(got, []string{"OPEN"}) {
		t.Errorf("alerts %v", got)
	}
}

func TestEvaluation_MissingData(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday()
	other := inputs{"something_else": 1}
	for state, story := range map[string]looks{
		"NO_DATA": {{0, other, "NO_DATA NONE"}, {60, other, "NO_DATA NONE"}, {65, usage(80), "TRUE FIRED"}, {70, other, "NO_DATA HOLDING"}},
		"KEEP":    {{0, other, "NO_DATA NONE"}, {5, usage(80), "TRUE FIRED"}, {60, other, "NO_DATA HOLDING"}, {65, usage(1), "FALSE RESOLVED"}},
		"ALERT":   {{0, other, "NO_DATA PENDING"}, {14, other, "NO_DATA PENDING"}, {15, other, "NO_DATA FIRED"}, {20, usage(1), "FALSE RESOLVED"}},
		"OK":      {{0, other, "NO_DATA NONE"}, {5, usage(80), "TRUE FIRED"}, {10, other, "NO_DATA RESOLVED"}},
	} {
		f.define("MISSING_"+state, row{"no_data_state": state})
		f.follow("MISSING_"+state, start, story)
	}
	equal(f, "reason", value[string](f, `SELECT DISTINCT reason FROM monitoring.alert_evaluation_s WHERE result = 'NO_DATA'`),
		"no value of connection_usage_pct")
}

func TestEvaluation_AnErrorNeitherFiresNorResolves(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday()
	f.define("USAGE", row{"no_data_state": "ALERT"})
	f.define("RATIO", row{"condition_logic": "connection_usage_pct / (disk_usage_pct - disk_usage_pct) > 1"})
	broken := "the source is broken"
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	equal(f, "before", f.lookWith("USAGE", at(0), inputs{}, &broken), "ERROR NONE")
	equal(f, "fires", f.look("USAGE", at(5), usage(80)), "TRUE FIRED")
	equal(f, "while open", f.lookWith("USAGE", at(10), inputs{}, &broken), "ERROR HOLDING")
	equal(f, "later", f.lookWith("USAGE", at(90), inputs{}, &broken), "ERROR HOLDING")
	equal(f, "a text", f.look("USAGE", at(95), inputs{"connection_usage_pct": "many"}), "ERROR HOLDING")
	equal(f, "division by zero", f.look("RATIO", at(0), inputs{"connection_usage_pct": 1, "disk_usage_pct": 3}), "ERROR NONE")
	equal(f, "reason", value[string](f, `SELECT reason FROM monitoring.alert_evaluation_s WHERE evaluated_at = $1 AND result = 'ERROR' AND inputs = '{"threshold_value": 75}'`, at(90)), broken)
	equal(f, "evaluations in error without a reason",
		value[int](f, `SELECT count(*) FROM monitoring.alert_evaluation_s WHERE result = 'ERROR' AND coalesce(reason, '') = ''`), 0)
}

func TestEvaluation_LeavesARowWithInputsAndVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	start := yesterday()
	f.define("USAGE", nil)
	f.look("USAGE", start, inputs{"connection_usage_pct": 42.5, "disk_usage_pct": 3})
	f.revise("USAGE", row{"threshold_value": 40})
	f.look("USAGE", start.Add(time.Minute), usage(42.5))

	type evaluation struct {
		Result, Decision string
		Value            float64
		Inputs           map[string]float64
		Current          bool // the version is the one that is current now
		Since            time.Time
	}
	rows := column[evaluation](f, `
		SELECT (e.result, e.decision, e.evaluated_value::float8, e.inputs, s.load_end_date IS NULL, e.result_since)
		  FROM monitoring.alert_evaluation_s e
		  JOIN monitoring.alert_definition_s s ON s.alert_definition_hk = e.alert_definition_hk AND s.load_date = e.definition_load_date
		 ORDER BY e.evaluated_at`)
	if len(rows) != 2 {
		t.Fatalf("%d rows, want one per evaluation", len(rows))
	}
	for i, want := range []evaluation{
		{"FALSE", "NONE", 42.5, map[string]float64{"connection_usage_pct": 42.5, "threshold_value": 75}, false, start},
		{"TRUE", "FIRED", 42.5, map[string]float64{"connection_usage_pct": 42.5, "threshold_value": 40}, true, start.Add(time.Minute)},
	} {
		got := rows[i]
		if got.Result != want.Result || got.Decision != want.Decision || got.Value != want.Value || got.Current != want.Current ||
			!got.Since.Equal(want.Since) || !maps.Equal(got.Inputs, want.Inputs) {
			t.Errorf("row %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestEvaluation_AnAlertKeepsTheVersionItFiredUnder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", row{"alert_severity": "HIGH"})
	f.look("USAGE", yesterday(), usage(80))
	fired := value[time.Time](f, `SELECT definition_load_date FROM monitoring.alert_current`)
	f.revise("USAGE", row{"alert_severity": "LOW", "threshold_value": 99, "alert_name": "renamed"})
	type shown struct {
		Severity, Name string
		Threshold      float64
		Version        time.Time
	}
	got := value[shown](f, `SELECT (alert_severity, alert_name, threshold_value::float8, definition_load_date) FROM monitoring.alert_current`)
	if got.Severity != "HIGH" || got.Name != "USAGE" || got.Threshold != 75 || !got.Version.Equal(fired) {
		t.Errorf("the alert shows %+v, want the version of %s", got, fired)
	}
	d, enabled, err := f.store.Definition(t.Context(), "USAGE")
	if err != nil || !enabled || d.Name != "renamed" || d.Version.Equal(fired) {
		t.Errorf("the definition is %+v, enabled %v, %v", d, enabled, err)
	}
}

// dueKeys evaluates what is due and returns the definitions' keys, sorted.
func (f *fixture) dueKeys(every time.Duration) []string {
	f.Helper()
	list, err := f.store.EvaluateDue(f.Context(), "local", every)
	if err != nil {
		f.Fatal(err)
	}
	keys := make([]string, 0, len(list))
	for _, e := range list {
		keys = append(keys, e.DefinitionKey)
	}
	slices.Sort(keys)
	return keys
}

func TestEvaluateDue_FollowsTheFrequencyWithATenthOfSlack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	ago := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	for _, key := range []string{"NEVER", "EARLY", "DUE", "OTHER_TARGET"} {
		f.define(key, row{"evaluation_frequency_minutes": 60})
	}
	f.define("DISABLED", row{"is_enabled": false})
	f.define("OF_THE_WORKER", row{"metric_source": "worker", "condition_logic": "vault_unreachable == 1"})
	f.look("EARLY", ago(50*time.Minute), usage(1))
	f.look("DUE", ago(55*time.Minute), usage(1))
	if _, err := f.store.EvaluateDue(t.Context(), "elsewhere", 0); err != nil { // another target's looks count for that target alone
		t.Fatal(err)
	}
	if got := f.dueKeys(0); !slices.Equal(got, []string{"DUE", "NEVER", "OTHER_TARGET"}) {
		t.Errorf("due: %v", got)
	}
	if got := f.dueKeys(0); len(got) != 0 {
		t.Errorf("due again at once: %v", got)
	}
	if got := f.dueKeys(49 * time.Minute); !slices.Equal(got, []string{"EARLY"}) {
		t.Errorf("due every 49 minutes: %v", got)
	}
	if got := f.dueKeys(time.Microsecond); len(got) != 4 {
		t.Errorf("due every microsecond: %v", got)
	}
}

func TestEvaluateDue_ReadsTheNewestSample(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", nil)
	f.sample("connection_usage_pct", 10)
	f.sample("connection_usage_pct", 91)
	list, err := f.store.EvaluateDue(t.Context(), "local", 0)
	if err != nil || len(list) != 1 || list[0] != (vault.Evaluation{DefinitionKey: "USAGE", Result: "TRUE", Decision: "FIRED"}) {
		t.Fatalf("got %+v, %v", list, err)
	}
	equal(f, "trigger", value[float64](f, `SELECT trigger_value::float8 FROM monitoring.alert_current`), 91)
	equal(f, "unit", value[string](f, `SELECT metric_unit FROM monitoring.alert_current`), "%")
}

func TestEvaluateDue_ConcurrentEvaluatorsOpenOneAlert(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	for _, key := range []string{"A", "B", "C"} {
		f.define(key, row{"evaluation_frequency_minutes": 60})
	}
	f.sample("connection_usage_pct", 91)
	const evaluators = 6
	var (
		wg    sync.WaitGroup
		begin = make(chan struct{})
	)
	for range evaluators {
		wg.Go(func() {
			<-begin
			// every a microsecond: all of them look at all definitions, one after the other
			if _, err := f.store.EvaluateDue(t.Context(), "local", time.Microsecond); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	decisions := column[string](f, `SELECT decision FROM monitoring.alert_evaluation_s ORDER BY decision`)
	want := append(slices.Repeat([]string{"FIRED"}, 3), slices.Repeat([]string{"HOLDING"}, 3*(evaluators-1))...)
	if !slices.Equal(decisions, want) {
		t.Errorf("decisions %s", strings.Join(decisions, " "))
	}
	equal(f, "alerts", value[int](f, `SELECT count(*) FROM monitoring.alert_instance_h`), 3)
	equal(f, "facts for workflows", value[int](f, `SELECT count(*) FROM monitoring.outbox`), 3)
}

func TestEvaluateDue_ATenantsOwnDefinitionIsEvaluatedOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("EVERYBODYS", nil)
	f.exec(`INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('ACME'), 'ACME', 'TEST')`)
	f.exec(`INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk)
	        VALUES (util.hash_binary('ACMES'), 'ACMES', util.hash_binary('ACME'))`)
	f.exec(`INSERT INTO monitoring.alert_definition_s
	        SELECT (jsonb_populate_record(s, jsonb_build_object('alert_definition_hk', util.hash_binary('ACMES'), 'load_date', NULL))).*
	          FROM monitoring.alert_definition_s s WHERE s.alert_name = 'EVERYBODYS'`)
	f.sample("connection_usage_pct", 91)
	if got := f.dueKeys(0); !slices.Equal(got, []string{"ACMES", "EVERYBODYS"}) {
		t.Errorf("due: %v", got)
	}
	ids := column[string](f, `SELECT workflow_id FROM monitoring.alert_current ORDER BY workflow_id`)
	if len(ids) != 2 || !strings.HasPrefix(ids[0], "alert/local/ACMES/") || ids[1] != "alert/local/EVERYBODYS" {
		t.Errorf("workflows %v", ids)
	}
}

func TestEvaluateDue_AnAcknowledgementAtTheSameMomentOpensNoSecondAlert(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	key := f.fire("USAGE")
	f.sample("connection_usage_pct", 91)
	f.exec("BEGIN")
	f.mustCommand("acknowledge_alert", key, "dana", true)

	var decision string
	if err := f.store.Pool().QueryRow(t.Context(), `SELECT decision FROM monitoring.evaluate_due('local', '1 microsecond')`).Scan(&decision); err != nil {
		t.Fatal(err)
	}
	f.exec("COMMIT")
	equal(f, "decision", decision, "HOLDING")
	if got := f.statuses("USAGE"); !slices.Equal(got, []string{"ACKNOWLEDGED"}) {
		t.Errorf("alerts %v", got)
	}
}

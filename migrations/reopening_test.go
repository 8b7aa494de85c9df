package migrations_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

// step is one look: minutes after the first, what it sees, and what it is to decide.
type step struct {
	minute   float64
	inputs   string
	decision string
}

const unknown = `{}`

// live evaluates D in these steps and checks each decision.
func live(t *testing.T, db database, at time.Time, steps ...step) {
	t.Helper()
	for _, s := range steps {
		if got := evaluate(t, db, "D", at.Add(minutes(s.minute)), s.inputs); got.Decision != s.decision {
			t.Errorf("minute %v with %s: %s, want %s", s.minute, s.inputs, got.Decision, s.decision)
		}
	}
}

// decidedBecause returns the reason of the decision at a minute.
func decidedBecause(t *testing.T, db database, at time.Time, minute float64) string {
	t.Helper()
	return value[string](t, db, "SELECT coalesce(decision_reason, '') FROM monitoring.alert_evaluation_s WHERE evaluated_at = $1", at.Add(minutes(minute)))
}

func TestLooks_FiresWhenNOfTheLastMWereTrue(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"fire_looks": 3, "of_looks": 5})
	live(t, db, at,
		step{0, bad, "PENDING"}, step{1, good, "NONE"}, step{2, bad, "PENDING"}, step{3, good, "NONE"},
		step{4, bad, "FIRED"}, step{5, bad, "HOLDING"}, step{6, good, "RESOLVED"})
	if got := decidedBecause(t, db, at, 2); got != "2 of the last 3 looks were true, it fires with 3 of 5" {
		t.Errorf("minute 2 says %q", got)
	}
	if got := decidedBecause(t, db, at, 4); got != "3 of the last 5 looks were true, it fires with 3 of 5" {
		t.Errorf("minute 4 says %q", got)
	}
	if got := value[string](t, db, "SELECT true_looks || ' of ' || of_looks FROM monitoring.alert_evaluation_s WHERE decision = 'FIRED'"); got != "3 of 5" {
		t.Errorf("recorded: %s", got)
	}
}

func TestLooks_ThatKnowNothingCountAsNeither(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"fire_looks": 2, "of_looks": 2})
	live(t, db, noon(), step{0, bad, "PENDING"}, step{1, unknown, "NONE"}, step{2, unknown, "NONE"}, step{3, bad, "FIRED"})
}

func TestLooks_OneThatIsNotTrueOpensNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"fire_looks": 2, "of_looks": 3, "pending_minutes": 5})
	// Two of three are true from minute 1 on, but the condition never holds for five minutes.
	live(t, db, noon(), step{0, bad, "PENDING"}, step{1, bad, "PENDING"}, step{6, good, "NONE"}, step{7, unknown, "NONE"},
		step{8, bad, "PENDING"}, step{13, bad, "FIRED"})
}

func TestMinimumOpen_HoldsTheEvaluatorAndNobodyElse(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"min_open_minutes": 10, "flap_count": 0})
	live(t, db, at, step{0, bad, "FIRED"}, step{1, good, "HOLDING"}, step{9, good, "HOLDING"}, step{10, good, "RESOLVED"}, step{11, bad, "FIRED"})
	if got := decidedBecause(t, db, at, 9); !strings.HasPrefix(got, "cleared, but it stays open for 10 minutes at least, until "+at.Add(minutes(10)).Format("2006-01-02 15:04:05")) {
		t.Errorf("minute 9 says %q", got)
	}
	if !value[bool](t, db, "SELECT monitoring.resolve_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current WHERE alert_status = 'OPEN'") {
		t.Error("a person could not resolve it")
	}
}

func TestReopening_ContinuesTheAlertThatHadJustCleared(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	// The suppression window would mute the new firing: that it is the same alert goes first.
	define(t, db, "D", columns{"reopen_minutes": 15, "suppression_window_minutes": 60})
	live(t, db, at, step{0, bad, "FIRED"})
	exec(t, db, "SELECT monitoring.acknowledge_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current")
	live(t, db, at, step{5, good, "RESOLVED"}, step{10, `{"blocked_backends": 7}`, "REOPENED"})
	row := value[string](t, db, `
		SELECT concat_ws(' ', alert_status, reopened_count, trigger_value, acknowledged_by, resolved_by, resolved_timestamp,
		                 triggered_timestamp = $1, reopened_timestamp = $2)
		  FROM monitoring.alert_instance_s WHERE load_end_date IS NULL`, at, at.Add(minutes(10)))
	if row != "OPEN 1 7.0000 t t" {
		t.Errorf("the alert stands as %s", row)
	}
	if got := decidedBecause(t, db, at, 10); !strings.Contains(got, "had cleared at "+at.Add(minutes(5)).Format("2006-01-02 15:04:05")) || !strings.Contains(got, "15 minutes") {
		t.Errorf("the reason is %q", got)
	}
	live(t, db, at, step{11, good, "RESOLVED"}, step{12, bad, "REOPENED"}, step{13, good, "RESOLVED"},
		step{28, bad, "SUPPRESSED"}) // the window is over: a new alert, and too soon to call anybody
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_h"); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
	payloads := values[string](t, db, "SELECT kind || coalesce(' ' || (payload ->> 'reopened'), '') FROM monitoring.outbox ORDER BY outbox_id")
	if want := "[FIRED ACKNOWLEDGED RESOLVED FIRED 1 RESOLVED FIRED 2 RESOLVED]"; fmt.Sprint(payloads) != want {
		t.Errorf("the outbox holds %v, want %s", payloads, want)
	}
}

func TestReopening_WhatAPersonEndedStaysEnded(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"reopen_minutes": 60})
	live(t, db, at, step{0, bad, "FIRED"})
	exec(t, db, "SELECT monitoring.resolve_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current")
	live(t, db, at, step{1, good, "NONE"}, step{2, bad, "FIRED"})
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_h"); n != 2 {
		t.Errorf("%d alerts, want 2", n)
	}
}

func TestReopening_OfWhatWasSuppressedToItsEndIsNone(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"reopen_minutes": 2, "suppression_window_minutes": 60})
	live(t, db, noon(), step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{10, bad, "SUPPRESSED"}, step{11, good, "RESOLVED"},
		step{12, bad, "SUPPRESSED"}, step{60, bad, "UNSUPPRESSED"}, step{61, good, "RESOLVED"}, step{62, bad, "REOPENED"})
}

func TestReopening_IsTheEvaluatorsAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"reopen_minutes": 60})
	live(t, db, at, step{0, bad, "FIRED"}, step{1, good, "RESOLVED"})
	reopen := func(via string, count int) string {
		return fmt.Sprintf(`
			INSERT INTO monitoring.alert_instance_s (alert_instance_hk, hash_diff, alert_status, triggered_timestamp, changed_at, changed_via,
			                                         reopened_count, reopened_timestamp)
			SELECT alert_instance_hk, '\x', 'OPEN', triggered_timestamp, now(), '%s', %d, now()
			  FROM monitoring.alert_instance_s WHERE load_end_date IS NULL`, via, count)
	}
	for _, sql := range []string{reopen("psql:dana", 1), reopen("evaluator", 2)} {
		refused(t, db, "55000", []string{"RESOLVED and cannot become OPEN", "reopen_minutes"}, sql)
	}
	if changed := value[bool](t, db, "SELECT changed FROM monitoring.change_alert_state((SELECT alert_instance_hk FROM monitoring.alert_current), 'OPEN', now(), 'dana', 'cli:dana', NULL, NULL)"); changed {
		t.Error("a command opened it again")
	}
	// And the evaluator has no way back from what a person ended.
	live(t, db, at, step{2, bad, "REOPENED"})
	exec(t, db, "SELECT monitoring.resolve_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current")
	refused(t, db, "55000", []string{"RESOLVED and cannot become OPEN"}, reopen("evaluator", 2))
}

func TestReopening_GoesOnUnderTheVersionThatItFiresUnder(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"reopen_minutes": 60})
	live(t, db, at, step{0, bad, "FIRED"}, step{1, good, "RESOLVED"})
	define(t, db, "D", columns{"reopen_minutes": 60, "threshold_value": 50, "alert_severity": "LOW"})
	live(t, db, at, step{2, bad, "NONE"}, step{3, `{"blocked_backends": 60}`, "REOPENED"})
	if got := value[string](t, db, "SELECT alert_severity || ' ' || trim_scale(threshold_value) FROM monitoring.alert_current"); got != "LOW 50" {
		t.Errorf("it goes on as %s", got)
	}
}

func TestFlapping_IsToldOnceAndEndsWhenItWasStable(t *testing.T) {
	t.Parallel()
	for _, reopen := range []int{0, 60} {
		db := pgtest.Pool(t)
		at := noon()
		define(t, db, "D", columns{"reopen_minutes": reopen, "flap_count": 3, "flap_minutes": 10})
		again := map[int]string{0: "FIRED", 60: "REOPENED"}[reopen]
		live(t, db, at, step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{2, bad, again}, step{3, good, "RESOLVED"}, step{4, bad, again})
		if got := value[string](t, db, "SELECT flapping_reason FROM monitoring.alert_current WHERE flapping_since = $1", at.Add(minutes(4))); got != "opened 3 times within 10 minutes" {
			t.Errorf("it flaps because %q", got)
		}
		told := len(values[string](t, db, "SELECT kind FROM monitoring.outbox"))
		for i := range 20 {
			live(t, db, at, step{5 + 2*float64(i), good, "HOLDING"}, step{6 + 2*float64(i), bad, "HOLDING"})
		}
		live(t, db, at, step{45, good, "HOLDING"}, step{54, good, "HOLDING"})
		if got := decidedBecause(t, db, at, 54); got != "cleared, but flapping: it ends when it has stayed so for 10 minutes, at "+at.Add(minutes(55)).Format("2006-01-02 15:04:05 UTC") {
			t.Errorf("minute 54 says %q", got)
		}
		if n := len(values[string](t, db, "SELECT kind FROM monitoring.outbox")); n != told {
			t.Errorf("%d facts for the workflow while it flapped", n-told)
		}
		live(t, db, at, step{55, good, "RESOLVED"}, step{56, bad, again})
		if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_current WHERE alert_status = 'OPEN' AND flapping_since IS NULL"); n != 1 {
			t.Error("after it was stable the next opening is one like any other")
		}
	}
}

func TestFlapping_EndsAlsoWhenTheConditionStaysTrue(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"flap_count": 2, "flap_minutes": 10})
	live(t, db, at, step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{2, bad, "FIRED"}, step{11, unknown, "HOLDING"}, step{12, bad, "HOLDING"})
	flaps := "SELECT count(*) FROM monitoring.alert_current WHERE flapping_since IS NOT NULL AND alert_status = 'OPEN'"
	live(t, db, at, step{21, bad, "HOLDING"})
	if value[int](t, db, flaps) != 1 {
		t.Error("nine minutes are no ten")
	}
	live(t, db, at, step{22, bad, "HOLDING"})
	if value[int](t, db, flaps) != 0 || decidedBecause(t, db, at, 22) != "no longer flapping: TRUE for 10 minutes" {
		t.Errorf("it still flaps: %q", decidedBecause(t, db, at, 22))
	}
	live(t, db, at, step{23, good, "RESOLVED"})
}

func TestFlapping_CanBeTurnedOffAndIsNotSuppression(t *testing.T) {
	t.Parallel()
	for _, given := range []columns{{"flap_count": 0}, {"suppression_window_minutes": 60}} {
		db := pgtest.Pool(t)
		define(t, db, "D", given)
		for i := range 10 {
			evaluate(t, db, "D", noon().Add(minutes(float64(2*i))), bad)
			evaluate(t, db, "D", noon().Add(minutes(float64(2*i+1))), good)
		}
		if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_s WHERE flapping_since IS NOT NULL"); n != 0 {
			t.Errorf("with %v it was called flapping", given)
		}
	}
}

func TestFlapping_SuppressedFiringsDoNotCount(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"flap_count": 3, "suppression_window_minutes": 15})
	live(t, db, noon(), step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{2, bad, "SUPPRESSED"}, step{3, good, "RESOLVED"},
		step{4, bad, "SUPPRESSED"}, step{5, good, "RESOLVED"}, step{16, bad, "FIRED"}, step{17, good, "RESOLVED"})
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alert_instance_s WHERE flapping_since IS NOT NULL"); n != 0 {
		t.Error("people were called twice, and it is called flapping")
	}
}

func TestNoData_WithAReopeningAlertAndAFlappingOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state string
		want  []string
	}{
		// Missing data fires by itself under ALERT, clears under OK, and changes nothing under KEEP.
		{"ALERT", []string{"FIRED", "RESOLVED", "PENDING", "REOPENED", "HOLDING", "RESOLVED"}},
		{"OK", []string{"FIRED", "RESOLVED", "NONE", "NONE", "NONE", "NONE"}},
		{"KEEP", []string{"FIRED", "RESOLVED", "NONE", "NONE", "NONE", "NONE"}},
	} {
		db := pgtest.Pool(t)
		define(t, db, "D", columns{"reopen_minutes": 30, "no_data_state": c.state, "no_data_minutes": 5})
		live(t, db, noon(), step{0, bad, c.want[0]}, step{1, good, c.want[1]}, step{2, unknown, c.want[2]}, step{7, unknown, c.want[3]},
			step{8, unknown, c.want[4]}, step{9, good, c.want[5]})
	}
	for state, want := range map[string]string{"OK": "RESOLVED", "KEEP": "HOLDING", "ALERT": "HOLDING"} {
		db := pgtest.Pool(t)
		define(t, db, "D", columns{"flap_count": 2, "flap_minutes": 10, "no_data_state": state, "no_data_minutes": 0})
		live(t, db, noon(), step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{2, bad, "FIRED"}, step{3, unknown, "HOLDING"}, step{13, unknown, want})
	}
}

func TestExplainAlert_AgreesWhereLooksWereCountedAndWhereItOpenedAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"fire_looks": 2, "of_looks": 3, "reopen_minutes": 30, "flap_count": 2, "flap_minutes": 10})
	live(t, db, at, step{0, bad, "PENDING"}, step{1, unknown, "NONE"}, step{2, bad, "FIRED"}, step{3, good, "RESOLVED"})
	define(t, db, "D", columns{"reopen_minutes": 30, "flap_count": 2, "flap_minutes": 10, "threshold_value": 50})
	live(t, db, at, step{4, `{"blocked_backends": 60}`, "REOPENED"}, step{5, good, "HOLDING"})
	explained := func() string {
		return value[string](t, db, `
			SELECT concat_ws('|', agrees, disagreement, counted_true, counted_of, fire_looks, of_looks, reopened_count, reopened_at = $1, reopened_reason,
			                 flapping_reason, cleared_at, last_decision_reason)
			  FROM monitoring.alert_instance_h, LATERAL monitoring.explain_alert(alert_instance_hk)`, at.Add(minutes(4)))
	}
	stamp := func(minute float64) string { return at.Add(minutes(minute)).Format("2006-01-02 15:04:05 UTC") }
	want := "t|2|2|2|3|1|t|it had cleared at " + stamp(3) + ", within the 30 minutes in which a new firing continues the alert; flapping: opened 2 times within 10 minutes|" +
		"opened 2 times within 10 minutes|cleared, but flapping: it ends when it has stayed so for 10 minutes, at " + stamp(15)
	if got := explained(); got != want {
		t.Errorf("explained as %s\nwant %s", got, want)
	}
	exec(t, db, "ALTER TABLE monitoring.alert_evaluation_s DISABLE TRIGGER USER")
	exec(t, db, `UPDATE monitoring.alert_evaluation_s SET true_looks = 3 WHERE decision = 'FIRED'`)
	exec(t, db, `UPDATE monitoring.alert_evaluation_s SET inputs = '{"blocked_backends": 5, "threshold_value": 50}' WHERE decision = 'REOPENED'`)
	if got := explained(); !strings.Contains(got, "recorded were 3 true of 2 looks, counted again they are 2 of 2") ||
		!strings.Contains(got, "when it opened again TRUE was recorded, evaluated again it is FALSE") {
		t.Errorf("explained as %s", got)
	}
}

func TestExplainDefinition_SaysWhenCountedLooksWouldBeEnough(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "D", columns{"fire_looks": 3, "of_looks": 5, "evaluation_frequency_minutes": 2})
	at := time.Now().UTC().Truncate(time.Microsecond)
	evaluate(t, db, "D", at, bad)
	got := value[string](t, db, "SELECT concat_ws(' ', verdict, decision_reason, fires_at = $1) FROM monitoring.explain_definition('D', 'local')", at.Add(minutes(4)))
	if got != "PENDING 1 of the last 1 looks were true, it fires with 3 of 5 t" {
		t.Errorf("explained as %s", got)
	}
}

func TestAsOf_AnAlertThatWasOpenedAgainHadItsFirstEnd(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"reopen_minutes": 60})
	live(t, db, at, step{0, bad, "FIRED"}, step{10, good, "RESOLVED"}, step{20, bad, "REOPENED"}, step{30, good, "RESOLVED"})
	for minute, want := range map[float64]string{5: "OPEN", 15: "RESOLVED condition cleared 10", 25: "OPEN", 35: "RESOLVED condition cleared 30"} {
		got := value[string](t, db, `
			SELECT concat_ws(' ', alert_status, resolved_by, (extract(epoch FROM resolved_timestamp - $2) / 60)::integer)
			  FROM monitoring.alerts_as_of($1)`, at.Add(minutes(minute)), at)
		if got != want {
			t.Errorf("at minute %v it was %q, want %q", minute, got, want)
		}
	}
}

func TestDown_OfTheLifecycleKeepsAlertsThatHadOpenedAgain(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	define(t, db, "D", columns{"reopen_minutes": 60, "flap_count": 2})
	live(t, db, noon(), step{0, bad, "FIRED"}, step{1, good, "RESOLVED"}, step{2, bad, "REOPENED"})
	for {
		reached, err := migrations.Down(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		if reached.Version <= 17 {
			break
		}
	}
	if err := migrations.Up(t.Context(), address, nil); err != nil {
		t.Fatal(err)
	}
	if got := value[string](t, db, "SELECT string_agg(decision, ' ' ORDER BY evaluated_at) FROM monitoring.alert_evaluation_s"); got != "FIRED RESOLVED FIRED" {
		t.Errorf("the evaluations decided %s", got)
	}
	// What the earlier version could not say is gone; that the alert is open is not, and it goes on.
	live(t, db, noon(), step{3, bad, "HOLDING"}, step{4, good, "RESOLVED"})
}

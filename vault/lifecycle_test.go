package vault_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// The rules' own tests read the same file, so that Go and SQL have one notion of what is legal.
func TestTransitions_AreThoseWhichTheRulesAreTestedBy(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	text, err := os.ReadFile("../alert/testdata/transitions.json")
	if err != nil {
		t.Fatal(err)
	}
	var guard struct {
		Allowed, Reopening map[alert.Status][]alert.Status
	}
	if err := json.Unmarshal(text, &guard); err != nil {
		t.Fatal(err)
	}
	states := slices.Collect(maps.Keys(guard.Allowed))
	equal(f, "states", len(states), 5)
	for _, from := range states {
		for _, to := range states {
			got := value[bool](f, `SELECT monitoring.alert_transition_allowed($1, $2)`, from, to)
			equal(f, fmt.Sprintf("%s to %s", from, to), got, slices.Contains(guard.Allowed[from], to))
			reopens := value[bool](f, `
				SELECT coalesce(monitoring.alert_reopening_allowed(
				           jsonb_populate_record(NULL::monitoring.alert_instance_s, jsonb_build_object('alert_status', $1::text,
				               'resolved_by', 'condition cleared', 'changed_via', 'evaluator', 'resolved_timestamp', '2026-11-23T03:12:00Z')),
				           jsonb_populate_record(NULL::monitoring.alert_instance_s, jsonb_build_object('alert_status', $2::text,
				               'changed_via', 'evaluator', 'reopened_count', 1, 'reopened_timestamp', '2026-11-23T03:15:00Z'))), false)`, from, to)
			equal(f, fmt.Sprintf("%s to %s by the evaluation", from, to), reopens, slices.Contains(guard.Reopening[from], to))
		}
	}
}

// command calls monitoring.acknowledge_alert or resolve_alert as psql does.
func (f *fixture) command(function, alertKey string, actor any) (bool, error) {
	var changed bool
	err := f.psql.QueryRow(f.Context(), `SELECT monitoring.`+function+`(util.hash_binary($1), $2, 'on it')`, alertKey, actor).Scan(&changed)
	return changed, err
}

func (f *fixture) mustCommand(function, alertKey, actor string, want bool) {
	f.Helper()
	if changed, err := f.command(function, alertKey, actor); err != nil || changed != want {
		f.Fatalf("%s: %v, %v; want %v", function, changed, err, want)
	}
}

func TestPSQL_AcknowledgesAndResolvesOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustCommand("acknowledge_alert", key, "dana", true)
	f.mustCommand("acknowledge_alert", key, "eve", false)
	severity, message := f.lastNotice()
	if severity != "WARNING" || !strings.HasPrefix(message, alert.ShortID(key)+" was acknowledged by dana at ") || !strings.HasSuffix(message, " UTC") {
		t.Errorf("%s: %s", severity, message)
	}
	f.mustCommand("resolve_alert", key, "frank", true)
	for _, function := range []string{"resolve_alert", "acknowledge_alert"} {
		f.mustCommand(function, key, "eve", false)
		severity, message = f.lastNotice()
		if severity != "WARNING" || !strings.HasPrefix(message, alert.ShortID(key)+" was resolved by frank at ") {
			t.Errorf("%s: %s: %s", function, severity, message)
		}
	}
	if got := f.kinds(key); !slices.Equal(got, []string{"FIRED", "ACKNOWLEDGED", "RESOLVED"}) {
		t.Errorf("the workflow hears %v: only what changed belongs there", got)
	}
	equal(f, "versions", f.versions(key), 3)
	payload := value[map[string]string](f, `SELECT payload FROM monitoring.outbox WHERE kind = 'ACKNOWLEDGED'`)
	user := value[string](f, `SELECT session_user::text`)
	if payload["actor"] != "dana" || payload["notes"] != "on it" || payload["via"] != "psql:"+user || payload["at"] == "" {
		t.Errorf("payload %v", payload)
	}
	type state struct{ Status, Acknowledged, Resolved, Via string }
	got := value[state](f, `SELECT (alert_status, acknowledged_by, resolved_by, changed_via) FROM monitoring.alert_instance_s WHERE load_end_date IS NULL`)
	equal(f, "state", got, state{"RESOLVED", "dana", "frank", "psql:" + user})
}

func TestPSQL_RefusesWhatNamesNoAlertOrNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	for _, function := range []string{"acknowledge_alert", "resolve_alert"} {
		_, err := f.command(function, "ALERT||NONE", "dana")
		equal(f, function+" of an unknown alert", code(err), "P0002")
		if changed := value[bool](f, `SELECT monitoring.`+function+`(NULL, 'dana')`); changed {
			t.Errorf("%s of NULL changed something", function)
		}
		if severity, message := f.lastNotice(); severity != "NOTICE" || message != "no alert was given: nothing to do" {
			t.Errorf("%s of NULL: %s: %s", function, severity, message)
		}
		for _, actor := range []any{"", "   ", nil} {
			_, err := f.command(function, key, actor)
			equal(f, fmt.Sprintf("%s by %v", function, actor), code(err), "22023")
		}
	}
	if got := f.kinds(key); !slices.Equal(got, []string{"FIRED"}) {
		t.Errorf("the workflow hears %v", got)
	}
	equal(f, "versions", f.versions(key), 1)
}

func TestPSQL_StateAndFactAreRolledBackTogether(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.exec("BEGIN")
	f.mustCommand("acknowledge_alert", key, "dana", true)
	equal(f, "within the transaction", f.statuses("USAGE")[0], "ACKNOWLEDGED")
	f.exec("ROLLBACK")
	equal(f, "after it", f.statuses("USAGE")[0], "OPEN")
	if got := f.kinds(key); !slices.Equal(got, []string{"FIRED"}) {
		t.Errorf("the workflow hears %v", got)
	}
}

func TestPSQL_OfTwoAtOnceOneAcknowledges(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	other := f.session()
	f.exec("BEGIN")
	f.mustCommand("acknowledge_alert", key, "dana", true)
	type answer struct {
		changed bool
		err     error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		a.err = other.QueryRow(t.Context(), `SELECT monitoring.acknowledge_alert(util.hash_binary($1), 'eve')`, key).Scan(&a.changed)
		answers <- a
	}()
	f.awaitBlocked(other.PgConn().PID())
	f.exec("COMMIT")
	if a := <-answers; a.err != nil || a.changed {
		t.Errorf("the second acknowledgement: %v, %v", a.changed, a.err)
	}
	equal(f, "acknowledged by", value[string](f, `SELECT acknowledged_by FROM monitoring.alert_current`), "dana")
	equal(f, "versions", f.versions(key), 2)
}

// awaitBlocked returns when a session waits for a lock of the fixture's own.
func (f *fixture) awaitBlocked(pid uint32) {
	f.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !value[bool](f, `SELECT cardinality(pg_blocking_pids($1)) > 0`, pid) {
		if time.Now().After(deadline) {
			f.Fatal("the other session never had to wait")
		}
	}
}

// record offers changes as a workflow does.
func (f *fixture) record(changes ...vault.Change) []vault.ChangeResult {
	f.Helper()
	results, err := f.store.RecordHistory(f.Context(), changes, nil)
	if err != nil {
		f.Fatal(err)
	}
	return results
}

func TestRecordHistory_WritesInOrderAndOnlyOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("DOWN", nil)
	start := yesterday()
	key, usage := alert.Key("local", "DOWN", start), 91.5
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	changes := []vault.Change{
		{AlertKey: key, DefinitionKey: "DOWN", Target: "local", Change: "OPEN", At: start, Via: "worker", Value: &usage, Severity: alert.SeverityHigh},
		{AlertKey: key, Change: "NOTIFIED", At: at(1), Count: 3},
		{AlertKey: key, Change: "ESCALATED", At: at(15), Level: 1, Actor: "escalation", Via: "workflow"},
		{AlertKey: key, Change: "NOTIFIED", At: at(16), Count: 2},
		{AlertKey: key, Change: "ACKNOWLEDGED", At: at(20), Actor: "dana", Via: "cli:dana@host", Notes: "on it"},
		{AlertKey: key, Change: "RESOLVED", At: at(30), Actor: "condition cleared", Via: "evaluator"},
	}
	first := f.record(changes...)
	if len(first) != 3 {
		t.Fatalf("%d answers, want one per change of status: %+v", len(first), first)
	}
	for i, want := range []alert.Status{alert.StatusEscalated, alert.StatusAcknowledged, alert.StatusResolved} {
		if !first[i].Changed || first[i].Status != want || first[i].AlertKey != key {
			t.Errorf("answer %d: %+v, want %s", i, first[i], want)
		}
	}
	equal(f, "versions", f.versions(key), len(changes))

	again := f.record(changes[:5]...) // the last one's answer would be the same
	for _, r := range again {
		if r.Changed || r.Status != alert.StatusResolved || r.Actor != "condition cleared" || !r.At.Equal(at(30)) {
			t.Errorf("written again: %+v", r)
		}
	}
	type state struct {
		Notified, Level int
		Acknowledged    string
		Statuses        []string
	}
	got := value[state](f, `
		SELECT (c.notification_count, c.escalation_level, c.acknowledged_by,
		        (SELECT array_agg(s.alert_status ORDER BY s.load_date) FROM monitoring.alert_instance_s s))
		  FROM monitoring.alert_instance_s c WHERE c.load_end_date IS NULL`)
	if got.Level != 1 || got.Acknowledged != "dana" ||
		!slices.Equal(got.Statuses[:6], []string{"OPEN", "OPEN", "ESCALATED", "ESCALATED", "ACKNOWLEDGED", "RESOLVED"}) {
		t.Errorf("state %+v", got)
	}
	equal(f, "messages counted", got.Notified, 5)
	if kinds := f.kinds(key); len(kinds) != 0 {
		t.Errorf("the workflow would hear its own changes: %v", kinds)
	}
}

func TestRecordHistory_FillsInALateAcknowledgement(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	now := time.Now().UTC().Truncate(time.Microsecond)
	f.record(vault.Change{AlertKey: key, Change: "RESOLVED", At: now, Actor: "condition cleared", Via: "evaluator"})
	late := f.record(
		vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now.Add(-time.Second), Actor: "dana", Via: "cli:dana@host", Notes: "on it"},
		vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now.Add(-time.Millisecond), Actor: "eve", Via: "cli:eve@host"},
	)
	for _, r := range late {
		if r.Changed || r.Status != alert.StatusResolved || r.Actor != "condition cleared" || !r.At.Equal(now) {
			t.Errorf("answer %+v", r)
		}
	}
	type state struct {
		Status, By, Notes string
		At, Changed       time.Time
	}
	got := value[state](f, `SELECT (alert_status, acknowledged_by, acknowledgment_notes, acknowledged_timestamp, changed_at)
		FROM monitoring.alert_instance_s WHERE load_end_date IS NULL`)
	if got.Status != "RESOLVED" || got.By != "dana" || got.Notes != "on it" || !got.At.Equal(now.Add(-time.Second)) || !got.Changed.Equal(now) {
		t.Errorf("state %+v", got)
	}
}

func TestRecordHistory_AnAcknowledgementAfterTheEndIsNotFilledIn(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	now := time.Now().UTC()
	f.record(vault.Change{AlertKey: key, Change: "RESOLVED", At: now, Actor: "condition cleared", Via: "evaluator"},
		vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now.Add(time.Second), Actor: "dana", Via: "cli:dana@host"})
	equal(f, "versions", f.versions(key), 2)
}

func TestRecordHistory_CountsOneNotificationOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	told := vault.Change{AlertKey: key, Change: "NOTIFIED", At: time.Now().UTC().Truncate(time.Microsecond), Count: 3}
	f.record(told)
	f.record(told, told)
	equal(f, "messages", value[int](f, `SELECT notification_count FROM monitoring.alert_instance_s WHERE load_end_date IS NULL`), 3)
	equal(f, "versions", f.versions(key), 2)
}

func TestRecordHistory_AnUnknownAlertIsReportedAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	now := time.Now().UTC()
	results := f.record(
		vault.Change{AlertKey: "ALERT||LOST", Change: "NOTIFIED", At: now, Count: 1},
		vault.Change{AlertKey: "ALERT||LOST", Change: "ACKNOWLEDGED", At: now, Actor: "dana"},
		vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: now, Actor: "dana"},
	)
	if len(results) != 2 || results[0].Changed || results[0].Status != "" ||
		results[0].Message != "the vault does not know the alert ALERT||LOST" || !results[1].Changed {
		t.Errorf("answers %+v", results)
	}
}

func TestRecordHistory_IsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	now := time.Now().UTC()
	_, err := f.store.RecordHistory(t.Context(), []vault.Change{
		{AlertKey: key, Change: "ACKNOWLEDGED", At: now, Actor: "dana"},
		{AlertKey: "ALERT||X", DefinitionKey: "UNKNOWN", Target: "local", Change: "OPEN", At: now},
	}, nil)
	if err == nil || !vault.Permanent(err) || vault.Unreachable(err) {
		t.Errorf("an alert of an unknown definition: %v", err)
	}
	equal(f, "versions", f.versions(key), 1)
}

func TestStore_CommandsOfTheCommandLineChangeTheVault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	a, err := f.store.FindAlert(t.Context(), alert.ShortID(key))
	if err != nil || a.Key != key || a.State != alert.StatusOpen {
		t.Fatalf("found %+v, %v", a, err)
	}
	if changed, err := f.store.AcknowledgeAlert(t.Context(), a, "dana", "on it"); err != nil || !changed {
		t.Errorf("acknowledge: %v, %v", changed, err)
	}
	if changed, err := f.store.AcknowledgeAlert(t.Context(), a, "eve", ""); err != nil || changed {
		t.Errorf("acknowledge again: %v, %v", changed, err)
	}
	var refused *vault.Refusal
	if _, err := f.store.ResolveAlert(t.Context(), a, " ", ""); !errors.As(err, &refused) || refused.Code != "22023" {
		t.Errorf("resolve by nobody: %v", err)
	}
	if changed, err := f.store.ResolveAlert(t.Context(), a, "dana", ""); err != nil || !changed {
		t.Errorf("resolve: %v, %v", changed, err)
	}
}

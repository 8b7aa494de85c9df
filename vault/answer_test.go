package vault_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// answer calls one of the functions that people have for an alert; args follow the alert's key.
func (f *fixture) answer(call, alertKey string, args ...any) (bool, error) {
	var changed bool
	err := f.psql.QueryRow(f.Context(), `SELECT monitoring.`+call, append([]any{alertKey}, args...)...).Scan(&changed)
	return changed, err
}

func (f *fixture) mustAnswer(want bool, call, alertKey string, args ...any) {
	f.Helper()
	if changed, err := f.answer(call, alertKey, args...); err != nil || changed != want {
		f.Fatalf("%s: %v, %v; want %v", call, changed, err, want)
	}
}

const (
	takeFor  = `acknowledge_alert_for(util.hash_binary($1), $2, $3, 'looking')`
	giveBack = `unacknowledge_alert(util.hash_binary($1), $2, 'cannot reach it')`
	snooze   = `snooze_alert(util.hash_binary($1), $2, $3, 'deploying')`
	raise    = `escalate_alert(util.hash_binary($1), $2, 'need the owner')`
	mistaken = `mark_alert_false_positive(util.hash_binary($1), $2, $3)`
)

func TestAnswersInPSQL_ChangeTheStateAndTellTheWorkflow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustAnswer(true, snooze, key, "dana", 30*time.Minute)
	equal(f, "a snoozed alert is", f.statuses("USAGE")[0], "OPEN")
	f.mustAnswer(true, takeFor, key, "dana", 2*time.Hour)
	f.mustAnswer(false, takeFor, key, "eve", time.Hour) // the longer one holds
	f.mustAnswer(false, snooze, key, "eve", time.Hour)
	if severity, message := f.lastNotice(); severity != "WARNING" || !strings.Contains(message, "is ACKNOWLEDGED") {
		t.Errorf("%s: %s", severity, message)
	}
	f.mustAnswer(true, takeFor, key, "eve", 3*time.Hour)
	f.mustAnswer(true, giveBack, key, "eve")
	f.mustAnswer(false, giveBack, key, "eve")
	f.mustAnswer(true, raise, key, "eve")
	f.mustCommand("acknowledge_alert", key, "frank", true)
	f.mustAnswer(true, raise, key, "frank")
	equal(f, "level", value[int](f, `SELECT escalation_level FROM monitoring.alert_current`), 2)
	f.mustAnswer(true, mistaken, key, "frank", "a backup ran")
	f.mustAnswer(false, raise, key, "eve")
	want := []string{"FIRED", "SNOOZED", "ACKNOWLEDGED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "ESCALATED", "ACKNOWLEDGED", "ESCALATED", "RESOLVED"}
	if got := f.kinds(key); !slices.Equal(got, want) {
		t.Errorf("the workflow hears %v, want %v", got, want)
	}
	for kind, word := range map[string]string{"SNOOZED": "until", "UNACKNOWLEDGED": "at", "ESCALATED": "level", "RESOLVED": "false_positive"} {
		if n := value[int](f, `SELECT count(*) FROM monitoring.outbox WHERE kind = $1 AND payload ->> $2 IS NOT NULL AND payload ->> 'actor' <> ''`, kind, word); n == 0 {
			t.Errorf("%s does not say %s", kind, word)
		}
	}
	found, err := f.store.FindAlert(t.Context(), alert.ShortID(key))
	if err != nil || !found.FalsePositive || found.ResolvedNotes != "a backup ran" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestAnswersInPSQL_AnAnswerThatIsTakenBackLeavesNoOwner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustAnswer(true, takeFor, key, "dana", 2*time.Hour)
	before := value[time.Time](f, `SELECT clock_timestamp()`)
	f.mustAnswer(true, giveBack, key, "eve")
	found, err := f.store.FindAlert(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if found.State != alert.StatusOpen || found.AcknowledgedBy != "" || !found.AcknowledgedUntil.IsZero() || found.ChangedBy != "eve" || found.ChangeNotes != "cannot reach it" {
		t.Errorf("it is %+v", found)
	}
	// But what was true then stays known.
	then, _, err := f.store.Alerts(t.Context(), vault.AlertFilter{AsOf: before, KnownAt: time.Now()})
	if err != nil || len(then) != 1 || then[0].State != alert.StatusAcknowledged || then[0].AcknowledgedBy != "dana" || then[0].AcknowledgedUntil.IsZero() {
		t.Errorf("as of then it was %+v, %v", then, err)
	}
}

func TestAnswersInPSQL_RefuseWhatSaysTooLittle(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	for _, c := range []struct {
		call string
		args []any
		says string
	}{
		{takeFor, []any{"dana", 30 * time.Second}, "p_for"},
		{takeFor, []any{"dana", 31 * 24 * time.Hour}, "p_for"},
		{takeFor, []any{"dana", nil}, "p_for"},
		{takeFor, []any{" ", time.Hour}, "p_acknowledged_by"},
		{giveBack, []any{""}, "p_actor"},
		{snooze, []any{"", time.Hour}, "p_actor"},
		{snooze, []any{"dana", -time.Hour}, "p_for"},
		{`snooze_alert(util.hash_binary($1), $2, '1 hour', ' ')`, []any{"dana"}, "p_reason"},
		{raise, []any{nil}, "p_actor"},
		{mistaken, []any{"dana", ""}, "p_reason"},
	} {
		_, err := f.answer(c.call, key, c.args...)
		if code(err) != "22023" || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s with %v: %v, want it refused because of %s", c.call, c.args, err, c.says)
		}
	}
	for call, args := range map[string][]any{takeFor: {"dana", time.Hour}, giveBack: {"dana"}, snooze: {"dana", time.Hour}, raise: {"dana"}, mistaken: {"dana", "x"}} {
		if _, err := f.answer(call, "ALERT||NONE", args...); code(err) != "P0002" {
			t.Errorf("%s of an unknown alert: %v", call, err)
		}
	}
	equal(f, "versions", f.versions(key), 1)
}

func TestAnswersInPSQL_WhatHasEndedCanStillBeCalledAFalsePositive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustCommand("resolve_alert", key, "condition cleared", true)
	ended := value[time.Time](f, `SELECT resolved_timestamp FROM monitoring.alert_current`)
	f.mustAnswer(true, mistaken, key, "dana", "a backup ran")
	f.mustAnswer(false, mistaken, key, "eve", "I think so, too")
	found, err := f.store.FindAlert(t.Context(), key)
	if err != nil || !found.FalsePositive || found.ResolvedBy != "condition cleared" || !found.ResolvedAt.Equal(ended) || found.ChangedBy != "dana" {
		t.Errorf("%+v, %v", found, err)
	}
	if got := f.kinds(key); !slices.Equal(got, []string{"FIRED", "RESOLVED"}) {
		t.Errorf("the workflow hears %v", got)
	}
	moments, err := f.store.AlertTimeline(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	last := moments[len(moments)-1]
	if last.Status != "FALSE_POSITIVE" || last.Actor != "dana" || last.Notes != "a backup ran" {
		t.Errorf("the timeline ends with %+v", last)
	}
}

func TestRecorded_TheClockEndsOnlyTheAcknowledgementThatItKnows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	record := func(c vault.Change) vault.ChangeResult {
		t.Helper()
		c.AlertKey = key
		results, err := f.store.RecordHistory(t.Context(), []vault.Change{c}, nil)
		if err != nil || len(results) != 1 {
			t.Fatalf("%+v, %v", results, err)
		}
		return results[0]
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	until := now.Add(time.Hour)
	expiry := vault.Change{Change: "UNACKNOWLEDGED", At: until, Actor: "acknowledgement timer", Via: "acknowledgement expired", Expired: true}
	if got := record(vault.Change{Change: "ACKNOWLEDGED", At: now, Actor: "dana", Until: until}); !got.Changed || !got.Until.Equal(until) {
		t.Errorf("acknowledged: %+v", got)
	}
	f.mustAnswer(true, takeFor, key, "eve", 2*time.Hour)
	if got := record(expiry); got.Changed || got.Status != alert.StatusAcknowledged || got.Actor != "eve" || !got.Until.After(until) {
		t.Errorf("the old clock: %+v", got)
	}
	expiry.At = now.Add(3 * time.Hour)
	if got := record(expiry); !got.Changed || got.Status != alert.StatusOpen {
		t.Errorf("the new clock: %+v", got)
	}
	if got := record(expiry); got.Changed {
		t.Errorf("written again: %+v", got)
	}
	snoozed := vault.Change{Change: "SNOOZED", At: now.Add(4 * time.Hour), Actor: "dana", Notes: "deploying", Until: now.Add(5 * time.Hour)}
	if got := record(snoozed); !got.Changed {
		t.Errorf("snoozed: %+v", got)
	}
	if got := record(snoozed); got.Changed || got.Status != alert.StatusOpen {
		t.Errorf("snoozed again by a retry: %+v", got)
	}
	equal(f, "via", value[string](f, `SELECT changed_via FROM monitoring.alert_instance_s WHERE alert_status = 'OPEN' AND changed_by LIKE '%timer'`), "acknowledgement expired")
}

func TestOutbox_CarriesHowAnAnswerStands(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustAnswer(true, takeFor, key, "dana", 2*time.Hour)
	outbox, err := f.store.TakeOutbox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer outbox.Release()
	rows, err := outbox.Unrelayed(t.Context(), 10)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if rows[1].Payload.Until.IsZero() || !rows[1].Payload.Until.Equal(rows[1].Alert.AcknowledgedUntil) {
		t.Errorf("the acknowledgement ends at %s, the alert's at %s", rows[1].Payload.Until, rows[1].Alert.AcknowledgedUntil)
	}
}

package vault_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"onevault/vault"
)

func hexOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func digestOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func (f *fixture) claim(id, content string) vault.Receipt {
	f.Helper()
	r, err := f.store.ClaimReceipt(f.Context(), "slack", id, digestOf(content), "slack:U123 (verified)")
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func TestReceipts_TheSameAgainIsAnsweredAsTheFirstTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got := f.claim("1", "ack"); got.Finding != vault.ReceiptNew {
		t.Fatalf("first: %+v", got)
	}
	if got := f.claim("1", "ack"); got.Finding != vault.ReceiptUnderWay {
		t.Errorf("while it is carried out: %+v", got)
	}
	if err := f.store.SettleReceipt(t.Context(), "slack", "1", 200, json.RawMessage(`{"said":"done"}`)); err != nil {
		t.Fatal(err)
	}
	if got := f.claim("1", "ack"); got.Finding != vault.ReceiptDone || got.Status != 200 || string(got.Answer) != `{"said": "done"}` || got.Sender != "slack:U123 (verified)" {
		t.Errorf("again: %+v", got)
	}
	if got := f.claim("1", "resolve"); got.Finding != vault.ReceiptDifferent {
		t.Errorf("another content: %+v", got)
	}
	if got, err := f.store.FindReceipt(t.Context(), "slack", "1"); err != nil || got.Finding != vault.ReceiptDone || got.At.IsZero() {
		t.Errorf("found: %+v %v", got, err)
	}
	if got, err := f.store.FindReceipt(t.Context(), "slack", "2"); err != nil || got.Finding != vault.ReceiptNew {
		t.Errorf("what never came: %+v %v", got, err)
	}
}

func TestReceipts_WhatCouldNotBeDoneMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.claim("1", "ack")
	if err := f.store.ReleaseReceipt(t.Context(), "slack", "1"); err != nil {
		t.Fatal(err)
	}
	if got := f.claim("1", "ack"); got.Finding != vault.ReceiptNew {
		t.Errorf("after it was given back: %+v", got)
	}
	// A worker that ended in the midst of it gives nothing back.
	f.exec("UPDATE monitoring.inbound_receipt SET claimed_at = claimed_at - interval '2 minutes'")
	if got := f.claim("1", "ack"); got.Finding != vault.ReceiptNew {
		t.Errorf("after its worker ended: %+v", got)
	}
}

func TestReceipts_OfManyAtOnceOneCarriesItOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		won  int
	)
	for range 20 {
		wait.Go(func() {
			r, err := f.store.ClaimReceipt(t.Context(), "slack", "1", digestOf("ack"), "")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if r.Finding == vault.ReceiptNew {
				won++
			}
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d carry it out", won)
	}
}

func TestInboundRefusals_AreOneEventForEachHourAndReason(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	at := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	forged := vault.InboundRefusals{Provider: "slack", Reason: "SIGNATURE", Count: 60, First: at, Last: at, Addresses: []string{"198.51.100.7"}, Detail: "signature does not match"}
	more := forged
	more.Last, more.Addresses = at.Add(time.Minute), []string{"198.51.100.8"}
	late := vault.InboundRefusals{Provider: "link", Reason: "EXPIRED", Count: 1, First: at, Last: at, Addresses: []string{"not an address"}}
	for _, batch := range [][]vault.InboundRefusals{{forged}, {more, late}} {
		if err := f.store.RecordInboundRefusals(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	got := column[string](f, `
		SELECT concat_ws(' ', s.event_type, s.event_severity, s.source_ip, s.event_details ->> 'provider', s.event_details ->> 'count', s.event_details ->> 'addresses', s.event_details ->> 'first' < s.event_details ->> 'last')
		  FROM monitoring.security_event_s s
		 WHERE s.load_end_date IS NULL AND s.event_type = 'INBOUND_REFUSED' ORDER BY 1`)
	want := []string{
		`INBOUND_REFUSED HIGH 198.51.100.8 slack 120 ["198.51.100.7", "198.51.100.8"] t`,
		`INBOUND_REFUSED LOW link 1 ["not an address"] f`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("events:\n%v\nwant\n%v", got, want)
	}
}

func ofSlack(command, actor, notes string) vault.Answer {
	return vault.Answer{Command: command, Actor: actor, Notes: notes, Via: "slack:U123 (verified)"}
}

func TestAnswerAlert_EveryCommandRecordsHowTheActorWasVerified(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", nil)
	key := f.fire("USAGE")
	_, address := f.loginAs("onevault_worker")
	f.store = f.open(address)
	a, err := f.store.FindAlert(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []vault.Answer{
		{Command: "snooze", Notes: "deploying", Lasts: time.Hour},
		{Command: "acknowledge", Lasts: time.Hour},
		{Command: "unacknowledge"},
		{Command: "escalate"},
		{Command: "acknowledge"},
		{Command: "false-positive", Notes: "a backup ran"},
	} {
		answer.Actor, answer.Via = "dana", "twilio:+4930123456 (verified)"
		if changed, err := f.store.AnswerAlert(t.Context(), a, answer); err != nil || !changed {
			t.Fatalf("%s: %v %v", answer.Command, changed, err)
		}
		if a, err = f.store.FindAlert(t.Context(), key); err != nil || a.ChangedVia != answer.Via {
			t.Errorf("%s: recorded via %q, %v", answer.Command, a.ChangedVia, err)
		}
	}
	want := []string{"FIRED", "SNOOZED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "ESCALATED", "ACKNOWLEDGED", "RESOLVED"}
	if got := f.kinds(key); !slices.Equal(got, want) {
		t.Errorf("the workflow hears %v, want %v", got, want)
	}
	if _, err := f.store.AnswerAlert(t.Context(), a, vault.Answer{Command: "reopen", Actor: "dana", Via: "x"}); err == nil {
		t.Error("a command that nobody knows is taken")
	}
}

func TestAnswerAlert_WhoeverIsNoWorkerCannotSayHowHeIsKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", nil)
	key := f.fire("USAGE")
	name, address := f.loginAs("onevault_operator")
	f.store = f.open(address)
	if _, err := f.store.Pool().Exec(t.Context(), `
		WITH said AS MATERIALIZED (SELECT set_config('onevault.answered_via', 'slack:U123 (verified)', false))
		SELECT monitoring.acknowledge_alert(util.hash_binary($1), 'dana', NULL) FROM said`, key); err != nil {
		t.Fatal(err)
	}
	if a, err := f.store.FindAlert(t.Context(), key); err != nil || a.ChangedVia != "psql:"+name {
		t.Errorf("recorded via %q, %v; want who opened the session", a.ChangedVia, err)
	}
}

func TestAnswerAlert_RecordsHowTheActorWasVerified(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	a, err := f.store.FindAlert(t.Context(), f.takeIn(outside("Up", "fp", "firing"))[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := f.store.AnswerAlert(t.Context(), a, ofSlack("acknowledge", "dana", "looking")); err != nil || changed != want {
			t.Errorf("%d: %v %v", i, changed, err)
		}
	}
	if a, err = f.store.FindAlert(t.Context(), a.ID); err != nil || a.AcknowledgedBy != "dana" || a.ChangedVia != "slack:U123 (verified)" {
		t.Errorf("%+v %v", a, err)
	}
	if got := f.outboxKinds(); !slices.Equal(got, []string{"FIRED", "ACKNOWLEDGED"}) {
		t.Errorf("the workflow hears %v", got)
	}
	if _, err := f.store.AnswerAlert(t.Context(), a, ofSlack("resolve", " ", "")); err == nil {
		t.Error("nobody resolved it")
	}
}

func TestInbound_TheWorkersRoleMayTakeInAndSayNothingAboutWhoMaySend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	_, address := f.loginAs("onevault_worker")
	f.store = f.open(address)
	outcomes := f.takeIn(outside("Up", "fp", "firing"))
	a, err := f.store.FindAlert(t.Context(), outcomes[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := f.store.AnswerAlert(t.Context(), a, ofSlack("acknowledge", "dana", "")); !changed || err != nil {
		t.Errorf("answer: %v %v", changed, err)
	}
	if got := f.tookIn(outside("Up", "fp", "resolved")); got != "RESOLVED" {
		t.Errorf("end: %s", got)
	}
	f.claim("1", "ack")
	if err := f.store.SettleReceipt(t.Context(), "slack", "1", 200, json.RawMessage(`{}`)); err != nil {
		t.Error(err)
	}
	f.claim("2", "ack")
	if err := f.store.ReleaseReceipt(t.Context(), "slack", "2"); err != nil {
		t.Error(err)
	}
	if err := f.store.RecordInboundRefusals(t.Context(), []vault.InboundRefusals{{Provider: "slack", Reason: "SIGNATURE", Count: 1, First: a.TriggeredAt, Last: a.TriggeredAt}}); err != nil {
		t.Error(err)
	}
	// A worker that was taken over must not let in whom it likes.
	if _, err := f.store.Pool().Exec(t.Context(), "INSERT INTO monitoring.alert_source_s SELECT * FROM monitoring.alert_source_s"); code(err) != "42501" {
		t.Errorf("the worker may write sources: %v", err)
	}
}

func TestInbound_TheOperatorsRoleSetsSourcesAndAnswersForNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.source(nil)
	id := f.takeIn(outside("Up", "fp", "firing"))[0].ID
	_, address := f.loginAs("onevault_operator")
	f.store = f.open(address)
	f.source(func(s *vault.Source) { s.Description = "another" })
	a, err := f.store.FindAlert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.AnswerAlert(t.Context(), a, ofSlack("acknowledge", "dana", "")); err == nil {
		t.Error("an operator may record that somebody else was verified")
	}
	if _, err := f.store.TakeIn(t.Context(), "prometheus", []vault.SourceAlert{outside("Up", "other", "firing")}, ofPrometheus); err == nil {
		t.Error("an operator may open alerts in a source's name")
	}
}

package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"onevault/inbox"
)

// The complaint: "paging goes on after the acknowledgement". A page that its provider puts off is still on its way
// when somebody answers: it is withdrawn, and the ledger says why.
func TestAcknowledgement_WithdrawsThePageThatIsStillOnItsWay(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_ANSWERED")
	const putOff = 20 * time.Second
	fail(t, s.inbox, 1, inbox.Behaviour{Status: 503, RetryAfter: putOff})
	s.define(rule{}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 2)
	var refused entry
	eventually(t, patience, "the webhook's receiver puts the page off", func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, s.key)
		for _, e := range current(entries) {
			if e.Channel == s.channelKey("WEBHOOK") && e.Class == "TRANSIENT" {
				refused = e
				return true, nil, nil
			}
		}
		return false, entries, err
	})

	w.must(t, "alert", "ack", opened.ID, "-m", "saw it in the mail")
	if late := time.Since(refused.RecordedAt); late > putOff {
		t.Fatalf("acknowledged %s after the page was put off, for %s: the story came too late", late, putOff)
	}
	eventually(t, patience, "the ledger says that the page was withdrawn", func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, s.key)
		for _, e := range current(entries) {
			if e.Channel == s.channelKey("WEBHOOK") && e.Status == "SUPPRESSED" && strings.Contains(e.Reason, "the alert was answered") && strings.Contains(e.Reason, "503") {
				return true, nil, nil
			}
		}
		return false, entries, err
	})
	// What must not come can only be waited for.
	time.Sleep(time.Until(refused.RecordedAt.Add(putOff + 3*time.Second)))
	if n := len(s.received(inbox.Webhook, opened.ID)); n != 0 {
		t.Errorf("%d messages came after the acknowledgement", n)
	}

	// Nobody was told by webhook, so nobody hears of the end there.
	s.define(rule{}, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 2)
	if n := len(s.received(inbox.Webhook, opened.ID)); n != 0 {
		t.Errorf("%d messages came to one who was never paged", n)
	}
}

// The complaint: "resolved notices lost". Exactly those who were paged are told of the end, also when their providers
// are in trouble at that moment and when by then somebody else hears the definition.
func TestResolvedNotice_ReachesExactlyThoseWhoWerePaged(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_END")
	never, late := startInbox(t), startInbox(t)
	fail(t, never, 1000, inbox.Behaviour{Status: 404})
	s.channel("NEVER", "WEBHOOK", webhookTo(never), 0, 1)
	s.channel("LATE", "WEBHOOK", webhookTo(late), 0, 1)
	paged := []string{s.channelKey("EMAIL"), s.channelKey("SLACK"), s.channelKey("WEBHOOK")}
	s.define(rule{channels: append([]string{s.channelKey("NEVER")}, paged...)}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	eventually(t, patience, "one of four could not be paged", func(ctx context.Context) (bool, any, error) {
		entries, err := w.ledger(ctx, s.key)
		for _, e := range current(entries) {
			if e.Channel == s.channelKey("NEVER") && e.Status == "FAILED" {
				return true, nil, nil
			}
		}
		return false, entries, err
	})
	w.must(t, "alert", "ack", opened.ID)

	for channel, how := range map[string]inbox.Behaviour{
		inbox.Webhook: {Status: 503}, inbox.Slack: {Status: 429, RetryAfter: 3 * time.Second}, inbox.Email: {Status: 451},
	} {
		if err := s.inbox.Fail(channel, 2, how); err != nil {
			t.Fatal(err)
		}
	}
	s.define(rule{channels: []string{s.channelKey("LATE")}}, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 3)
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	if n := len(never.Attempts()); n != 1 {
		t.Errorf("the receiver that could not be paged was asked %d times, want once", n)
	}
	if n := len(late.Attempts()); n != 0 {
		t.Errorf("who hears the definition since then was told %d times of what began before", n)
	}
}

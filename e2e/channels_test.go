package e2e_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"onevault/inbox"
)

func TestChannelsThatFail_AreRecordedWithTheReasonAndHoldUpNobody(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_CHANNELS")
	busy, gone, hanging := startInbox(t), startInbox(t), startInbox(t)
	fail(t, busy, 1, inbox.Behaviour{Status: 503, RetryAfter: 4 * time.Second})
	fail(t, gone, 1000, inbox.Behaviour{Status: 404})
	fail(t, hanging, 1, inbox.Behaviour{Hang: true, Taken: true})
	s.channel("BUSY", "WEBHOOK", webhookTo(busy), 3, 1)
	s.channel("GONE", "WEBHOOK", webhookTo(gone), 3, 1)
	s.channel("HANGING", "WEBHOOK", webhookTo(hanging), 3, 1)
	s.channel("PAGERDUTY", "PAGERDUTY", map[string]any{"routing_key_env": webhookSecretVariable}, 3, 1)
	// The password must never be seen, and the inbox offers no STARTTLS to send it through.
	login := emailTo(t, s.inbox)
	login["tls"], login["smtp_username"], login["smtp_password_env"] = "starttls", "onevault", smtpPasswordVariable
	s.channel("LOGIN", "EMAIL", login, 0, 1)
	all := rule{}
	for _, name := range []string{"EMAIL", "SLACK", "WEBHOOK", "BUSY", "GONE", "HANGING", "PAGERDUTY", "LOGIN"} {
		all.channels = append(all.channels, s.channelKey(name))
	}
	s.define(all, holds)
	opened := s.awaitState("OPEN")

	var entries []entry
	eventually(t, 2*time.Minute, "all eight channels have ended", func(ctx context.Context) (bool, any, error) {
		var err error
		entries, err = w.ledger(ctx, s.key)
		ended := 0
		for _, e := range current(entries) {
			if e.Event == "FIRED" && e.Status != "PENDING" {
				ended++
			}
		}
		return ended == 8, entries, err
	})
	s.mustBusy(versionsOf(entries, s.channelKey("BUSY")))
	s.mustEnd(entries, "GONE", "FAILED", "CONFIG", "404")
	s.mustEnd(entries, "PAGERDUTY", "FAILED", "CONFIG", "routing_key")
	s.mustEnd(entries, "LOGIN", "FAILED", "", "STARTTLS")
	s.mustEnd(entries, "HANGING", "DELIVERED", "ACCEPTED", "")
	if n := len(gone.Attempts()); n != 1 {
		t.Errorf("a receiver that answers 404 was asked %d times, want once", n)
	}
	s.mustNotWait(entries)

	hung := versionsOf(entries, s.channelKey("HANGING"))
	if last := hung[len(hung)-1]; !last.Duplicate {
		t.Errorf("resent after no answer, and not marked: %s", last)
	}
	if got := len(hanging.Messages()); got != 2 {
		t.Errorf("the hanging receiver has %d messages, want 2: the one it did not answer, and one more", got)
	}
	s.define(all, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 5)
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
	s.exportHistory("cleared")
}

func fail(t *testing.T, server *inbox.Server, n int, how inbox.Behaviour) {
	t.Helper()
	if err := server.Fail(inbox.Webhook, n, how); err != nil {
		t.Fatal(err)
	}
}

// versionsOf are the ledger's rows for the firing and one channel, in the order of recording.
func versionsOf(entries []entry, channel string) []entry {
	var list []entry
	for _, e := range entries {
		if e.Channel == channel && e.Event == "FIRED" {
			list = append(list, e)
		}
	}
	return list
}

// mustBusy: the refusal with its reason, then not before the receiver's wish a second attempt that succeeds.
func (s *story) mustBusy(list []entry) {
	s.t.Helper()
	if len(list) != 4 || list[1].Class != "TRANSIENT" || !strings.Contains(list[1].Reason, "503") || list[3].Status != "DELIVERED" || list[3].Attempt != 1 {
		s.t.Errorf("want intent, TRANSIENT with 503, intent, DELIVERED by attempt 1; the ledger has %v", list)
		return
	}
	if waited := list[2].RecordedAt.Sub(list[1].RecordedAt); waited < 4*time.Second-100*time.Millisecond {
		s.t.Errorf("tried again after %s, the receiver asked for 4 s", waited)
	}
}

// mustEnd: a channel's ledger ends with a status, a class and a reason that names the cause.
func (s *story) mustEnd(entries []entry, channel, status, class, reason string) {
	s.t.Helper()
	list := versionsOf(entries, s.channelKey(channel))
	last := list[len(list)-1]
	if last.Status != status || class != "" && last.Class != class || !strings.Contains(last.Reason, reason) {
		s.t.Errorf("%s ends %q %q with reason %q, want %s %s %s", channel, last.Status, last.Class, last.Reason, status, class, reason)
	}
}

// mustNotWait: the channels that work were told before the hanging one gave up its first attempt.
func (s *story) mustNotWait(entries []entry) {
	s.t.Helper()
	var gaveUp time.Time
	for _, e := range versionsOf(entries, s.channelKey("HANGING")) {
		if e.Class != "" && gaveUp.IsZero() {
			gaveUp = e.RecordedAt
		}
	}
	for _, name := range []string{"EMAIL", "SLACK", "WEBHOOK", "BUSY"} {
		list := versionsOf(entries, s.channelKey(name))
		if last := list[len(list)-1]; last.Status != "DELIVERED" || !last.RecordedAt.Before(gaveUp) {
			s.t.Errorf("%s ended %s at %s, the hanging channel at %s", name, last.Status, stamp(last.RecordedAt), stamp(gaveUp))
		}
	}
}

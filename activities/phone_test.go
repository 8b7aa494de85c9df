package activities

import (
	"net/http"
	"strings"
	"testing"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
)

// TestSendNotification_ReachesTelephonesAndPagers sends through each channel to a receiver that answers and
// refuses as its provider does.
func TestSendNotification_ReachesTelephonesAndPagers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.open()
	for _, c := range []struct {
		kind          notify.Type
		configuration map[string]any
		received      string
		proof         string
	}{
		{notify.TypeSMS, telephone(w.inbox.HTTPURL() + "/twilio"), inbox.SMS, "HTTP 201, queued at Twilio"},
		{notify.TypeVoice, telephone(w.inbox.HTTPURL() + "/twilio"), inbox.Voice, "HTTP 201, queued at Twilio"},
		{notify.TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": w.inbox.HTTPURL() + "/pagerduty"}, inbox.PagerDuty, "HTTP 202"},
	} {
		channel := w.put("TO_"+string(c.kind), c.kind, c.configuration)
		if err := w.inbox.Fail(c.received, 1, inbox.Behaviour{Status: http.StatusServiceUnavailable}); err != nil {
			t.Fatal(err)
		}
		in := first(channel, a)
		in.Message.Key = "delivery of " + channel.Key
		if out := w.send(in); out.Receipt.Class != notify.Transient || out.Final {
			t.Errorf("%s, failing: %+v", c.kind, out)
		}
		in.Attempt = 1
		out := w.send(in)
		if out.Receipt.Class != notify.Accepted || out.Receipt.Proof != c.proof || out.Receipt.ExternalID == "" {
			t.Errorf("%s: %+v", c.kind, out)
		}
		m, err := w.inbox.Wait(t.Context(), func(m inbox.Message) bool { return m.Channel == c.received })
		if err != nil {
			t.Fatal(err)
		}
		if id := a.ShortID; !strings.Contains(m.Text, id) && !strings.Contains(m.Text, strings.Join(strings.Split(strings.ReplaceAll(id, "-", ""), ""), ", ")) {
			t.Errorf("%s: the message does not name %s:\n%s", c.kind, id, m.Text)
		}
	}
	for _, secret := range providerSecrets {
		wantNoSecret(t, "the log", w.log.String(), secret)
	}
}

func TestSendNotification_AnAcknowledgementChangesThePagersAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.put("PAGER", notify.TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": w.inbox.HTTPURL() + "/pagerduty"})
	a := w.open()
	var subjects []string
	for _, event := range []alert.Event{alert.EventFired, alert.EventAcknowledged, alert.EventResolved} {
		in := first(channel, a)
		in.Event, in.Message.Event, in.Message.Key = string(event), event, a.Key+"/"+string(event)
		if out := w.send(in); out.Receipt.Class != notify.Accepted || out.Receipt.ExternalID != a.Key {
			t.Fatalf("%s: %+v", event, out)
		}
	}
	for _, m := range w.inbox.Messages() {
		word, _, _ := strings.Cut(m.Subject, ":")
		subjects = append(subjects, word)
		if m.Key != a.Key {
			t.Errorf("dedup_key %q, want the alert's own %q", m.Key, a.Key)
		}
	}
	if len(subjects) != 3 || subjects[1] != "Acknowledged" || subjects[2] != "Resolved" {
		t.Errorf("the alert there was %q", subjects)
	}
}

// The lost answer of a real exchange: Twilio has the text, and nobody gets it twice.
func TestSendNotification_ALostAnswerOfTwilioIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.put("TEXTS", notify.TypeSMS, telephone(w.inbox.HTTPURL()+"/twilio"))
	if err := w.inbox.Fail(inbox.SMS, 1, inbox.Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	in := first(channel, w.open())
	if lost := w.send(in); lost.Receipt.Class != notify.Uncertain || lost.Final {
		t.Fatalf("output %+v, want UNCERTAIN and another attempt", lost)
	}
	in.Attempt, in.Uncertain = 1, true
	found := w.send(in)
	if found.Receipt.Class != notify.Accepted || !strings.HasPrefix(found.Receipt.ExternalID, "SM") || found.PossibleDuplicate {
		t.Errorf("output %+v, want the text found", found)
	}
	w.wantReceived(1)
	w.wantCount(map[string]int{"SENT ACCEPTED": 1})
}

func TestSendEach_AsksTheProviderForThoseWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	configuration := telephone(w.inbox.HTTPURL() + "/twilio")
	configuration["one_message_per_alert"] = true
	alerts := w.openMany(5)
	in := each(w.put("TEXTS", notify.TypeSMS, configuration), alerts...)
	if err := w.inbox.Fail(inbox.SMS, 2, inbox.Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	lost := w.sendEach(in)
	if len(lost.Delivered) != 3 || len(lost.Unknown) != 2 || len(lost.Again) != 2 {
		t.Fatalf("output %+v, want two whose answer was lost", lost)
	}
	in.Unknown, in.Doubtful = lost.Unknown, lost.Doubtful
	if again := w.sendEach(in); len(again.Delivered) != 5 || len(again.Again)+len(again.Failed)+len(again.Unknown) != 0 {
		t.Errorf("output %+v, want all delivered", again)
	}
	w.wantReceived(5)
}

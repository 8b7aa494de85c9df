package activities

import (
	"strings"
	"testing"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
)

// slackApp is a channel of a Slack app, whose messages are edited in place.
func (w *world) slackApp() alert.Channel {
	w.Helper()
	lookup := w.directory.Options.LookupEnv
	w.directory.Options.LookupEnv = func(name string) (string, bool) {
		if name == "SLACK_BOT_TOKEN" {
			return "xoxb-of-the-tests", true
		}
		return lookup(name)
	}
	return w.put("APP", notify.TypeSlack, map[string]any{
		"bot_token_env": "SLACK_BOT_TOKEN", "channel": "#ops", "api_base_url": w.inbox.HTTPURL() + "/slack/api/",
	})
}

func TestDirectory_SaysWhichChannelsTellInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if app, hook := w.slackApp(), w.webhook(); !app.InPlace || hook.InPlace {
		t.Errorf("in place: the app %v, the webhook %v; want the app alone", app.InPlace, hook.InPlace)
	}
}

// A worker that died after it recorded a delivery leaves the message's id in the ledger alone.
func TestSendNotification_FindsTheMessageOfAnEarlierAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.slackApp(), w.open())
	sent := w.send(in)
	if sent.Receipt.Class != notify.Accepted || sent.Receipt.ExternalID == "" {
		t.Fatalf("output %+v, want where the message stands", sent)
	}
	if again := w.send(in); again.Receipt.ExternalID != sent.Receipt.ExternalID {
		t.Errorf("the repetition names %q, want %q", again.Receipt.ExternalID, sent.Receipt.ExternalID)
	}
	next := in
	next.Event, next.Message.Event, next.Message.Key, next.Message.Prior = "ESCALATED:1", alert.EventEscalated, "delivery-2", sent.Receipt.ExternalID
	if out := w.send(next); out.Receipt.ExternalID != sent.Receipt.ExternalID {
		t.Errorf("the next event names %q, want the message that it continues", out.Receipt.ExternalID)
	}
	messages := w.inbox.Messages()
	if len(messages) != 2 || messages[1].Thread != messages[0].ID || messages[0].Edits != 1 {
		t.Errorf("%d messages, want one, edited, with a line in its thread", len(messages))
	}
}

// The lost answer of a real exchange: the message stands once, and its delivery is known.
func TestSendNotification_ALostAnswerOfSlackIsLookedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.slackApp()
	alerted := w.open()
	known := w.send(first(channel, alerted)) // the channel's id is known from here on
	place, _, _ := strings.Cut(known.Receipt.ExternalID, "/")
	byID := w.put("APP_BY_ID", notify.TypeSlack, map[string]any{
		"bot_token_env": "SLACK_BOT_TOKEN", "channel": place, "api_base_url": w.inbox.HTTPURL() + "/slack/api/",
	})
	if err := w.inbox.Fail(inbox.Slack, 1, inbox.Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	in := first(byID, alerted)
	in.Message.Key = "delivery-lost"
	if lost := w.send(in); lost.Receipt.Class != notify.Uncertain || lost.Final {
		t.Fatalf("output %+v, want UNCERTAIN and another attempt", lost)
	}
	in.Attempt, in.Uncertain = 1, true
	if found := w.send(in); found.Receipt.Class != notify.Accepted || found.Receipt.ExternalID == "" {
		t.Errorf("output %+v, want the message found", found)
	}
	w.wantReceived(2) // one of each channel
}

package activities

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
	"onevault/vault"
)

func TestSendNotification_WritesIntentAndOutcomeAroundTheDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	out := w.send(in)
	if out.Receipt.Class != notify.Accepted || out.Receipt.Proof == "" || !out.Final || out.PossibleDuplicate || len(out.Entries) != 0 {
		t.Errorf("output %+v", out)
	}
	w.wantLedger("PENDING", "DELIVERED ACCEPTED")
	w.wantReceived(1)
	m := w.inbox.Messages()[0]
	if m.Key != "delivery-1" || !strings.Contains(m.Raw, "http://ui.test/namespaces/default/workflows/") {
		t.Errorf("received %q: %s", m.Key, m.Raw)
	}
}

func TestSendNotification_WhatIsDeliveredIsNotSentAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	w.send(in)
	again := w.send(in)
	if again.Receipt.Class != notify.Accepted || !again.Final || again.Receipt.Proof != "delivered by an earlier attempt" {
		t.Errorf("output %+v", again)
	}
	w.wantLedger("PENDING", "DELIVERED ACCEPTED")
	w.wantReceived(1)
	in.Event = "ESCALATED:1" // another event of the same alert is another notification
	w.send(in)
	w.wantReceived(2)
}

func TestSendNotification_AnUnknownOutcomeIsSentFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	// A worker that was killed between the intent and the outcome.
	intents := entriesOf(in, "PENDING", time.Now().UTC().Add(-time.Second))
	if finding, err := w.store.BeginNotifications(t.Context(), intents); err != nil || finding != vault.FindingNew {
		t.Fatal(finding, err)
	}
	out := w.send(in)
	if !out.PossibleDuplicate || out.Receipt.Class != notify.Accepted {
		t.Errorf("output %+v", out)
	}
	w.wantLedger("PENDING", "PENDING ?", "DELIVERED ACCEPTED ?")
	w.wantReceived(1)
	if raw := strings.ToLower(w.inbox.Messages()[0].Raw); !strings.Contains(raw, "duplicate") {
		t.Errorf("the receiver is not told that it may be a duplicate: %s", raw)
	}
}

func TestSendNotification_FailuresAreReceiptsUntilTheAttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	if err := w.inbox.Fail(inbox.Webhook, 3, inbox.Behaviour{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	for attempt := range 3 { // retry_attempts is 2
		in.Attempt = attempt
		out := w.send(in)
		if out.Receipt.Class != notify.Transient || !out.MayHaveArrived || out.Final != (attempt == 2) {
			t.Errorf("attempt %d: %+v", attempt, out)
		}
		in.PossibleDuplicate = true // as the workflow carries it on
	}
	w.wantLedger("PENDING", "PENDING TRANSIENT", "PENDING ?", "PENDING TRANSIENT ?", "PENDING ?", "FAILED TRANSIENT ?")
	w.wantReceived(0)
}

func TestSendNotification_AnUncertainDeliveryIsResentOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	if err := w.inbox.Fail(inbox.Webhook, 2, inbox.Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	out := w.send(in)
	if out.Receipt.Class != notify.Uncertain || out.Final || !out.MayHaveArrived {
		t.Fatalf("the first: %+v", out)
	}
	in.Attempt, in.Uncertain = 1, true
	out = w.send(in)
	if out.Receipt.Class != notify.Uncertain || !out.Final || !out.PossibleDuplicate {
		t.Errorf("the second: %+v", out)
	}
	w.wantLedger("PENDING", "PENDING UNCERTAIN", "PENDING ?", "FAILED UNCERTAIN ?")
}

func TestSendNotification_IsSentWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := vaultDown(t)
	channel := alert.Channel{
		Key: "OPS", Name: "OPS", Type: "WEBHOOK", Configuration: mustJSON(t, w.webhookConfiguration()), RetryAttempts: 2,
		Recipients: []string{w.inbox.HTTPURL() + "/..."},
	}
	opened, err := w.directory.Open(t.Context(), channel)
	if err != nil {
		t.Fatal(err)
	}
	channel.Recipients = opened.Recipients()
	one, two := someAlert(), someAlert()
	two.Key += "B"
	began := time.Now()
	out := w.send(first(channel, one, two))
	if out.Receipt.Class != notify.Accepted || !out.Final {
		t.Fatalf("output %+v", out)
	}
	w.wantReceived(1)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the page was held up for %s", took)
	}
	var story []string
	for _, e := range out.Entries {
		story = append(story, strings.TrimSpace(e.Status+" "+e.Class))
		if e.DeliveryKey != "delivery-1" || e.ChannelKey != "OPS" || !e.At.Equal(out.Entries[0].At) {
			t.Errorf("entry %+v", e)
		}
	}
	if got := strings.Join(story, ", "); got != "PENDING, PENDING, DELIVERED ACCEPTED, DELIVERED ACCEPTED" {
		t.Errorf("entries for later: %s", got)
	}
	wantNoSecret(t, "the log", w.log.String(), "s3cret")
}

func TestSendNotification_AMissingSecretFailsWithItsReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.put("OPS", notify.TypeSlack, map[string]any{"webhook_url_env": "NO_SUCH_SECRET"})
	if len(channel.Recipients) != 1 || channel.Recipients[0] != "OPS" {
		t.Fatalf("recipients %v: a channel that cannot be opened stands for itself", channel.Recipients)
	}
	out := w.send(first(channel, w.open()))
	if out.Receipt.Class != notify.Misconfigured || !out.Final || !strings.Contains(out.Receipt.Reason, "NO_SUCH_SECRET") {
		t.Errorf("output %+v", out)
	}
	w.wantLedger("PENDING", "FAILED CONFIG")
}

func TestSendNotification_ARecipientThatLeftIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	in.Recipient = "https://former.test/..."
	out := w.send(in)
	if out.Receipt.Class != notify.Misconfigured || !strings.Contains(out.Receipt.Reason, "no longer sends to https://former.test/...") {
		t.Errorf("output %+v", out)
	}
	w.wantReceived(0)
}

package activities

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
	"onevault/vault"
)

// openMany writes open alerts of a default definition.
func (w *world) openMany(n int) []alert.Alert {
	w.Helper()
	var (
		alerts  []alert.Alert
		changes []vault.Change
	)
	for i := range n {
		a := someAlert()
		a.TriggeredAt = a.TriggeredAt.Add(time.Duration(i) * time.Microsecond)
		a.Key = alert.Key("local", VaultUnreachableKey, a.TriggeredAt)
		alerts = append(alerts, a)
		changes = append(changes, vault.Change{
			AlertKey: a.Key, DefinitionKey: VaultUnreachableKey, Target: a.Target, Change: "OPEN", At: a.TriggeredAt, Via: "worker", Severity: alert.SeverityCritical,
		})
	}
	if _, err := w.store.RecordHistory(w.Context(), changes, nil); err != nil {
		w.Fatal(err)
	}
	return alerts
}

// perAlert is a webhook that wants a message for each alert.
func (w *world) perAlert() alert.Channel {
	w.Helper()
	configuration := w.webhookConfiguration()
	configuration["one_message_per_alert"] = true
	channel := w.put("TICKETS", notify.TypeWebhook, configuration)
	if !channel.PerAlert {
		w.Fatal("the workflow is not told that the channel wants a message for each alert")
	}
	return channel
}

func each(channel alert.Channel, alerts ...alert.Alert) SendEachInput {
	one := first(channel, alerts...)
	return SendEachInput{Channel: channel, Recipient: one.Recipient, Message: one.Message, Event: one.Event}
}

func (w *world) sendEach(in SendEachInput) SendEachOutput {
	w.Helper()
	value, err := w.env.ExecuteActivity(w.notifications.SendEach, in)
	if err != nil {
		w.Fatalf("send each: %v", err)
	}
	var out SendEachOutput
	if err := value.Get(&out); err != nil {
		w.Fatal(err)
	}
	return out
}

// count counts the current versions in the ledger, by status, class and ? for a possible duplicate.
func (w *world) count() map[string]int {
	w.Helper()
	counts := map[string]int{}
	rows, err := w.store.Pool().Query(w.Context(), `
		SELECT concat_ws(' ', delivery_status, outcome_class, CASE WHEN possible_duplicate THEN '?' END)
		  FROM monitoring.notification_log_s WHERE load_end_date IS NULL`)
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		if err := rows.Scan(&state); err != nil {
			w.Fatal(err)
		}
		counts[state]++
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return counts
}

func (w *world) wantCount(want map[string]int) {
	w.Helper()
	if got := w.count(); fmt.Sprint(got) != fmt.Sprint(want) {
		w.Errorf("the ledger holds %v, want %v", got, want)
	}
}

func TestSendEach_OneMessageForEachAlertAndNoneTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := w.openMany(2*perIntent + 5)
	in := each(w.perAlert(), alerts...)
	out := w.sendEach(in)
	if len(out.Delivered) != len(alerts) || len(out.Again)+len(out.Failed)+len(out.Entries) != 0 {
		t.Errorf("delivered %d, again %d, failed %d", len(out.Delivered), len(out.Again), len(out.Failed))
	}
	w.wantReceived(len(alerts))
	keys := map[string]bool{}
	for _, m := range w.inbox.Messages() {
		keys[m.Key] = true
	}
	if len(keys) != len(alerts) {
		t.Errorf("%d messages have %d keys", len(alerts), len(keys))
	}
	w.wantCount(map[string]int{"DELIVERED ACCEPTED": len(alerts)})

	again := w.sendEach(in) // the worker died before it could say so
	if len(again.Delivered) != len(alerts) {
		t.Errorf("the second time %d are delivered", len(again.Delivered))
	}
	w.wantReceived(len(alerts))
}

func TestSendEach_OnlyWhatWasBegunBeforeMayBeADuplicate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := w.openMany(6)
	in := each(w.perAlert(), alerts...)
	at := time.Now().UTC().Add(-time.Second).Truncate(time.Microsecond)
	_, intents := in.each(alerts[:2], at) // a worker that was killed between these intents and their outcomes
	if _, err := w.store.BeginEachNotification(t.Context(), intents); err != nil {
		t.Fatal(err)
	}
	w.sendEach(in)
	w.wantReceived(6)
	flagged := 0
	for _, m := range w.inbox.Messages() {
		if strings.Contains(m.Raw, `"possible_duplicate":true`) {
			flagged++
		}
	}
	if flagged != 2 {
		t.Errorf("%d messages say that they may be duplicates, want 2", flagged)
	}
	w.wantCount(map[string]int{"DELIVERED ACCEPTED": 4, "DELIVERED ACCEPTED ?": 2})
}

func TestSendEach_AReceiverThatTakesNothingIsLeftInPeaceUntilTheNextAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := w.openMany(2 * perIntent)
	in := each(w.perAlert(), alerts...)
	if err := w.inbox.Fail(inbox.Webhook, perIntent, inbox.Behaviour{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	out := w.sendEach(in)
	if len(out.Again) != len(alerts) || len(out.Tried) != perIntent || len(out.Doubtful) != perIntent || out.Receipt.Class != notify.Transient {
		t.Errorf("again %d, tried %d, doubtful %d, %+v", len(out.Again), len(out.Tried), len(out.Doubtful), out.Receipt)
	}
	w.wantReceived(0)
	in.Doubtful = out.Doubtful // as the workflow carries it on
	if out = w.sendEach(in); len(out.Delivered) != len(alerts) {
		t.Errorf("delivered %d", len(out.Delivered))
	}
	w.wantCount(map[string]int{"DELIVERED ACCEPTED": perIntent, "DELIVERED ACCEPTED ?": perIntent})
}

func TestSendEach_AttemptsAreUsedUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := w.openMany(3)
	in := each(w.perAlert(), alerts...)
	// Each alert has its own: retry_attempts is 2, and one was not tried before.
	in.Attempts = map[string]int{alerts[0].Key: 2, alerts[1].Key: 1}
	w.fail(3, http.StatusServiceUnavailable)
	out := w.sendEach(in)
	if len(out.Delivered) != 0 || !slices.Equal(out.Failed, []string{alerts[0].Key}) || len(out.Again) != 2 || len(out.Refused) != 0 {
		t.Errorf("delivered %v, failed %v, again %v, refused %v", out.Delivered, out.Failed, out.Again, out.Refused)
	}
	w.wantCount(map[string]int{"FAILED TRANSIENT": 1, "PENDING TRANSIENT": 2})
}

// What is sent without the ledger's knowledge the workflow must have noted before, or a worker's death would
// leave messages that nobody knows of.
func TestSendEach_WithoutTheVaultNothingIsSentUntilTheWorkflowKnowsIt(t *testing.T) {
	t.Parallel()
	w := vaultDown(t)
	a := someAlert()
	channel := alert.Channel{
		Key: "TICKETS", Type: string(notify.TypeWebhook), Recipients: []string{w.inbox.HTTPURL() + "/..."}, PerAlert: true,
		Configuration: []byte(`{"url": "` + w.inbox.HTTPURL() + `/webhook/ops", "unsigned": true}`),
	}
	in := each(channel, a)
	out := w.sendEach(in)
	if !out.VaultSilent || !slices.Equal(out.Again, []string{a.Key}) || len(out.Tried) != 0 {
		t.Errorf("output %+v", out)
	}
	w.wantReceived(0)
	in.LedgerLater = true
	out = w.sendEach(in)
	if len(out.Delivered) != 1 || len(out.Entries) != 2 || out.Entries[0].Class != "" || out.Entries[1].Status != "DELIVERED" {
		t.Errorf("output %+v", out)
	}
	w.wantReceived(1)
}

package activities

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
	"onevault/vault"
)

// another writes one more open alert and returns it.
func (w *world) another(after time.Duration) alert.Alert {
	w.Helper()
	a := someAlert()
	a.TriggeredAt = a.TriggeredAt.Add(after)
	a.Key = alert.Key("local", VaultUnreachableKey, a.TriggeredAt)
	a.ShortID = alert.ShortID(a.Key)
	w.record(vault.Change{AlertKey: a.Key, DefinitionKey: VaultUnreachableKey, Target: a.Target, Change: "OPEN", At: a.TriggeredAt, Via: "worker", Severity: alert.SeverityHigh})
	return a
}

func (w *world) record(change vault.Change) {
	w.Helper()
	if _, err := w.store.RecordHistory(w.Context(), []vault.Change{change}, nil); err != nil {
		w.Fatal(err)
	}
}

func (w *world) limit(perHour int) {
	w.Helper()
	_, err := w.store.Pool().Exec(w.Context(), `
		INSERT INTO monitoring.notification_config_s (notification_config_hk, hash_diff, channel_name, channel_type, configuration, retry_attempts, retry_delay_seconds, rate_limit_per_hour)
		SELECT notification_config_hk, '\x', channel_name, channel_type, configuration, retry_attempts, retry_delay_seconds, $1
		  FROM monitoring.notification_config_s WHERE load_end_date IS NULL`, perHour)
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) sendDigest(in SendDigestInput) SendNotificationOutput {
	w.Helper()
	value, err := w.env.ExecuteActivity(w.notifications.SendDigest, in)
	if err != nil {
		w.Fatalf("send the digest: %v", err)
	}
	var out SendNotificationOutput
	if err := value.Get(&out); err != nil {
		w.Fatal(err)
	}
	return out
}

// high is a definition by a name.
func high(name string) alert.Definition {
	return alert.Definition{Key: strings.ToUpper(name), Name: name, Category: "PERFORMANCE", Severity: alert.SeverityHigh}
}

func TestSendDigest_TellsOfAllAsTheyStandInOneMessageWorstFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.webhook()
	open, taken, ended := w.another(0), w.another(time.Second), w.another(2*time.Second)
	w.record(vault.Change{AlertKey: taken.Key, Change: "ACKNOWLEDGED", At: time.Now().UTC(), Actor: "dana", Via: "test"})
	w.record(vault.Change{AlertKey: ended.Key, Change: "RESOLVED", At: time.Now().UTC(), Actor: "kim", Via: "test"})
	low := high("Lag")
	low.Severity = alert.SeverityLow
	in := SendDigestInput{Channel: channel, Recipient: channel.Recipients[0], Key: "digest/OPS/1/1", WorkflowID: "digest/OPS/1", Parts: []DigestPart{
		{Event: "FIRED", Definition: low, Target: "pg-1", Alerts: []alert.Alert{open}},
		{Event: "FIRED", Definition: high("Connections"), Target: "pg-2", Alerts: []alert.Alert{ended, taken}},
		{Event: "ESCALATED:1", Definition: high("Connections"), Target: "pg-2", Alerts: []alert.Alert{taken}},
	}}
	out := w.sendDigest(in)
	if out.Receipt.Class != notify.Accepted || !out.Final || len(out.Entries) > 0 {
		t.Fatalf("output %+v", out)
	}
	w.wantReceived(1)
	m := w.inbox.Messages()[0]
	for _, part := range []string{`"alertname":"CONNECTIONS"`, `"alertname":"LAG"`, "Digest: 1 open alert, 1 acknowledged, 1 over", `"event":"DIGEST"`} {
		if !strings.Contains(m.Raw, part) {
			t.Errorf("the message lacks %s: %s", part, m.Raw)
		}
	}
	order := []int{strings.Index(m.Raw, taken.ShortID), strings.Index(m.Raw, open.ShortID), strings.Index(m.Raw, ended.ShortID)}
	if !slices.IsSorted(order) || order[0] < 0 {
		t.Errorf("the worst is not first, or what is over not last: %v", order)
	}
	rows, err := w.store.Pool().Query(t.Context(), `
		SELECT concat_ws(' ', event, delivery_status, delivery_key) FROM monitoring.notification_log_s WHERE load_end_date IS NULL ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"ESCALATED:1 DELIVERED digest/OPS/1/1", "FIRED DELIVERED digest/OPS/1/1", "FIRED DELIVERED digest/OPS/1/1", "FIRED DELIVERED digest/OPS/1/1",
	}; !slices.Equal(ledger, want) {
		t.Errorf("ledger %q", ledger)
	}
	if again := w.sendDigest(in); again.Receipt.Proof != deliveredBefore || !again.Final {
		t.Errorf("the second time %+v", again)
	}
	w.wantReceived(1)
}

func TestSendDigest_AnAttemptWithoutAnOutcomeIsFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.webhook()
	in := SendDigestInput{Channel: channel, Recipient: channel.Recipients[0], Key: "digest/OPS/1/1", Parts: []DigestPart{
		{Event: "FIRED", Definition: high("Connections"), Target: "pg-2", Alerts: []alert.Alert{w.open()}},
	}}
	if err := w.inbox.Fail(inbox.Webhook, 1, inbox.Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	if out := w.sendDigest(in); out.Receipt.Class != notify.Uncertain || out.Final {
		t.Fatalf("%+v", out)
	}
	in.Attempt, in.Uncertain = 1, true
	if out := w.sendDigest(in); out.Receipt.Class != notify.Accepted || !out.PossibleDuplicate {
		t.Errorf("%+v", out)
	}
	w.wantLedger("PENDING", "PENDING UNCERTAIN", "PENDING ?", "DELIVERED ACCEPTED ?")
}

func TestSendDigest_IsSentWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := vaultDown(t)
	channel := alert.Channel{Key: "OPS", Name: "OPS", Type: "WEBHOOK", Configuration: mustJSON(t, w.webhookConfiguration())}
	opened, err := w.directory.Open(t.Context(), channel)
	if err != nil {
		t.Fatal(err)
	}
	channel.Recipients = opened.Recipients()
	out := w.sendDigest(SendDigestInput{Channel: channel, Recipient: channel.Recipients[0], Key: "digest/OPS/1/1", Parts: []DigestPart{
		{Event: "FIRED", Definition: high("Connections"), Target: "pg-2", Alerts: []alert.Alert{someAlert()}},
	}})
	if out.Receipt.Class != notify.Accepted || len(out.Entries) != 2 {
		t.Errorf("%+v", out)
	}
	w.wantReceived(1)
}

func TestSendNotification_SaysWhereTheLimitWasNotAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := first(w.webhook(), w.open())
	in.Message.Definition.Severity, in.LedgerLater = alert.SeverityHigh, true
	out := w.send(in)
	if got := out.Entries[len(out.Entries)-1].Proof; !strings.Contains(got, "without asking for rate_limit_per_hour") {
		t.Errorf("proof %q", got)
	}
}

func TestSendNotification_CriticalPassesTheLimitAndTheLedgerSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	channel := w.webhook()
	w.limit(1)
	for i := range 2 {
		in := first(channel, w.another(time.Duration(i)*time.Second))
		in.Message.Key += strings.Repeat("x", i)
		if out := w.send(in); out.Receipt.Class != notify.Accepted {
			t.Fatalf("%+v", out)
		}
	}
	var proof string
	err := w.store.Pool().QueryRow(t.Context(), `
		SELECT delivery_proof FROM monitoring.notification_log_s WHERE load_end_date IS NULL ORDER BY load_date DESC LIMIT 1`).Scan(&proof)
	if err != nil || !strings.Contains(proof, "over rate_limit_per_hour, 2 of 1: sent because it is CRITICAL") {
		t.Errorf("proof %q, %v", proof, err)
	}
}

func TestDigestWorkflowID_HoldsNoAddress(t *testing.T) {
	t.Parallel()
	id := DigestWorkflowID("MAIL", "dana@example.com")
	if !strings.HasPrefix(id, "digest/MAIL/") || strings.Contains(id, "dana") || id == DigestWorkflowID("MAIL", "kim@example.com") {
		t.Errorf("id %q", id)
	}
}

package activities

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.temporal.io/sdk/temporal"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

func mustJSON(t *testing.T, v any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDirectory_CarriesNoSecretAndKnowsItWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	carried := w.put("CHAT", notify.TypeSlack, map[string]any{"webhook_url": w.inbox.HTTPURL() + "/slack/s3cret-path", "channel": "#ops"})
	wantNoSecret(t, "what a workflow carries", string(carried.Configuration), "s3cret-path")
	wantNoSecret(t, "the directory", fmt.Sprintf("%v %+v %s", w.directory, w.directory, w.directory), "s3cret-path")

	w.store.Close() // from here on the vault answers nobody
	w.directory.Vault = deadVault(t)
	out := w.send(first(carried, someAlert()))
	if out.Receipt.Class != notify.Accepted {
		t.Errorf("by the row as last read: %+v", out.Receipt)
	}
	w.wantReceived(1)
}

func TestDirectory_RefusesARedactedSecretThatItNeverRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	carried := w.put("CHAT", notify.TypeSlack, map[string]any{"webhook_url": w.inbox.HTTPURL() + "/slack/s3cret-path", "channel": "#ops"})
	fresh := vaultDown(t) // a worker that started while the vault was down
	_, err := fresh.directory.Open(t.Context(), carried)
	if err == nil || !strings.Contains(err.Error(), "CHAT") || !strings.Contains(err.Error(), "webhook_url") {
		t.Fatalf("got %v; want the channel and the field", err)
	}
	wantNoSecret(t, "the error", err.Error(), "s3cret-path")
	out := fresh.send(first(carried, someAlert()))
	if out.Receipt.Class != notify.Misconfigured || !out.Final || out.Receipt.Reason != err.Error() {
		t.Errorf("output %+v", out)
	}
}

func TestDirectory_TheCurrentRowWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	carried := w.put("OPS", notify.TypeWebhook, map[string]any{"url": "http://" + deadAddress(t) + "/webhook/ops", "unsigned": true})
	current := w.webhook() // its owner corrected the address meanwhile
	in := first(carried, w.open())
	in.Recipient = current.Recipients[0]
	if out := w.send(in); out.Receipt.Class != notify.Accepted {
		t.Errorf("output %+v", out)
	}
}

func TestListChannels_OfAVaultThatIsDownMayBeRetried(t *testing.T) {
	t.Parallel()
	w := vaultDown(t)
	a := &Alerts{Vault: w.store, Channels: w.directory}
	w.env.RegisterActivity(a)
	_, err := w.env.ExecuteActivity(a.ListChannels, ListChannelsInput{Definition: VaultUnreachableKey})
	var appErr *temporal.ApplicationError
	if !errors.As(err, &appErr) || appErr.Type() != ErrorVaultUnreachable || appErr.NonRetryable() {
		t.Errorf("got %v", err)
	}
	wantNoSecret(t, "the error", fmt.Sprint(err), "s3cret")
}

func TestRecordHistory_WhatTheVaultRefusesIsNotRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &Alerts{Vault: w.store, Channels: w.directory}
	w.env.RegisterActivity(a)
	opened := someAlert()
	change := vault.Change{AlertKey: opened.Key, DefinitionKey: "UNKNOWN", Target: "local", Change: "OPEN", At: opened.TriggeredAt}
	_, err := w.env.ExecuteActivity(a.RecordHistory, RecordHistoryInput{Changes: []vault.Change{change}})
	var appErr *temporal.ApplicationError
	if !errors.As(err, &appErr) || appErr.Type() != ErrorVaultRefused || !appErr.NonRetryable() {
		t.Errorf("got %v", err)
	}
	change.DefinitionKey = VaultUnreachableKey
	acknowledged := vault.Change{AlertKey: opened.Key, Change: "ACKNOWLEDGED", At: opened.TriggeredAt, Actor: "dana"}
	value, err := w.env.ExecuteActivity(a.RecordHistory, RecordHistoryInput{Changes: []vault.Change{change, acknowledged}})
	if err != nil {
		t.Fatal(err)
	}
	var out RecordHistoryOutput
	if err := value.Get(&out); err != nil || len(out.Results) != 1 || out.Results[0].Status != alert.StatusAcknowledged {
		t.Errorf("output %+v, %v", out, err)
	}
}

// A person's one answer may concern thousands: they are written side by side, and each alert's changes in their order.
func TestRecordHistory_WritesManyChangesInTheOrderOfEachAlert(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := &Alerts{Vault: w.store, Channels: w.directory}
	w.env.RegisterActivity(a)
	alerts := w.openMany(61)
	in := RecordHistoryInput{}
	for _, status := range []alert.Status{alert.StatusAcknowledged, alert.StatusResolved} {
		for _, one := range alerts {
			in.Changes = append(in.Changes, vault.Change{AlertKey: one.Key, Change: string(status), At: one.TriggeredAt.Add(time.Second), Actor: "dana", Via: "test"})
		}
	}
	// An entry of an alert that only these changes make known.
	opened := someAlert()
	in.Changes = append(in.Changes, vault.Change{AlertKey: opened.Key, DefinitionKey: VaultUnreachableKey, Target: "local", Change: "OPEN", At: opened.TriggeredAt})
	in.Entries = entriesOf(first(w.webhook(), opened), "PENDING", opened.TriggeredAt)
	for range 2 { // and once more, as after an answer that was lost
		value, err := w.env.ExecuteActivity(a.RecordHistory, in)
		if err != nil {
			t.Fatal(err)
		}
		var out RecordHistoryOutput
		if err := value.Get(&out); err != nil || len(out.Results) != 122 {
			t.Fatalf("%d results, %v; want an answer to each change of a status", len(out.Results), err)
		}
		for _, one := range alerts {
			var said []alert.Status
			for _, r := range out.Results {
				if r.AlertKey == one.Key {
					said = append(said, r.Status)
				}
			}
			if last := said[len(said)-1]; len(said) != 2 || last != alert.StatusResolved {
				t.Fatalf("%s became %v", one.ShortID, said)
			}
		}
	}
	resolved := vault.AlertFilter{All: true, Keep: func(a vault.ListedAlert) bool { return a.State == alert.StatusResolved }}
	if list, _, err := w.store.Alerts(w.Context(), resolved); err != nil || len(list) != 61 {
		t.Errorf("%d are resolved, %v", len(list), err)
	}
}

func TestEvaluateAlerts_BringsWhatIsNeededWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.webhook()
	a := &Alerts{Vault: w.store, Channels: w.directory}
	w.env.RegisterActivity(a)
	value, err := w.env.ExecuteActivity(a.EvaluateAlerts, EvaluateAlertsInput{Target: "local"})
	if err != nil {
		t.Fatal(err)
	}
	var out EvaluateAlertsOutput
	if err := value.Get(&out); err != nil {
		t.Fatal(err)
	}
	results := 0
	for _, n := range out.Results {
		results += n
	}
	if out.Evaluated == 0 || results != out.Evaluated {
		t.Errorf("evaluated %d, results %v", out.Evaluated, out.Results)
	}
	b := out.Fallback
	if !b.Enabled || b.Definition.Key != VaultUnreachableKey || len(b.Channels) != 1 || b.Channels[0].Key != "OPS" || len(b.Channels[0].Recipients) != 1 {
		t.Errorf("fallback %+v", b)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	if err := classify(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	plain := errors.New("plain")
	if err := classify(plain); !errors.Is(err, plain) || errors.As(err, new(*temporal.ApplicationError)) {
		t.Errorf("an error of neither kind became %v", err)
	}
	for _, c := range []struct {
		err   error
		kind  string
		final bool
	}{
		{&pgconn.PgError{Code: "57P01"}, ErrorVaultUnreachable, false},
		{&pgconn.PgError{Code: "53300"}, ErrorVaultUnreachable, false},
		{&pgconn.PgError{Code: "08006"}, ErrorVaultUnreachable, false},
		{&pgconn.PgError{Code: "23503"}, ErrorVaultRefused, true},
		{&pgconn.PgError{Code: "22P02"}, ErrorVaultRefused, true},
		{&vault.Refusal{Message: "no alert", Code: "P0002"}, ErrorVaultRefused, true},
	} {
		err := classify(fmt.Errorf("record history: %w", c.err))
		var appErr *temporal.ApplicationError
		if !errors.As(err, &appErr) || appErr.Type() != c.kind || appErr.NonRetryable() != c.final || !strings.Contains(err.Error(), "record history: ") {
			t.Errorf("%v became %v", c.err, err)
		}
	}
}

func TestDirectory_CarriesWhatAChannelFollowsAndOpensWithoutTheVault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pager := w.put("PAGER", notify.TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY"})
	if !pager.Following(alert.EventAcknowledged) || pager.Following(alert.EventFired) {
		t.Errorf("PagerDuty follows %v", pager.Follows)
	}
	sms := w.put("SMS", notify.TypeSMS, telephone("https://api.twilio.com"))
	if sms.Following(alert.EventAcknowledged) {
		t.Error("a text message cannot be changed, and is told of an acknowledgement")
	}
	down := vaultDown(t)
	for _, carried := range []alert.Channel{pager, sms} {
		opened, err := down.directory.Open(t.Context(), carried)
		if err != nil || !slices.Equal(opened.Recipients(), carried.Recipients) {
			t.Errorf("%s: %v", carried.Key, err)
		}
	}
}

package activities

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// silence mutes what matches, the critical too, and returns the short id.
func (w *world) silence(matcher string, until time.Time) string {
	w.Helper()
	id, err := w.store.AddSilence(w.Context(), vault.Silence{
		Matchers: []string{matcher}, EndsAt: until, Comment: "CHG-812", IncludeCritical: true, By: "dana",
	})
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func TestFindMutes_SaysWhatMutesUntilTheWorkflowsClockHasSeenItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.open()
	alerts := &Alerts{Vault: w.store}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	id := w.silence("definition="+VaultUnreachableKey, until)
	find := func(at time.Time, keys ...string) FindMutesOutput {
		t.Helper()
		out, err := alerts.FindMutes(t.Context(), FindMutesInput{Alerts: keys, At: at})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	want := alert.Mute{Kind: alert.MuteSilence, ID: id, Until: until, By: "dana", Comment: "CHG-812"}
	out := find(time.Now(), a.Key)
	if m := out.Of()(a.Key); m == nil || *m != want {
		t.Errorf("muted by %+v, want %+v", m, want)
	}
	if len(out.Mutes[0].Alerts) != 0 {
		t.Errorf("a history would name %v, although all are muted", out.Mutes[0].Alerts)
	}
	out = find(time.Now(), a.Key, "ALERT||OTHER")
	if of := out.Of(); of(a.Key) == nil || of("ALERT||OTHER") != nil {
		t.Errorf("of two, one is muted: %+v", out)
	}
	// The vault's clock may lag behind that of the workflow, which waited for the end.
	if out := find(until, a.Key); out.Of()(a.Key) != nil {
		t.Errorf("at its end it is muted by %+v", out)
	}
}

func TestFindMutes_OfAVaultThatIsDownIsAnError(t *testing.T) {
	t.Parallel()
	alerts := &Alerts{Vault: deadVault(t)}
	if out, err := alerts.FindMutes(t.Context(), FindMutesInput{Alerts: []string{"A"}}); err == nil {
		t.Errorf("nobody knows, and it says %+v", out)
	}
}

func TestPrepareReminder_NamesTheAlertsToTheChannelsThatWillHearThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.webhook()
	w.put("CHAT", notify.TypeSlack, map[string]any{"webhook_url": w.inbox.HTTPURL() + "/slack/services/T0/B0/x"})
	// Neither a call nor a page is worth what a reminder says.
	w.put("CALL", notify.TypeVoice, telephone(w.inbox.HTTPURL()+"/twilio"))
	w.put("PAGER", notify.TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": w.inbox.HTTPURL() + "/pagerduty"})
	silences := &Silences{Vault: w.store, Channels: w.directory}
	id := w.silence("definition="+VaultUnreachableKey, time.Now().Add(time.Hour))
	prepare := func() []Reminder {
		t.Helper()
		out, err := silences.PrepareReminder(t.Context(), SilenceInput{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		return out.Reminders
	}
	if got := prepare(); len(got) != 0 {
		t.Errorf("nothing waits, and people are reminded: %+v", got)
	}
	a := w.open()
	got := prepare()
	if len(got) != 1 || got[0].Channel.Key != "CHAT" || len(got[0].Message.Alerts) != 1 || got[0].Message.Alerts[0].Key != a.Key {
		t.Fatalf("reminded are %+v, want the chat alone", got)
	}
	if len(got[0].Event) > 40 {
		t.Errorf("the ledger has no room for %q", got[0].Event)
	}
	out := w.send(SendNotificationInput{Channel: got[0].Channel, Recipient: got[0].Channel.Recipients[0], Message: got[0].Message, Event: got[0].Event})
	if out.Receipt.Class != notify.Accepted || !out.Final {
		t.Fatalf("sent with %+v", out)
	}
	for _, word := range []string{"REMINDER", id, "dana", "CHG-812", "One open alert", a.ShortID, "onevault silence extend " + id} {
		if !strings.Contains(out.Receipt.Content, word) {
			t.Errorf("the message lacks %q:\n%s", word, out.Receipt.Content)
		}
	}
	if strings.Contains(out.Receipt.Content, "alert ack") {
		t.Errorf("the message asks to acknowledge:\n%s", out.Receipt.Content)
	}
	// What another silence mutes for longer is not told at this one's end.
	w.silence("target=local", time.Now().Add(3*time.Hour))
	if got := prepare(); len(got) != 0 {
		t.Errorf("another silence lasts longer, and people are reminded: %+v", got)
	}

	silence, err := silences.ReadSilence(t.Context(), SilenceInput{ID: id})
	if err != nil || silence.Over {
		t.Errorf("it stands as %+v, %v", silence, err)
	}
	if _, err := w.store.EndSilence(t.Context(), id, "dana"); err != nil {
		t.Fatal(err)
	}
	if silence, err = silences.ReadSilence(t.Context(), SilenceInput{ID: id}); err != nil || !silence.Over {
		t.Errorf("ended, it stands as %+v, %v", silence, err)
	}
}

func TestAddSilence_SentAgainMakesNoSecondSilence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := &Alerts{Vault: w.store}
	in := AddSilenceInput{
		Matchers: []string{"definition=" + VaultUnreachableKey, "target=local"}, EndsAt: time.Now().Add(time.Hour), Comment: "CHG-812",
		Critical: true, By: "dana", Via: "slack:U123 (verified)", Request: "run/update",
	}
	add := func(in AddSilenceInput) string {
		t.Helper()
		out, err := alerts.AddSilence(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.ID
	}
	id := add(in)
	if _, err := w.store.EndSilence(t.Context(), id, "eve"); err != nil {
		t.Fatal(err)
	}
	if again := add(in); again != id {
		t.Errorf("sent again, it made %s beside %s", again, id)
	}
	found, err := w.store.FindSilence(t.Context(), id)
	if err != nil || found.State != "ENDED" || found.By != "dana" || found.Via != in.Via || !found.IncludeCritical {
		t.Errorf("%+v, %v: what eve ended stays ended", found, err)
	}
	in.Request = "run/another"
	if another := add(in); another == id {
		t.Error("another wish made no silence of its own")
	}
	in.EndsAt, in.Request = time.Now().Add(60*24*time.Hour), "run/too long"
	var refused *temporal.ApplicationError
	if _, err := alerts.AddSilence(t.Context(), in); !errors.As(err, &refused) || refused.Type() != ErrorVaultRefused {
		t.Errorf("too long: %v", err)
	}
}

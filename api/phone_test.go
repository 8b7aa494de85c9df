package api_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
	"onevault/api"
	"onevault/command"
	"onevault/notify"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

const (
	publicURL = "https://onevault.example.com/ov"
	account   = "AC00000000000000000000000000000001"
	token     = "tok3nOfTheTestsAccount0123456789"
	pagerKey  = "hookSecretOfTheTests0123"
	danas     = "+4930123456"
	ours      = "+12025550100"
)

// answering is a world that hears providers, behind a proxy that takes the path away and lies in its headers.
type answering struct {
	*world
	channels *activities.Directory
}

func newAnswering(t *testing.T, people api.People) *answering {
	t.Helper()
	databaseURL := pgtest.DB(t)
	w := newWorldAt(t, databaseURL, func(c *api.InboundConfig) { c.PublicURL = mustURL(t, publicURL) }).open(databaseURL)
	a := &answering{world: w}
	secrets := map[string]string{"TWILIO_TOKEN": token, "HOOK": pagerKey, "PAGER": strings.Repeat("k", 32)}
	a.channels = &activities.Directory{Vault: w.store, Options: notify.Options{
		PublicURL: mustURL(t, publicURL), LookupEnv: func(name string) (string, bool) { value, ok := secrets[name]; return value, ok },
	}}
	telephone := map[string]any{"account_sid": account, "auth_token_env": "TWILIO_TOKEN", "from_number": ours, "to_numbers": []string{danas}}
	a.put("SMS", "SMS", telephone)
	a.put("CALLS", "VOICE", telephone)
	a.put("PAGER", "PAGERDUTY", map[string]any{"routing_key_env": "PAGER", "webhook_secret_env": "HOOK"})
	a.put("DEAF", "PAGERDUTY", map[string]any{"routing_key_env": "PAGER"})
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.in.Mount((&api.Twilio{Inbound: w.in, Vault: w.store, Sender: w.sender, Phones: a.channels.Phones, People: people, Log: log, Now: w.clock}).Routes()...)
	w.in.Mount((&api.PagerDuty{Inbound: w.in, Vault: w.store, Sender: w.sender, Hook: a.channels.PagerHook, People: people, Log: log, Now: w.clock}).Routes()...)

	backend := mustURL(t, w.base)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.Out.URL.Path = strings.TrimPrefix(r.In.URL.Path, "/ov")
		r.Out.Host = "internal:9090"
		r.Out.Header.Set("X-Forwarded-Host", "evil.example.com")
		r.Out.Header.Set("X-Forwarded-Proto", "http")
		r.Out.Header.Set("X-Forwarded-Prefix", "/elsewhere")
	}})
	t.Cleanup(proxy.Close)
	w.base = proxy.URL + "/ov"
	return a
}

func (a *answering) put(key, kind string, configuration map[string]any) {
	a.Helper()
	text, err := json.Marshal(configuration)
	if err != nil {
		a.Fatal(err)
	}
	if err := a.store.PutChannel(a.Context(), vault.Channel{Key: key, Name: key, Type: kind, Configuration: text, RetryAttempts: 1, RecordSource: "test"}); err != nil {
		a.Fatal(err)
	}
}

// signature is Twilio's, by its documentation: the address, then each field with its value, by name.
func signature(address string, form url.Values, secret string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	fmt.Fprint(mac, address)
	for _, name := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprint(mac, name, form.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// twilio sends a form as Twilio does.
func (a *answering) twilio(path string, form url.Values) reply {
	a.Helper()
	return a.signedAs(path, form, publicURL+path, token)
}

func (a *answering) signedAs(path string, form url.Values, address, secret string) reply {
	a.Helper()
	form.Set("AccountSid", account)
	return a.send(http.MethodPost, path, form.Encode(), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Twilio-Signature": {signature(address, form, secret)},
	})
}

func sid(kind string, n int) string { return fmt.Sprintf("%s%032x", kind, n) }

func text(n int, body string) url.Values {
	return url.Values{"MessageSid": {sid("SM", n)}, "From": {danas}, "To": {ours}, "Body": {body}}
}

// texts is what the answer to a text message says; empty: no message is sent.
func (a *answering) texts(n int, body string) string {
	a.Helper()
	return a.said(a.twilio(notify.TwilioReplyPath, text(n, body)))
}

func (a *answering) said(r reply) string {
	a.Helper()
	var document struct {
		Message string   `xml:"Message"`
		Say     []string `xml:"Say"`
		Gather  *struct {
			Action string   `xml:"action,attr"`
			Say    []string `xml:"Say"`
		} `xml:"Gather"`
	}
	if r.status != http.StatusOK || !strings.HasPrefix(r.header.Get("Content-Type"), "text/xml") {
		a.Fatalf("answered %d %s: %s", r.status, r.header.Get("Content-Type"), r.body)
	}
	if err := xml.Unmarshal([]byte(r.body), &document); err != nil {
		a.Fatalf("%v: %s", err, r.body)
	}
	if document.Gather != nil {
		return "keys at " + document.Gather.Action + ": " + strings.Join(document.Gather.Say, " ")
	}
	return document.Message + strings.Join(document.Say, " ")
}

func wantWords(t *testing.T, got string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(got, word) {
			t.Errorf("it says %q, and not %q", got, word)
		}
	}
}

// tell writes into the ledger that dana's number was told of alerts by one message, as a send whose answer was lost
// leaves it.
func (a *answering) tell(channel, kind, delivery, content string, keys ...string) {
	a.Helper()
	var entries []vault.LedgerEntry
	for _, key := range keys {
		entries = append(entries, vault.LedgerEntry{
			AlertKey: key, ChannelKey: channel, ChannelType: kind, Recipient: danas, Event: "FIRED", DeliveryKey: delivery, Status: "PENDING", At: a.clock(),
		})
	}
	if _, err := a.store.BeginNotifications(a.Context(), entries); err != nil {
		a.Fatal(err)
	}
	for i := range entries {
		entries[i].Class, entries[i].Content = "UNCERTAIN", content
	}
	if _, err := a.store.RecordHistory(a.Context(), nil, entries); err != nil {
		a.Fatal(err)
	}
}

func TestText_AcknowledgesResolvesSnoozesAndEscalates(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	id := a.state(key).ID
	short := strings.ToLower(strings.TrimPrefix(id, "A-"))
	wantWords(t, a.texts(1, "SNOOZE "+short+" 30m"), id+" is snoozed by "+danas)
	wantWords(t, a.texts(2, "escalate "+id), id+" is escalated by "+danas)
	wantWords(t, a.texts(3, "ack a-"+short+"."), id+" is acknowledged by "+danas)
	s := a.state(key)
	if s.State != alert.StatusAcknowledged || s.AcknowledgedBy != danas || s.ChangedVia != "sms:"+danas+" (verified)" {
		t.Errorf("the vault says %s by %s via %s", s.State, s.AcknowledgedBy, s.ChangedVia)
	}
	wantWords(t, a.texts(4, "ACK "+short), id+" was acknowledged before")
	wantWords(t, a.texts(5, "Resolve "+short), id+" is resolved by "+danas)
	wantWords(t, a.texts(6, "ACK "+short), "was resolved by "+danas)
	wantWords(t, a.texts(7, "ACK 0000"), "o alert")
	wantWords(t, a.texts(8, "HELP"), "ACK 7F3K takes")
	wantWords(t, a.texts(9, "please do something"), "Nothing was done", "ACK 7F3K")
	wantWords(t, a.texts(10, "SNOOZE "+short), "for how long")
	wantWords(t, a.texts(11, "ACK"), "told of no alert")
	if said := a.texts(12, "STOP"); said != "" {
		t.Errorf("the carrier's word is answered: %q", said)
	}
}

func TestTwilio_ForgedReplayedAndStrangeRequestsChangeNothing(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	id := a.state(key).ID
	keys := notify.TwilioVoicePath + "?" + url.Values{"alerts": {id}, "channel": {"CALLS"}, "delivery": {"d"}, "recipient": {danas}}.Encode()
	pressed := url.Values{"CallSid": {sid("CA", 1)}, "To": {danas}, "From": {ours}, "Digits": {"4"}}
	for name, c := range map[string]struct {
		path, address, secret string
		form                  url.Values
		status                int
	}{
		"text, another token":      {notify.TwilioReplyPath, publicURL + notify.TwilioReplyPath, "another-token-of-somebody-else", text(1, "ACK "+id), 403},
		"text, empty token":        {notify.TwilioReplyPath, publicURL + notify.TwilioReplyPath, "", text(1, "ACK "+id), 403},
		"text, forwarded host":     {notify.TwilioReplyPath, "http://evil.example.com/elsewhere" + notify.TwilioReplyPath, token, text(1, "ACK "+id), 403},
		"text, without its id":     {notify.TwilioReplyPath, publicURL + notify.TwilioReplyPath, token, url.Values{"From": {danas}, "Body": {"ACK " + id}}, 400},
		"key, another call's":      {keys, publicURL + notify.TwilioVoicePath + "?alerts=A-0000", token, pressed, 403},
		"key, to another number":   {keys, publicURL + keys, token, url.Values{"CallSid": {sid("CA", 1)}, "To": {ours}, "Digits": {"4"}}, 400},
		"state, unknown word":      {notify.TwilioStatusPath + "?delivery=d", publicURL + notify.TwilioStatusPath + "?delivery=d", token, url.Values{"MessageSid": {sid("SM", 1)}, "MessageStatus": {"lost"}}, 400},
		"state, without a message": {notify.TwilioStatusPath, publicURL + notify.TwilioStatusPath, token, url.Values{"MessageSid": {sid("SM", 1)}, "MessageStatus": {"sent"}}, 400},
	} {
		if got := a.signedAs(c.path, c.form, c.address, c.secret); got.status != c.status {
			t.Errorf("%s: answered %d, want %d: %s", name, got.status, c.status, got.body)
		}
	}
	if s := a.state(key); s.State != alert.StatusOpen {
		t.Fatalf("a request that is not proved made it %s", s.State)
	}

	if wantWords(t, a.texts(2, "ACK "+id), "is acknowledged by"); a.state(key).State != alert.StatusAcknowledged {
		t.Fatal("the proved one did nothing")
	}
	if _, err := a.psql.Exec(t.Context(), "SELECT monitoring.unacknowledge_alert(util.hash_binary($1), 'kim')", key); err != nil {
		t.Fatal(err)
	}
	wantWords(t, a.texts(2, "ACK "+id), "is acknowledged by") // as it was answered then
	if s := a.state(key).State; s != alert.StatusOpen {
		t.Errorf("the same text message took effect twice: %s", s)
	}
	if got := a.twilio(notify.TwilioReplyPath, text(2, "RESOLVE "+id)); got.status != http.StatusConflict || a.state(key).State != alert.StatusOpen {
		t.Errorf("another text under an id that was used: %d", got.status)
	}
}

func TestText_OfAStrangerIsASecurityEvent(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	stranger := text(20, "ACK "+a.state(key).ID)
	stranger.Set("From", "+4930999999")
	if said := a.said(a.twilio(notify.TwilioReplyPath, stranger)); said != "" {
		t.Errorf("a stranger is answered %q", said)
	}
	if s := a.state(key); s.State != alert.StatusOpen {
		t.Errorf("a stranger made it %s", s.State)
	}
	a.eventually("a security event", func() bool { return slices.Equal(a.refusals(), []string{"twilio UNKNOWN_SENDER 1"}) })
}

func TestText_WorksWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	up := newAnswering(t, nil)
	wantWords(t, up.texts(1, "HELP"), "ACK 7F3K") // by which the channels were read once
	w := newWorldAt(t, "postgres://nobody@127.0.0.1:1/vault", func(c *api.InboundConfig) { c.PublicURL = mustURL(t, publicURL) })
	up.channels.Vault = w.store
	down := &answering{world: w, channels: up.channels}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	w.in.Mount((&api.Twilio{Inbound: w.in, Vault: w.store, Sender: w.sender, Phones: up.channels.Phones, Log: log, Now: w.clock}).Routes()...)
	now := w.clock()
	w.workflows = func(_ string, _ command.Action, c alert.Command) (alert.CommandResult, error) {
		return alert.CommandResult{Alerts: []alert.CommandOutcome{{ShortID: c.Alerts[0], Status: alert.StatusAcknowledged, Changed: true, Actor: c.Actor, At: now}}}, nil
	}
	wantWords(t, down.texts(2, "ACK 7F3K"), "A-7F3K is acknowledged by "+danas)
	wantWords(t, down.texts(3, "ACK"), "name the alert")
}

func TestKeys_AnswerTheAlertsOfTheCall(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	id := a.state(key).ID
	path := notify.TwilioVoicePath + "?" + url.Values{"alerts": {id}, "channel": {"CALLS"}, "delivery": {"d"}, "recipient": {danas}}.Encode()
	press := func(call int, digit string) string {
		return a.said(a.twilio(path, url.Values{"CallSid": {sid("CA", call)}, "To": {danas}, "From": {ours}, "Digits": {digit}}))
	}
	spelled := strings.Join(strings.Split(strings.ReplaceAll(id, "-", ""), ""), ", ")
	wantWords(t, press(1, "*"), "keys at "+publicURL+notify.TwilioVoicePath, "Press 4")
	wantWords(t, press(1, "9"), "That key does nothing")
	wantWords(t, press(1, "5"), spelled+" is escalated")
	wantWords(t, press(1, "4"), spelled+" is acknowledged by "+danas)
	if s := a.state(key); s.State != alert.StatusAcknowledged || s.ChangedVia != "call:"+danas+" (verified)" {
		t.Errorf("the vault says %s via %s", s.State, s.ChangedVia)
	}
	if _, err := a.psql.Exec(t.Context(), "SELECT monitoring.unacknowledge_alert(util.hash_binary($1), 'kim')", key); err != nil {
		t.Fatal(err)
	}
	wantWords(t, press(1, "4"), spelled+" is acknowledged") // Twilio sends it again
	if s := a.state(key).State; s != alert.StatusEscalated && s != alert.StatusOpen {
		t.Errorf("the same key of the same call took effect twice: %s", s)
	}
	wantWords(t, press(2, "6"), spelled+" is resolved")
	if s := a.state(key).State; s != alert.StatusResolved {
		t.Errorf("6 left it %s", s)
	}
}

func TestText_WithoutAnIDIsAboutWhatTheNumberWasTold(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	first, second := a.fire(a.clock().Add(-6*time.Minute)), a.fire(a.clock().Add(-5*time.Minute))
	a.fire(a.clock().Add(-4 * time.Minute)) // of which it was not told
	a.tell("SMS", "SMS", "m-1", "told", first)
	a.tell("CALLS", "VOICE", "m-2", "told", second)
	wantWords(t, a.texts(1, "ack"), "which one?", a.state(first).ID, a.state(second).ID, "ACK ALL")
	wantWords(t, a.texts(2, "Resolve "+a.state(first).ID), "is resolved")
	wantWords(t, a.texts(3, "ack"), a.state(second).ID+" is acknowledged")
	wantWords(t, a.texts(4, "resolve all"), a.state(second).ID+" is resolved")
	wantWords(t, a.texts(5, "resolve all"), "told of no alert")
}

func TestKeys_OfACallAboutManyAlertsTheLedgerIsAsked(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	keys := []string{a.fire(a.clock().Add(-6 * time.Minute)), a.fire(a.clock().Add(-5 * time.Minute))}
	a.tell("CALLS", "VOICE", "m-1", "Two alerts, and what they say.", keys...)
	path := notify.TwilioVoicePath + "?" + url.Values{"channel": {"CALLS"}, "delivery": {"m-1"}, "recipient": {danas}}.Encode()
	press := func(digit string) string {
		return a.said(a.twilio(path, url.Values{"CallSid": {sid("CA", 1)}, "To": {danas}, "From": {ours}, "Digits": {digit}}))
	}
	wantWords(t, press("*"), "Two alerts, and what they say.")
	press("4")
	for _, key := range keys {
		if s := a.state(key).State; s != alert.StatusAcknowledged {
			t.Errorf("%s is %s", key, s)
		}
	}
}

func TestStates_OfAMessageResolveWhatWasUncertain(t *testing.T) {
	t.Parallel()
	a := newAnswering(t, nil)
	key := a.fire(a.clock().Add(-6 * time.Minute))
	a.tell("SMS", "SMS", "m-1", "told", key)
	a.tell("CALLS", "VOICE", "m-2", "told", key)
	report := func(channel, delivery string, form url.Values) int {
		path := notify.TwilioStatusPath + "?" + url.Values{"channel": {channel}, "delivery": {delivery}, "recipient": {danas}}.Encode()
		return a.twilio(path, form).status
	}
	ledger := func() []string {
		a.Helper()
		list, _, err := a.store.Notifications(t.Context(), vault.NotificationFilter{AlertKey: key})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range list {
			got = append(got, strings.TrimSpace(n.ChannelType+" "+n.Status+" "+n.Certainty+" "+n.Reason))
		}
		slices.Sort(got)
		return got
	}
	want := func(entries ...string) {
		t.Helper()
		if got := ledger(); !slices.Equal(got, entries) {
			t.Errorf("the ledger says %q, want %q", got, entries)
		}
	}
	// Out of order, and twice: what is known better stays.
	for _, state := range []string{"sent", "delivered", "sent", "queued", "delivered"} {
		if status := report("SMS", "m-1", url.Values{"MessageSid": {sid("SM", 1)}, "MessageStatus": {state}}); status != http.StatusNoContent {
			t.Fatalf("%s: %d", state, status)
		}
	}
	if status := report("CALLS", "m-2", url.Values{"CallSid": {sid("CA", 1)}, "CallStatus": {"no-answer"}}); status != http.StatusNoContent {
		t.Fatalf("call: %d", status)
	}
	want("SMS DELIVERED CONFIRMED", "VOICE FAILED FAILED Twilio says no-answer: nobody took the call")
	// Before the ledger knows the message.
	if status := report("SMS", "m-9", url.Values{"MessageSid": {sid("SM", 9)}, "MessageStatus": {"undelivered"}, "ErrorCode": {"30003"}}); status != http.StatusNoContent {
		t.Fatalf("an early one: %d", status)
	}
	other := a.fire(a.clock().Add(-5 * time.Minute))
	a.tell("SMS", "SMS", "m-9", "told", other)
	list, _, err := a.store.Notifications(t.Context(), vault.NotificationFilter{AlertKey: other})
	if err != nil || len(list) != 1 || list[0].Status != "FAILED" || !strings.Contains(list[0].Reason, "error 30003") {
		t.Errorf("a state that came before the message was known: %+v %v", list, err)
	}
}

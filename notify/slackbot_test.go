package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/alert"
)

const (
	botToken   = "xoxb-4711-T0KENofTheApp99"
	opsChannel = "C0123456789"
)

func botOptions(roots *x509.CertPool) Options {
	o := testOptions(roots)
	o.LookupEnv = func(name string) (string, bool) {
		if name == "SLACK_BOT_TOKEN" {
			return botToken, true
		}
		return lookup(name)
	}
	return o
}

func openBot(t *testing.T, base string, roots *x509.CertPool) Channel {
	t.Helper()
	return mustOpen(t, config(t, TypeSlack, map[string]any{
		"bot_token_env": "SLACK_BOT_TOKEN", "channel": opsChannel, "api_base_url": base + "/api",
	}), botOptions(roots))
}

// TestSlackBot_ClassifiesEveryProviderBehaviour: the Web API proves a message by its ts alone, and says no
// with a status of 200.
func TestSlackBot_ClassifiesEveryProviderBehaviour(t *testing.T) {
	t.Parallel()
	differs := map[string]Class{"200 ok": Uncertain, "200 ok over TLS": Uncertain, "200 ok false": Misconfigured}
	for _, b := range httpBehaviours {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			want, ok := differs[b.name]
			if !ok {
				want = b.slack
			}
			fake := newFakeHTTP(t, b.tls, b.behave)
			roots := fake.roots()
			if b.untrusted {
				roots = x509.NewCertPool()
			}
			var entered chan struct{}
			if b.hangs {
				entered = fake.entered
			}
			channel := openBot(t, fake.URL, roots)
			r := sendUntil(t, channel, entered, firedMessage())
			checkReceipt(t, r, want)
			if d := b.retryAfter - r.RetryAfter; d < 0 || d > time.Minute || (b.retryAfter < time.Minute && d != 0) {
				t.Errorf("RetryAfter = %v, want %v", r.RetryAfter, b.retryAfter)
			}
			if n := len(fake.all()); n > 1 {
				t.Errorf("%d requests were made, want one", n)
			}
			checkNoSecret(t, channel, r)
			if shown := fmt.Sprintf("%+v %#v %v", r, channel, channel); strings.Contains(shown, botToken) {
				t.Errorf("the token is shown: %s", shown)
			}
		})
	}
}

func TestSlackBot_SortsSlacksWords(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]Class{
		"invalid_auth": Misconfigured, "channel_not_found": Misconfigured, "not_in_channel": Misconfigured, "missing_scope": Misconfigured,
		"internal_error": Transient, "ratelimited": NotSent, "msg_too_long": Permanent, "a_word_of_tomorrow": Permanent,
	} {
		fake := newFakeHTTP(t, false, answer(200, `{"ok":false,"error":"`+word+`"}`))
		r := openBot(t, fake.URL, nil).Send(t.Context(), opsChannel, firedMessage())
		if checkReceipt(t, r, want); !strings.Contains(r.Reason, word) {
			t.Errorf("Reason = %q, want Slack's word %s in it", r.Reason, word)
		}
	}
}

// fakeSlack keeps messages as Slack does. Before it does what is asked, fail may answer instead.
type fakeSlack struct {
	mu       sync.Mutex
	messages []fakeMessage
	calls    []string
	fail     func(method string, w http.ResponseWriter) (answered bool)
	lose     string // the method whose next answer is lost, after the work was done
}

type fakeMessage struct {
	ts, thread, text, blocks, metadata string
	broadcast                          bool
}

func (f *fakeSlack) serve(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	f.calls = append(f.calls, method)
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f.fail != nil && f.fail(method, w) {
		return
	}
	said := f.do(method, r.PostForm)
	if f.lose == method {
		f.lose = ""
		resetConnection(w, r, nil)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(said)
}

func (f *fakeSlack) do(method string, form url.Values) any {
	type object = map[string]any
	refused := func(word string) any { return object{"ok": false, "error": word} }
	if form.Get("token") != botToken {
		return refused("invalid_auth")
	}
	switch method {
	case "chat.postMessage":
		m := fakeMessage{
			ts: fmt.Sprintf("1700000000.%06d", len(f.messages)+1), thread: form.Get("thread_ts"), text: form.Get("text"),
			blocks: form.Get("blocks"), metadata: form.Get("metadata"), broadcast: form.Get("reply_broadcast") == "true",
		}
		f.messages = append(f.messages, m)
		return object{"ok": true, "channel": opsChannel, "ts": m.ts, "message": object{"text": m.text}}
	case "chat.update":
		i := slices.IndexFunc(f.messages, func(m fakeMessage) bool { return m.ts == form.Get("ts") })
		if i < 0 {
			return refused("message_not_found")
		}
		f.messages[i].text, f.messages[i].blocks, f.messages[i].metadata = form.Get("text"), form.Get("blocks"), form.Get("metadata")
		return object{"ok": true, "channel": opsChannel, "ts": form.Get("ts")}
	case "conversations.history", "conversations.replies":
		if form.Get("include_all_metadata") != "1" {
			return refused("invalid_arguments")
		}
		found := []object{}
		for _, m := range slices.Backward(f.messages) {
			if m.thread == form.Get("ts") || m.ts == form.Get("ts") {
				found = append(found, object{"type": "message", "ts": m.ts, "text": m.text, "metadata": json.RawMessage(m.metadata)})
			}
		}
		return object{"ok": true, "messages": found}
	}
	return refused("unknown_method")
}

func (f *fakeSlack) seen() (messages []fakeMessage, calls []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.messages), slices.Clone(f.calls)
}

func newBot(t *testing.T) (*fakeSlack, Channel) {
	t.Helper()
	fake := &fakeSlack{}
	return fake, openBot(t, newFakeHTTP(t, false, fake.serve).URL, nil)
}

func send(t *testing.T, channel Channel, m Message) Receipt {
	t.Helper()
	r := channel.Send(t.Context(), opsChannel, m)
	checkReceipt(t, r, Accepted)
	return r
}

func followed(m Message, event alert.Event, prior Receipt, key string) Message {
	m.Event, m.Prior, m.Key, m.At = event, prior.ExternalID, key, m.At.Add(10*time.Minute)
	m.Alerts = slices.Clone(m.Alerts)
	return m
}

func TestSlackBot_ShowsAnAlertsLifeInOneMessage(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	first := send(t, channel, firedMessage())
	if first.ExternalID != opsChannel+"/1700000000.000001" {
		t.Fatalf("ExternalID = %q, want where the message stands", first.ExternalID)
	}
	raised := followed(firedMessage(), alert.EventEscalated, first, "n/escalated")
	raised.Alerts[0].Status, raised.Alerts[0].Level = alert.StatusEscalated, 1
	send(t, channel, raised)
	taken := followed(firedMessage(), alert.EventAcknowledged, first, "n/acknowledged")
	taken.Alerts[0].Status, taken.Alerts[0].AcknowledgedBy = alert.StatusAcknowledged, "dana"
	send(t, channel, taken)
	over := followed(firedMessage(), alert.EventResolved, first, "n/resolved")
	over.Alerts[0].Status, over.Alerts[0].ResolvedBy, over.Alerts[0].ResolvedAt = alert.StatusResolved, "dana", over.At
	last := send(t, channel, over)

	messages, _ := fake.seen()
	if len(messages) != 4 {
		t.Fatalf("%d messages, want the first and three lines of its thread: %+v", len(messages), messages)
	}
	if last.ExternalID != first.ExternalID {
		t.Errorf("the last receipt names %q, want the message that was edited, %q", last.ExternalID, first.ExternalID)
	}
	root := messages[0]
	if !strings.HasPrefix(root.text, "[RESOLVED]") || strings.Contains(root.blocks, `"actions"`) {
		t.Errorf("the message says %q with the blocks %s, want that it is over and no button", root.text, root.blocks)
	}
	for i, want := range []struct {
		says      string
		broadcast bool
	}{{"Nobody has acknowledged", true}, {"acknowledged by dana", false}, {"is over after", false}} {
		line := messages[i+1]
		if line.thread != root.ts || !strings.Contains(line.text, want.says) || line.broadcast != want.broadcast {
			t.Errorf("line %d: %+v, want %q in the thread, shown in the channel: %v", i+1, line, want.says, want.broadcast)
		}
	}
}

func TestSlackBot_ButtonsNameTheirAlerts(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	m := firedMessage()
	acked := m.Alerts[0]
	acked.ShortID, acked.Status = "A-AAAA", alert.StatusAcknowledged
	ended := m.Alerts[0]
	ended.ShortID, ended.Status = "A-EEEE", alert.StatusResolved
	m.Alerts = append(m.Alerts, acked, ended)
	send(t, channel, m)
	messages, _ := fake.seen()
	var blocks []struct {
		Type     string `json:"type"`
		Elements []struct {
			Type    string          `json:"type"`
			Action  string          `json:"action_id"`
			Value   string          `json:"value"`
			Options json.RawMessage `json:"options"`
		} `json:"elements"`
	}
	if err := json.Unmarshal([]byte(messages[0].blocks), &blocks); err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, b := range blocks {
		if b.Type != "actions" {
			continue
		}
		for _, e := range b.Elements {
			actions = append(actions, e.Action)
			if e.Action == SlackSilence {
				continue
			}
			ref, err := ParseSlackRef(e.Value)
			if err != nil || ref.WorkflowID != m.WorkflowID || !slices.Equal(ref.Alerts, []string{"A-7F3K", "A-AAAA"}) {
				t.Errorf("%s means %+v, %v; want the workflow and its active alerts", e.Action, ref, err)
			}
		}
	}
	if want := []string{SlackAcknowledge, SlackResolve, SlackSilence, SlackEscalate}; !slices.Equal(actions, want) {
		t.Errorf("buttons %q, want %q", actions, want)
	}
}

func TestSlackBot_ShowsTheAlertsBesideTheEvent(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	m := firedMessage()
	other := m.Alerts[0]
	other.Key, other.ShortID = "other", "A-BBBB"
	m.Alerts = append(m.Alerts, other)
	first := send(t, channel, m)
	over := followed(firedMessage(), alert.EventResolved, first, "n/resolved")
	over.Alerts[0].Status, over.Alerts[0].ResolvedAt = alert.StatusResolved, over.At
	over.Beside = []alert.Alert{other}
	send(t, channel, over)

	root := func() fakeMessage { messages, _ := fake.seen(); return messages[0] }()
	if strings.HasPrefix(root.text, "[RESOLVED]") || !strings.Contains(root.blocks, "A-BBBB") || !strings.Contains(root.blocks, SlackResolve) {
		t.Errorf("one of two is over, and the message says %q: %s", root.text, root.blocks)
	}
	if strings.Contains(root.blocks, `\"A-7F3K\"`) {
		t.Errorf("a button still means the alert that is over: %s", root.blocks)
	}
}

// askSlack is what the channel finds of a delivery whose answer was lost.
func askSlack(t *testing.T, channel Channel, m Message) (bool, Receipt, error) {
	t.Helper()
	reconciler, ok := As[Reconciler](channel)
	if !ok {
		t.Fatal("nobody can be asked")
	}
	return reconciler.Reconcile(t.Context(), opsChannel, m)
}

func TestSlackBot_FindsTheMessageAndTheLineWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	fake.lose = "chat.postMessage"
	checkReceipt(t, channel.Send(t.Context(), opsChannel, firedMessage()), Uncertain)
	found, receipt, err := askSlack(t, channel, firedMessage())
	if err != nil || !found || receipt.ExternalID != opsChannel+"/1700000000.000001" || !strings.Contains(receipt.Proof, "history") {
		t.Errorf("found %t, %+v, %v; want the message of the lost attempt", found, receipt, err)
	}
	// The same for a line of the thread, which is no message of the channel.
	fake.lose = "chat.postMessage"
	over := followed(firedMessage(), alert.EventResolved, receipt, "n/resolved")
	over.Alerts[0].Status, over.Alerts[0].ResolvedAt = alert.StatusResolved, over.At
	if found, _, err := askSlack(t, channel, over); found || err != nil {
		t.Errorf("found %t, %v before it was sent", found, err)
	}
	checkReceipt(t, channel.Send(t.Context(), opsChannel, over), Uncertain)
	found, line, err := askSlack(t, channel, over)
	if err != nil || !found || line.ExternalID != receipt.ExternalID || !strings.Contains(line.Proof, "line") {
		t.Errorf("found %t, %+v, %v; want the line, and the message that later events continue", found, line, err)
	}
	if messages, _ := fake.seen(); len(messages) != 2 {
		t.Errorf("%d messages, want the message and one line: %+v", len(messages), messages)
	}
}

func TestSlackBot_FindsTheMessageThatWasBegunAnew(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	fake.lose = "chat.postMessage"
	over := followed(firedMessage(), alert.EventResolved, Receipt{ExternalID: opsChannel + "/1600000000.000001"}, "n/resolved")
	checkReceipt(t, channel.Send(t.Context(), opsChannel, over), Uncertain)
	messages, _ := fake.seen()
	found, receipt, err := askSlack(t, channel, over)
	if err != nil || !found || len(messages) != 1 || receipt.ExternalID != opsChannel+"/"+messages[0].ts {
		t.Errorf("found %t, %+v, %v of %+v", found, receipt, err, messages)
	}
}

func TestSlackBot_SaysNothingIsFoundOnlyOfAHistoryThatItCouldRead(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	other := firedMessage()
	other.Key = "n/of another delivery"
	send(t, channel, other)
	if found, _, err := askSlack(t, channel, firedMessage()); found || err != nil {
		t.Errorf("found %t, %v of what never arrived", found, err)
	}
	fake.mu.Lock()
	fake.fail = func(method string, w http.ResponseWriter) bool {
		if method != "conversations.history" {
			return false
		}
		fmt.Fprint(w, `{"ok":false,"error":"missing_scope","needed":"channels:history"}`)
		return true
	}
	fake.mu.Unlock()
	if found, _, err := askSlack(t, channel, firedMessage()); found || err == nil || !strings.Contains(err.Error(), "channels:history") {
		t.Errorf("found %t, %v in a history that is closed to the app", found, err)
	}
	m := firedMessage()
	m.PossibleDuplicate = true
	send(t, channel, m)
	if messages, _ := fake.seen(); len(messages) != 2 || !strings.Contains(messages[1].blocks, "may be a duplicate") {
		t.Errorf("messages %+v, want a second one that says it may be a duplicate", messages)
	}
}

func TestSlackBot_BeginsAnewWhenTheMessageIsGone(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	over := followed(firedMessage(), alert.EventResolved, Receipt{ExternalID: opsChannel + "/1600000000.000001"}, "n/resolved")
	r := send(t, channel, over)
	if messages, _ := fake.seen(); len(messages) != 1 || messages[0].thread != "" || r.ExternalID != opsChannel+"/"+messages[0].ts {
		t.Errorf("receipt %+v and messages %+v, want a new message that later events continue", r, messages)
	}
}

func TestSlackBot_AnEditWithoutItsLineIsNoDelivery(t *testing.T) {
	t.Parallel()
	fake, channel := newBot(t)
	first := send(t, channel, firedMessage())
	fake.mu.Lock()
	fake.fail = func(method string, w http.ResponseWriter) bool {
		if method != "chat.postMessage" {
			return false
		}
		w.Header().Set("Retry-After", "3")
		http.Error(w, `{"ok":false,"error":"ratelimited"}`, http.StatusTooManyRequests)
		return true
	}
	fake.mu.Unlock()
	r := channel.Send(t.Context(), opsChannel, followed(firedMessage(), alert.EventEscalated, first, "n/escalated"))
	checkReceipt(t, r, NotSent)
	if r.RetryAfter != 3*time.Second || !strings.Contains(r.Reason, "thread") {
		t.Errorf("receipt %+v, want Slack's wish and that the line is missing", r)
	}
}

func TestSlackBot_WaitsItsTurnOfASecond(t *testing.T) {
	t.Parallel()
	fake := &fakeSlack{}
	options := botOptions(nil)
	options.Pace = NewPace()
	cfg := config(t, TypeSlack, map[string]any{"bot_token_env": "SLACK_BOT_TOKEN", "channel": opsChannel, "api_base_url": newFakeHTTP(t, false, fake.serve).URL})
	start := time.Now()
	for range 2 { // a channel for each delivery, as the worker opens them
		fake.mu.Lock()
		fake.fail = func(string, http.ResponseWriter) bool { return false }
		fake.mu.Unlock()
		mustOpen(t, cfg, options).Send(t.Context(), opsChannel, firedMessage())
	}
	if took := time.Since(start); took < slackEvery-50*time.Millisecond {
		t.Errorf("two messages took %v, want a second between them", took)
	}
	// A queue that is longer than an attempt's patience is left to a later attempt.
	for range 12 {
		options.Pace.of(mustOpen(t, cfg, options).(*slackBot).cfg.api.String()+" "+opsChannel, slackEvery).Reserve()
	}
	r := mustOpen(t, cfg, options).Send(t.Context(), opsChannel, firedMessage())
	checkReceipt(t, r, NotSent)
	if r.RetryAfter < slackPatience {
		t.Errorf("RetryAfter = %v, want when its turn comes", r.RetryAfter)
	}
}

func TestPace_GivesTheTurnBackWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()
	p := NewPace()
	if _, ok := p.wait(t.Context(), "x", time.Hour, time.Minute); !ok {
		t.Fatal("the first one waits")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := p.wait(gone, "x", time.Hour, 2*time.Hour); ok {
		t.Fatal("a caller that left has its turn")
	}
	if after, ok := p.wait(t.Context(), "x", time.Hour, time.Minute); ok || after > time.Hour {
		t.Errorf("the next turn comes in %v, want within the hour: the one who left took none", after)
	}
}

func TestSlackBot_ConfigurationIsRefusedWhenItCannotWork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ configuration, says string }{
		{`{"bot_token_env":"SLACK_BOT_TOKEN"}`, "channel: it is missing"},
		{`{"bot_token_env":"SLACK_BOT_TOKEN","channel":"ops"}`, "channel: \"ops\" is neither"},
		{`{"bot_token":"` + botToken + `","channel":"#ops"}`, "bot_token_env"},
		{`{"bot_token_env":"SLACK_BOT_TOKEN","channel":"#ops","webhook_url_env":"X"}`, "remove one of the two"},
		{`{"bot_token_env":"SLACK_BOT_TOKEN","channel":"#ops","api_base_url":"slack.com"}`, "api_base_url"},
		{`{"webhook_url_env":"X","api_base_url":"https://slack.com/api/"}`, "api_base_url"},
		{`{"bot_token_env":"ONEVAULT_DATABASE_URL","channel":"#ops"}`, "credential of the worker"},
		{`{"bot_token_env":"MISSING","channel":"#ops"}`, "MISSING is not set"},
		{`{"bot_token_env":"SLACK_BOT_TOKEN","channel":"#ops","api_base_url":"https://8.8.8.8/api"}`, "not the provider's"},
	} {
		_, err := Open(row(TypeSlack, c.configuration), botOptions(nil))
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), botToken) {
			t.Errorf("%s: %v, want %q without the token", c.configuration, err, c.says)
		}
	}
	if hints := fmt.Sprint(Lint(row(TypeSlack, `{"bot_token_env":"X","channel":"#ops"}`))); !strings.Contains(hints, "with the id") {
		t.Errorf("Lint = %s, want that an id is better", hints)
	}
	if found := Lint(row(TypeSlack, `{"bot_token_env":"X","channel":"C0123456789"}`)); len(found) > 0 {
		t.Errorf("Lint finds %v in a good configuration", found)
	}
}

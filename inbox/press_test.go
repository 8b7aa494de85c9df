package inbox

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PagerDuty/go-pagerduty/webhookv3"
	"github.com/twilio/twilio-go/client"
)

const testToken = "0123456789abcdef0123456789abcdef"

// heard is a request that proved where it comes from.
type heard struct {
	path, query, body string
	form              url.Values
}

// listener stands for OneVault's public side: it believes what the providers' own libraries believe.
type listener struct {
	*httptest.Server
	heard chan heard
}

func listenTo(t *testing.T, answers map[string]string) *listener {
	t.Helper()
	l := &listener{heard: make(chan heard, 32)}
	validator := client.NewRequestValidator(testToken)
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		h := heard{path: r.URL.Path, query: r.URL.RawQuery, body: string(body)}
		good := true
		switch {
		case strings.HasPrefix(r.URL.Path, "/twilio/"):
			h.form, err = url.ParseQuery(h.body)
			fields := map[string]string{}
			for name := range h.form {
				fields[name] = h.form.Get(name)
			}
			good = err == nil && validator.Validate(l.URL+r.URL.String(), fields, r.Header.Get("X-Twilio-Signature"))
		case strings.HasPrefix(r.URL.Path, "/pagerduty/"):
			r.Body = io.NopCloser(strings.NewReader(h.body))
			good = webhookv3.VerifySignature(r, "pager-duty-secret") == nil
		}
		if !good {
			http.Error(w, "forged", http.StatusForbidden)
			return
		}
		l.heard <- h
		if answer, ok := answers[r.URL.Path+"?"+h.form.Get("Digits")]; ok {
			_, _ = io.WriteString(w, answer)
			return
		}
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(l.Close)
	return l
}

// next is the next request of a path; requests of others before it are left out.
func (l *listener) next(t *testing.T, path string) heard {
	t.Helper()
	for {
		select {
		case h := <-l.heard:
			if h.path == path {
				return h
			}
		case <-time.After(patience):
			t.Fatalf("nothing came to %s", path)
		}
	}
}

func (l *listener) config() Config {
	return Config{
		WebhookSecret: testSecret, Twilio: TwilioAccount{AuthToken: testToken, ReplyURL: l.URL + "/twilio/sms"},
		PagerDuty: PagerWebhook{URL: l.URL + "/pagerduty/PAGER", Secret: "pager-duty-secret"},
	}
}

func mustPress(t *testing.T, s *Server, m Message, action, value string) Message {
	t.Helper()
	if err := s.Press(t.Context(), m.ID, action, value); err != nil {
		t.Fatal(err)
	}
	all := s.Messages()
	last := all[len(all)-1]
	if last.Thread != m.ID || last.Channel != m.Channel || last.Answers == "" {
		t.Fatalf("nothing is shown below the message: %+v", last)
	}
	return last
}

func wantRefusal(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v, want %q", err, words)
	}
}

func TestPress_ATextMessageIsAnsweredAsATelephoneDoes(t *testing.T) {
	t.Parallel()
	l := listenTo(t, map[string]string{"/twilio/sms": `<?xml version="1.0"?><Response><Message>A-7F3K is &lt;yours&gt;.</Message></Response>`})
	s := start(t, l.config())
	_, answer := phone(t, s, "Messages", testToken, message("StatusCallback", l.URL+"/twilio/status?delivery=a%2FFIRED&channel=SMS"))
	var states []string
	for range 3 {
		h := l.next(t, "/twilio/status")
		states = append(states, h.form.Get("MessageStatus"))
		if h.query != "delivery=a%2FFIRED&channel=SMS" || h.form.Get("MessageSid") != answer["sid"] || h.form.Get("AccountSid") != testAccount {
			t.Errorf("status callback %+v of %v", h, answer["sid"])
		}
	}
	if !slices.Equal(states, []string{"queued", "sent", "delivered"}) {
		t.Errorf("states %q", states)
	}
	m := await(t, s, anyMessage)
	if len(m.Actions) != 1 || !m.Actions[0].Typed || m.Actions[0].Value != "ACK 7F3K" {
		t.Fatalf("actions %+v", m.Actions)
	}
	if said := mustPress(t, s, m, "reply", "ACK 7F3K"); said.Text != "A-7F3K is <yours>." || said.Answers != "ACK 7F3K" {
		t.Errorf("said %+v", said)
	}
	h := l.next(t, "/twilio/sms")
	if h.form.Get("From") != m.To || h.form.Get("To") != m.From || h.form.Get("Body") != "ACK 7F3K" || h.form.Get("MessageSid") == answer["sid"] {
		t.Errorf("form %v", h.form)
	}
	wantRefusal(t, s.Press(t.Context(), m.ID, "reply", ""), "nothing was typed")
	wantRefusal(t, s.Press(t.Context(), "nothing", "reply", "ACK"), "no such message")
}

func TestPress_AKeyGoesWhereTheCallSaysUntilItEnds(t *testing.T) {
	t.Parallel()
	var l *listener
	answers := map[string]string{"/twilio/voice?4": `<Response><Say>A, 7, F, 3, K is yours. Goodbye.</Say><Hangup></Hangup></Response>`}
	l = listenTo(t, answers)
	again := strings.ReplaceAll(gatherTwiML, "https://onevault.test", l.URL)
	answers["/twilio/voice?*"] = again
	s := start(t, l.config())
	form := message("Twiml", again, "StatusCallback", l.URL+"/twilio/status?delivery=a")
	form.Del("Body")
	phone(t, s, "Calls", testToken, form)
	if h := l.next(t, "/twilio/status"); h.form.Get("CallStatus") != "in-progress" {
		t.Errorf("first state %v", h.form)
	}
	m := await(t, s, anyMessage)
	if said := mustPress(t, s, m, "key-*", ""); !strings.Contains(said.Text, "Press 4 to acknowledge.") {
		t.Errorf("said %+v", said)
	}
	if said := mustPress(t, s, m, "key-4", ""); !strings.HasPrefix(said.Text, "A, 7, F, 3, K is yours.") || said.Answers != "key 4" {
		t.Errorf("said %+v", said)
	}
	for _, key := range []string{"*", "4"} {
		if h := l.next(t, "/twilio/voice"); h.query != "delivery=a" || h.form.Get("Digits") != key || h.form.Get("To") != m.To {
			t.Errorf("key %s: %+v", key, h)
		}
	}
	if h := l.next(t, "/twilio/status"); h.form.Get("CallStatus") != "completed" {
		t.Errorf("last state %v", h.form)
	}
	wantRefusal(t, s.Press(t.Context(), m.ID, "key-4", ""), "the call is over")
	wantRefusal(t, s.Press(t.Context(), m.ID, "key-44", ""), "no such key")
}

func TestPress_WhatIsDoneAtPagerDutyIsToldByItsWebhook(t *testing.T) {
	t.Parallel()
	l := listenTo(t, map[string]string{"/pagerduty/PAGER": `{"said":["A-7F3K is acknowledged by dev"]}`})
	s := start(t, l.config())
	post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", trigger(func(map[string]any) {}))
	if h := l.next(t, "/pagerduty/PAGER"); !strings.Contains(h.body, `"event_type":"incident.triggered"`) || !strings.Contains(h.body, `"agent":null`) {
		t.Errorf("an incident begins with %s", h.body)
	}
	m := await(t, s, anyMessage)
	if said := mustPress(t, s, m, "acknowledge", ""); said.Text != "A-7F3K is acknowledged by dev" {
		t.Errorf("said %+v", said)
	}
	h := l.next(t, "/pagerduty/PAGER")
	for _, want := range []string{`"event_type":"incident.acknowledged"`, `"incident_key":"alert-1"`, `"type":"user_reference"`, `"summary":"dev"`} {
		if !strings.Contains(h.body, want) {
			t.Errorf("the webhook lacks %s: %s", want, h.body)
		}
	}
	wantRefusal(t, s.Press(t.Context(), m.ID, "acknowledge", ""), "acknowledged already")
	mustPress(t, s, m, "resolve", "")
	wantRefusal(t, s.Press(t.Context(), m.ID, "resolve", ""), "resolved already")
	wantRefusal(t, s.Press(t.Context(), m.ID, "launch", ""), "acknowledged or resolved")
}

func TestPress_AWebhookIsAnsweredByItsLinksIfItIsKnownWhoSentIt(t *testing.T) {
	t.Parallel()
	l := listenTo(t, map[string]string{"/links/secret": `{"heading":"Acknowledged","lines":["A-7F3K is yours."]}`})
	s := start(t, l.config())
	body := `{"version":"4","status":"firing","alerts":[],"onevault":{"answers":[{"verb":"acknowledge","url":"` + l.URL + `/links/secret"},{"verb":"odd","url":"file:///etc/passwd"}]}}`
	postSigned(t, s, "", "", body, time.Now())
	if forged := await(t, s, anyMessage); len(forged.Actions) != 0 {
		t.Errorf("a forged webhook offers %+v", forged.Actions)
	}
	postSigned(t, s, testSecret, "msg_1", body, time.Now())
	m := await(t, s, func(m Message) bool { return m.Key == "msg_1" })
	if len(m.Actions) != 1 || m.Actions[0].Label != "Acknowledge" {
		t.Fatalf("actions %+v", m.Actions)
	}
	if said := mustPress(t, s, m, "acknowledge", ""); said.Text != "Acknowledged\nA-7F3K is yours." {
		t.Errorf("said %+v", said)
	}
	wantRefusal(t, s.Press(t.Context(), m.ID, "odd", ""), "no such answer")
	l.Close()
	err := s.Press(t.Context(), m.ID, "acknowledge", "")
	wantRefusal(t, err, "refused")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the link: %v", err)
	}
}

func TestPress_NothingIsSentWithoutTheSecretsOfTheProviders(t *testing.T) {
	t.Parallel()
	s := start(t, Config{})
	phone(t, s, "Messages", "token", message())
	form := message("Twiml", gatherTwiML)
	form.Del("Body")
	phone(t, s, "Calls", "token", form)
	post(t, s.HTTPURL()+"/pagerduty/v2/enqueue", trigger(func(map[string]any) {}))
	for channel, action := range map[string]string{SMS: "reply", Voice: "key-4", PagerDuty: "acknowledge"} {
		m := await(t, s, func(m Message) bool { return m.Channel == channel })
		wantRefusal(t, s.Press(t.Context(), m.ID, action, "ACK"), "nothing can be pressed")
	}
	if n := len(s.Attempts()); n != 3 {
		t.Errorf("%d messages, want the three that came", n)
	}
}

func TestTwilio_KnowsItsAccountsToken(t *testing.T) {
	t.Parallel()
	s := start(t, Config{Twilio: TwilioAccount{AuthToken: testToken}})
	if status, answer := phone(t, s, "Messages", "another", message()); status != http.StatusUnauthorized || answer["code"] != 20003.0 {
		t.Errorf("another token got %d %v", status, answer)
	}
}

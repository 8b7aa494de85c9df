package slackapp

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
)

const signingSecret = "shhh-of-the-tests-4711"

// people are the contacts of a test; an error is a vault that does not answer.
type people struct {
	known map[string]string
	err   error
}

func (p people) Known(_ context.Context, provider, id string) (string, bool, error) {
	contact, ok := p.known[provider+":"+id]
	return contact, ok, p.err
}

// desk writes down what it was asked to do.
type desk struct {
	mu      sync.Mutex
	presses []Press
	err     error
}

func (d *desk) Do(_ context.Context, p Press) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.presses = append(d.presses, p)
	return []string{string(p.Verb) + " of " + strings.Join(p.Alerts, " ") + " by " + p.Contact + " <!channel>"}, d.err
}

func (d *desk) done() []Press {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.presses)
}

// story is an app, the Slack that presses its buttons, and a message with buttons in it.
type story struct {
	app      *App
	desk     *desk
	slack    *inbox.Server
	url      string // of the app
	message  inbox.Message
	refusals chan Refusal
	log      *bytes.Buffer
}

var dana = people{known: map[string]string{"slack:U0DEV00001": "dana"}}

func tell(t *testing.T, who people, desk *desk) *story {
	t.Helper()
	s := &story{desk: desk, refusals: make(chan Refusal, 8), log: &bytes.Buffer{}}
	quiet := slog.New(slog.DiscardHandler)
	slack, err := inbox.Start(t.Context(), inbox.Config{Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = slack.Close() })
	s.slack = slack
	s.app, err = New(Config{
		Desk: desk, People: who, AnswersAt: []string{slack.HTTPURL() + "/slack/response/"}, Log: slog.New(slog.NewTextHandler(s.log, nil)),
		Refused: func(_ context.Context, r Refusal) { s.refusals <- r }, Once: new(seen).once,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := s.app.Interactivity(signingSecret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.Close(); s.app.Wait() })
	s.url = server.URL
	slack.SetSlackApp(inbox.SlackApp{SigningSecret: signingSecret, RequestURL: server.URL})
	s.post(t)
	return s
}

// post sends a message as the worker does, through the real channel.
func (s *story) post(t *testing.T) {
	t.Helper()
	configuration, err := json.Marshal(map[string]string{"bot_token_env": "TOKEN", "channel": "#alerts", "api_base_url": s.slack.HTTPURL() + "/slack/api/"})
	if err != nil {
		t.Fatal(err)
	}
	channel, err := notify.Open(notify.Config{Key: "SLACK", Type: notify.TypeSlack, Configuration: configuration}, notify.Options{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, LookupEnv: func(string) (string, bool) { return "xoxb-tests", true },
	})
	if err != nil {
		t.Fatal(err)
	}
	receipt := channel.Send(t.Context(), "#alerts", notify.Message{
		Key: "n-1", Event: alert.EventFired, WorkflowID: "alert/local/HIGH_CONNECTIONS", Target: "local", At: time.Now(),
		Definition: alert.Definition{Name: "High Connection Count", Severity: alert.SeverityHigh},
		Alerts:     []alert.Alert{{Key: "k", ShortID: "A-7F3K", Status: alert.StatusOpen, TriggeredAt: time.Now()}},
	})
	if receipt.Class != notify.Accepted {
		t.Fatalf("the message was not taken: %+v", receipt)
	}
	s.message = s.await(t, func(m inbox.Message) bool { return len(m.Actions) > 0 })
}

func (s *story) await(t *testing.T, match func(inbox.Message) bool) inbox.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	m, err := s.slack.Wait(ctx, match)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// refused is the next refusal; one that does not come fails the test.
func (s *story) refused(t *testing.T) Refusal {
	t.Helper()
	select {
	case r := <-s.refusals:
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was refused")
		return Refusal{}
	}
}

func (s *story) said(t *testing.T) string {
	t.Helper()
	return s.await(t, func(m inbox.Message) bool { return m.Private }).Text
}

func TestApp_ButtonsBecomeCommandsOfWhoPressed(t *testing.T) {
	t.Parallel()
	for action, verb := range map[string]Verb{notify.SlackAcknowledge: Acknowledge, notify.SlackResolve: Resolve, notify.SlackEscalate: Escalate} {
		s := tell(t, dana, &desk{})
		if err := s.slack.Press(t.Context(), s.message.ID, action, ""); err != nil {
			t.Fatal(err)
		}
		if said := s.said(t); said != string(verb)+" of A-7F3K by dana <!channel>" {
			t.Errorf("the one who pressed reads %q", said)
		}
		done := s.desk.done()
		if len(done) != 1 {
			t.Fatalf("%d commands, want one: %+v", len(done), done)
		}
		if p := done[0]; p.Verb != verb || p.WorkflowID != "alert/local/HIGH_CONNECTIONS" || p.Via() != "slack:U0DEV00001 (verified)" {
			t.Errorf("command %+v, via %s", p, p.Via())
		}
	}
}

func TestApp_SilenceNamesItsEndAndTheAlertsOfTheMessage(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{})
	if err := s.slack.Press(t.Context(), s.message.ID, notify.SlackSilence, notify.SlackSilenceHours); err != nil {
		t.Fatal(err)
	}
	s.said(t)
	p := s.desk.done()[0]
	if in := time.Until(p.Until); p.Verb != Silence || !slices.Equal(p.Alerts, []string{"A-7F3K"}) || in > 4*time.Hour || in < 4*time.Hour-time.Minute {
		t.Errorf("command %+v, want a silence of the alert for four hours", p)
	}
}

func TestSilenceEnd_TomorrowIsNineByTheClocksOfTheZone(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The night in which the clocks go forward, a few minutes before midnight there.
	now := time.Date(2026, 3, 28, 22, 55, 0, 0, time.UTC)
	got, err := silenceEnd(notify.SlackSilenceTomorrow, now, zone)
	if want := time.Date(2026, 3, 29, 7, 0, 0, 0, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("until %v, %v; want %v", got.UTC(), err, want)
	}
	if _, err := silenceEnd("for ever", now, zone); err == nil {
		t.Error("a silence for ever is taken")
	}
}

func TestApp_StrangersChangeNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		who    people
		says   string
		reason string
	}{
		{people{}, "belongs to no contact", "UNKNOWN_SENDER"},
		{people{known: dana.known, err: errors.New("connection refused")}, "cannot be looked up", ""},
	} {
		s := tell(t, c.who, &desk{})
		if err := s.slack.Press(t.Context(), s.message.ID, notify.SlackAcknowledge, ""); err != nil {
			t.Fatal(err)
		}
		if said := s.said(t); !strings.Contains(said, c.says) || !strings.Contains(said, "Nothing was done") {
			t.Errorf("the one who pressed reads %q, want %q", said, c.says)
		}
		if done := s.desk.done(); len(done) > 0 {
			t.Errorf("a stranger did %+v", done)
		}
		if c.reason != "" {
			if r := s.refused(t); r.Reason != c.reason || r.Request == nil {
				t.Errorf("refusal %+v, want %s with its request", r, c.reason)
			}
		}
	}
}

func TestApp_SaysThatACommandFailed(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{err: errors.New("no answer from 10.0.0.1")})
	if err := s.slack.Press(t.Context(), s.message.ID, notify.SlackAcknowledge, ""); err != nil {
		t.Fatal(err)
	}
	if said := s.said(t); !strings.Contains(said, "could not be done") || strings.Contains(said, "10.0.0.1") {
		t.Errorf("the one who pressed reads %q, want that it failed and not where", said)
	}
}

// signed sends a body as Slack would have sent it at a moment.
func (s *story) signed(t *testing.T, body, secret string, at time.Time) int {
	t.Helper()
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Slack-Request-Timestamp", stamp)
	if secret != "" {
		req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

// payload is a press of Acknowledge, as Slack's documentation shows it.
func (s *story) payload(action, value string) string {
	text := fmt.Sprintf(`{"type":"block_actions","user":{"id":"U0DEV00001","username":"dana"},"team":{"id":"T1"},"channel":{"id":"C1"},
		"message":{"ts":"1.2","blocks":[]},"response_url":"%s","actions":[{"type":"button","block_id":"onevault","action_id":"%s","value":%q,"action_ts":"3.4"}]}`,
		s.slack.HTTPURL()+"/slack/response/unknown", action, value)
	return url.Values{"payload": {text}}.Encode()
}

const aRef = `{"w":"alert/local/X","a":["A-7F3K"]}`

func TestApp_BelievesSlacksSignatureAlone(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{})
	good := s.payload(notify.SlackAcknowledge, aRef)
	for _, c := range []struct {
		name, body, secret string
		at                 time.Time
		status             int
		reason             string
	}{
		{"no signature", good, "", time.Now(), http.StatusUnauthorized, "SIGNATURE"},
		{"another secret", good, "guessed", time.Now(), http.StatusUnauthorized, "SIGNATURE"},
		{"six minutes old", good, signingSecret, time.Now().Add(-6 * time.Minute), http.StatusUnauthorized, "REPLAYED"},
		{"of the future", good, signingSecret, time.Now().Add(6 * time.Minute), http.StatusUnauthorized, "REPLAYED"},
		{"no payload", "x=y", signingSecret, time.Now(), http.StatusBadRequest, "MALFORMED"},
	} {
		if got := s.signed(t, c.body, c.secret, c.at); got != c.status {
			t.Errorf("%s: answered %d, want %d", c.name, got, c.status)
		}
		if r := s.refused(t); r.Reason != c.reason || strings.Contains(r.Say, signingSecret) {
			t.Errorf("%s: refusal %+v, want %s", c.name, r, c.reason)
		}
	}
	s.app.Wait()
	if done := s.desk.done(); len(done) > 0 {
		t.Errorf("unproved requests did %+v", done)
	}
	if _, err := s.app.Interactivity(" "); err == nil {
		t.Error("an empty signing secret is taken, and everybody could sign with it")
	}
}

func TestApp_RepetitionsChangeNothing(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{})
	body := s.payload(notify.SlackEscalate, aRef)
	for range 5 {
		if got := s.signed(t, body, signingSecret, time.Now()); got != http.StatusOK {
			t.Fatalf("answered %d", got)
		}
	}
	s.app.Wait()
	if done := s.desk.done(); len(done) != 1 {
		t.Errorf("one press, sent five times, was carried out %d times", len(done))
	}
	// The same button at another moment is another press.
	if got := s.signed(t, strings.Replace(body, "3.4", "5.6", 1), signingSecret, time.Now()); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	s.app.Wait()
	if done := s.desk.done(); len(done) != 2 {
		t.Errorf("two presses were carried out %d times", len(done))
	}
}

func TestApp_AnswersBeforeTheWorkIsDone(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := tell(t, dana, &desk{})
	s.app.Desk = blocking{release}
	if got := s.signed(t, s.payload(notify.SlackAcknowledge, aRef), signingSecret, time.Now()); got != http.StatusOK {
		t.Errorf("answered %d", got)
	}
	close(release) // only now can the command end
	s.app.Wait()
}

type blocking struct{ release chan struct{} }

func (b blocking) Do(ctx context.Context, _ Press) ([]string, error) {
	select {
	case <-b.release:
		return []string{"done"}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestApp_WhatNamesNoAlertIsRefused(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{})
	for _, body := range []string{s.payload(notify.SlackAcknowledge, `{}`), s.payload(notify.SlackAcknowledge, `x`), s.payload("onevault_launch", aRef), s.payload(notify.SlackSilence, aRef)} {
		if got := s.signed(t, body, signingSecret, time.Now()); got != http.StatusOK {
			t.Errorf("answered %d", got)
		}
		if r := s.refused(t); r.Reason != "MALFORMED" {
			t.Errorf("refusal %+v, want MALFORMED", r)
		}
	}
	s.app.Wait()
	if done := s.desk.done(); len(done) > 0 {
		t.Errorf("presses without meaning did %+v", done)
	}
}

func TestApp_AnswersGoToSlackAlone(t *testing.T) {
	t.Parallel()
	s := tell(t, dana, &desk{})
	asked := make(chan struct{}, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	t.Cleanup(elsewhere.Close)
	body := strings.Replace(s.payload(notify.SlackAcknowledge, aRef), url.QueryEscape(s.slack.HTTPURL()), url.QueryEscape(elsewhere.URL), 1)
	if got := s.signed(t, body, signingSecret, time.Now()); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	s.app.Wait()
	select {
	case <-asked:
		t.Error("an answer went to a server that is not Slack's")
	default:
	}
	if !strings.Contains(s.log.String(), "response URL is not Slack's") || strings.Contains(s.log.String(), elsewhere.URL) {
		t.Errorf("the log says %s", s.log)
	}
}

package api_test

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/api"
	"onevault/command"
	"onevault/link"
	"onevault/pgserver/pgtest"
)

// path is the link of a message to dana about alerts.
func (w *world) path(verb, message string, keys ...string) string {
	w.Helper()
	claims := link.Claims{Verb: verb, Recipient: "dana@example.com", Message: message, Expires: w.clock().Add(time.Hour)}
	for _, key := range keys {
		claims.Alerts = append(claims.Alerts, sha256.Sum256([]byte(key)))
	}
	token, err := w.keys.Sign(claims)
	if err != nil {
		w.Fatal(err)
	}
	return "/links/" + token
}

func (r reply) says(t *testing.T, status int, words ...string) {
	t.Helper()
	if r.status != status {
		t.Errorf("status %d, want %d:\n%s", r.status, status, r.body)
	}
	for _, word := range words {
		if !strings.Contains(r.body, word) {
			t.Errorf("the page does not say %q:\n%s", word, r.body)
		}
	}
}

func TestLink_LookingAtItChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.fire(w.clock().Add(-6 * time.Minute))
	path := w.path("acknowledge", "m", key)
	for range 3 { // scanners of mail, and the reader
		got := w.get(path)
		got.says(t, http.StatusOK, "Acknowledge this alert?", "High Connection Count", w.state(key).ID, "dana@example.com", "6 min ago", `<form method="post">`)
	}
	if got := w.send(http.MethodHead, path, "", nil); got.status != http.StatusOK {
		t.Errorf("HEAD: %d", got.status)
	}
	if s := w.state(key).State; s != alert.StatusOpen {
		t.Errorf("looking made it %s", s)
	}
}

func TestLink_PageLoadsNothingAndRunsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.get(w.path("resolve", "m", w.fire(w.clock())))
	policy := got.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy %q", policy)
	}
	style := got.body[strings.Index(got.body, "<style>")+len("<style>") : strings.Index(got.body, "</style>")]
	if sum := sha256.Sum256([]byte(style)); !strings.Contains(policy, "'sha256-"+base64Of(sum[:])+"'") {
		t.Error("the policy does not allow the page's own style")
	}
	for name, want := range map[string]string{"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex, nofollow"} {
		if v := got.header.Get(name); v != want {
			t.Errorf("%s: %q", name, v)
		}
	}
	for _, forbidden := range []string{"<script", " src=", "http://", "https://", "<link"} {
		if strings.Contains(got.body, forbidden) {
			t.Errorf("the page holds %q", forbidden)
		}
	}
}

func TestLink_PressingItAcknowledgesThroughTheWorkflow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.fire(w.clock())
	w.workflows = func(_ string, action command.Action, c alert.Command) (alert.CommandResult, error) {
		if action != command.Acknowledge {
			t.Errorf("action %s", action)
		}
		return alert.CommandResult{Alerts: []alert.CommandOutcome{{ShortID: "A-7F3K", Status: alert.StatusAcknowledged, Changed: true, Actor: c.Actor, At: w.now, CancelledLevel: 2}}}, nil
	}
	w.press(w.path("acknowledge", "m", key), " checking\x00 WAL\r\n").says(t, http.StatusOK,
		"<h1>Acknowledged</h1>", "A-7F3K is acknowledged by dana@example.com; escalation level 2 will not come.", "Paging stops")
	want := alert.Command{Actor: "dana@example.com", Via: "link:dana@example.com (verified)", Notes: "checking WAL", Alerts: []string{key}}
	if len(w.updates) != 1 || w.updates[0].Actor != want.Actor || w.updates[0].Via != want.Via || w.updates[0].Notes != want.Notes || !slices.Equal(w.updates[0].Alerts, want.Alerts) {
		t.Errorf("the workflow heard %+v", w.updates)
	}
}

func TestLink_WorksOnceAndThenSaysWhatIsTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.fire(w.clock())
	path := w.path("acknowledge", "m", key)
	w.press(path, "").says(t, http.StatusOK, "<h1>Acknowledged</h1>") // in the vault: no workflow runs
	if a := w.state(key); a.State != alert.StatusAcknowledged || a.AcknowledgedBy != "dana@example.com" || a.ChangedVia != "link:dana@example.com (verified)" {
		t.Fatalf("%+v", a)
	}
	before := len(w.updates)
	for _, again := range []reply{w.press(path, ""), w.get(path)} {
		again.says(t, http.StatusOK, "This link was used", "ACKNOWLEDGED", "Taken by")
		if strings.Contains(again.body, "<form") {
			t.Error("there is still something to press")
		}
	}
	if len(w.updates) != before {
		t.Error("a replay reached the workflow")
	}
}

func TestLink_OfManyPressesAtOnceOneCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.fire(w.clock())
	path := w.path("resolve", "m", key)
	replies := make(chan reply, 8)
	for range 8 {
		go func() { replies <- w.press(path, "") }()
	}
	resolved := 0
	for range 8 {
		if got := <-replies; strings.Contains(got.body, "<h1>Resolved</h1>") {
			resolved++
		}
	}
	if resolved != 1 {
		t.Errorf("%d of 8 resolved it", resolved)
	}
}

func TestLink_SaysWhoWasFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.fire(w.clock())
	ack, resolve := w.path("acknowledge", "m", key), w.path("resolve", "m", key)
	if _, err := w.store.ResolveAlert(t.Context(), w.state(key), "kim", ""); err != nil {
		t.Fatal(err)
	}
	w.get(ack).says(t, http.StatusOK, "It is over already", "kim")
	w.press(ack, "").says(t, http.StatusConflict, "Not done", "was resolved by kim")
	w.press(resolve, "").says(t, http.StatusOK, "It was so before", "by kim at")
}

func TestLink_ExpiredIsRefusedAndRecorded(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	w := newWorldAt(t, url, nil).open(url)
	key := w.fire(w.clock())
	path := w.path("acknowledge", "m", key)
	w.later(time.Hour)
	for _, got := range []reply{w.get(path), w.press(path, "")} {
		got.says(t, http.StatusGone, "This link has expired", "Nothing was changed", "OPEN")
	}
	if s := w.state(key).State; s != alert.StatusOpen {
		t.Errorf("it is %s", s)
	}
	w.eventually("an expired link is a security event", func() bool {
		return slices.ContainsFunc(w.refusals(), func(s string) bool { return strings.HasPrefix(s, "link EXPIRED ") })
	})
}

func TestLink_ForgedIsRefusedRecordedAndCounted(t *testing.T) {
	t.Parallel()
	url := pgtest.DB(t)
	w := newWorldAt(t, url, nil).open(url)
	path := w.path("acknowledge", "m", w.fire(w.clock()))
	w.press(path[:len(path)-1], "").says(t, http.StatusNotFound, "This link is not valid")
	w.get("/links/nonsense").says(t, http.StatusNotFound, "This link is not valid")
	w.eventually("a forged link is a security event", func() bool {
		return slices.ContainsFunc(w.refusals(), func(s string) bool { return strings.HasPrefix(s, "link SIGNATURE ") })
	})
	if metrics := w.get("/metrics").body; !strings.Contains(metrics, `onevault_inbound_refused_total{provider="link",reason="SIGNATURE"} 2`) ||
		!strings.Contains(metrics, `onevault_inbound_requests_total{provider="link",status="404"} 2`) {
		t.Error("it is not counted")
	}
}

func TestLink_AnswersSeveralAlertsOfOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.fire(w.clock()), w.fire(w.clock().Add(-time.Minute))
	path := w.path("acknowledge", "m", a, b)
	w.get(path).says(t, http.StatusOK, "Acknowledge these 2 alerts?")
	w.press(path, "").says(t, http.StatusOK, "<h1>Acknowledged</h1>", w.state(a).ID, w.state(b).ID)
	if w.state(a).State != alert.StatusAcknowledged || w.state(b).State != alert.StatusAcknowledged {
		t.Error("not both")
	}
}

func TestLink_WorksWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, "postgres://u:secretword@127.0.0.1:1/x", nil)
	w.workflows = func(workflowID string, _ command.Action, c alert.Command) (alert.CommandResult, error) {
		return alert.CommandResult{Alerts: []alert.CommandOutcome{{ShortID: c.Alerts[0], Status: alert.StatusAcknowledged, Changed: true, Actor: c.Actor, At: w.now}}}, nil
	}
	path := w.path("acknowledge", "m", "any alert")
	w.get(path).says(t, http.StatusOK, "Acknowledge this alert?", "cannot be read at this moment")
	w.press(path, "").says(t, http.StatusOK, "<h1>Acknowledged</h1>", alert.ShortID("any alert"))

	w.workflows = func(string, command.Action, alert.Command) (alert.CommandResult, error) {
		return alert.CommandResult{}, command.ErrNoAnswer
	}
	got := w.press(path, "")
	got.says(t, http.StatusServiceUnavailable, "It could not be done now", "Nothing was changed", "Try again")
	if strings.Contains(got.body, "secretword") {
		t.Error("the page holds the vault's password")
	}
}

func TestLink_IsServedBelowThePathOfThePublicAddress(t *testing.T) {
	t.Parallel()
	w := newWorldAt(t, pgtest.DB(t), func(c *api.InboundConfig) { c.PublicURL = mustURL(t, "https://ops.example.com/onevault") })
	path := w.path("acknowledge", "m", w.fire(w.clock()))
	for _, p := range []string{path, "/onevault" + path} {
		if got := w.get(p); got.status != http.StatusOK || got.header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%.20s: %d", p, got.status)
		}
	}
}

func TestLink_AnswersAProgramInJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.path("acknowledge", "m-json", w.fire(w.clock().Add(-time.Minute)))
	for _, want := range []string{`"heading":"Acknowledged"`, `"heading":"This link was used"`} {
		r := w.send(http.MethodPost, path, "", http.Header{"Accept": {"application/json"}})
		r.says(t, http.StatusOK, want, `"lines":["`)
	}
}

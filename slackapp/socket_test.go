package slackapp

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onevault/notify"
)

// socketSlack speaks Slack's side of Socket Mode: one connection after another, each with one press.
type socketSlack struct {
	*httptest.Server
	refuse chan string // words that answer the next requests for a connection
	acked  chan string
	opened int
}

func newSocketSlack(t *testing.T) *socketSlack {
	t.Helper()
	s := &socketSlack{refuse: make(chan string, 4), acked: make(chan string, 8)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/apps.connections.open", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		select {
		case word := <-s.refuse:
			fmt.Fprintf(w, `{"ok":false,"error":%q}`, word)
			return
		default:
		}
		if r.Header.Get("Authorization") != "Bearer xapp-tests" {
			fmt.Fprint(w, `{"ok":false,"error":"not_authed"}`)
			return
		}
		fmt.Fprintf(w, `{"ok":true,"url":%q}`, "ws"+strings.TrimPrefix(s.URL, "http")+"/link")
	})
	mux.HandleFunc("GET /link", func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		s.opened++
		s.talk(conn, s.opened)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *socketSlack) talk(conn *websocket.Conn, n int) {
	payload := map[string]any{
		"type": "block_actions", "user": map[string]string{"id": "U0DEV00001"}, "team": map[string]string{"id": "T1"},
		"channel": map[string]string{"id": "C1"}, "message": map[string]any{"ts": "1.2", "blocks": []any{}},
		"actions": []any{map[string]any{"type": "button", "block_id": notify.SlackActions, "action_id": notify.SlackAcknowledge, "value": aRef, "action_ts": fmt.Sprint(n)}},
	}
	for _, message := range []any{
		map[string]any{"type": "hello", "num_connections": 1},
		map[string]any{"type": "interactive", "envelope_id": fmt.Sprint("envelope-", n), "payload": payload},
	} {
		if conn.WriteJSON(message) != nil {
			return
		}
	}
	var ack struct {
		Envelope string `json:"envelope_id"`
	}
	if conn.ReadJSON(&ack) != nil {
		return
	}
	s.acked <- ack.Envelope
	if n == 1 { // Slack renews each connection every few hours
		_ = conn.WriteJSON(map[string]string{"type": "disconnect", "reason": "refresh_requested"})
	}
	var nothing json.RawMessage
	_ = conn.ReadJSON(&nothing) // until the other side leaves
}

func TestListen_HearsPressesAndConnectsAgain(t *testing.T) {
	t.Parallel()
	slack, desk := newSocketSlack(t), &desk{}
	slack.refuse <- "invalid_auth" // an administrator renews the token meanwhile
	app, err := New(Config{Desk: desk, People: dana, Once: new(seen).once, Refused: func(context.Context, Refusal) {}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- app.Listen(ctx, Socket{AppToken: "xapp-tests", API: slack.URL + "/api/", Retry: 10 * time.Millisecond})
	}()
	for n := range 2 {
		select {
		case got := <-slack.acked:
			if got != fmt.Sprint("envelope-", n+1) {
				t.Errorf("acknowledged %q, want envelope-%d", got, n+1)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing was acknowledged")
		}
	}
	for deadline := time.Now().Add(time.Minute); len(desk.done()) < 2 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond) // between looks
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Listen ended with %v, want nil", err)
	}
	app.Wait()
	if done := desk.done(); len(done) != 2 || done[0].Via() != "slack:U0DEV00001 (verified)" {
		t.Errorf("commands %+v, want one of each connection", done)
	}
}

func TestListen_RefusesWhatIsNoAppToken(t *testing.T) {
	t.Parallel()
	app, err := New(Config{Desk: &desk{}, People: dana, Once: new(seen).once, Refused: func(context.Context, Refusal) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := app.Listen(t.Context(), Socket{AppToken: "xoxb-a-bot-token"}); err == nil || strings.Contains(err.Error(), "xoxb") || !strings.Contains(err.Error(), "xapp-") {
		t.Errorf("a bot token gave %v, want an error that says what an app token is", err)
	}
}

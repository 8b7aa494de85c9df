package inbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const (
	devToken = "xoxb-development"
	buttons  = `[{"type":"section","text":{"type":"mrkdwn","text":"*pg-prod-3* is slow"}},
	{"type":"actions","block_id":"b1","elements":[
	  {"type":"button","action_id":"ack","value":"A-7F3K","style":"primary","text":{"type":"plain_text","text":"Acknowledge"}},
	  {"type":"static_select","action_id":"silence","placeholder":{"type":"plain_text","text":"Silence"},"options":[{"value":"1h","text":{"type":"plain_text","text":"for 1 hour"}}]}]}]`
	metadata = `{"event_type":"onevault_alert","event_payload":{"notification_key":"n-1"}}`
)

// callSlack calls a method of the Web API as slack-go does, by a form.
func callSlack(t *testing.T, s *Server, method string, fields ...string) slackAnswer {
	t.Helper()
	form := url.Values{"token": {devToken}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	status, said := postAs(t, s.HTTPURL()+"/slack/api/"+method, "application/x-www-form-urlencoded", form.Encode())
	var answer slackAnswer
	if err := json.Unmarshal([]byte(said), &answer); err != nil || (status != http.StatusOK && status != http.StatusTooManyRequests) {
		t.Fatalf("%s answered %d %q", method, status, said)
	}
	return answer
}

func startSlack(t *testing.T, app SlackApp) *Server {
	t.Helper()
	return start(t, Config{Slack: app})
}

func TestSlackAPI_EditsInPlaceAndKeepsTheThread(t *testing.T) {
	t.Parallel()
	s := startSlack(t, SlackApp{Token: devToken})
	first := callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", "[HIGH] slow", "blocks", buttons, "metadata", metadata)
	if !first.OK || first.TS == "" || !strings.HasPrefix(first.Channel, "C") {
		t.Fatalf("answer %+v, want a channel's id and a ts", first)
	}
	callSlack(t, s, "chat.postMessage", "channel", first.Channel, "thread_ts", first.TS, "text", "somebody has it", "metadata", strings.Replace(metadata, "n-1", "n-2", 1))
	edited := callSlack(t, s, "chat.update", "channel", first.Channel, "ts", first.TS, "text", "[RESOLVED] slow", "metadata", strings.Replace(metadata, "n-1", "n-2", 1))
	if !edited.OK || edited.TS != first.TS {
		t.Fatalf("answer %+v, want the same ts", edited)
	}
	kept := s.Messages()
	if len(kept) != 2 {
		t.Fatalf("%d messages, want the message and its reply: %+v", len(kept), kept)
	}
	reply, root := kept[0], kept[1] // the edited one is the newest
	if root.TS != first.TS || root.Edits != 1 || root.EditedAt.Before(root.ReceivedAt) || root.Severity != "RESOLVED" || len(root.Actions) != 0 || root.Key != "n-1" || root.To != "#alerts" {
		t.Errorf("the message is %+v, want it edited once, over, and without buttons", root)
	}
	if reply.Thread != root.ID || reply.Copy != 1 {
		t.Errorf("the reply is %+v, want it in the thread of %s", reply, root.ID)
	}
}

func TestSlackAPI_HistoryGivesMetadataWhenAsked(t *testing.T) {
	t.Parallel()
	s := startSlack(t, SlackApp{Token: devToken})
	first := callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", "one", "metadata", metadata)
	callSlack(t, s, "chat.postMessage", "channel", first.Channel, "thread_ts", first.TS, "text", "in the thread", "metadata", metadata)
	got := callSlack(t, s, "conversations.history", "channel", first.Channel, "include_all_metadata", "1")
	if len(got.Messages) != 1 || !strings.Contains(string(got.Messages[0]), `"n-1"`) {
		t.Errorf("history %s, want the one message of the channel with its metadata", got.Messages)
	}
	if got = callSlack(t, s, "conversations.history", "channel", first.Channel); strings.Contains(string(got.Messages[0]), "n-1") {
		t.Errorf("history %s shows metadata that nobody asked for", got.Messages)
	}
	got = callSlack(t, s, "conversations.replies", "channel", first.Channel, "ts", first.TS, "limit", "1")
	if len(got.Messages) != 1 || !got.HasMore || got.ResponseMetadata["next_cursor"] == "" {
		t.Errorf("replies %+v, want the first page of two", got)
	}
	got = callSlack(t, s, "conversations.replies", "channel", first.Channel, "ts", first.TS, "limit", "1", "cursor", got.ResponseMetadata["next_cursor"])
	if len(got.Messages) != 1 || got.HasMore || !strings.Contains(string(got.Messages[0]), "in the thread") {
		t.Errorf("replies %+v, want the reply on the second page", got)
	}
}

func TestSlackAPI_RefusesInSlacksWords(t *testing.T) {
	t.Parallel()
	s := startSlack(t, SlackApp{Token: devToken})
	for _, c := range []struct {
		method string
		fields []string
		want   string
	}{
		{"chat.postMessage", []string{"token", "", "channel", "#a", "text", "x"}, "not_authed"},
		{"chat.postMessage", []string{"token", "xoxb-other", "channel", "#a", "text", "x"}, "invalid_auth"},
		{"chat.postMessage", []string{"channel", "C0UNKNOWN1", "text", "x"}, "channel_not_found"},
		{"chat.postMessage", []string{"channel", "#a"}, "no_text"},
		{"chat.postMessage", []string{"channel", "#a", "blocks", `[{"type":"section"}]`}, "invalid_blocks"},
		{"chat.postMessage", []string{"channel", "#c", "blocks", `[{`}, "invalid_blocks"},
		{"chat.update", []string{"channel", "C0UNKNOWN1", "ts", "1.1", "text", "x"}, "channel_not_found"},
		{"conversations.history", []string{"channel", "#a"}, "channel_not_found"},
		{"chat.delete", nil, "unknown_method"},
	} {
		if got := callSlack(t, s, c.method, c.fields...); got.OK || got.Error != c.want {
			t.Errorf("%s %q answered %+v, want %s", c.method, c.fields, got, c.want)
		}
	}
	known := callSlack(t, s, "chat.postMessage", "channel", "#b", "text", "x")
	if got := callSlack(t, s, "chat.update", "channel", known.Channel, "ts", "1.000001", "text", "x"); got.Error != "message_not_found" {
		t.Errorf("update of nothing answered %+v", got)
	}
	if got := callSlack(t, s, "auth.test"); !got.OK || got.BotID == "" {
		t.Errorf("auth.test answered %+v", got)
	}
	for _, m := range s.Attempts() {
		if strings.Contains(m.Raw, devToken) || strings.Contains(m.Raw, "xoxb-") {
			t.Errorf("the inbox keeps a token: %s", m.Raw)
		}
	}
}

func TestSlackAPI_TakesAMessageASecond(t *testing.T) {
	t.Parallel()
	s := startSlack(t, SlackApp{Token: devToken})
	refused := 0
	for i := range slackBurst + 3 {
		if got := callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", fmt.Sprint(i)); got.Error == "ratelimited" {
			refused++
		}
	}
	if refused == 0 {
		t.Error("five messages at once were all taken, want 429")
	}
	if got := callSlack(t, s, "chat.postMessage", "channel", "#others", "text", "x"); !got.OK {
		t.Errorf("another channel answered %+v, want its own limit", got)
	}
}

func TestSlackAPI_FailsAsPlanned(t *testing.T) {
	t.Parallel()
	s := startSlack(t, SlackApp{Token: devToken})
	if err := s.Fail(Slack, 1, Behaviour{Word: "not_in_channel"}); err != nil {
		t.Fatal(err)
	}
	if got := callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", "x"); got.Error != "not_in_channel" {
		t.Errorf("answer %+v, want the planned word", got)
	}
	if err := s.Fail(Slack, 1, Behaviour{Cut: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {devToken}, "channel": {"#alerts"}, "text": {"lost answer"}}
	if resp, err := http.PostForm(s.HTTPURL()+"/slack/api/chat.postMessage", form); err == nil {
		resp.Body.Close()
		t.Errorf("answered %s, want the connection cut", resp.Status)
	}
	if kept := s.Messages(); len(kept) != 1 || kept[0].Text != "lost answer" {
		t.Errorf("messages %+v, want the one whose answer was lost", kept)
	}
}

// app stands for the receiving side: it checks the signature as Slack's documentation describes.
type app struct {
	*httptest.Server
	payloads chan map[string]any
	headers  chan http.Header
}

func newApp(t *testing.T, secret string) *app {
	t.Helper()
	a := &app{payloads: make(chan map[string]any, 8), headers: make(chan http.Header, 8)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "v0:%s:%s", r.Header.Get("X-Slack-Request-Timestamp"), body)
		if r.Header.Get("X-Slack-Signature") != "v0="+hex.EncodeToString(mac.Sum(nil)) {
			http.Error(w, "bad signature", http.StatusUnauthorized)
			return
		}
		form, err := url.ParseQuery(string(body))
		var payload map[string]any
		if err != nil || json.Unmarshal([]byte(form.Get("payload")), &payload) != nil {
			http.Error(w, "no payload", http.StatusBadRequest)
			return
		}
		a.payloads <- payload
	}))
	t.Cleanup(a.Close)
	return a
}

func TestSlackPress_SendsWhatSlackSends(t *testing.T) {
	t.Parallel()
	a := newApp(t, "shhh-development")
	s := startSlack(t, SlackApp{Token: devToken, SigningSecret: "shhh-development", RequestURL: a.URL})
	callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", "slow", "blocks", buttons, "metadata", metadata)
	m := await(t, s, anyMessage)
	if len(m.Actions) != 2 || m.Actions[0].Label != "Acknowledge" || m.Actions[1].Options[0].Value != "1h" || strings.Contains(m.HTML, "Acknowledge") {
		t.Fatalf("actions %+v, want a button and a choice, offered by the page", m.Actions)
	}
	if status, said := post(t, s.HTTPURL()+"/api/press", `{"message":"`+m.ID+`","action":"ack"}`); status != http.StatusNoContent {
		t.Fatalf("press answered %d %q", status, said)
	}
	payload := <-a.payloads
	action := payload["actions"].([]any)[0].(map[string]any)
	if payload["type"] != "block_actions" || action["value"] != "A-7F3K" || action["block_id"] != "b1" || payload["user"].(map[string]any)["id"] != "U0DEV00001" {
		t.Errorf("payload %+v", payload)
	}
	if blocks := payload["message"].(map[string]any)["blocks"]; blocks == nil {
		t.Error("the payload lacks the message's blocks")
	}
	if err := s.Press(t.Context(), m.ID, "silence", "1h"); err != nil {
		t.Fatal(err)
	}
	chosen := (<-a.payloads)["actions"].([]any)[0].(map[string]any)["selected_option"].(map[string]any)
	if chosen["value"] != "1h" {
		t.Errorf("chosen %+v", chosen)
	}
	// What the app says to the one who pressed is a line that only he sees.
	address := payload["response_url"].(string)
	if status, said := post(t, address, `{"response_type":"ephemeral","text":"A-7F3K is yours"}`); status != http.StatusOK {
		t.Fatalf("response answered %d %q", status, said)
	}
	said := await(t, s, func(m Message) bool { return m.Private })
	if said.Thread != m.ID || said.Text != "A-7F3K is yours" {
		t.Errorf("said %+v", said)
	}
}

func TestSlackPress_SaysWhyNothingWasSent(t *testing.T) {
	t.Parallel()
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "nobody knows you", http.StatusForbidden)
	}))
	t.Cleanup(slow.Close)
	s := startSlack(t, SlackApp{Token: devToken})
	callSlack(t, s, "chat.postMessage", "channel", "#alerts", "text", "slow", "blocks", buttons)
	m := await(t, s, anyMessage)
	for _, c := range []struct {
		app                SlackApp
		message, id, wants string
	}{
		{SlackApp{}, m.ID, "ack", "no signing secret"},
		{SlackApp{SigningSecret: "s", RequestURL: slow.URL}, "nothing", "ack", "no such message"},
		{SlackApp{SigningSecret: "s", RequestURL: slow.URL}, m.ID, "launch", "does not offer"},
		{SlackApp{SigningSecret: "s", RequestURL: slow.URL}, m.ID, "silence", "no option"},
		{SlackApp{SigningSecret: "s", RequestURL: slow.URL}, m.ID, "ack", "403: nobody knows you"},
	} {
		s.SetSlackApp(c.app)
		if err := s.Press(t.Context(), c.message, c.id, ""); err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("press %s: %v, want %q", c.id, err, c.wants)
		}
	}
}

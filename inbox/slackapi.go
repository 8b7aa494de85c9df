package inbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// SlackApp is the app that writes through Slack's Web API at /slack/api/, and what is pressed in its messages.
type SlackApp struct {
	Token         string // the bot token that is believed; empty: every xoxb-...
	SigningSecret string // signs what is pressed; empty: nothing can be pressed
	RequestURL    string // where what is pressed is sent; empty: nothing can be pressed
}

// SlackAlerts is the channel that is there from the beginning, and can be called by its id.
const SlackAlerts = "#alerts"

// SlackChannelID is what the inbox calls the channel of a name, which begins with #.
func SlackChannelID(name string) string {
	sum := sha256.Sum256([]byte(strings.TrimPrefix(name, "#")))
	return "C" + base32.StdEncoding.EncodeToString(sum[:])[:10]
}

// slackBurst is how many messages Slack takes into a channel beyond one a second.
const slackBurst = 2

// slackWorkspace is what Slack knows besides the messages: channels by name, and the order in time.
type slackWorkspace struct {
	mu       sync.Mutex
	app      SlackApp
	channels map[string]string // id by name
	limits   map[string]*rate.Limiter
	posted   []slackPost // oldest first
	lastTS   int64       // microseconds
	tickets  map[string]string
}

// slackPost is a message of the Web API, beside what the store shows of it.
type slackPost struct {
	id          string // of the store's message
	channel, ts string
	thread      string
	broadcast   bool
	body        json.RawMessage // text, blocks, metadata as sent
}

func newSlackWorkspace(app SlackApp) *slackWorkspace {
	return &slackWorkspace{app: app, channels: map[string]string{SlackAlerts: SlackChannelID(SlackAlerts)}, limits: map[string]*rate.Limiter{}, tickets: map[string]string{}}
}

// SetSlackApp replaces the app: a worker that listens later than the inbox is known later.
func (s *Server) SetSlackApp(app SlackApp) {
	s.slack.mu.Lock()
	defer s.slack.mu.Unlock()
	s.slack.app = app
}

// slackAnswer is the frame of each answer of the Web API.
type slackAnswer struct {
	OK               bool              `json:"ok"`
	Error            string            `json:"error,omitempty"`
	Channel          string            `json:"channel,omitempty"`
	TS               string            `json:"ts,omitempty"`
	Text             string            `json:"text,omitempty"`
	Message          json.RawMessage   `json:"message,omitempty"`
	Messages         []json.RawMessage `json:"messages,omitempty"`
	HasMore          bool              `json:"has_more,omitempty"`
	ResponseMetadata map[string]string `json:"response_metadata,omitempty"`
	Team             string            `json:"team,omitempty"`
	TeamID           string            `json:"team_id,omitempty"`
	User             string            `json:"user,omitempty"`
	UserID           string            `json:"user_id,omitempty"`
	BotID            string            `json:"bot_id,omitempty"`
}

const (
	slackTeam    = "T0DEV00001"
	slackBotUser = "U0BOT00001"
	slackBot     = "B0BOT00001"
)

// postSlackAPI answers as Slack's Web API does: 200 with ok false for everything but too many messages.
func (s *Server) postSlackAPI(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, Slack)
	if !ok {
		return
	}
	form, err := slackForm(r, raw)
	if err != nil {
		writeJSON(w, slackAnswer{Error: "invalid_form_data"})
		return
	}
	if word := s.slack.authenticate(r, form); word != "" {
		writeJSON(w, slackAnswer{Error: word})
		return
	}
	switch r.PathValue("method") {
	case "auth.test":
		writeJSON(w, slackAnswer{OK: true, Team: "Development", TeamID: slackTeam, User: "onevault", UserID: slackBotUser, BotID: slackBot})
	case "chat.postMessage":
		s.slackWrites(w, r, form, s.postMessage)
	case "chat.update":
		s.slackWrites(w, r, form, s.updateMessage)
	case "conversations.history", "conversations.replies":
		writeJSON(w, s.slack.history(form))
	default:
		writeJSON(w, slackAnswer{Error: "unknown_method"})
	}
}

// slackForm reads a form, or the JSON that the writing methods take as well.
func slackForm(r *http.Request, raw []byte) (url.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return url.ParseQuery(string(raw))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	form := url.Values{}
	for name, value := range fields {
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		form.Set(name, text)
	}
	return form, nil
}

func (ws *slackWorkspace) authenticate(r *http.Request, form url.Values) (word string) {
	token := cmp.Or(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), form.Get("token"))
	form.Del("token") // the inbox keeps no credential
	ws.mu.Lock()
	defer ws.mu.Unlock()
	switch {
	case token == "":
		return "not_authed"
	case ws.app.Token == "" && !strings.HasPrefix(token, "xoxb-"), ws.app.Token != "" && token != ws.app.Token:
		return "invalid_auth"
	}
	return ""
}

// slackWrite does what is asked and says how it went; a message that was refused is shown as such.
type slackWrite func(form url.Values) (slackAnswer, Message)

// slackWrites adds what may go wrong on the way: what Fail planned, and too many messages.
func (s *Server) slackWrites(w http.ResponseWriter, r *http.Request, form url.Values, write slackWrite) {
	fault := s.faults.take(Slack, func(Behaviour) bool { return true })
	if fault != nil && !fault.Taken {
		s.receive(Message{Channel: Slack, To: form.Get("channel"), Refused: true, Subject: firstLine(plainMrkdwn(form.Get("text"))), Fault: fault.String()})
		misbehave(w, r, *fault)
		return
	}
	if r.PathValue("method") == "chat.postMessage" && !s.slack.admits(form.Get("channel")) {
		s.receive(Message{Channel: Slack, To: form.Get("channel"), Refused: true, Subject: firstLine(plainMrkdwn(form.Get("text"))), Fault: "answered 429: more than one message a second"})
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		s.write(w, `{"ok":false,"error":"ratelimited"}`)
		return
	}
	answer, refused := write(form)
	if !answer.OK {
		refused.Refused, refused.Fault = true, "answered "+answer.Error
		s.receive(refused)
	}
	if fault != nil {
		misbehave(w, r, *fault)
		return
	}
	writeJSON(w, answer)
}

// admits counts the messages of a channel: one a second, with a small reserve.
func (ws *slackWorkspace) admits(channel string) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	id := ws.find(channel)
	limit, known := ws.limits[id]
	if !known {
		limit = rate.NewLimiter(1, slackBurst)
		ws.limits[id] = limit
	}
	return limit.Allow()
}

// find is the id of a channel. One that is called by its name exists from then on; an id must exist.
func (ws *slackWorkspace) find(channel string) (id string) {
	if name, ok := strings.CutPrefix(channel, "#"); ok && name != "" {
		id = SlackChannelID(channel)
		ws.channels[channel] = id
		return id
	}
	for _, known := range ws.channels {
		if known == channel {
			return known
		}
	}
	return ""
}

func (ws *slackWorkspace) nameOf(id string) string {
	for name, known := range ws.channels {
		if known == id {
			return name
		}
	}
	return id
}

// nextTS is a time in microseconds that no message had before.
func (ws *slackWorkspace) nextTS() string {
	ws.lastTS = max(time.Now().UnixMicro(), ws.lastTS+1)
	return fmt.Sprintf("%d.%06d", ws.lastTS/1e6, ws.lastTS%1e6)
}

func (ws *slackWorkspace) byTS(channel, ts string) (slackPost, bool) {
	i := slices.IndexFunc(ws.posted, func(p slackPost) bool { return p.channel == channel && p.ts == ts })
	if i < 0 {
		return slackPost{}, false
	}
	return ws.posted[i], true
}

func (s *Server) postMessage(form url.Values) (slackAnswer, Message) {
	ws := s.slack
	ws.mu.Lock()
	defer ws.mu.Unlock()
	m, body, word := readSlackForm(form)
	channel := ws.find(form.Get("channel"))
	if word == "" && channel == "" {
		word = "channel_not_found"
	}
	if word != "" {
		return slackAnswer{Error: word}, m
	}
	post := slackPost{channel: channel, ts: ws.nextTS(), thread: form.Get("thread_ts"), broadcast: form.Get("reply_broadcast") == "true", body: body}
	m.To, m.TS = ws.nameOf(channel), post.ts
	root, known := ws.byTS(channel, post.thread)
	if post.thread != "" && known {
		m.Thread = root.id
	} else {
		post.thread = "" // as Slack does with a reply to a message that was deleted
	}
	post.id = s.receive(m).ID
	ws.posted = append(ws.posted, post)
	if len(ws.posted) > defaultKeep {
		ws.posted = slices.Delete(ws.posted, 0, len(ws.posted)-defaultKeep)
	}
	return slackAnswer{OK: true, Channel: channel, TS: post.ts, Message: ws.shown(post, true)}, Message{}
}

func (s *Server) updateMessage(form url.Values) (slackAnswer, Message) {
	ws := s.slack
	ws.mu.Lock()
	defer ws.mu.Unlock()
	m, body, word := readSlackForm(form)
	channel, ts := form.Get("channel"), form.Get("ts")
	i := slices.IndexFunc(ws.posted, func(p slackPost) bool { return p.channel == channel && p.ts == ts })
	if word == "" && i >= 0 {
		keepLooks(form, ws.posted[i].body)
		m, body, word = readSlackForm(form)
	}
	switch {
	case word != "":
	case ws.find(channel) == "":
		word = "channel_not_found"
	case i < 0:
		word = "message_not_found"
	}
	if word != "" {
		return slackAnswer{Error: word}, m
	}
	ws.posted[i].body = body
	s.store.change(ws.posted[i].id, func(kept *Message) {
		kept.Subject, kept.Text, kept.HTML, kept.Severity, kept.Actions = m.Subject, m.Text, m.HTML, m.Severity, m.Actions
		kept.Raw, kept.Pretty = m.Raw, m.Pretty
	})
	return slackAnswer{OK: true, Channel: channel, TS: ts, Text: form.Get("text")}, Message{}
}

// keepLooks lets a message look after an edit as it did before: chat.update takes no name and no picture.
func keepLooks(form url.Values, before json.RawMessage) {
	var looks slackPayload
	if json.Unmarshal(before, &looks) == nil {
		form.Set("username", looks.Username)
		form.Set("icon_emoji", looks.IconEmoji)
	}
}

// readSlackForm makes the message that is shown of a form, and what the history keeps of it. word is
// Slack's for what is wrong.
func readSlackForm(form url.Values) (m Message, body json.RawMessage, word string) {
	fields := map[string]any{}
	for _, name := range []string{"text", "channel", "username", "icon_emoji"} {
		if value := form.Get(name); value != "" {
			fields[name] = value
		}
	}
	for _, name := range []string{"blocks", "attachments", "metadata"} {
		value := form.Get(name)
		if value == "" {
			continue
		}
		if !json.Valid([]byte(value)) {
			return Message{Channel: Slack, To: form.Get("channel"), Subject: "(refused by Slack's rules)"}, nil, "invalid_" + name
		}
		fields[name] = json.RawMessage(value)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return Message{Channel: Slack, To: form.Get("channel"), Subject: "(refused by Slack's rules)"}, nil, "invalid_arguments"
	}
	m, err = readSlackOf("", raw, true)
	for _, known := range []error{errSlackNoText, errSlackBlocks, errSlackAttachments} {
		if errors.Is(err, known) {
			return m, nil, known.Error()
		}
	}
	if err != nil {
		return m, nil, "invalid_arguments"
	}
	return m, raw, ""
}

// shown is a message as the API gives it. Metadata is in it only when it is asked for.
func (ws *slackWorkspace) shown(p slackPost, metadata bool) json.RawMessage {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(p.body, &fields); err != nil {
		fields = map[string]json.RawMessage{}
	}
	delete(fields, "channel")
	if !metadata {
		delete(fields, "metadata")
	}
	for name, value := range map[string]string{"type": "message", "ts": p.ts, "thread_ts": p.thread, "user": slackBotUser, "bot_id": slackBot, "team": slackTeam} {
		if value != "" {
			fields[name] = json.RawMessage(strconv.Quote(value))
		}
	}
	out, err := json.Marshal(fields)
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return out
}

// history lists the newest first, the replies of a thread (with ts) the oldest first, page by page.
func (ws *slackWorkspace) history(form url.Values) slackAnswer {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	channel, thread := form.Get("channel"), form.Get("ts")
	if ws.find(channel) == "" || strings.HasPrefix(channel, "#") {
		return slackAnswer{Error: "channel_not_found"}
	}
	if _, known := ws.byTS(channel, thread); thread != "" && !known {
		return slackAnswer{Error: "thread_not_found"}
	}
	var found []slackPost
	for _, p := range ws.posted {
		inThread := thread != "" && (p.ts == thread || p.thread == thread)
		inChannel := thread == "" && (p.thread == "" || p.broadcast)
		if p.channel == channel && (inThread || inChannel) && p.ts > form.Get("oldest") {
			found = append(found, p)
		}
	}
	if thread == "" {
		slices.Reverse(found)
	}
	return ws.page(found, form)
}

func (ws *slackWorkspace) page(found []slackPost, form url.Values) slackAnswer {
	limit, err := strconv.Atoi(cmp.Or(form.Get("limit"), "100"))
	if err != nil || limit < 1 || limit > 999 {
		return slackAnswer{Error: "invalid_limit"}
	}
	begin, err := strconv.Atoi(cmp.Or(form.Get("cursor"), "0"))
	if err != nil || begin < 0 {
		return slackAnswer{Error: "invalid_cursor"}
	}
	begin = min(begin, len(found))
	end := min(begin+limit, len(found))
	answer := slackAnswer{OK: true, Messages: []json.RawMessage{}, HasMore: end < len(found)}
	for _, p := range found[begin:end] {
		answer.Messages = append(answer.Messages, ws.shown(p, form.Get("include_all_metadata") == "1"))
	}
	if answer.HasMore {
		answer.ResponseMetadata = map[string]string{"next_cursor": strconv.Itoa(end)}
	}
	return answer
}

// writeJSON answers 200 with JSON.
func writeJSON(w http.ResponseWriter, answer slackAnswer) {
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body) // a client that left early is no concern of the inbox
}

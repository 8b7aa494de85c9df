package inbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SlackUser is the account of whoever presses in the inbox.
const SlackUser = "U0DEV00001"

var presser = map[string]string{"id": SlackUser, "username": "dev", "name": "dev", "team_id": slackTeam}

// pressInSlack does what a click in Slack does: it sends the app the signed form of Slack's interactivity. option is
// the value that was chosen, for a choice.
func (s *Server) pressInSlack(ctx context.Context, messageID, actionID, option string) error {
	body, err := s.pressed(messageID, actionID, option)
	if err != nil {
		return err
	}
	return s.sendPress(ctx, body)
}

// sendPress signs and sends a form; apart from it, so that a test can send the same one twice.
func (s *Server) sendPress(ctx context.Context, body []byte) error {
	s.slack.mu.Lock()
	app := s.slack.app
	s.slack.mu.Unlock()
	if app.SigningSecret == "" || app.RequestURL == "" {
		return errors.New("nothing can be pressed: the inbox was given no signing secret and no request URL of the app")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, app.RequestURL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(app.SigningSecret))
	fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Slack-Request-Timestamp", stamp)
	req.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	_, err = ask(req)
	return err
}

// pressed is the form's body: payload=<JSON>, as Slack builds it for block_actions.
func (s *Server) pressed(messageID, actionID, option string) ([]byte, error) {
	ws := s.slack
	ws.mu.Lock()
	defer ws.mu.Unlock()
	i := slices.IndexFunc(ws.posted, func(p slackPost) bool { return p.id == messageID })
	if i < 0 {
		return nil, errNoMessage
	}
	post := ws.posted[i]
	action, err := pressedAction(post.body, actionID, option)
	if err != nil {
		return nil, err
	}
	ticket := rand.Text()
	ws.tickets[ticket] = post.id
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": presser, "api_app_id": "A0DEV00001", "token": "deprecated",
		"container":  map[string]any{"type": "message", "message_ts": post.ts, "channel_id": post.channel, "is_ephemeral": false},
		"trigger_id": rand.Text(), "team": map[string]string{"id": slackTeam, "domain": "development"}, "enterprise": nil,
		"channel": map[string]string{"id": post.channel, "name": strings.TrimPrefix(ws.nameOf(post.channel), "#")},
		"message": ws.shown(post, true), "state": map[string]any{"values": map[string]any{}},
		"response_url": s.HTTPURL() + "/slack/response/" + ticket, "actions": []any{action},
	})
	if err != nil {
		return nil, err
	}
	return []byte(url.Values{"payload": {string(payload)}}.Encode()), nil
}

// pressedAction finds the element in the message and says of it what Slack says.
func pressedAction(body []byte, actionID, option string) (map[string]any, error) {
	var payload slackPayload
	if err := json.Unmarshal(body, &payload); err != nil {
		return nil, fmt.Errorf("the message has no blocks: %w", err)
	}
	for _, block := range payload.Blocks {
		for _, e := range block.Elements {
			if e.ActionID != actionID || block.Type != "actions" {
				continue
			}
			action := map[string]any{
				"type": e.Type, "action_id": e.ActionID, "block_id": block.ID,
				"action_ts": fmt.Sprintf("%.6f", float64(time.Now().UnixMicro())/1e6),
			}
			if e.Type == "button" {
				action["text"], action["value"] = plainText(e.Text.Text), e.Value
				return action, nil
			}
			i := slices.IndexFunc(e.Options, func(o slackOption) bool { return o.Value == option })
			if i < 0 {
				return nil, fmt.Errorf("it has no option %q", option)
			}
			action["placeholder"] = plainText(e.Placeholder.Text)
			action["selected_option"] = map[string]any{"text": plainText(e.Options[i].Text.Text), "value": option}
			return action, nil
		}
	}
	return nil, errors.New("the message does not offer that any more")
}

func plainText(text string) map[string]any {
	return map[string]any{"type": "plain_text", "text": text, "emoji": true}
}

// actionsOf lists what can be pressed in a message.
func actionsOf(blocks []slackBlock) []Action {
	var actions []Action
	for _, block := range blocks {
		for _, e := range block.Elements {
			if block.Type != "actions" || e.ActionID == "" || e.URL != "" {
				continue
			}
			action := Action{ID: e.ActionID, Label: e.Text.Text, Style: e.Style}
			if e.Type == "static_select" {
				action.Label = e.Placeholder.Text
			}
			for _, o := range e.Options {
				action.Options = append(action.Options, Option{Value: o.Value, Label: o.Text.Text})
			}
			actions = append(actions, action)
		}
	}
	return actions
}

// postSlackResponse takes what an app says to the one who pressed: a line below the message.
func (s *Server) postSlackResponse(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, Slack)
	if !ok {
		return
	}
	s.slack.mu.Lock()
	message, known := s.slack.tickets[r.PathValue("ticket")]
	s.slack.mu.Unlock()
	if !known {
		http.Error(w, "used_url", http.StatusNotFound)
		return
	}
	m, err := readSlack(r.URL.Path, raw)
	if err != nil {
		status, answer := refusalAnswer(err)
		http.Error(w, answer, status)
		return
	}
	m.Thread, m.Private, m.To = message, true, presser["name"]
	s.receive(m)
	s.write(w, "ok")
}

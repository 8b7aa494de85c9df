package inbox

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// PagerWebhook is a subscription (version 3) to what happens at the inbox's PagerDuty.
type PagerWebhook struct {
	URL    string
	Secret string // signs; empty: nothing is told
}

// PagerUser is whoever presses at the inbox's PagerDuty.
const PagerUser = "PDEV001"

// pagerPress is what a person can do with an incident: its event, the event action that changes it here in the same way,
// and the status that it has then.
var pagerPress = map[string]struct{ event, action, status string }{
	actionAcknowledge: {"incident.acknowledged", "acknowledge", "Acknowledged"},
	actionResolve:     {"incident.resolved", "resolve", "Resolved"},
}

// pagerActions are those of an incident that stands so.
func pagerActions(status string) []Action {
	switch status {
	case "Triggered":
		return []Action{{ID: actionAcknowledge, Label: "Acknowledge", Style: "primary"}, {ID: actionResolve, Label: "Resolve"}}
	case "Acknowledged":
		return []Action{{ID: actionResolve, Label: "Resolve"}}
	}
	return nil
}

// pressAtPagerDuty does it there and tells by the webhook. Only what the webhook took is done: a press that nobody heard
// can be made again.
func (s *Server) pressAtPagerDuty(ctx context.Context, m Message, actionID string) error {
	press, ok := pagerPress[actionID]
	switch {
	case !ok:
		return errors.New("an incident is acknowledged or resolved")
	case s.pagerWebhook.Secret == "" || s.pagerWebhook.URL == "":
		return errors.New("nothing can be pressed: the inbox was given no address and no secret of a webhook")
	}
	s.pagerMu.Lock()
	status := s.pager.status(m.Key)
	s.pagerMu.Unlock()
	if status == "" || status == "Resolved" || status == press.status {
		return fmt.Errorf("the incident is %s already", strings.ToLower(cmp.Or(status, "Resolved")))
	}
	said, err := s.tellPager(ctx, press.event, m, press.status)
	if err != nil {
		return err
	}
	s.pagerMu.Lock()
	_, _ = s.pager.take(pagerEvent{Action: press.action, DedupKey: m.Key}, time.Now()) // it is shown by the answer
	s.pagerMu.Unlock()
	s.answered(m, actionID, said)
	return nil
}

// tellTriggered says that an incident began. PagerDuty tries for two days; the inbox says that it failed.
func (s *Server) tellTriggered(m Message) {
	if s.pagerWebhook.Secret == "" {
		return
	}
	ctx, cancel := context.WithTimeout(s.running, pressTimeout)
	defer cancel()
	if _, err := s.tellPager(ctx, "incident.triggered", m, "Triggered"); err != nil && s.running.Err() == nil {
		s.log.Warn("inbox webhook of PagerDuty not taken", "error", withoutAddress(err))
	}
}

// tellPager sends one webhook and returns what was said to it.
func (s *Server) tellPager(ctx context.Context, event string, m Message, status string) (string, error) {
	var agent any // nobody: PagerDuty itself
	if event != "incident.triggered" {
		agent = map[string]string{"id": PagerUser, "type": "user_reference", "summary": presser["name"]}
	}
	body, err := json.Marshal(map[string]any{"event": map[string]any{
		"id": rand.Text(), "event_type": event, "resource_type": "incident", "occurred_at": time.Now().UTC().Format(time.RFC3339Nano),
		"agent": agent, "client": nil, "data": map[string]any{
			"id": "Q" + rand.Text()[:13], "type": "incident", "status": strings.ToLower(status), "incident_key": m.Key, "title": m.Subject, "urgency": "high",
			"service": map[string]string{"id": "PDEVSVC", "summary": "Development", "type": "service_reference"},
		},
	}})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.pagerWebhook.URL, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(s.pagerWebhook.Secret))
	mac.Write(body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "PagerDuty-Webhook/V3.0")
	req.Header.Set("X-PagerDuty-Signature", "v1="+hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Webhook-Id", rand.Text())
	answer, err := ask(req)
	if err != nil {
		return "", err
	}
	var told struct {
		Said []string `json:"said"`
	}
	if err := json.Unmarshal(answer, &told); err != nil || len(told.Said) == 0 {
		return "(no answer)", nil // PagerDuty looks at the status alone
	}
	return strings.Join(told.Said, "\n"), nil
}

package inbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// pressTimeout is how long Slack waits for an app before it shows a warning sign. The others wait longer; whoever
// presses does not want to.
const pressTimeout = 3 * time.Second

// maxPressAnswer bounds what is read of an answer to what was pressed.
const maxPressAnswer = 64 << 10

// What a person does with a message beside looking at it; the page shows these as buttons.
const (
	actionReply       = "reply" // a text message, with what is typed
	actionKey         = "key-"  // a key of a telephone: key-4
	actionAcknowledge = "acknowledge"
	actionResolve     = "resolve"
)

// errNoMessage: the caps took it, or somebody cleared the inbox.
var errNoMessage = errors.New("there is no such message")

// Press does what a person does with a message: it makes the provider's own request, signed as the provider signs it.
// value is the option that was chosen, or the text that was typed. What comes back is shown below the message. The
// error says why it was not taken.
//
//	s.Press(ctx, m.ID, "reply", "ACK 7F3K")  SMS
//	s.Press(ctx, m.ID, "key-4", "")          VOICE
//	s.Press(ctx, m.ID, "acknowledge", "")    PAGERDUTY, WEBHOOK
func (s *Server) Press(ctx context.Context, messageID, actionID, value string) error {
	ctx, cancel := context.WithTimeout(ctx, pressTimeout)
	defer cancel()
	if err := s.press(ctx, messageID, actionID, value); err != nil {
		return fmt.Errorf("press %s: %w", actionID, err)
	}
	return nil
}

func (s *Server) press(ctx context.Context, messageID, actionID, value string) error {
	m, ok := s.store.find(messageID)
	if !ok {
		return errNoMessage
	}
	switch m.Channel {
	case SMS:
		return s.replyBySMS(ctx, m, actionID, value)
	case Voice:
		return s.pressKey(ctx, m, actionID)
	case PagerDuty:
		return s.pressAtPagerDuty(ctx, m, actionID)
	case Webhook:
		return s.answerWebhook(ctx, m, actionID)
	case Slack:
		return s.pressInSlack(ctx, messageID, actionID, value)
	}
	return errors.New("the message offers nothing to press: a mail is answered by its links")
}

// answered shows below a message what came of an action of its reader.
func (s *Server) answered(m Message, did, text string) {
	s.receive(Message{
		Channel: m.Channel, From: m.From, To: m.To, Thread: m.ID, Answers: did, Subject: firstLine(text), Text: text, Raw: text,
	})
}

// ask sends a request as a provider does, and returns what a success says.
func ask(req *http.Request) ([]byte, error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxPressAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("the answer is %d: %s", resp.StatusCode, bytes.TrimSpace(said))
	}
	return said, nil
}

// postPress is Press for the page. The content type makes browsers ask before another site may.
func (s *Server) postPress(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "the content type must be application/json", http.StatusUnsupportedMediaType)
		return
	}
	var press struct {
		Message string `json:"message"`
		Action  string `json:"action"`
		Option  string `json:"option"` // what was chosen or typed
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&press); err != nil {
		http.Error(w, "read what was pressed: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.Press(r.Context(), press.Message, press.Action, strings.TrimSpace(press.Option)); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

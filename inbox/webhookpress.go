package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// webhookAnswer is a signed link of a webhook's body: who posts to it has done what it says.
type webhookAnswer struct {
	Verb string `json:"verb"`
	URL  string `json:"url"`
}

// offer makes the answers of a webhook something to press. Of a webhook that nobody signed it is not called: the inbox
// sends nothing to addresses that anybody can name.
func (m *Message) offer(answers []webhookAnswer) {
	m.links = map[string]string{}
	for _, a := range answers {
		if !safeURL(a.URL) || a.Verb == "" {
			continue
		}
		m.links[a.Verb] = a.URL
		action := Action{ID: a.Verb, Label: strings.ToUpper(a.Verb[:1]) + a.Verb[1:]}
		if a.Verb == actionAcknowledge {
			action.Style = "primary"
		}
		m.Actions = append(m.Actions, action)
	}
}

// answerWebhook does what the receiver of a webhook does that answers: it posts to the link.
func (s *Server) answerWebhook(ctx context.Context, m Message, actionID string) error {
	address, ok := m.links[actionID]
	if !ok {
		return errors.New("the webhook offers no such answer, or nobody is known to have signed it")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	answer, err := ask(req)
	if err != nil {
		return withoutAddress(err) // the address is a secret
	}
	var told struct {
		Heading string   `json:"heading"`
		Lines   []string `json:"lines"`
	}
	if err := json.Unmarshal(answer, &told); err != nil {
		return fmt.Errorf("the answer is not what the link documents: %w", err)
	}
	s.answered(m, actionID, strings.Join(append([]string{told.Heading}, told.Lines...), "\n"))
	return nil
}

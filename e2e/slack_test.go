package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"onevault/inbox"
	"onevault/settings"
)

// The complaint: "dead buttons, too many messages, no runbook link". The whole way: the worker posts through Slack's Web API, a press goes back signed, the alert's workflow
// takes it, and the message says what is true.
func TestSlack_AButtonAnswersTheAlertAndTheMessageShowsIt(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_SLACK")
	s.define(rule{channels: []string{"DEV_SLACK"}}, holds)
	opened := s.awaitState("OPEN")
	first := s.awaitSlack("the message with buttons", func(m inbox.Message) bool { return m.Thread == "" && m.Edits == 0 })
	if labels := labelsOf(first); !slices.Equal(labels, []string{"Acknowledge", "Resolve", "Silence", "Escalate"}) {
		t.Errorf("the message offers %q", labels)
	}

	if !strings.Contains(first.Raw, runbooks+s.key) {
		t.Errorf("the message does not lead to the runbook %s: %s", runbooks+s.key, first.Raw)
	}

	s.press(first.ID, "onevault_acknowledge", "")
	taken := s.awaitState("ACKNOWLEDGED")
	if taken.Actor != "dev" || taken.Via != "slack:"+inbox.SlackUser+" (verified)" {
		t.Errorf("acknowledged by %q via %q, want the person and that Slack proved it", taken.Actor, taken.Via)
	}
	s.awaitSlack("what the one who pressed reads", func(m inbox.Message) bool {
		return m.Private && strings.Contains(m.Text, opened.ID+" is acknowledged by dev")
	})
	s.press(first.ID, "onevault_silence", "4h")
	s.awaitSlack("that it is silenced", func(m inbox.Message) bool {
		return m.Private && strings.Contains(m.Text, opened.ID+", and what fires like it, is silenced until")
	})
	if list := w.must(t, "silence", "list", "-o", "json"); !strings.Contains(list, "definition="+s.key) || !strings.Contains(list, "slack:"+inbox.SlackUser+" (verified)") {
		t.Errorf("the silences are %s, want one of the story's definition, by Slack", list)
	}
	s.press(first.ID, "onevault_resolve", "")
	s.awaitState("RESOLVED")
	s.awaitSlack("the line of its end in the thread", func(m inbox.Message) bool {
		return m.Thread == first.ID && !m.Private && strings.Contains(m.Text, "is over after")
	})
	last := s.awaitSlack("the first message, which says that it is over", func(m inbox.Message) bool {
		return m.ID == first.ID && m.Severity == "RESOLVED"
	})
	if len(last.Actions) > 0 || last.TS != first.TS {
		t.Errorf("the message offers %q at %s, want nothing to press where it began, at %s", labelsOf(last), last.TS, first.TS)
	}
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
	s.exportHistory("in-place")
}

func labelsOf(m inbox.Message) []string {
	labels := make([]string, 0, len(m.Actions))
	for _, action := range m.Actions {
		labels = append(labels, action.Label)
	}
	return labels
}

// awaitSlack waits for a message of Slack, in the development inbox, that concerns the story: it names the
// definition, or it is below one that does.
func (s *story) awaitSlack(what string, match func(inbox.Message) bool) (found inbox.Message) {
	s.t.Helper()
	eventually(s.t, patience, what, func(ctx context.Context) (bool, any, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.w.env[settings.InboxURL]+"/api/messages?channel=slack", nil)
		if err != nil {
			return false, nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false, nil, err
		}
		defer resp.Body.Close()
		var listing struct {
			Messages []inbox.Message `json:"messages"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&listing); err != nil {
			return false, nil, err
		}
		ours := map[string]bool{}
		for _, m := range listing.Messages {
			ours[m.ID] = m.Thread == "" && strings.Contains(m.Text, s.key)
		}
		seen := []string{}
		for _, m := range listing.Messages {
			if !ours[m.ID] && !ours[m.Thread] {
				continue
			}
			if match(m) {
				found = m
				return true, nil, nil
			}
			seen = append(seen, fmt.Sprintf("%s in %q, edited %d times: %s", m.ID, m.Thread, m.Edits, m.Text))
		}
		return false, seen, nil
	})
	return found
}

// press does what a click on the page of the inbox does.
func (s *story) press(message, action, option string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"message":%q,"action":%q,"option":%q}`, message, action, option)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.w.env[settings.InboxURL]+"/api/press", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		said, err := io.ReadAll(resp.Body)
		s.t.Fatalf("press %s: %s %s %v", action, resp.Status, said, err)
	}
}

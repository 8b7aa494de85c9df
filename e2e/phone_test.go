package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"onevault/inbox"
	"onevault/settings"
)

// telephones adds a channel of each type that reaches a telephone or a pager.
func (s *story) telephones() {
	s.t.Helper()
	telephone := map[string]any{
		"account_sid": "AC00000000000000000000000000000000", "auth_token_env": twilioTokenVariable, "from_number": "+12025550100",
		"to_numbers": []string{"+12025550198", "+12025550199"}, "api_base_url": s.inbox.HTTPURL() + "/twilio",
	}
	s.channel("SMS", "SMS", telephone, 3, 1)
	one := map[string]any{}
	for name, value := range telephone {
		one[name] = value
	}
	one["to_numbers"] = []string{"+12025550199"}
	s.channel("VOICE", "VOICE", one, 3, 1)
	s.channel("PAGERDUTY", "PAGERDUTY", map[string]any{"routing_key_env": pagerKeyVariable, "api_base_url": s.inbox.HTTPURL() + "/pagerduty"}, 3, 1)
}

func TestTelephonesAndPagers_HearAnAlertToItsEnd(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_PHONE")
	s.telephones()
	if err := s.inbox.Fail(inbox.SMS, 1, inbox.Behaviour{Status: 429}); err != nil {
		t.Fatal(err)
	}
	heard := rule{channels: []string{s.channelKey("SMS"), s.channelKey("VOICE"), s.channelKey("PAGERDUTY")}}
	s.define(heard, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 4) // two numbers, a call, a service
	w.must(t, "alert", "ack", opened.ID, "-m", "looking")
	s.awaitTold("ACKNOWLEDGED", 1)
	s.define(heard, clears)
	s.awaitState("RESOLVED")
	s.awaitTold("RESOLVED", 4)

	if got, want := s.subjects(inbox.PagerDuty), []string{"[HIGH]", "Acknowledged", "Resolved"}; !slices.Equal(got, want) {
		t.Errorf("PagerDuty showed %q, want %q", got, want)
	}
	numbers := map[string]int{}
	for _, m := range s.inbox.Messages() {
		switch m.Channel {
		case inbox.SMS:
			numbers[m.To]++
			if !strings.HasPrefix(m.Text, opened.ID+" ") {
				t.Errorf("the text does not begin with the alert's id: %s", m.Text)
			}
		case inbox.PagerDuty:
			if m.Key != opened.Key {
				t.Errorf("dedup_key %q, want %q", m.Key, opened.Key)
			}
		}
	}
	if numbers["+12025550198"] != 2 || numbers["+12025550199"] != 2 {
		t.Errorf("text messages by number: %v, want two each", numbers)
	}
	if got := len(s.subjects(inbox.Voice)); got != 2 {
		t.Errorf("%d calls, want 2", got)
	}
	for _, name := range []string{"SMS", "VOICE", "PAGERDUTY"} {
		test := execute(t, "channel-test", program.cli, w.variables(settings.AllowedCIDRs+"=127.0.0.0/8"), "channel", "test", s.channelKey(name))
		if test.code != 0 || !strings.Contains(test.text, "ACCEPTED") {
			t.Errorf("channel test %s: exit code %d, %s", name, test.code, test.text)
		}
	}
	s.exportHistory("followed")
}

// subjects are the first words, up to a space or a colon, of what a channel received.
func (s *story) subjects(channel string) []string {
	var words []string
	for _, m := range s.inbox.Messages() {
		if m.Channel == channel {
			first, _, _ := strings.Cut(m.Subject, " ")
			words = append(words, strings.TrimSuffix(first, ":"))
		}
	}
	return words
}

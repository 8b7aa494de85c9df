package api

import (
	"slices"
	"testing"

	"onevault/command"
)

func TestParseReply_ReadsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]textReply{
		"ACK 7F3K":               {Verb: command.Acknowledge, Alerts: []string{"A-7F3K"}},
		" ack a-7f3k. ":          {Verb: command.Acknowledge, Alerts: []string{"A-7F3K"}},
		"Acknowledge 7F3K, 8G4M": {Verb: command.Acknowledge, Alerts: []string{"A-7F3K", "A-8G4M"}},
		"ack all":                {Verb: command.Acknowledge, All: true},
		"RESOLVE":                {Verb: command.Resolve},
		"Snooze 30m 7F3K":        {Verb: command.Snooze, Alerts: []string{"A-7F3K"}, Minutes: 30},
		"snooze 7f3k 2h":         {Verb: command.Snooze, Alerts: []string{"A-7F3K"}, Minutes: 120},
		"Stop":                   {Silent: true},
	} {
		got := parseReply(text)
		if got.Verb != want.Verb || !slices.Equal(got.Alerts, want.Alerts) || got.All != want.All || got.Minutes != want.Minutes || got.Silent != want.Silent || got.Say != "" {
			t.Errorf("%q means %+v, want %+v", text, got, want)
		}
	}
	for _, text := range []string{"", "help", "ok thanks", "ACK it!", "SNOOZE", "SNOOZE 7F3K", "SNOOZE 31d", "SNOOZE 0m", "ACK 7F3K all", "ACK 7F3K 30m"} {
		if got := parseReply(text); got.Verb != "" || got.Say == "" {
			t.Errorf("%q means %+v, want words that help", text, got)
		}
	}
}

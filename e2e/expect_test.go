package e2e_test

import (
	"log/slog"
	"slices"

	"onevault/inbox"
)

var discard = slog.New(slog.DiscardHandler)

// everyChannel are the types of the three channels that a story begins with.
var everyChannel = []string{inbox.Email, inbox.Slack, inbox.Webhook}

// mustStates fails the story unless an alert went through exactly these states.
func (s *story) mustStates(key string, want ...string) {
	s.t.Helper()
	versions, err := s.w.versions(s.t.Context(), s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	if got := states(versions, key); !slices.Equal(got, want) {
		s.t.Errorf("states of %s are %v, want %v", key, got, want)
	}
}

// mustReceive fails the story unless each of the three channels received exactly these events about an
// alert, in this order.
func (s *story) mustReceive(id string, want ...string) {
	s.t.Helper()
	for _, channel := range everyChannel {
		if got := s.received(channel, id); !slices.Equal(got, want) {
			s.t.Errorf("%s received %v about %s, want %v", channel, got, id, want)
		}
	}
}

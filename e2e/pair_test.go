package e2e_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"

	"onevault/inbox"
	"onevault/workflows"
)

// The complaint: "duplicate pages under HA". Two workers look, relay and send at the same time, and each recipient is
// told once. Then one of them dies in the midst of telling of the end, and the other goes on.
func TestTwoWorkers_PageOnceAndOneGoesOnWhenTheOtherDies(t *testing.T) {
	t.Parallel()
	r := startRig(t, "pair")
	s := tell(t, &r.world, "E2E_PAIR")
	if err := r.tellEachGroup(t.Context()); err != nil { // this is not about storms
		t.Fatal(err)
	}
	one := r.startWorker()
	two := r.startWorker()
	awaitReady(t, one)
	awaitReady(t, two)
	r.awaitSamples()

	keys := s.defineMany(holds)
	s.awaitSettled(keys, "FIRED")
	s.mustAlerts(keys, 1)
	for _, key := range keys {
		entries, err := r.ledger(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Duplicate || e.Status == "FAILED" || e.Attempt != 0 {
				t.Errorf("nobody died, and the ledger says %s", e)
			}
		}
	}
	if copies := s.copies(keys, "FIRED"); len(copies) != 2*len(keys) {
		t.Errorf("%d messages of %d arrived", len(copies), 2*len(keys))
	} else {
		for message, n := range copies {
			if n != 1 {
				t.Errorf("%s arrived %d times", message, n)
			}
		}
	}
	for _, w := range []*process{one, two} {
		if !s.hadAShare(w, keys) {
			t.Errorf("the worker %d did nothing: the story is about one worker", w.cmd.Process.Pid)
		}
	}

	// The end of all is recorded, and one of those who tell of it is gone.
	if err := s.inbox.Fail(inbox.Webhook, 3, inbox.Behaviour{Hang: true, Taken: true}); err != nil {
		t.Fatal(err)
	}
	s.defineMany(clears)
	eventually(t, patience, "requests that wait for an answer", func(context.Context) (bool, any, error) {
		held := s.held()
		return len(held) > 0, held, nil
	})
	one.kill()
	s.awaitSettled(keys, "RESOLVED")
	copies := s.copies(keys, "RESOLVED")
	for _, key := range keys {
		entries, err := r.ledger(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range current(entries) {
			if e.Event != "RESOLVED" {
				continue
			}
			n := copies[e.Channel+" "+key]
			if n == 0 || n > 1 && !e.Duplicate || !e.arrived() && !(e.Class == "UNCERTAIN" && e.Duplicate) {
				t.Errorf("%d copies arrived of what the ledger calls %s", n, e)
			}
		}
	}
}

// copies are how often the messages of an event arrived that both channels of a definition are to bring, by channel
// and definition.
func (s *story) copies(definitions []string, event string) map[string]int {
	arrived := map[string]int{}
	for _, m := range s.inbox.Messages() {
		for _, d := range definitions {
			switch {
			case eventOf(m) != event:
			case m.Channel == inbox.Webhook && hasKey(m, d):
				arrived[s.channelKey("WEBHOOK")+" "+d]++
			case m.Channel == inbox.Email && names(m, d):
				arrived[s.channelKey("EMAIL")+" "+d]++
			}
		}
	}
	return arrived
}

// hadAShare reports whether a worker did a part of the definitions' workflows.
func (s *story) hadAShare(w *process, definitions []string) bool {
	s.t.Helper()
	return slices.ContainsFunc(definitions, func(d string) bool {
		h, err := history(s.t.Context(), s.w.temporal, workflows.AlertWorkflowID("local", d, ""), "")
		if err != nil {
			s.t.Fatal(err)
		}
		mark := ":" + strconv.Itoa(w.cmd.Process.Pid)
		for _, e := range h.GetEvents() {
			if strings.HasSuffix(e.GetActivityTaskStartedEventAttributes().GetIdentity(), mark) ||
				strings.HasSuffix(e.GetWorkflowTaskStartedEventAttributes().GetIdentity(), mark) {
				return true
			}
		}
		return false
	})
}

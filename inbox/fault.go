package inbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Behaviour is one way in which a receiver fails a delivery, or is slow. Exactly one of Status, Hang, Cut, Word and
// Slow is set.
//
//	Behaviour{Status: 503, RetryAfter: 5 * time.Second}  HTTP: come back later
//	Behaviour{Status: 451}                               SMTP: refused for now, after DATA
//	Behaviour{Status: 550, AtRecipient: true}            SMTP: no such user, at RCPT TO
//	Behaviour{Cut: true, Taken: true}                    the receiver has it, the sender never hears so
type Behaviour struct {
	Status int  // answer: HTTP 300 to 599, SMTP 400 to 599
	Hang   bool // read everything, then say nothing until the sender leaves
	Cut    bool // read everything, then reset the connection (SMTP: after the end of DATA)

	// Word is Slack's Web API saying no with a status of 200: {"ok":false,"error":"not_in_channel"}.
	Word string

	// Slow takes the message and answers as always, so much later, and whether or not the sender still waits.
	Slow time.Duration

	RetryAfter  time.Duration // HTTP, with Status: the Retry-After header, whole seconds
	AtRecipient bool          // SMTP, with Status: refuse at RCPT TO, before any content
	Taken       bool          // the receiver keeps the message all the same, so that a retry is a duplicate
}

// String is what the page and the log call it.
func (b Behaviour) String() string {
	switch {
	case b.Hang:
		return "no answer"
	case b.Cut:
		return "connection cut before the answer"
	case b.Word != "":
		return "answered " + b.Word
	case b.Slow != 0:
		return fmt.Sprintf("answered after %s", b.Slow)
	default:
		return fmt.Sprintf("answered %d", b.Status)
	}
}

func (b Behaviour) validate(channel string) error {
	ways := 0
	for _, set := range []bool{b.Status != 0, b.Hang, b.Cut, b.Word != "", b.Slow != 0} {
		if set {
			ways++
		}
	}
	lowest := 300
	switch channel {
	case Email:
		lowest = 400
	default:
		if !slices.Contains(everyChannel, channel) {
			return fmt.Errorf("channel %q is none of %s", channel, strings.Join(everyChannel, ", "))
		}
	}
	switch {
	case ways != 1:
		return errors.New("exactly one of status, hang, cut, word and slow has to be set")
	case b.Slow < 0 || b.Slow > time.Minute:
		return fmt.Errorf("slow is %s; give at most a minute", b.Slow)
	case b.Word != "" && channel != Slack:
		return errors.New("a word is what Slack's Web API answers")
	case b.Status != 0 && (b.Status < lowest || b.Status > 599):
		return fmt.Errorf("status %d is outside %d to 599", b.Status, lowest)
	case b.AtRecipient && (channel != Email || b.Status == 0 || b.Taken):
		return errors.New("a refusal at the recipient needs EMAIL and a status, and takes nothing")
	}
	return nil
}

// faults holds the failures that are planned, per channel, in order.
type faults struct {
	mu      sync.Mutex
	planned map[string][]Behaviour
}

// Fail makes the next n deliveries of a channel fail in one way. It replaces what was still planned for
// the channel; n 0 ends the trouble. An error says why the behaviour is impossible on that channel.
func (s *Server) Fail(channel string, n int, b Behaviour) error {
	if err := b.validate(channel); n > 0 && err != nil {
		return fmt.Errorf("plan failures of %s: %w", channel, err)
	}
	plan := make([]Behaviour, max(n, 0))
	for i := range plan {
		plan[i] = b
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.planned[channel] = plan
	return nil
}

// take uses up the next planned failure of the channel if wanted says so; nil means that all is well, if need be after
// a while.
func (f *faults) take(channel string, wanted func(Behaviour) bool) *Behaviour {
	fault := f.next(channel, wanted)
	if fault != nil && fault.Slow > 0 {
		time.Sleep(fault.Slow)
		return nil
	}
	return fault
}

func (f *faults) next(channel string, wanted func(Behaviour) bool) *Behaviour {
	f.mu.Lock()
	defer f.mu.Unlock()
	plan := f.planned[channel]
	if len(plan) == 0 || !wanted(plan[0]) {
		return nil
	}
	f.planned[channel] = plan[1:]
	return &plan[0]
}

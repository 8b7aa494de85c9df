package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// What the vault's columns hold.
const (
	maxActor = 100
	maxVia   = 150
)

// Actor is who acts, and how that is known.
type Actor struct {
	Name     string // the person: dana, or an address
	Through  string // where they acted: slack:U123, link:dana@example.com
	Verified bool   // whether the sender was proved to be who it says
}

// Via is what the vault records of how the actor is known: slack:U123 (verified).
func (a Actor) Via() string {
	suffix := " (unverified)"
	if a.Verified {
		suffix = " (verified)"
	}
	return cut(a.Through, maxVia-len(suffix)) + suffix
}

func cut(s string, runes int) string {
	if all := []rune(s); len(all) > runes {
		return string(all[:runes])
	}
	return s
}

// Request is one command of one person that came in from outside, whatever brought it: a button, a link, a
// message. Each verb of an alert is an Action.
type Request struct {
	Verb   Action
	Alerts []string // short ids, hash keys or business keys
	Actor  Actor
	Notes  string
	// Minutes is how long an acknowledgement holds (0: until the end), or a snooze or silence lasts.
	Minutes int
	// Critical has a silence mute alerts of severity CRITICAL as well, which it spares otherwise.
	Critical bool
}

// Reply says what stands now for each alert of a request, or why not.
type Reply struct {
	Verb     Action
	Outcomes []Outcome
	Errors   []error
}

// Do carries out a request: by the alerts' workflows, and where those cannot answer in the vault. The error
// is for what concerns the whole request and may pass: then nothing was done, and it can be made again.
func (s *Sender) Do(ctx context.Context, r Request) (Reply, error) {
	if strings.TrimSpace(r.Actor.Name) == "" {
		return Reply{}, errors.New("nobody is named who acts")
	}
	plan, errs := s.Plan(ctx, r.Verb, r.Alerts)
	outcomes, failed := s.Carry(ctx, r.Verb, plan, alert.Command{
		Actor: cut(r.Actor.Name, maxActor), Notes: r.Notes, Via: r.Actor.Via(), Minutes: r.Minutes, Critical: r.Critical,
	})
	reply := Reply{Verb: r.Verb, Outcomes: outcomes, Errors: append(errs, failed...)}
	if len(reply.Outcomes) == 0 {
		for _, err := range reply.Errors {
			if errors.Is(err, ErrNoAnswer) || vault.Unreachable(err) {
				return Reply{}, fmt.Errorf("%s: %w", r.Verb, err)
			}
		}
	}
	return reply, nil
}

// Sentences tell people what came of it, one for each alert: who was first, or why not.
func (r Reply) Sentences() []string {
	sentences := make([]string, 0, len(r.Outcomes)+len(r.Errors))
	for _, o := range r.Outcomes {
		sentences = append(sentences, o.Sentence(r.Verb))
	}
	for _, err := range r.Errors {
		sentences = append(sentences, Sentence(err))
	}
	return sentences
}

// done is what an alert is after an action, as people say it.
func (a Action) done() string {
	switch a {
	case Acknowledge:
		return "acknowledged"
	case Resolve:
		return "resolved"
	case Unacknowledge:
		return "given back"
	case Snooze:
		return "snoozed"
	case Escalate:
		return "escalated"
	case FalsePositive:
		return "called a false positive"
	case Silence:
		return "silenced"
	}
	return string(a)
}

// Sentence tells people what stands for one alert after an action.
func (o Outcome) Sentence(action Action) string {
	done := action.done()
	switch {
	case o.Changed && o.CancelledLevel > 0 && action == Acknowledge:
		return fmt.Sprintf("%s is %s by %s; escalation level %d will not come.", o.ID, done, o.Actor, o.CancelledLevel)
	case o.Changed && action == Escalate:
		return fmt.Sprintf("%s is escalated by %s; level %d is told.", o.ID, o.Actor, o.Level)
	case o.Changed && action == Silence:
		return fmt.Sprintf("%s, and what fires like it, is silenced until %s. It ends before that by: onevault silence end %s", o.ID, stamp(o.Until), o.Silence)
	case o.Changed && action == Snooze && !o.Until.IsZero():
		return fmt.Sprintf("%s is snoozed by %s until %s; then it pages again.", o.ID, o.Actor, stamp(o.Until))
	case o.Changed:
		return fmt.Sprintf("%s is %s by %s.", o.ID, done, o.Actor)
	case o.Actor != "":
		return fmt.Sprintf("%s was %s before, by %s at %s.", o.ID, done, o.Actor, stamp(o.At))
	}
	return fmt.Sprintf("%s was %s before.", o.ID, done)
}

// Sentence is an error as people read it on a telephone: without the words by which programs tell errors
// apart, and without what concerns those who run the service.
func Sentence(err error) string {
	var refused *vault.Refusal
	switch {
	case errors.As(err, &refused):
		return capital(refused.Message) + "."
	case errors.Is(err, ErrConflict):
		return capital(strings.TrimPrefix(err.Error(), ErrConflict.Error()+": ")) + "."
	}
	return "It could not be done. Whoever runs OneVault finds the reason in the worker's log."
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// shortIDOf gives an alert that is known by its hash key the id by which Temporal finds it.
func shortIDOf(id string) string {
	if raw, err := hex.DecodeString(id); err == nil && len(raw) == sha256.Size {
		return alert.ShortIDOf([sha256.Size]byte(raw))
	}
	return id
}

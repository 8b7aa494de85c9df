package alert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxMinutes bounds how long an acknowledgement may hold before it expires, and how long a snooze may
// last: thirty days. Who wants an alert to be quiet for longer wants another definition.
const MaxMinutes = 30 * 24 * 60

// Errors by which a caller tells why an answer was refused.
var (
	ErrState      = errors.New("the alert's state does not allow it")
	ErrIncomplete = errors.New("incomplete")
)

// Check returns the alerts that a command of this name means, or why it cannot be carried out.
func (g *Group) Check(name string, c Command) ([]*Tracked, error) {
	selected, err := g.Select(c)
	if err != nil {
		return nil, err
	}
	switch name {
	case UpdateAcknowledge:
		return selected, checkMinutes(c.Minutes, 0)
	case UpdateSnooze:
		if err := checkMinutes(c.Minutes, 1); err != nil {
			return nil, err
		}
		return selected, cmp.Or(requireNotes(c, "why nobody should be paged"), requireAny(selected, func(t *Tracked) error {
			if t.Status == StatusAcknowledged {
				return fmt.Errorf("%w: %s was acknowledged by %s at %s, so that nobody is paged", ErrState, t.ShortID, t.AcknowledgedBy, clock(t.AcknowledgedAt))
			}
			return nil
		}))
	case UpdateSilence:
		return selected, cmp.Or(checkMinutes(c.Minutes, 1), requireNotes(c, "why nobody should be told"), g.spares(c))
	case UpdateEscalate:
		return selected, requireAny(selected, g.raisable)
	case UpdateFalsePositive:
		return selected, requireNotes(c, "why it should not have fired")
	}
	return selected, nil
}

func checkMinutes(minutes, least int) error {
	if minutes < least || minutes > MaxMinutes {
		return fmt.Errorf("%w: minutes is %d; give %d to %d", ErrIncomplete, minutes, max(least, 1), MaxMinutes)
	}
	return nil
}

func requireNotes(c Command, what string) error {
	if strings.TrimSpace(c.Notes) == "" {
		return fmt.Errorf("%w: notes is empty; say %s", ErrIncomplete, what)
	}
	return nil
}

// spares refuses a silence that would mute nothing of the group.
func (g *Group) spares(c Command) error {
	if g.Definition.Severity == SeverityCritical && !c.Critical {
		return fmt.Errorf("%w: %s is CRITICAL, which a silence spares; set critical", ErrIncomplete, g.Definition.Key)
	}
	return nil
}

// requireAny refuses what is possible for none of the alerts, with the reason of the last. What has ended
// is Select's to refuse.
func requireAny(selected []*Tracked, possible func(*Tracked) error) error {
	var last error
	for _, t := range selected {
		if !t.Active() {
			continue
		}
		if last = possible(t); last == nil {
			return nil
		}
	}
	return last
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }

// AcknowledgeUntil stops the paging of an alert until a moment (zero: until its end). Of two acknowledgements
// the longer holds. False: it was acknowledged for as long, or resolved, before.
func (g *Group) AcknowledgeUntil(t *Tracked, actor, notes string, at, until time.Time) bool {
	renews := t.Status == StatusAcknowledged && !t.AcknowledgedUntil.IsZero() && (until.IsZero() || until.After(t.AcknowledgedUntil))
	if !t.unanswered() && !renews {
		return false
	}
	t.rest()
	t.Status, t.AcknowledgedBy, t.AcknowledgedAt, t.Notes, t.AcknowledgedUntil = StatusAcknowledged, actor, at, notes, until
	return true
}

// Unacknowledge takes an acknowledgement back: the alert pages again from the level where it stood. False: nobody
// had acknowledged it.
func (g *Group) Unacknowledge(t *Tracked, notes string, at time.Time) bool {
	if t.Status != StatusAcknowledged {
		return false
	}
	t.rest()
	t.Status, t.AcknowledgedBy, t.AcknowledgedAt, t.Notes = StatusOpen, "", time.Time{}, notes
	t.TakenBack++
	g.schedule(t, at)
	return true
}

// Snooze keeps an alert that nobody answered from paging until a moment; the newest one counts. False: it is
// answered.
func (g *Group) Snooze(t *Tracked, notes string, until time.Time) bool {
	if !t.unanswered() || until.Equal(t.SnoozedUntil) {
		return false
	}
	t.rest()
	t.SnoozedUntil, t.Notes = until, notes
	return true
}

// Raise escalates an alert at once, to a level or (0) to the next. False: it stands at that level, or is over,
// or acknowledged.
func (g *Group) Raise(t *Tracked, level int, notes string, at time.Time) bool {
	if level == 0 {
		level = t.Level + 1
	}
	if !t.unanswered() || level <= t.Level {
		return false
	}
	t.rest()
	t.Status, t.Level = StatusEscalated, level
	if notes != "" {
		t.Notes = notes
	}
	g.schedule(t, at)
	return true
}

// raisable says why an alert cannot be escalated further; nil: it can.
func (g *Group) raisable(t *Tracked) error {
	p := g.Definition.Policy
	if p == nil {
		return nil
	}
	if _, more := p.at(t.Level + 1); !more {
		return fmt.Errorf("%w: %s stands at %s, and nobody further is named", ErrState, t.ShortID, p.Place(t.Level))
	}
	return nil
}

// rest ends whatever was going to happen by itself.
func (t *Tracked) rest() {
	t.NextRepeat, t.Repeated = time.Time{}, 0
	t.NextEscalation, t.AcknowledgedUntil, t.SnoozedUntil = time.Time{}, time.Time{}, time.Time{}
}

// wakeBy forgets a snooze that was over when the group heard of the alert.
func (t *Tracked) wakeBy(now time.Time) {
	if !t.SnoozedUntil.After(now) {
		t.SnoozedUntil = time.Time{}
	}
}

// Woken is an alert that pages again by itself.
type Woken struct {
	*Tracked
	Due     time.Time // when the acknowledgement or snooze was over
	Expired bool      // an acknowledgement; false: a snooze
}

// Wake lets every alert page again whose acknowledgement or snooze is over, and returns them.
func (g *Group) Wake(now time.Time) []Woken {
	var woken []Woken
	for _, t := range g.Alerts {
		due := t.quietUntil()
		if due.IsZero() || due.After(now) {
			continue
		}
		w := Woken{Tracked: t, Due: due, Expired: t.Status == StatusAcknowledged}
		if w.Expired {
			g.Unacknowledge(t, fmt.Sprintf("the acknowledgement of %s ended at %s", t.AcknowledgedBy, clock(due)), now)
		} else {
			t.rest()
			t.Notes = "the snooze ended at " + clock(due)
			g.schedule(t, now)
		}
		woken = append(woken, w)
	}
	return woken
}

// quietUntil is when an answer of the alert ends by itself; zero: it has none, or it holds.
func (t *Tracked) quietUntil() time.Time {
	switch {
	case t.Status == StatusAcknowledged:
		return t.AcknowledgedUntil
	case t.unanswered():
		return t.SnoozedUntil
	}
	return time.Time{}
}

// Next is the earliest moment at which something happens by itself; zero: nothing will.
func (g *Group) Next() time.Time {
	next := g.NextEscalation()
	for _, t := range g.Alerts {
		next = earlier(earlier(next, t.quietUntil()), t.NextRepeat)
	}
	return next
}

// earlier returns the earlier of two moments, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Snoozed reports whether all that nobody answered is quiet by somebody's wish.
func (g *Group) Snoozed() bool {
	unanswered := slices.DeleteFunc(slices.Clone(g.Alerts), func(t *Tracked) bool { return !t.unanswered() })
	return len(unanswered) > 0 && !slices.ContainsFunc(unanswered, (*Tracked).Asks)
}

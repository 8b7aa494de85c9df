package incident

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Errors by which a caller tells why a command was refused.
var (
	ErrConflict = errors.New("the incident's state does not allow it")
	ErrUsage    = errors.New("incomplete command")
)

// The vault's limits, in characters.
const (
	maxName = 100
	maxText = 10_000
)

// allowed says which change of status is legal: what the vault's incident_transition_allowed says.
func allowed(from, to Status) bool {
	switch from {
	case StatusOpen:
		return to == StatusInvestigating || to == StatusResolved
	case StatusInvestigating:
		return to == StatusResolved
	case StatusResolved:
		return to == StatusInvestigating || to == StatusClosed
	case StatusClosed:
	}
	return false
}

// Check refuses a command that the incident's state forbids, or that says too little. Asking for what
// stands already is in order: the answer says who was first.
func (i Incident) Check(kind Kind, c Command) error {
	if err := c.check(kind); err != nil {
		return err
	}
	stamp := func(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05 UTC") }
	switch {
	case kind == Noted, kind == Limit:
		return nil
	case i.Status == StatusClosed && kind != Resolved && kind != Closed:
		return fmt.Errorf("%w: %s was closed by %s at %s", ErrConflict, i.ID, i.ClosedBy, stamp(i.ClosedAt))
	case kind == Closed && i.Active():
		return fmt.Errorf("%w: %s is %s and cannot become CLOSED; resolve it first", ErrConflict, i.ID, i.Status)
	case kind == Taken && i.Status == StatusResolved:
		return fmt.Errorf("%w: %s was resolved by %s at %s; reopen it if it is not over", ErrConflict, i.ID, i.ResolvedBy, stamp(i.ResolvedAt))
	case kind == Reopened && i.Active():
		return fmt.Errorf("%w: %s is %s: there is nothing to reopen", ErrConflict, i.ID, i.Status)
	}
	return nil
}

func (c Command) check(kind Kind) error {
	switch {
	case strings.TrimSpace(c.Actor) == "":
		return fmt.Errorf("%w: say who acts", ErrUsage)
	case utf8.RuneCountInString(c.Actor) > maxName:
		return fmt.Errorf("%w: the actor's name has more than %d characters", ErrUsage, maxName)
	case kind == Noted && strings.TrimSpace(c.Text) == "":
		return fmt.Errorf("%w: the note is empty", ErrUsage)
	case kind == Assigned && strings.TrimSpace(c.Text) == "":
		return fmt.Errorf("%w: say to whom", ErrUsage)
	case kind == Assigned && utf8.RuneCountInString(c.Text) > maxName:
		return fmt.Errorf("%w: the name to assign to has more than %d characters", ErrUsage, maxName)
	case utf8.RuneCountInString(c.Text) > maxText:
		return fmt.Errorf("%w: the text has more than %d characters", ErrUsage, maxText)
	}
	return nil
}

// Apply makes a change as the vault will make it. False: it changes nothing, because that stands already
// or is not legal.
func (i *Incident) Apply(c Change) bool {
	switch c.Kind {
	case Noted:
		if i.Status == StatusOpen {
			i.enter(StatusInvestigating, c)
		}
		return true
	case Assigned:
		if i.AssignedTo == c.Text || i.Status == StatusClosed {
			return false
		}
		i.AssignedTo = c.Text
		if i.Status == StatusOpen {
			i.enter(StatusInvestigating, c)
		}
		return true
	case Limit:
		return i.pass(c.At)
	case Taken:
		return i.Status == StatusOpen && i.enter(StatusInvestigating, c)
	case Reopened:
		return i.Status == StatusResolved && i.enter(StatusInvestigating, c)
	case Resolved:
		return i.enter(StatusResolved, c)
	case Closed:
		return i.enter(StatusClosed, c)
	}
	return false
}

func (i *Incident) enter(to Status, c Change) bool {
	if !allowed(i.Status, to) {
		return false
	}
	if i.Status == StatusOpen {
		i.FirstResponseAt, i.FirstResponseBy = c.At, c.Actor
	}
	switch to {
	case StatusInvestigating:
		if i.Status == StatusResolved {
			i.ReopenedAt = c.At
		}
		i.ResolvedAt, i.ResolvedBy = time.Time{}, ""
	case StatusResolved:
		i.ResolvedAt, i.ResolvedBy = c.At, c.Actor
	case StatusClosed:
		i.ClosedAt, i.ClosedBy = c.At, c.Actor
	case StatusOpen:
	}
	i.Status = to
	return true
}

// pass notes which limits have passed at a moment.
func (i *Incident) pass(at time.Time) bool {
	before := *i
	if i.Status == StatusOpen && i.ResponseBreach.IsZero() && at.Sub(i.CreatedAt) > ResponseLimit {
		i.ResponseBreach = i.CreatedAt.Add(ResponseLimit)
	}
	if i.Active() && i.ResolutionBreach.IsZero() && at.Sub(i.CreatedAt) > ResolutionLimit {
		i.ResolutionBreach = i.CreatedAt.Add(ResolutionLimit)
	}
	changed := !i.ResponseBreach.Equal(before.ResponseBreach) || !i.ResolutionBreach.Equal(before.ResolutionBreach)
	i.SLABreach = i.SLABreach || changed
	return changed
}

// Deadline is a moment at which something happens to an incident unless somebody acts before.
type Deadline struct {
	At    time.Time
	Kind  Kind   // Limit or Closed
	Actor string // who it is then
}

// Next is the earliest deadline after a moment; its At is zero when there is none. A limit has passed a
// microsecond after it: until then it is kept.
func (i Incident) Next(after time.Time) Deadline {
	var next Deadline
	consider := func(d Deadline) {
		if d.At.After(after) && (next.At.IsZero() || d.At.Before(next.At)) {
			next = d
		}
	}
	if i.Status == StatusOpen && i.ResponseBreach.IsZero() {
		consider(Deadline{i.CreatedAt.Add(ResponseLimit + time.Microsecond), Limit, ActorResponse})
	}
	if i.Active() && i.ResolutionBreach.IsZero() {
		consider(Deadline{i.CreatedAt.Add(ResolutionLimit + time.Microsecond), Limit, ActorResolution})
	}
	if i.Status == StatusResolved {
		consider(Deadline{i.ResolvedAt.Add(CloseAfter), Closed, ActorClose})
	}
	return next
}

// Follow is the change that the incident's alerts bring about: an answer to one of them is the first
// response, and when all have ended the incident is resolved. Alerts that ended before it was reopened
// do not resolve it again. False: they bring about nothing.
func (i Incident) Follow() (Change, bool) {
	ended := i.Alerts > 0 && i.ActiveAlerts == 0 && i.LastAlertResolvedAt.After(i.ReopenedAt)
	switch {
	case i.Status == StatusOpen && !i.AlertAcknowledgedAt.IsZero():
		return Change{
			Kind: Taken, At: later(i.AlertAcknowledgedAt, i.CreatedAt), Actor: i.AlertAcknowledgedBy, Via: "alert " + i.AcknowledgedAlert,
		}, true
	case i.Active() && ended:
		return Change{
			Kind: Resolved, At: later(i.LastAlertResolvedAt, i.CreatedAt), Actor: ActorAlerts, Via: "workflow", Text: endedText(i.Alerts),
		}, true
	}
	return Change{}, false
}

func endedText(alerts int) string {
	if alerts == 1 {
		return "its alert ended"
	}
	return fmt.Sprintf("its %d alerts ended", alerts)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

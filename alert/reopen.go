package alert

import (
	"strconv"
	"time"
)

// Flapping says that an alert came and went too often to be told each time: it stays open until it is stable.
type Flapping struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"` // in words: opened 4 times within 30 minutes
}

// Reopen continues an alert that had cleared and fires again: it asks for an answer anew, pages anew, and
// is the same alert to everybody. nil when the group heard of this opening before, or when the transition
// is none. The escalation goes on counting its levels, so that none is told twice.
func (g *Group) Reopen(t Transition, now time.Time) *Tracked {
	found := g.byKey(t.Alert.Key)
	if found == nil || t.Alert.Reopened <= found.Reopened {
		return nil
	}
	if t.Definition != nil && !g.Active() {
		g.Definition = *t.Definition
	}
	if len(t.Channels) > 0 {
		g.Hear(t.Channels)
	}
	if len(t.Named) > 0 {
		g.HearNamed(t.Named)
	}
	level := max(found.Level, t.Alert.Level)
	found.Alert = t.Alert
	found.Level = level
	found.Requests = 0
	found.NextEscalation, found.NextRepeat, found.Repeated = time.Time{}, time.Time{}, 0
	found.wakeBy(now)
	if found.Asks() {
		g.schedule(found, now)
	}
	return found
}

// Opening is what people are told of how an alert opened, and the ledger's word for it: each opening of the
// same alert has its own, and so is told once.
func (a Alert) Opening() (event Event, ledger string) {
	event = EventFired
	switch {
	case a.Flapping != nil:
		event = EventFlapping
	case a.Reopened > 0:
		event = EventReopened
	}
	return event, a.numbered(string(event))
}

// Ending is the ledger's word for the end of an alert that may have had one before.
func (a Alert) Ending() string { return a.numbered(string(EventResolved)) }

// Request is the ledger's word for the nth wish since its last opening that everybody be told of it again.
func (a Alert) Request(n int) string { return a.numbered("REQUESTED") + ":" + strconv.Itoa(n) }

func (a Alert) numbered(word string) string {
	if a.Reopened == 0 {
		return word
	}
	return word + ":" + strconv.Itoa(a.Reopened)
}

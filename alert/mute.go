package alert

import (
	"fmt"
	"slices"
	"time"
)

// MuteKind is what keeps people from being told; the vault's words.
type MuteKind string

const (
	MuteSilence     MuteKind = "SILENCE"
	MuteMaintenance MuteKind = "MAINTENANCE"
	MuteInhibition  MuteKind = "INHIBITION"
)

// Mute is why nobody is told of an alert for now.
type Mute struct {
	Kind    MuteKind  `json:"kind"`
	ID      string    `json:"id"`             // S-7F3K, the maintenance's name, the inhibition's key
	Until   time.Time `json:"until,omitzero"` // zero: as long as the alert By is active
	By      string    `json:"by"`             // who silenced it, or the short id of the alert that speaks for it
	Comment string    `json:"comment,omitempty"`
}

// Reason says it in words, as the ledger keeps it: silenced until ... by ...: comment.
func (m Mute) Reason() string {
	until := m.Until.UTC().Format("2006-01-02 15:04:05 UTC")
	switch m.Kind {
	case MuteSilence:
		return fmt.Sprintf("silenced until %s by %s (%s): %s", until, m.By, m.ID, m.Comment)
	case MuteMaintenance:
		return fmt.Sprintf("maintenance %s until %s, planned by %s: %s", m.ID, until, m.By, m.Comment)
	case MuteInhibition:
	}
	return fmt.Sprintf("inhibited by %s (%s): %s", m.By, m.ID, m.Comment)
}

// Mute keeps an alert from paging: nobody is told and nothing escalates.
func (g *Group) Mute(t *Tracked, m Mute) {
	t.Mute = &m
	t.NextEscalation = time.Time{}
}

// Unmute lets an alert page again; its escalation counts from now.
func (g *Group) Unmute(t *Tracked, now time.Time) {
	t.Mute = nil
	if t.Asks() {
		g.schedule(t, now)
	}
}

// Owe notes a message that was held back by a mute: it is due when the mute ends and nobody has answered. The
// first one says all that a later one would.
func (t *Tracked) Owe(event Event, ledgerEvent string) {
	if t.Owed == nil {
		t.Owed = &Owed{Event: event, LedgerEvent: ledgerEvent}
	}
}

// Owed is a message that was held back.
type Owed struct {
	Event       Event  `json:"event"`
	LedgerEvent string `json:"ledger_event"`
}

// Asking lists the alerts that nobody has answered, muted or not.
func (g *Group) Asking() []*Tracked {
	return slices.DeleteFunc(slices.Clone(g.Alerts), func(t *Tracked) bool { return !t.Asks() })
}

// Pages reports whether people are told of any alert of the group now.
func (g *Group) Pages() bool { return slices.ContainsFunc(g.Alerts, (*Tracked).Pages) }

// NextUnmute says when what mutes the group must be asked for again: at the first end of a mute, and for a mute
// that ends with another alert after `recheck` from the last look. Zero: nothing is muted.
func (g *Group) NextUnmute(looked time.Time, recheck time.Duration) time.Time {
	var next time.Time
	for _, t := range g.Alerts {
		if !t.Asks() || t.Mute == nil {
			continue
		}
		until := t.Mute.Until
		if until.IsZero() {
			until = looked.Add(recheck)
		}
		if next.IsZero() || until.Before(next) {
			next = until
		}
	}
	return next
}

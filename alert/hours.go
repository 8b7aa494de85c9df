package alert

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Restrictions say when a channel is told: a channel's time_restrictions, which the vault checked.
type Restrictions struct {
	Timezone          string   `json:"timezone,omitempty"` // empty: UTC
	Windows           []Window `json:"windows"`
	Outside           string   `json:"outside,omitempty"` // OutsideHold, OutsideSkip; empty: hold
	AppliesToCritical bool     `json:"applies_to_critical,omitempty"`
}

// What becomes of a message outside the windows: it waits for the next one, or nobody is told.
const (
	OutsideHold = "hold"
	OutsideSkip = "skip"
)

// Window is a time of day on some days of the week, [From, To): "08:00", "18:00". One that ends at or before its
// beginning ends on the next day.
type Window struct {
	Days []string `json:"days,omitempty"` // Mon ... Sun, by which it begins; none: every day
	From string   `json:"from"`
	To   string   `json:"to"`
}

// Hold is why somebody is not told now.
type Hold struct {
	Until  time.Time `json:"until,omitzero"` // zero: is not told of it at all
	Reason string    `json:"reason"`
}

// maxHoldSteps bounds how often the end of quiet hours may fall outside a channel's hours, and that into quiet ones.
const maxHoldSteps = 20

// HasHours reports whether the time of day matters to anybody whom the channel tells of what has this severity.
func (c Channel) HasHours(severity Severity) bool {
	if c.Restrictions.holds(severity) {
		return true
	}
	return severity != SeverityCritical && slices.ContainsFunc(c.Contacts, func(p Contact) bool { return p.QuietFrom != "" })
}

func (r *Restrictions) holds(severity Severity) bool {
	return r != nil && (severity != SeverityCritical || r.AppliesToCritical)
}

// HoldOf says whether a message of a severity to a recipient of the channel is held at a moment; nil: it is told. What
// is CRITICAL rings at any hour, unless the channel's own restrictions say otherwise. An error: the time zone is not
// known here.
func (c Channel) HoldOf(address string, severity Severity, now time.Time) (*Hold, error) {
	at, reason := now, ""
	for range maxHoldSteps {
		until, why, err := c.heldAt(address, severity, at)
		if err != nil {
			return nil, err
		}
		if why == "" {
			break
		}
		if reason == "" {
			reason = why
		}
		if until.IsZero() {
			return &Hold{Reason: why}, nil
		}
		at = until
	}
	if reason == "" {
		return nil, nil
	}
	return &Hold{Until: at, Reason: fmt.Sprintf("%s; told at %s if it is still true", reason, at.UTC().Format("2006-01-02 15:04 UTC"))}, nil
}

// heldAt is the first reason to hold at one moment, with its end; an empty reason: there is none.
func (c Channel) heldAt(address string, severity Severity, at time.Time) (until time.Time, why string, err error) {
	if c.Restrictions.holds(severity) {
		open, next, err := c.Restrictions.at(at)
		switch {
		case err != nil:
			return until, "", err
		case !open && (c.Restrictions.Outside == OutsideSkip || next.IsZero()):
			return until, "outside the hours of " + c.Key + ", which does not hold back what comes then", nil
		case !open:
			return next, "outside the hours of " + c.Key, nil
		}
	}
	p, known := c.ContactAt(address)
	if !known || severity == SeverityCritical || p.QuietFrom == "" {
		return until, "", nil
	}
	until, quiet, err := p.quietAt(at)
	if err != nil || !quiet {
		return until, "", err
	}
	return until, fmt.Sprintf("quiet hours of %s, %s to %s %s", p.Key, p.QuietFrom, p.QuietUntil, p.Zone), nil
}

// at says whether a moment lies in a window, and otherwise when the next one begins.
func (r *Restrictions) at(now time.Time) (open bool, next time.Time, err error) {
	zone, err := time.LoadLocation(r.Timezone)
	if err != nil {
		return false, next, fmt.Errorf("time zone %q: %w", r.Timezone, err)
	}
	for _, w := range r.Windows {
		spans, err := w.around(now, zone)
		if err != nil {
			return false, next, err
		}
		for _, s := range spans {
			if s.holds(now) {
				return true, next, nil
			}
			if s.from.After(now) && (next.IsZero() || s.from.Before(next)) {
				next = s.from
			}
		}
	}
	return false, next, nil
}

// quietAt says whether a moment lies in the quiet hours of a contact, and when they end.
func (p Contact) quietAt(now time.Time) (until time.Time, quiet bool, err error) {
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		return until, false, fmt.Errorf("time zone %q of contact %s: %w", p.Zone, p.Key, err)
	}
	spans, err := Window{From: p.QuietFrom, To: p.QuietUntil}.around(now, zone)
	if err != nil {
		return until, false, fmt.Errorf("quiet hours of contact %s: %w", p.Key, err)
	}
	for _, s := range spans {
		if s.holds(now) {
			return s.to, true, nil
		}
	}
	return until, false, nil
}

type timeSpan struct{ from, to time.Time }

func (s timeSpan) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// around lists when the window is open, from the day before a moment to eight days after it: each day by the clocks of
// the zone, so that 08:00 is 08:00 in summer, too.
func (w Window) around(now time.Time, zone *time.Location) ([]timeSpan, error) {
	from, err := minuteOfDay(w.From)
	if err != nil {
		return nil, err
	}
	to, err := minuteOfDay(w.To)
	if err != nil {
		return nil, err
	}
	if to <= from {
		to += 24 * 60
	}
	today := now.In(zone)
	var spans []timeSpan
	for offset := -1; offset <= 8; offset++ {
		day := time.Date(today.Year(), today.Month(), today.Day()+offset, 0, 0, 0, 0, time.UTC) // a calendar's day, in no zone
		if len(w.Days) > 0 && !slices.Contains(w.Days, day.Weekday().String()[:3]) {
			continue
		}
		at := func(minute int) time.Time {
			return time.Date(day.Year(), day.Month(), day.Day(), 0, minute, 0, 0, zone)
		}
		if s := (timeSpan{at(from), at(to)}); s.from.Before(s.to) {
			spans = append(spans, s)
		}
	}
	return spans, nil
}

// minuteOfDay reads 08:00, and 24:00 as the end of a day.
func minuteOfDay(text string) (int, error) {
	if strings.TrimSpace(text) == "24:00" {
		return 24 * 60, nil
	}
	clock, err := time.Parse("15:04", text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day", text)
	}
	return clock.Hour()*60 + clock.Minute(), nil
}

// Held is a message to one recipient that waits for the hours in which it may be told.
type Held struct {
	To     Recipient `json:"to"`
	Until  time.Time `json:"until"`
	Event  Event     `json:"event"`  // EventFired for whatever asks for an answer, EventResolved
	Ledger string    `json:"ledger"` // of EventResolved: the ledger's word
	Alerts []string  `json:"alerts"` // keys
}

// Hold keeps a message about alerts for a recipient. What waits for the same recipient already is one message with it.
func (g *Group) Hold(to Recipient, until time.Time, event Event, ledger string, alerts []*Tracked) {
	to.ExternalID = ""
	if event != EventResolved {
		event, ledger = EventFired, ""
	}
	at := slices.IndexFunc(g.Held, func(h Held) bool { return h.To == to && h.Event == event && h.Ledger == ledger })
	if at < 0 {
		g.Held = append(g.Held, Held{To: to, Until: until, Event: event, Ledger: ledger})
		at = len(g.Held) - 1
	}
	h := &g.Held[at]
	if until.Before(h.Until) {
		h.Until = until
	}
	for _, t := range alerts {
		if !slices.Contains(h.Alerts, t.Key) {
			h.Alerts = append(h.Alerts, t.Key)
		}
	}
}

// Waiting are the alerts of which a held message still has something to say: an end that is one, or what nobody has
// answered.
func (g *Group) Waiting(h Held) []*Tracked {
	var alerts []*Tracked
	for _, key := range h.Alerts {
		t := g.Find(key)
		if t != nil && (h.Event == EventResolved && !t.Active() || h.Event != EventResolved && t.Asks()) {
			alerts = append(alerts, t)
		}
	}
	return alerts
}

// NextHeld says when the next held message is due; zero: none waits. Those that nobody needs any more are dropped.
func (g *Group) NextHeld() time.Time {
	g.Held = slices.DeleteFunc(g.Held, func(h Held) bool { return len(g.Waiting(h)) == 0 })
	var next time.Time
	for _, h := range g.Held {
		if next.IsZero() || h.Until.Before(next) {
			next = h.Until
		}
	}
	return next
}

// Release takes out the held messages that are due.
func (g *Group) Release(now time.Time) []Held {
	var due, rest []Held
	for _, h := range g.Held {
		if h.Until.After(now) {
			rest = append(rest, h)
		} else {
			due = append(due, h)
		}
	}
	g.Held = rest
	return due
}

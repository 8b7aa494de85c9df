package alert

import (
	"slices"
	"time"
)

// Result is what one look at a condition found.
type Result string

const (
	ResultTrue   Result = "TRUE"
	ResultFalse  Result = "FALSE"
	ResultNoData Result = "NO_DATA"
	ResultError  Result = "ERROR"
)

// Decision is what one look led to; the vault's monitoring.alert_evaluation_s.decision holds the same words.
type Decision string

const (
	DecisionNone         Decision = "NONE"
	DecisionPending      Decision = "PENDING"
	DecisionFired        Decision = "FIRED"
	DecisionSuppressed   Decision = "SUPPRESSED"
	DecisionUnsuppressed Decision = "UNSUPPRESSED"
	DecisionReopened     Decision = "REOPENED"
	DecisionHolding      Decision = "HOLDING"
	DecisionResolved     Decision = "RESOLVED"
)

// Firing reports whether an alert stands after a look that led to this: what firing("KEY") asks.
func (d Decision) Firing() bool {
	return d.Opens() || d == DecisionSuppressed || d == DecisionHolding
}

// Opens reports whether people are told after a look that led to this.
func (d Decision) Opens() bool {
	return d == DecisionFired || d == DecisionUnsuppressed || d == DecisionReopened
}

// Timing is what a definition says about time: when what its condition finds becomes an alert, and when that ends.
type Timing struct {
	Pending     time.Duration // how long the condition must hold
	FireLooks   int           // how many of the last OfLooks that knew anything must be TRUE
	OfLooks     int           // at most 1: each look decides alone
	ClearFor    time.Duration // how long it must have cleared
	MinOpen     time.Duration // how long an alert stays open at least
	Suppress    time.Duration // how long after an opening a new firing calls nobody
	Reopen      time.Duration // how long after its end a new firing continues the alert
	FlapCount   int           // with which opening within FlapWindow an alert is flapping; 0: never
	FlapWindow  time.Duration // and how long a flapping one must be stable
	NoData      string        // NO_DATA, KEEP: nothing changes; ALERT: fires; OK: counts as FALSE
	NoDataAfter time.Duration // how long data must be missing before ALERT fires
	AutoResolve bool
}

// Look is one evaluation of a condition.
type Look struct {
	At     time.Time
	Result Result
	// Clears says of a FALSE that an open alert may end: there is no clear condition, or it is met.
	Clears bool
	// Unreachable: the target did not answer, so that what is missing is not fine.
	Unreachable bool
	// Nothing: no label set of the definition has data, so that it is not this one that lacks it: an alert without
	// labels says so.
	Nothing bool
}

// maxGap is how far back the look before is asked for; what was found earlier counts no more.
const maxGap = 8 * 24 * time.Hour

// Course decides, look after look, as the vault's monitoring.evaluate_definition and decide_alert do, for one
// definition on one target: it is how history is tried without writing a row. A test holds both side by side.
// The zero value, with its Timing, has seen nothing.
type Course struct {
	Timing

	before      Look
	known       []Look    // the last looks that knew anything, at most OfLooks
	since       time.Time // since when the results have been the same
	clearSince  time.Time // since when it has been clearing; zero: it is not
	cleared     bool      // for long enough
	status      Status    // of the alert that stands; empty: none
	lastOpening time.Time
	openings    []time.Time // those of the last FlapWindow
	flapping    time.Time   // since when the alert that stands is flapping; zero: it is not
	cleanEnd    time.Time   // when the last alert ended by itself, of which people had been told; zero: it did not
}

// Look takes the next evaluation; they come in the order of their time.
func (c *Course) Look(l Look) Decision {
	remembers := !c.before.At.IsZero() && c.before.At.After(l.At.Add(-maxGap))
	if !remembers || c.before.Result != l.Result {
		c.since = l.At
	}
	met := l.Result == ResultTrue || l.Result == ResultNoData && c.NoData == "ALERT" && !l.Nothing
	delay := c.Pending
	if l.Result == ResultNoData {
		delay = c.NoDataAfter
	}
	fires := met && l.At.Sub(c.since) >= delay
	if trueLooks, counted := c.countLooks(l); counted && l.Result == ResultTrue && trueLooks < c.FireLooks {
		fires = false
	}
	clearing := l.Result == ResultFalse && l.Clears || l.Result == ResultNoData && c.NoData == "OK" && !l.Unreachable
	switch {
	case !clearing:
		c.clearSince = time.Time{}
	case c.clearSince.IsZero() || !remembers:
		c.clearSince = l.At
	}
	c.before = l
	c.cleared = clearing && l.At.Sub(c.clearSince) >= c.ClearFor
	if c.status == "" {
		return c.begin(l.At, met, fires)
	}
	return c.goOn(l, fires)
}

// countLooks says how many of the last OfLooks looks that knew anything were TRUE, this one included; false: each
// look decides alone.
func (c *Course) countLooks(l Look) (trueLooks int, counted bool) {
	if c.OfLooks <= 1 {
		return 0, false
	}
	if l.Result == ResultTrue || l.Result == ResultFalse {
		c.known = append(c.known, l)
	}
	c.known = c.known[max(0, len(c.known)-c.OfLooks):]
	for _, k := range c.known {
		if k.Result == ResultTrue && k.At.After(l.At.Add(-maxGap)) {
			trueLooks++
		}
	}
	return trueLooks, true
}

// begin decides while no alert stands.
func (c *Course) begin(at time.Time, met, fires bool) Decision {
	switch {
	case !fires && met:
		return DecisionPending
	case !fires:
		return DecisionNone
	case !c.cleanEnd.IsZero() && at.Before(c.cleanEnd.Add(c.Reopen)):
		c.open(at)
		return DecisionReopened
	case c.suppressed(at):
		c.status = StatusSuppressed
		return DecisionSuppressed
	}
	c.open(at)
	return DecisionFired
}

// goOn decides while one stands.
func (c *Course) goOn(l Look, fires bool) Decision {
	switch {
	case c.cleared && c.status == StatusSuppressed:
		c.status, c.cleanEnd = "", time.Time{} // nobody was told of it, so nothing goes on
		return DecisionResolved
	case c.cleared && c.AutoResolve:
		if !c.flapping.IsZero() && l.At.Sub(c.clearSince) < c.FlapWindow || l.At.Sub(c.lastOpening) < c.MinOpen {
			return DecisionHolding
		}
		c.status, c.cleanEnd = "", l.At
		return DecisionResolved
	case !c.flapping.IsZero() && c.clearSince.IsZero() && (l.Result == ResultTrue || l.Result == ResultFalse) &&
		l.At.Sub(latest(c.since, c.flapping)) >= c.FlapWindow:
		c.flapping = time.Time{} // it neither came nor went for a whole window
		return DecisionHolding
	case c.status == StatusSuppressed && fires && !c.suppressed(l.At):
		c.open(l.At)
		return DecisionUnsuppressed
	}
	return DecisionHolding
}

// open is an opening of which people are told.
func (c *Course) open(at time.Time) {
	c.openings = slices.DeleteFunc(c.openings, func(o time.Time) bool { return !o.After(at.Add(-c.FlapWindow)) })
	c.openings = append(c.openings, at)
	c.flapping = time.Time{}
	if c.FlapCount > 0 && len(c.openings) >= c.FlapCount {
		c.flapping = at
	}
	c.status, c.lastOpening = StatusOpen, at
}

func (c *Course) suppressed(at time.Time) bool {
	return !c.lastOpening.IsZero() && at.Before(c.lastOpening.Add(c.Suppress))
}

// Flapping reports whether the alert that stands came and went too often.
func (c *Course) Flapping() bool { return c.status != "" && !c.flapping.IsZero() }

// Cleared reports whether an alert stands whose condition had cleared for long enough at the last look.
func (c *Course) Cleared() bool { return c.status != "" && c.cleared }

// Resolve is somebody ending the alert that stands: what a person ended stays ended.
func (c *Course) Resolve() { c.status, c.cleanEnd = "", time.Time{} }

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

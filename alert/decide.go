package alert

import "time"

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
	DecisionHolding      Decision = "HOLDING"
	DecisionResolved     Decision = "RESOLVED"
)

// Firing reports whether an alert stands after a look that led to this: what firing("KEY") asks.
func (d Decision) Firing() bool {
	return d == DecisionFired || d == DecisionSuppressed || d == DecisionUnsuppressed || d == DecisionHolding
}

// Timing is what a definition says about time: when what its condition finds becomes an alert, and when that ends.
type Timing struct {
	Pending     time.Duration // how long the condition must hold
	ClearFor    time.Duration // how long it must have cleared
	Suppress    time.Duration // how long after an opening a new firing calls nobody
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
}

// maxGap is how far back the look before is asked for; what was found earlier counts no more.
const maxGap = 8 * 24 * time.Hour

// Course decides, look after look, as the vault's monitoring.evaluate_definition and decide_alert do, for one
// definition on one target: it is how history is tried without writing a row. A test holds both side by side.
// The zero value, with its Timing, has seen nothing.
type Course struct {
	Timing

	before      Look
	since       time.Time // since when the results have been the same
	clearSince  time.Time // since when it has been clearing; zero: it is not
	status      Status    // of the alert that stands; empty: none
	lastOpening time.Time
}

// Look takes the next evaluation; they come in the order of their time.
func (c *Course) Look(l Look) Decision {
	remembers := !c.before.At.IsZero() && c.before.At.After(l.At.Add(-maxGap))
	if !remembers || c.before.Result != l.Result {
		c.since = l.At
	}
	met := l.Result == ResultTrue || l.Result == ResultNoData && c.NoData == "ALERT"
	delay := c.Pending
	if l.Result == ResultNoData {
		delay = c.NoDataAfter
	}
	clearing := l.Result == ResultFalse && l.Clears || l.Result == ResultNoData && c.NoData == "OK" && !l.Unreachable
	switch {
	case !clearing:
		c.clearSince = time.Time{}
	case c.clearSince.IsZero() || !remembers:
		c.clearSince = l.At
	}
	c.before = l
	return c.decide(l.At, met, met && l.At.Sub(c.since) >= delay, clearing && l.At.Sub(c.clearSince) >= c.ClearFor)
}

func (c *Course) decide(at time.Time, met, fires, cleared bool) Decision {
	suppressed := !c.lastOpening.IsZero() && at.Before(c.lastOpening.Add(c.Suppress))
	switch {
	case c.status == "" && fires && suppressed:
		c.status = StatusSuppressed
		return DecisionSuppressed
	case c.status == "" && fires:
		c.status, c.lastOpening = StatusOpen, at
		return DecisionFired
	case c.status == "" && met:
		return DecisionPending
	case c.status == "":
		return DecisionNone
	case cleared && (c.AutoResolve || c.status == StatusSuppressed):
		c.status = ""
		return DecisionResolved
	case c.status == StatusSuppressed && fires && !suppressed:
		c.status, c.lastOpening = StatusOpen, at
		return DecisionUnsuppressed
	}
	return DecisionHolding
}

// Resolve is somebody ending the alert that stands.
func (c *Course) Resolve() { c.status = "" }

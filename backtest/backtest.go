// Package backtest holds rules over alerts that never were: which alerts a definition would have opened in a
// series of looks, and how they stand beside those that it did open. It reads no clock and no database.
package backtest

import (
	"slices"
	"time"

	"onevault/alert"
)

// Look is one look of the past at a condition.
type Look struct {
	alert.Look
	Value  *float64
	Reason string
	// Kept says that the measurements of the time are still there; without it the look is as if nobody looked.
	Kept bool
}

// Episode is one alert: from its first opening to its last end.
type Episode struct {
	// Labels are those of a definition that alerts by labels; none: the alert is about the target.
	Labels alert.Labels `json:"labels,omitempty"`
	Begin  time.Time    `json:"begin"`
	End    time.Time    `json:"end,omitzero"` // zero: it stood when the looks ended
	Value  *float64     `json:"value,omitempty"`
	// Stretches are the times that it stood: more than one when it fired again soon after it had cleared.
	Stretches []Stretch `json:"stretches"`
	// Pages are when people would have been told that it stands. See Told.
	Pages []time.Time `json:"pages,omitempty"`
}

// Stretch is one opening of an alert, and its end.
type Stretch struct {
	Span
	Event alert.Event `json:"event"` // FIRED, REOPENED, FLAPPING: what the opening would be told as
}

// covers reports whether the alert stood at some moment of [from, to]; a zero to is for ever.
func (e Episode) covers(from, to time.Time) bool {
	return (to.IsZero() || !e.Begin.After(to)) && (e.End.IsZero() || !e.End.Before(from))
}

// Run is what a version of a definition would have done.
type Run struct {
	Looks      int       `json:"looks"`
	Kept       int       `json:"kept"`    // looks of which the measurements are there
	NoData     int       `json:"no_data"` // of these, those that lacked a value
	Errors     int       `json:"errors"`
	Alerts     []Episode `json:"alerts"`
	Suppressed int       `json:"suppressed"` // firings that paged nobody, within the suppression window
	Reopened   int       `json:"reopened"`   // firings that continued an alert
	Flapping   int       `json:"flapping"`   // openings that were called flapping
	Pages      int       `json:"pages"`      // see Told: what begins at the same moment is one message
	Messages   int       `json:"messages"`   // the same for a channel with a message for each alert
	Held       int       `json:"held"`       // openings of which nobody was told, because they were muted
	// Firing is how long alerts stood, in seconds.
	Firing int64  `json:"firing_s"`
	Reason string `json:"reason,omitempty"` // of the first error
	// Decided is what each look led to, for definitions that rest on this one.
	Decided []Decided `json:"-"`
}

// Decided is the outcome of one look.
type Decided struct {
	At     time.Time
	Result alert.Result
	Firing bool
}

// Follow runs looks, in the order of their time, through the rules of a definition. until is when the looks end.
// An alert that its definition leaves to people is taken to be closed by somebody as soon as it has cleared:
// otherwise the first one would stand for ever.
func Follow(timing alert.Timing, looks []Look, until time.Time) Run {
	var (
		course = alert.Course{Timing: timing}
		run    = Run{Looks: len(looks), Alerts: []Episode{}}
		open   bool
	)
	for _, l := range looks {
		if !l.Kept {
			continue
		}
		run.found(l)
		decision := course.Look(l.Look)
		if open && !timing.AutoResolve && course.Cleared() {
			course.Resolve()
			decision = alert.DecisionResolved
		}
		switch decision {
		case alert.DecisionFired, alert.DecisionUnsuppressed, alert.DecisionReopened:
			run.open(l, decision, course.Flapping())
			open = true
		case alert.DecisionSuppressed:
			run.Suppressed++
		case alert.DecisionResolved:
			if open {
				run.Alerts[len(run.Alerts)-1].close(l.At)
			}
			open = false
		case alert.DecisionNone, alert.DecisionPending, alert.DecisionHolding:
		}
		run.Decided = append(run.Decided, Decided{l.At, l.Result, decision.Firing()})
	}
	run.Firing = seconds(run.Standing(), until)
	return run
}

// found counts what a look found.
func (r *Run) found(l Look) {
	r.Kept++
	switch l.Result {
	case alert.ResultNoData:
		r.NoData++
	case alert.ResultError:
		r.Errors++
		if r.Reason == "" {
			r.Reason = l.Reason
		}
	case alert.ResultTrue, alert.ResultFalse:
	}
}

// seconds is how long spans last together, up to a moment.
func seconds(spans []Span, until time.Time) int64 {
	var sum int64
	for _, s := range spans {
		if s.To.IsZero() {
			s.To = until
		}
		sum += int64(s.To.Sub(s.From) / time.Second)
	}
	return sum
}

// open notes an opening: of a new alert, or of the last one.
func (r *Run) open(l Look, decision alert.Decision, flapping bool) {
	if decision != alert.DecisionReopened {
		r.Alerts = append(r.Alerts, Episode{Begin: l.At, Value: l.Value})
	} else {
		r.Reopened++
	}
	e := &r.Alerts[len(r.Alerts)-1]
	e.End = time.Time{}
	// What it is told as is the alert's own to say.
	as := alert.Alert{Reopened: len(e.Stretches)}
	if flapping {
		r.Flapping++
		as.Flapping = &alert.Flapping{Since: l.At}
	}
	event, _ := as.Opening()
	e.Stretches = append(e.Stretches, Stretch{Span: Span{From: l.At}, Event: event})
}

func (e *Episode) close(at time.Time) {
	e.End = at
	e.Stretches[len(e.Stretches)-1].To = at
}

// Standing are the times at which an alert stood.
func (r Run) Standing() []Span {
	var spans []Span
	for _, e := range r.Alerts {
		for _, s := range e.Stretches {
			spans = append(spans, s.Span)
		}
	}
	return spans
}

// FiringAt is what firing("KEY") was at a moment, as monitoring.firing_value says it: known as long as somebody
// looked within three of its rounds, and found something.
func (r Run) FiringAt(at time.Time, every time.Duration) (value int, known bool) {
	low, high := 0, len(r.Decided) // the first look after the moment
	for low < high {
		if middle := (low + high) / 2; r.Decided[middle].At.After(at) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if low == 0 {
		return 0, false
	}
	last := r.Decided[low-1]
	if !last.At.After(at.Add(-3*every-time.Minute)) || last.Result != alert.ResultTrue && last.Result != alert.ResultFalse {
		return 0, false
	}
	if last.Firing {
		return 1, true
	}
	return 0, true
}

// Real is an alert that was.
type Real struct {
	Definition    string       `json:"definition"`
	Labels        alert.Labels `json:"labels,omitempty"`
	ShortID       string       `json:"id"`
	TriggeredAt   time.Time    `json:"triggered_at"`
	ResolvedAt    time.Time    `json:"resolved_at,omitzero"`
	FalsePositive bool         `json:"false_positive,omitempty"`
}

// Caught is a real alert that would have been caught.
type Caught struct {
	Real
	At time.Time `json:"at"` // when it would have paged
	// Later is by how many seconds it would have come later than it does: by the run of the present version where
	// that catches it, too, and else than it came. Negative: earlier.
	Later int64 `json:"later_s"`
}

// Comparison holds a run against what was.
type Comparison struct {
	Caught []Caught `json:"caught"`
	Lost   []Real   `json:"lost"`
	// Unknown are real alerts of a time of which no measurements are kept.
	Unknown []Real `json:"unknown"`
	// Spared are those that people had marked false positive, and that would not come again.
	Spared []Real `json:"spared"`
	// New are alerts where there was none.
	New []Episode `json:"new"`
}

// Compare holds the run of a version against the real alerts of the same looks. present is the run of the version
// that stands, or nil; slack is how far a look may lie from the one at which the alert really came.
func Compare(run Run, present *Run, real []Real, slack time.Duration) Comparison {
	c := Comparison{Caught: []Caught{}, Lost: []Real{}, Unknown: []Real{}, Spared: []Real{}, New: []Episode{}}
	matched := map[int]bool{}
	for _, r := range real {
		at := r.match(run, slack)
		for i, e := range run.Alerts {
			if e.is(r, slack) {
				matched[i] = true
			}
		}
		switch {
		case at >= 0 && !r.FalsePositive:
			begin, came := run.Alerts[at].Begin, r.TriggeredAt
			if present != nil {
				if p := r.match(*present, slack); p >= 0 {
					came = present.Alerts[p].Begin
				}
			}
			c.Caught = append(c.Caught, Caught{Real: r, At: begin, Later: int64(begin.Sub(came) / time.Second)})
		case at >= 0:
		case !run.knows(r, slack):
			c.Unknown = append(c.Unknown, r)
		case r.FalsePositive:
			c.Spared = append(c.Spared, r)
		default:
			c.Lost = append(c.Lost, r)
		}
	}
	for i, e := range run.Alerts {
		if !matched[i] {
			c.New = append(c.New, e)
		}
	}
	return c
}

// end is the last moment at which somebody would still have heard of it in time; zero: it stands.
func (r Real) end(slack time.Duration) time.Time {
	if r.ResolvedAt.IsZero() {
		return time.Time{}
	}
	return r.ResolvedAt.Add(slack)
}

// match is the first alert of a run that stood while the real one did; -1: none.
func (r Real) match(run Run, slack time.Duration) int {
	return slices.IndexFunc(run.Alerts, func(e Episode) bool { return e.is(r, slack) })
}

// is reports whether an alert stood while the real one did, about the same: a version that alerts by more labels, or
// by fewer, says the same of what the labels have in common.
func (e Episode) is(r Real, slack time.Duration) bool {
	return e.covers(r.TriggeredAt.Add(-slack), r.end(slack)) && (within(e.Labels, r.Labels) || within(r.Labels, e.Labels))
}

func within(some, all alert.Labels) bool {
	for name, value := range some {
		if all[name] != value {
			return false
		}
	}
	return true
}

// knows reports whether the run looked when a real alert came.
func (r Run) knows(real Real, slack time.Duration) bool {
	for _, d := range r.Decided {
		if !d.At.Before(real.TriggeredAt.Add(-slack)) {
			return !d.At.After(real.TriggeredAt.Add(slack))
		}
	}
	return false
}

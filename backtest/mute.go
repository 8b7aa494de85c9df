package backtest

import (
	"slices"
	"time"

	"onevault/alert"
)

// Span is a time from From until before To; a zero To: without an end.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"`
}

// endsBefore reports whether it is over by a moment.
func (s Span) endsBy(at time.Time) bool { return !s.To.IsZero() && !s.To.After(at) }

func (s Span) holds(at time.Time) bool { return !at.Before(s.From) && !s.endsBy(at) }

// Union joins spans that touch or overlap, in the order of their time.
func Union(spans []Span) []Span {
	sorted := slices.Clone(spans)
	slices.SortFunc(sorted, func(a, b Span) int { return a.From.Compare(b.From) })
	var joined []Span
	for _, s := range sorted {
		last := len(joined) - 1
		if last < 0 || joined[last].endsBy(s.From) && !joined[last].To.Equal(s.From) {
			joined = append(joined, s)
			continue
		}
		if l := &joined[last]; !l.To.IsZero() && (s.To.IsZero() || s.To.After(l.To)) {
			l.To = s.To
		}
	}
	return joined
}

// Without is what remains of spans outside of others.
func Without(spans, others []Span) []Span {
	remaining := Union(spans)
	for _, o := range Union(others) {
		var next []Span
		for _, s := range remaining {
			if o.endsBy(s.From) || s.endsBy(o.From) {
				next = append(next, s)
				continue
			}
			if s.From.Before(o.From) {
				next = append(next, Span{s.From, o.From})
			}
			if !o.To.IsZero() && !s.endsBy(o.To) {
				next = append(next, Span{o.To, s.To})
			}
		}
		remaining = next
	}
	return remaining
}

// Told is the run with its pages: when people would have been told of each opening, while they were not told at the
// times that an alert was muted, which the caller knows by its labels. What was held back is told once when the mute
// ends, if the alert still stands; until is when the looks ended, after which nothing is known.
func (r Run) Told(mutes func(alert.Labels) []Span, until time.Time) Run {
	moments := map[int64]bool{} // by their microseconds
	r.Messages, r.Held, r.Alerts = 0, 0, slices.Clone(r.Alerts)
	for i := range r.Alerts {
		e := &r.Alerts[i]
		muted := Union(mutes(e.Labels))
		e.Pages = nil
		for _, s := range e.Stretches {
			at := s.From
			if m := slices.IndexFunc(muted, func(m Span) bool { return m.holds(at) }); m >= 0 {
				at = muted[m].To
				if at.IsZero() || s.endsBy(at) || !at.Before(until) {
					r.Held++
					continue
				}
			}
			e.Pages = append(e.Pages, at)
			moments[at.UnixMicro()] = true
		}
		r.Messages += len(e.Pages)
	}
	r.Pages = len(moments)
	return r
}

package report

import (
	"slices"
	"time"
)

// Watched are the moments at which something was looked at.
type Watched struct {
	What, Target string
	Since        time.Time // from when on it was to be looked at
	Times        []time.Time
	Intervals    []time.Duration // after each time, until when the next one was promised
	Pace         time.Duration   // the promise where there is no time
	Unreachable  int
}

// gapFactor: what is late by less than a whole interval is no gap. A run that takes its time is none.
const gapFactor = 2

// CountCoverage fills in how much of the period was watched, and the gaps.
func (r *Report) CountCoverage(all []Watched) {
	r.Coverage, r.Gaps = []CoverageRow{}, []Gap{}
	for _, w := range all {
		row, gaps := r.cover(w)
		r.Coverage = append(r.Coverage, row)
		r.Gaps = append(r.Gaps, gaps...)
	}
}

func (r *Report) cover(w Watched) (CoverageRow, []Gap) {
	row := CoverageRow{What: w.What, Target: w.Target, Since: w.Since, Samples: len(w.Times), Unreachable: w.Unreachable}
	if len(w.Intervals) > 0 {
		row.IntervalSeconds = slices.Max(w.Intervals).Seconds()
	}
	var (
		gaps   []Gap
		missed time.Duration
	)
	look := func(from, to time.Time, interval time.Duration, ongoing bool) {
		length := to.Sub(from)
		if interval <= 0 || length <= gapFactor*interval {
			return
		}
		gaps = append(gaps, Gap{What: w.What, Target: w.Target, From: from, To: to, Ongoing: ongoing})
		missed += length - interval
		row.LongestSeconds = max(row.LongestSeconds, length.Seconds())
	}
	from, interval := w.Since, w.Pace
	if len(w.Times) > 0 {
		interval = w.Intervals[0]
	}
	for i, at := range w.Times {
		look(from, at, interval, false)
		from, interval = at, w.Intervals[i]
	}
	look(from, r.To, interval, true)
	row.Gaps = len(gaps)
	if whole := r.To.Sub(w.Since); whole > 0 {
		covered := max(0, 1-float64(missed)/float64(whole))
		if len(w.Times) == 0 {
			covered = 0
		}
		row.Covered = &covered
	}
	return row, gaps
}

// sampleless reports whether the period's samples, which were taken, have left.
func (r *Report) sampleless() bool {
	m := r.Monitoring
	return m.OldestSample.IsZero() && !m.FirstSeen.IsZero() && m.FirstSeen.Before(r.To)
}

// SetMonitoring fills in what the monitoring costs.
func (r *Report) SetMonitoring(m MonitoringItself) {
	m.SlowestQuery = clean(m.SlowestQuery, 160)
	r.Monitoring = m
}

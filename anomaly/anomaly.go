// Package anomaly says whether a value is unusual for its hour: it learns from the weeks before what a metric
// usually is in each hour of the week (median and spread, robust against outliers), and judges new samples by it.
// It owns the method and nothing else: no clock, no database; `now` is an argument.
package anomaly

import (
	"math"
	"time"
)

// Direction says which deviations matter.
type Direction string

const (
	High Direction = "HIGH" // too much is unusual, too little is fine
	Low  Direction = "LOW"
	Both Direction = "BOTH"
)

// State is the verdict on a sample; the vault holds the same words.
type State string

const (
	Normal    State = "NORMAL"
	Anomalous State = "ANOMALOUS"
	Learning  State = "LEARNING" // too little history to say anything
	Unknown   State = "UNKNOWN"  // there is no value
)

// Rule is how sensitive a metric is judged. The floors keep a flat history from making noise infinite.
type Rule struct {
	Direction Direction
	// Score is how many spreads away from the median a value is unusual. For normal noise a spread is a standard
	// deviation.
	Score float64
	// Samples is how many in a row must be unusual before the metric is, and usual again before it is no longer.
	Samples int
	// LeastSpread is the smallest spread, in the unit of the metric; LeastPercent the same in per cent of the median.
	LeastSpread, LeastPercent float64
	// Zone is whose hours the seasons follow; nil: UTC.
	Zone *time.Location
}

// Sample is a measured value.
type Sample struct {
	At    time.Time
	Value float64
}

// HoursOfWeek is how many buckets a baseline has.
const HoursOfWeek = 168

// HourOfWeek is the bucket of a moment: 0 is the hour that begins on Monday at midnight in a zone (nil: UTC).
func HourOfWeek(at time.Time, zone *time.Location) int {
	if zone == nil {
		zone = time.UTC
	}
	at = at.In(zone)
	return (int(at.Weekday())+6)%7*24 + at.Hour()
}

// Kind says what a bucket was learned from.
type Kind string

const (
	HourOfWeekKind Kind = "HOUR_OF_WEEK"
	HourOfDayKind  Kind = "HOUR_OF_DAY" // too few weeks: the same hour of all days
	GlobalKind     Kind = "GLOBAL"      // too few samples of the hour: all hours
)

// Bucket is what is usual in one hour of the week.
type Bucket struct {
	Kind   Kind
	Median float64
	// MAD is the median absolute deviation from it, 0 for a flat history.
	MAD float64
	// Spread is what scores are counted in: the larger one of the MAD scaled to a standard deviation, of what the
	// widest 15 % say, and of the rule's floors.
	Spread  float64
	Samples int
}

// Score is how many spreads a value lies above (or below) the median.
func (b Bucket) Score(value float64) float64 { return (value - b.Median) / b.Spread }

// Range is what counts as usual under a rule; an end that does not matter is infinite.
func (b Bucket) Range(rule Rule) (low, high float64) {
	low, high = b.Median-rule.Score*b.Spread, b.Median+rule.Score*b.Spread
	switch rule.Direction {
	case High:
		low = math.Inf(-1)
	case Low:
		high = math.Inf(1)
	case Both:
	}
	return low, high
}

// maxGap is how far apart two samples may be to count as in a row.
const maxGap = time.Hour

// Verdict is what became of a metric at a sample, and what the next one must know of the ones before.
type Verdict struct {
	At    time.Time
	State State
	Score float64
	// Outside and Inside count the samples in a row that were unusual, or usual while the metric was anomalous.
	Outside, Inside int
	// Since is the first sample of the present deviation, zero without one.
	Since time.Time
}

// Judge scores a sample by what is usual in its hour, after the verdict on the sample before; the zero Verdict: there
// is none. A metric becomes anomalous by so many unusual samples in a row as its rule says, on one side, and normal by
// as many usual ones, so that it does not flap.
func Judge(rule Rule, bucket Bucket, sample Sample, before Verdict) Verdict {
	v := Verdict{At: sample.At, State: Normal, Score: bucket.Score(sample.Value)}
	if before.State != Anomalous && before.State != Normal || sample.At.Sub(before.At) > maxGap {
		before = Verdict{State: Normal}
	}
	outside := rule.Direction != Low && v.Score >= rule.Score || rule.Direction != High && v.Score <= -rule.Score
	switch {
	case outside && before.Outside > 0 && before.Score*v.Score < 0: // on the other side now: another deviation
		v.Outside, v.Since, v.State = 1, sample.At, before.State
	case outside:
		v.Outside, v.Since, v.State = before.Outside+1, before.Since, before.State
		if v.Since.IsZero() {
			v.Since = sample.At
		}
	case before.State == Anomalous:
		v.Inside, v.Since, v.State = before.Inside+1, before.Since, Anomalous
	}
	switch {
	case v.Outside >= rule.Samples:
		v.State = Anomalous
	case v.State == Anomalous && v.Inside >= rule.Samples:
		v.State, v.Since, v.Inside = Normal, time.Time{}, 0
	}
	return v
}

// relearnEvery is how long a baseline is good for; relearnSoon how long while the metric is anomalous, so that a level
// that has changed for good is soon known, and while there is too little history.
const relearnEvery, relearnSoon = 24 * time.Hour, 6 * time.Hour

// Due reports whether a baseline that was learned at a moment (zero: never) is to be learned anew.
func Due(learnedAt time.Time, state State, now time.Time) bool {
	age := now.Sub(learnedAt)
	return learnedAt.IsZero() || age >= relearnEvery || state != Normal && age >= relearnSoon
}

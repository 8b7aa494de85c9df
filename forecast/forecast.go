// Package forecast says how something grows and when it will be full, from its daily values: Theil-Sen's slope
// with Sen's interval, which a fifth of wild days does not move. It rather says nothing than guesses: no trend
// under MinDays days of history, no date beyond Horizon.
package forecast

import (
	"math"
	"slices"
	"time"
)

const (
	// MinDays is how many days with a value a trend needs.
	MinDays = 7
	// Window is how many days back the history reaches.
	Window = 60
	// Horizon is how far ahead a date is still told: beyond it the trend will not hold.
	Horizon = 5 * 365 * oneDay

	oneDay = 24 * time.Hour
	// confidence is the quantile of the standard normal for a two-sided interval of 95 %.
	confidence = 1.959964
)

// Trend is the direction of growth.
type Trend string

const (
	Growing   Trend = "GROWING"
	Shrinking Trend = "SHRINKING"
	Stable    Trend = "STABLE" // the interval of the slope holds 0
	Unknown   Trend = ""       // too little history
)

// Method is how a result came about.
type Method string

const (
	// TheilSen: the median slope of all pairs of days.
	TheilSen Method = "THEIL_SEN"
	// TheilSenReset: of the pairs of days that lie on the same side of the one time at which the size fell at once.
	TheilSenReset Method = "THEIL_SEN_RESET"
	// Measured: there is no room left, which needs no forecast.
	Measured Method = "MEASURED"
	// NoMethod: too little history.
	NoMethod Method = ""
)

// Day is the value of a day: its median, or for a day that is not over its newest value.
type Day struct {
	Day   time.Time `json:"day"` // midnight, UTC
	Value float64   `json:"value"`
}

// Forecast is what a history says.
type Forecast struct {
	Days   int    // with a value
	Trend  Trend  //
	Method Method //
	// Slope is the growth per day, Low and High its interval of 95 %. Without a trend they are 0.
	Slope, Low, High float64
	// Reset is the day at which the size fell at once; zero: none.
	Reset time.Time
	// Full is when no room is left; Earliest and Latest are that by the ends of the interval. Zero: not foreseen,
	// or beyond the horizon.
	Full, Earliest, Latest time.Time
}

// Of looks at the days up to now, of which there may be gaps. Room is what is left, in the unit of the values,
// of something that has a limit; nil: it has none, and no date.
func Of(history []Day, room *float64, now time.Time) Forecast {
	days := within(history, now)
	f := Forecast{Days: len(days)}
	if len(days) >= MinDays {
		f.estimate(days)
	}
	f.project(room, now)
	return f
}

// within are the days of the window in their order, one value each: of several the last one given.
func within(history []Day, now time.Time) []Day {
	var days []Day
	for _, d := range history {
		if d.Day.After(now) || now.Sub(d.Day) >= Window*oneDay || math.IsNaN(d.Value) || math.IsInf(d.Value, 0) {
			continue
		}
		i, given := slices.BinarySearchFunc(days, d.Day, func(d Day, at time.Time) int { return d.Day.Compare(at) })
		if given {
			days[i] = d
			continue
		}
		days = slices.Insert(days, i, d)
	}
	return days
}

func (f *Forecast) estimate(days []Day) {
	parts := [][]Day{days}
	f.Method = TheilSen
	found := falls(days)
	if len(found) == 1 {
		at := found[0].at
		parts = [][]Day{days[:at], days[at:]}
		f.Method, f.Reset = TheilSenReset, days[at].Day
	}
	f.Slope, f.Low, f.High = senSlope(parts)
	switch {
	case f.Low <= 0 && f.High >= 0, len(found) > 1 && f.growth(days) < smallest(found):
		f.Trend = Stable
	case f.Slope > 0:
		f.Trend = Growing
	default:
		f.Trend = Shrinking
	}
}

// growth is how much the trend moved in the whole history.
func (f *Forecast) growth(days []Day) float64 {
	return math.Abs(f.Slope) * days[len(days)-1].Day.Sub(days[0].Day).Hours() / 24
}

// senSlope is the median of the slopes between all pairs of days of the same part, and its distribution-free
// interval (Sen 1968). With several parts the variances of Kendall's S add up (Hirsch and Slack 1984).
func senSlope(parts [][]Day) (slope, low, high float64) {
	var (
		slopes   []float64
		variance float64
	)
	for _, days := range parts {
		n := float64(len(days))
		variance += n * (n - 1) * (2*n + 5) / 18
		for i := range days {
			for j := i + 1; j < len(days); j++ {
				slopes = append(slopes, (days[j].Value-days[i].Value)/(days[j].Day.Sub(days[i].Day).Hours()/24))
			}
		}
	}
	slices.Sort(slopes)
	count := float64(len(slopes))
	half := confidence * math.Sqrt(variance)
	// Ranks are rounded outwards: an interval that is too wide is honest.
	lowest := int(math.Floor((count-half)/2)) - 1
	highest := int(math.Ceil((count + half) / 2))
	return median(slopes), slopes[max(lowest, 0)], slopes[min(highest, len(slopes)-1)]
}

const (
	// around is how many days before and after a fall are compared: a wild day or two are none.
	around = 5
	// A fall counts where it is so many times the usual scatter from day to day, so large a share of what was there,
	// and more than usually comes in as many days.
	unusual, substantial = 4, 0.05
)

// fall is a day from which on the size is much smaller for good, as after VACUUM FULL or the drop of a partition.
type fall struct {
	at   int // index of the day
	size float64
}

func smallest(found []fall) float64 {
	least := math.Inf(1)
	for _, f := range found {
		least = min(least, f.size)
	}
	return least
}

// falls finds the days at which the size fell at once. The only one is left out of the trend: what was before and
// what came after grow each on their own. Where it fell more than once, falling is a part of how it goes: there the
// trend goes through all, and what it moved must be more than such a fall. A rise is growth, however sudden.
func falls(days []Day) []fall {
	steps := make([]float64, 0, len(days)) // from each day to the next
	for i := 1; i < len(days); i++ {
		steps = append(steps, days[i].Value-days[i-1].Value)
	}
	usual := median(steps)
	var (
		found []fall
		limit = max(unusual*deviation(steps, usual), around*math.Abs(usual))
		last  = -2 * around // the newest day that is part of a fall
	)
	for i := around; i+around <= len(days); i++ {
		before := medianOf(days[i-around : i])
		size := before - medianOf(days[i:i+around])
		if size <= limit || size < substantial*math.Abs(before) {
			continue
		}
		newest := len(found) - 1
		switch {
		case i-last > 1:
			found = append(found, fall{i, size})
		// The medians see a fall for some days around it; it is where most was lost from one day to the next.
		case days[i].Value-days[i-1].Value < days[found[newest].at].Value-days[found[newest].at-1].Value:
			found[newest] = fall{i, size}
		}
		last = i
	}
	return found
}

func medianOf(days []Day) float64 {
	values := make([]float64, len(days))
	for i, d := range days {
		values[i] = d.Value
	}
	return median(values)
}

// deviation is the median distance from the middle, scaled to the standard deviation of normal values.
func deviation(values []float64, middle float64) float64 {
	distances := make([]float64, len(values))
	for i, v := range values {
		distances[i] = math.Abs(v - middle)
	}
	return 1.4826 * median(distances)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return sorted[n/2-1] + (sorted[n/2]-sorted[n/2-1])/2
}

// project counts from what is free now, and not from the line through the past: after a fall or a rise the two
// differ, and what is free is known.
func (f *Forecast) project(room *float64, now time.Time) {
	switch {
	case room == nil:
		return
	case *room <= 0:
		f.Full, f.Earliest, f.Latest, f.Method = now, now, now, Measured
		return
	case f.Trend != Growing:
		return
	}
	full := ahead(now, *room/f.Slope)
	if full.IsZero() {
		return
	}
	f.Full, f.Earliest, f.Latest = full, ahead(now, *room/f.High), ahead(now, *room/f.Low)
}

// ahead is the moment so many days from now, zero beyond the horizon.
func ahead(now time.Time, days float64) time.Time {
	if !(days <= float64(Horizon/oneDay)) { // also when it is no number
		return time.Time{}
	}
	return now.Add(time.Duration(days * float64(oneDay)))
}

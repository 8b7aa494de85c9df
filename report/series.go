package report

import (
	"math"
	"strings"
	"time"
)

// bounds are the lowest and the highest value of a series; ok is false for one without values.
func (s Series) bounds() (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for i := range s.Avg {
		for _, v := range []*float64{at(s.Min, i), at(s.Avg, i), at(s.Max, i)} {
			if v != nil {
				low, high, ok = min(low, *v), max(high, *v), true
			}
		}
	}
	return low, high, ok
}

func at(values []*float64, i int) *float64 {
	if i >= len(values) {
		return nil
	}
	return values[i]
}

// figures are the numbers behind a plot, in words.
func (s Series) figures() (low, mean, high, last string) {
	lowest, highest, ok := s.bounds()
	if !ok {
		return none, none, none, none
	}
	sum, n, newest := 0.0, 0, 0.0
	for _, v := range s.Avg {
		if v != nil {
			sum, n, newest = sum+*v, n+1, *v
		}
	}
	if n == 0 {
		return none, none, none, none
	}
	return withUnit(lowest, s.Unit), withUnit(sum/float64(n), s.Unit), withUnit(highest, s.Unit), withUnit(newest, s.Unit)
}

// sparkCells is how wide a sparkline is.
const sparkCells = 32

var sparks = []rune("▁▂▃▄▅▆▇█")

// sparkline draws the series in one line of text; a hole is a dot.
func (s Series) sparkline() string {
	low, high, ok := s.bounds()
	if !ok || len(s.Avg) == 0 {
		return ""
	}
	cells := min(sparkCells, len(s.Avg))
	var line strings.Builder
	for cell := range cells {
		sum, n := 0.0, 0
		for _, v := range s.Avg[cell*len(s.Avg)/cells : (cell+1)*len(s.Avg)/cells] {
			if v != nil {
				sum, n = sum+*v, n+1
			}
		}
		if n == 0 {
			line.WriteRune('·')
			continue
		}
		height := 0.0
		if high > low {
			height = (sum/float64(n) - low) / (high - low)
		}
		line.WriteRune(sparks[int(math.Round(height*float64(len(sparks)-1)))])
	}
	return line.String()
}

// Step is one step of one metric of one target that has a sample.
type Step struct {
	Metric, Target    string
	Index             int64 // from the beginning of the period
	Avg, Min, Max     float64
	Unit              string
	Warning, Critical *float64
}

// Draw fills in the series from their steps, which come in the order of the series and of time.
func (r *Report) Draw(steps []Step, length time.Duration) {
	whole := int((r.To.Sub(r.From) + length - 1) / length)
	r.Series = []Series{}
	for _, step := range steps {
		n := len(r.Series)
		if n == 0 || r.Series[n-1].Metric != step.Metric || r.Series[n-1].Target != step.Target {
			r.Series = append(r.Series, Series{
				Metric: step.Metric, Target: step.Target, Unit: step.Unit, Start: r.From, StepSeconds: int(length.Seconds()),
				Avg: make([]*float64, whole), Min: make([]*float64, whole), Max: make([]*float64, whole),
			})
			n++
		}
		s := &r.Series[n-1]
		s.Warning, s.Critical = step.Warning, step.Critical // of the newest
		if i := int(step.Index); i >= 0 && i < whole {
			s.Avg[i], s.Min[i], s.Max[i] = rounded(step.Avg), rounded(step.Min), rounded(step.Max)
		}
	}
}

// rounded keeps what a plot can show: six digits.
func rounded(v float64) *float64 {
	if v != 0 {
		scale := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
		if !math.IsInf(scale, 0) && scale != 0 {
			v = math.Round(v*scale) / scale
		}
	}
	return &v
}

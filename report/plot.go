package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The plots are SVG made by the page's own template, in the page's own colours: a light screen, a dark one
// and paper differ in a few variables of its style sheet. What follows is their geometry.

// box is the drawing area within a plot.
type box struct{ left, top, width, height float64 }

// Frame is what every plot has; exported for the template.
type Frame struct {
	Width, Height float64
	X0, X1        float64 // of the axes
	Y0, Y1        float64 // top, bottom
	XTicks        []tick
	YTicks        []tick
	Title         string // for who cannot see it
	Summary       string
	ID            string
}

type tick struct {
	At     float64
	Label  string
	Anchor string // of the text: start, middle, end
}

// linePlot is one metric over the period.
type linePlot struct {
	Frame

	Metric, Target string
	Facts          string
	Bands          []string // SVG paths: between the lowest and the highest of each step
	Lines          []string // SVG paths: the mean
	Dots           []point  // steps that stand alone
	Levels         []level
	Holes          []span
	Beyond         string // thresholds that lie off the scale
}

type point struct{ X, Y float64 }

type span struct{ X, Width float64 }

type level struct {
	Y    float64
	Kind string // warning, critical
}

// barPlot is the new alerts per hour, stacked by severity.
type barPlot struct {
	Frame

	Bars []bar
}

type bar struct {
	X, Y, Width, Height float64
	Severity            string
	Title               string
}

func (w words) linePlots() []linePlot {
	var plots []linePlot
	for _, s := range w.Series {
		if p, ok := w.linePlot(s, len(plots)); ok {
			plots = append(plots, p)
		}
	}
	return plots
}

func (w words) linePlot(s Series, n int) (linePlot, bool) {
	low, high, ok := s.bounds()
	if !ok {
		return linePlot{}, false
	}
	lowest, mean, highest, last := s.figures()
	area := box{left: 44, top: 8, width: 268, height: 84}
	p := linePlot{Metric: s.Metric, Target: clean(s.Target, 40), Facts: "last " + last + ", highest " + highest}
	if s.Warning != nil && s.Critical != nil && *s.Critical < *s.Warning {
		p.Facts = "last " + last + ", lowest " + lowest // of this one too little is bad
	}
	bottom, top, ticks := s.scale(low, high)
	y := func(v float64) float64 { return round2(area.top + area.height*(top-v)/(top-bottom)) }
	p.Frame = w.frame(area, 320, 116)
	p.ID = "plot-" + strconv.Itoa(n)
	p.Title = s.Metric + " of " + p.Target
	p.Summary = fmt.Sprintf("lowest %s, mean %s, highest %s, last %s", lowest, mean, highest, last)
	for _, v := range ticks {
		p.YTicks = append(p.YTicks, tick{At: y(v), Label: axisNumber(v)})
	}
	p.addLevels(s, bottom, top, y)
	p.addCourse(s, w, area, y)
	p.addHoles(s, w, area)
	return p, true
}

// frame makes the time axis.
func (w words) frame(area box, width, height float64) Frame {
	f := Frame{Width: width, Height: height, X0: area.left, X1: area.left + area.width, Y0: area.top, Y1: area.top + area.height}
	for _, at := range w.marks() {
		label := at.In(w.zone).Format("15:04")
		if label == "00:00" {
			label = at.In(w.zone).Format("2 Jan")
		}
		mark := tick{At: w.x(at, area), Label: label, Anchor: "middle"}
		switch { // a label stays within the plot
		case f.X1-mark.At < 14:
			mark.Anchor = "end"
		case mark.At-f.X0 < 6:
			mark.Anchor = "start"
		}
		f.XTicks = append(f.XTicks, mark)
	}
	return f
}

func (w words) x(at time.Time, area box) float64 {
	part := float64(at.Sub(w.From)) / float64(w.To.Sub(w.From))
	return round2(area.left + area.width*min(max(part, 0), 1))
}

// marks are the moments that the time axis names: whole hours of the day, at most six of them.
func (w words) marks() []time.Time {
	hours := 24 * 7
	for _, candidate := range []int{1, 2, 3, 6, 12, 24, 48, 96} {
		if w.To.Sub(w.From).Hours()/float64(candidate) <= 6 {
			hours = candidate
			break
		}
	}
	var marks []time.Time
	local := w.From.In(w.zone)
	at := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, w.zone)
	for !at.After(w.To) {
		if !at.Before(w.From) {
			marks = append(marks, at)
		}
		next := time.Date(at.Year(), at.Month(), at.Day(), at.Hour()+hours, 0, 0, 0, w.zone)
		if !next.After(at) { // the hour that a change of the clocks repeats
			next = at.Add(time.Duration(hours) * time.Hour)
		}
		at = next
	}
	return marks
}

// scale chooses the value axis: round numbers around the values, zero where that costs little, and a
// threshold that is near enough to matter.
func (s Series) scale(low, high float64) (bottom, top float64, ticks []float64) {
	reach := max(high-low, math.Abs(high)*0.1)
	if reach == 0 {
		reach = 1
	}
	bottom, top = low, high
	for _, threshold := range []*float64{s.Warning, s.Critical} {
		if threshold == nil {
			continue
		}
		if *threshold > high && *threshold-high <= 1.2*reach {
			top = max(top, *threshold)
		}
		if *threshold < low && low-*threshold <= 1.2*reach {
			bottom = min(bottom, *threshold)
		}
	}
	if bottom > 0 && bottom <= top*0.6 {
		bottom = 0
	}
	if top == bottom {
		bottom, top = bottom-reach/2, top+reach/2
		if low >= 0 {
			bottom = max(bottom, 0)
		}
	}
	step := niceStep((top - bottom) / 2)
	bottom, top = math.Floor(bottom/step+1e-9)*step, math.Ceil(top/step-1e-9)*step
	if s.Unit == "%" {
		top = max(min(top, 100), high)
	}
	for v := bottom; v <= top+step*1e-6; v += step {
		ticks = append(ticks, v)
	}
	return bottom, top, ticks
}

// niceStep is 1, 2 or 5 times a power of ten, at least as large as asked.
func niceStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= least*0.999999 {
			return factor * power
		}
	}
	return 10 * power
}

// axisNumber is short: 20, 1.5, 12k, 3M.
func axisNumber(v float64) string {
	switch magnitude := math.Abs(v); {
	case magnitude >= 1e9:
		return strconv.FormatFloat(v/1e9, 'g', 3, 64) + "G"
	case magnitude >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case magnitude >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(round6(v), 'f', -1, 64)
}

func (p *linePlot) addLevels(s Series, bottom, top float64, y func(float64) float64) {
	var beyond []string
	for _, l := range []struct {
		kind  string
		value *float64
	}{{"warning", s.Warning}, {"critical", s.Critical}} {
		switch {
		case l.value == nil:
		case l.kind == "critical" && s.Warning != nil && *s.Warning == *l.value && len(p.Levels) > 0:
			p.Levels[len(p.Levels)-1].Kind = "critical"
		case *l.value < bottom || *l.value > top:
			beyond = append(beyond, l.kind+" "+withUnit(*l.value, s.Unit))
		default:
			p.Levels = append(p.Levels, level{Y: y(*l.value), Kind: l.kind})
		}
	}
	if len(beyond) > 0 {
		p.Beyond = "off the scale: " + strings.Join(beyond, ", ")
	}
}

// addCourse draws each run of steps with values: a hole in the data is a hole in the line.
func (p *linePlot) addCourse(s Series, w words, area box, y func(float64) float64) {
	step := time.Duration(s.StepSeconds) * time.Second
	middle := func(i int) float64 { return w.x(s.Start.Add(time.Duration(i)*step+step/2), area) }
	for i := 0; i < len(s.Avg); {
		if s.Avg[i] == nil {
			i++
			continue
		}
		end := i
		for end < len(s.Avg) && s.Avg[end] != nil {
			end++
		}
		if end-i == 1 {
			p.Dots = append(p.Dots, point{middle(i), y(*s.Avg[i])})
		} else {
			var line, upper, lower []string
			for j := i; j < end; j++ {
				x := coordinate(middle(j))
				line = append(line, x+","+coordinate(y(*s.Avg[j])))
				upper = append(upper, x+","+coordinate(y(orElse(at(s.Max, j), *s.Avg[j]))))
				lower = append([]string{x + "," + coordinate(y(orElse(at(s.Min, j), *s.Avg[j])))}, lower...)
			}
			p.Lines = append(p.Lines, "M"+strings.Join(line, "L"))
			p.Bands = append(p.Bands, "M"+strings.Join(append(upper, lower...), "L")+"Z")
		}
		i = end
	}
}

// addHoles marks the times in which nothing was collected of the target.
func (p *linePlot) addHoles(s Series, w words, area box) {
	for _, g := range w.Gaps {
		if g.What != Collection || g.Target != s.Target {
			continue
		}
		x0, x1 := w.x(g.From, area), w.x(g.To, area)
		p.Holes = append(p.Holes, span{X: x0, Width: round2(max(x1-x0, 1))})
	}
}

func orElse(v *float64, other float64) float64 {
	if v == nil {
		return other
	}
	return *v
}

func (w words) barPlot() *barPlot {
	most := 0
	for _, h := range w.Alerts.Hourly {
		most = max(most, h.total())
	}
	if most == 0 {
		return nil
	}
	area := box{left: 30, top: 8, width: 362, height: 92}
	p := &barPlot{Frame: w.frame(area, 400, 124)}
	p.ID = "alerts-per-hour"
	p.Title = "New alerts per hour"
	p.Summary = fmt.Sprintf("%s in %s, at most %d in one", plural(w.Alerts.New, "alert", "alerts"), plural(len(w.Alerts.Hourly), "hour", "hours"), most)
	step := max(1, niceStep(float64(most)/3))
	top := math.Ceil(float64(most)/step) * step
	y := func(v float64) float64 { return round2(area.top + area.height*(1-v/top)) }
	for v := 0.0; v <= top; v += step {
		p.YTicks = append(p.YTicks, tick{At: y(v), Label: axisNumber(v)})
	}
	for _, h := range w.Alerts.Hourly {
		x0, x1 := w.x(h.At, area), w.x(h.At.Add(time.Hour), area)
		below := 0
		for _, part := range []struct {
			severity string
			n        int
		}{{"critical", h.Critical}, {"high", h.High}, {"medium", h.Medium}, {"low", h.Low}} {
			if part.n == 0 {
				continue
			}
			from, to := y(float64(below)), y(float64(below+part.n))
			p.Bars = append(p.Bars, bar{
				X: round2(x0 + 0.75), Width: round2(max(x1-x0-1.5, 1)), Y: to, Height: round2(max(from-to-0.75, 0.75)),
				Severity: part.severity, Title: fmt.Sprintf("%s: %d %s", w.clock(h.At), part.n, part.severity),
			})
			below += part.n
		}
	}
	return p
}

func coordinate(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func round2(v float64) float64 { return math.Round(v*100) / 100 }

func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

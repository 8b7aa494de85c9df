package anomaly

import (
	"math"
	"slices"
	"time"
)

const (
	// Window is how far back is learned from: each hour of the week comes four times.
	Window = 28 * 24 * time.Hour
	// MinSpan and MinHours are what there must be before anything is judged: a week, three fifths of its hours.
	MinSpan, MinHours = 7 * 24 * time.Hour, 100

	// minWeeks and minDays are how often an hour must have come for a bucket of its own, with minSamples in all.
	minWeeks, minDays, minSamples = 3, 5, 8

	// scale makes a median absolute deviation a standard deviation of normal values, tailScale the deviation that the
	// part `tail` of the values does not reach. What happened in more than 15 % of the samples of an hour is usual in
	// it, as a job that runs for ten minutes of each night: the MAD alone would not see it.
	scale, tail, tailScale = 1.4826, 0.85, 1.4395
	// Where days of all kinds are mixed, two days of a week-end may be a seventh: there the widest tenth counts.
	mixedTail, mixedTailScale = 0.9, 1.6449

	// A shift of the level is one that lasted a day, most of it on the new side, and is so many usual deviations of
	// an hour large. Without a weekly season a week-end looks the same: there it must outlast one.
	shiftHours, shiftHoursUnseasoned = 24, 72
	shiftLeast, shiftShare           = 4, 0.8
)

// Baseline is what is usual, by hour of the week.
type Baseline struct {
	LearnedAt time.Time
	From, To  time.Time // the first and the last sample that it was learned from
	Samples   int
	Hours     int // with a sample
	// Level is the median of the last days without their seasons.
	Level float64
	// Shift is when the level last changed for good within the window, and by how much; zero: it did not.
	Shift   time.Time
	ShiftBy float64
	// Widened is the factor by which all spreads had to grow; 1: they did not.
	Widened float64
	Buckets [HoursOfWeek]Bucket
}

// At is what is usual at a moment.
func (b *Baseline) At(at time.Time, rule Rule) Bucket { return b.Buckets[HourOfWeek(at, rule.Zone)] }

// Progress is how much of the history that is needed is there.
type Progress struct {
	Span  time.Duration // since the first sample
	Hours int           // with a sample
}

// Enough reports whether anything can be said.
func (p Progress) Enough() bool { return p.Span >= MinSpan && p.Hours >= MinHours }

// Learn makes a baseline of the samples of the window before now, in any order, of which there may be gaps; nil: they
// are not enough yet, and Progress says how far it is.
//
// A value is seen as a level, which moves slowly and may jump, and a season on it, which depends on the hour of the
// week. The season is the median of what the hours have above the level of their days; the level that counts is that
// of the last days, or, where it jumped for good, of the time since: so neither growth nor a jump leaves everything
// anomalous for a month, and a jump keeps what was learned of the seasons.
func Learn(history []Sample, rule Rule, now time.Time) (*Baseline, Progress) {
	samples := within(history, now)
	if len(samples) == 0 {
		return nil, Progress{}
	}
	l := learner{rule: rule, samples: samples, hours: byHour(samples, rule.Zone)}
	progress := Progress{Span: now.Sub(samples[0].At), Hours: len(l.hours)}
	if !progress.Enough() {
		return nil, progress
	}
	l.kinds = l.chooseKinds()
	l.estimate()
	return l.baseline(now), progress
}

func within(history []Sample, now time.Time) []Sample {
	samples := make([]Sample, 0, len(history))
	for _, s := range history {
		if s.At.After(now) || now.Sub(s.At) > Window || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
			continue
		}
		samples = append(samples, s)
	}
	slices.SortStableFunc(samples, func(a, b Sample) int { return a.At.Compare(b.At) })
	return samples
}

// hour is one hour of the history: the median of its samples.
type hour struct {
	start       time.Time
	bucket      int // hour of the week
	value       float64
	first, last int // its samples: [first, last)
	level       float64
}

func byHour(samples []Sample, zone *time.Location) []hour {
	var hours []hour
	for first := 0; first < len(samples); {
		start, last := startOfHour(samples[first].At, zone), first
		for last < len(samples) && samples[last].At.Sub(start) < time.Hour {
			last++
		}
		hours = append(hours, hour{
			start: start, bucket: HourOfWeek(start, zone), first: first, last: last, value: median(valuesOf(samples[first:last])),
		})
		first = last
	}
	return hours
}

// startOfHour is where the hour of a moment began by the clocks of a zone (nil: UTC), of which some differ from UTC by
// half an hour.
func startOfHour(at time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	local := at.In(zone)
	return at.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
}

func valuesOf(samples []Sample) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = s.Value
	}
	return values
}

// learner holds what is being estimated.
type learner struct {
	rule    Rule
	samples []Sample
	hours   []hour
	kinds   [HoursOfWeek]Kind
	season  [HoursOfWeek]float64
	shifts  []int // indices of hours with which another level begins
	noise   float64
}

// chooseKinds says which hours of the week came often enough, which hours of the day did, and which are none of both.
func (l *learner) chooseKinds() [HoursOfWeek]Kind {
	var weeks, samples [HoursOfWeek]int
	var days, daySamples [24]int
	for _, h := range l.hours {
		weeks[h.bucket]++
		samples[h.bucket] += h.last - h.first
		days[h.bucket%24]++
		daySamples[h.bucket%24] += h.last - h.first
	}
	var kinds [HoursOfWeek]Kind
	for b := range kinds {
		switch {
		case weeks[b] >= minWeeks && samples[b] >= minSamples:
			kinds[b] = HourOfWeekKind
		case days[b%24] >= minDays && daySamples[b%24] >= minSamples:
			kinds[b] = HourOfDayKind
		default:
			kinds[b] = GlobalKind
		}
	}
	return kinds
}

// weekly reports whether the season is one of the week.
func (l *learner) weekly() bool {
	n := 0
	for _, kind := range l.kinds {
		if kind == HourOfWeekKind {
			n++
		}
	}
	return n > HoursOfWeek/2
}

// reach is how far to both sides hours tell of the level: with the week's season removed a day and a half, and without
// it half a week, in which every season is as a whole.
func (l *learner) reach() time.Duration {
	if l.weekly() {
		return 36 * time.Hour
	}
	return 84 * time.Hour
}

// estimate takes level and season from each other: first the level of whole weeks, which no season moves, then the
// season, and with it what is left over, in which a jump can be seen.
func (l *learner) estimate() {
	l.levels(0, len(l.hours), 84*time.Hour, true, func(h hour) float64 { return h.value })
	l.learnSeason()
	for range 2 {
		l.findShifts()
		l.levelBySegments()
		l.learnSeason()
	}
}

// levels gives hours [from, to) the median of what those within a reach of them say. whole: at the ends the window is
// moved rather than cut, so that it is as long.
func (l *learner) levels(from, to int, reach time.Duration, whole bool, says func(hour) float64) {
	hours := l.hours[from:to]
	values := make([]float64, len(hours))
	for i, h := range hours {
		values[i] = says(h)
	}
	first, last := hours[0].start, hours[len(hours)-1].start
	begin, end := 0, 0
	window := sorted{}
	for i := range hours {
		earliest, latest := hours[i].start.Add(-reach), hours[i].start.Add(reach)
		if whole {
			if earliest.Before(first) {
				earliest, latest = first, first.Add(2*reach)
			} else if latest.After(last) {
				earliest, latest = last.Add(-2*reach), last
			}
		}
		for ; end < len(hours) && !hours[end].start.After(latest); end++ {
			window.add(values[end])
		}
		for ; hours[begin].start.Before(earliest); begin++ {
			window.remove(values[begin])
		}
		hours[i].level = window.median()
	}
}

// learnSeason is what each hour of the week has above the level.
func (l *learner) learnSeason() {
	var ofWeek [HoursOfWeek][]float64
	var ofDay [24][]float64
	for _, h := range l.hours {
		above := h.value - h.level
		ofWeek[h.bucket] = append(ofWeek[h.bucket], above)
		ofDay[h.bucket%24] = append(ofDay[h.bucket%24], above)
	}
	for b, kind := range l.kinds {
		switch kind {
		case HourOfWeekKind:
			l.season[b] = median(ofWeek[b])
		case HourOfDayKind:
			l.season[b] = median(ofDay[b%24])
		case GlobalKind:
			l.season[b] = 0
		}
	}
}

// rest is what an hour has without its season.
func (l *learner) rest(h hour) float64 { return h.value - l.season[h.bucket] }

// findShifts looks for the hours with which the level changed for good, the largest change first.
func (l *learner) findShifts() {
	deviations := make([]float64, len(l.hours))
	rest := make([]float64, len(l.hours))
	for i, h := range l.hours {
		rest[i] = l.rest(h)
		deviations[i] = math.Abs(rest[i] - h.level)
	}
	l.noise = max(scale*median(deviations), l.floor(median(rest)))
	need := shiftHoursUnseasoned
	if l.weekly() {
		need = shiftHours
	}
	// medians[i] is that of the hours from i on that a level must hold.
	medians := make([]float64, 0, len(rest))
	window := sorted{}
	for i, value := range rest {
		window.add(value)
		if i >= need {
			window.remove(rest[i-need])
		}
		if i >= need-1 {
			medians = append(medians, window.median())
		}
	}
	l.shifts = nil
	l.split(rest, medians, 0, len(rest), need)
	slices.Sort(l.shifts)
}

func (l *learner) split(rest, medians []float64, from, to, need int) {
	best, size := -1, 0.0
	for i := from + need; i+need <= to; i++ {
		by := medians[i] - medians[i-need]
		if math.Abs(by) <= math.Abs(size) || math.Abs(by) < shiftLeast*l.noise ||
			!parted(rest[i-need:i], rest[i:i+need], medians[i-need]+by/2, by > 0) {
			continue
		}
		best, size = i, by
	}
	if best < 0 {
		return
	}
	// The medians see a jump for some hours around it; it is where the most happened from one hour to the next.
	for i, middle := max(from+1, best-need/2), best; i < min(to, middle+need/2); i++ {
		if math.Copysign(1, size)*(rest[i]-rest[i-1]) > math.Copysign(1, size)*(rest[best]-rest[best-1]) {
			best = i
		}
	}
	l.shifts = append(l.shifts, best)
	l.split(rest, medians, from, best, need)
	l.split(rest, medians, best, to, need)
}

// parted reports whether most hours before a jump lie on one side of its middle and most hours after it on the other.
func parted(before, after []float64, middle float64, up bool) bool {
	share := func(values []float64, above bool) float64 {
		n := 0
		for _, v := range values {
			if v > middle == above {
				n++
			}
		}
		return float64(n) / float64(len(values))
	}
	return share(before, !up) >= shiftShare && share(after, up) >= shiftShare
}

// levelBySegments gives each hour the level of its days, which ends where it jumped.
func (l *learner) levelBySegments() {
	from := 0
	for _, to := range append(slices.Clone(l.shifts), len(l.hours)) {
		l.levels(from, to, l.reach(), false, l.rest)
		from = to
	}
}

func (l *learner) floor(middle float64) float64 {
	return max(l.rule.LeastSpread, l.rule.LeastPercent/100*math.Abs(middle), 1e-9, 1e-9*math.Abs(middle))
}

// baseline puts the season on the present level, and takes the spread from what samples were off theirs.
func (l *learner) baseline(now time.Time) *Baseline {
	b := &Baseline{
		LearnedAt: now, From: l.samples[0].At, To: l.samples[len(l.samples)-1].At, Samples: len(l.samples), Hours: len(l.hours),
		Level: l.present(),
	}
	if n := len(l.shifts); n > 0 {
		at := l.shifts[n-1]
		b.Shift, b.ShiftBy = l.hours[at].start, l.hours[at].level-l.hours[at-1].level
	}
	var ofWeek [HoursOfWeek][]float64
	var ofDay [24][]float64
	var weeks [HoursOfWeek]int
	var days [24]int
	var all []float64
	for _, h := range l.hours {
		weeks[h.bucket]++
		days[h.bucket%24]++
		for _, s := range l.samples[h.first:h.last] {
			off := math.Abs(l.off(h, s))
			ofWeek[h.bucket] = append(ofWeek[h.bucket], off)
			ofDay[h.bucket%24] = append(ofDay[h.bucket%24], off)
			all = append(all, off)
		}
	}
	for i := range ofWeek {
		slices.Sort(ofWeek[i])
	}
	for i := range ofDay {
		slices.Sort(ofDay[i])
	}
	slices.Sort(all)
	for i, kind := range l.kinds {
		bucket := Bucket{Kind: kind, Median: b.Level + l.season[i]}
		var off []float64
		switch kind {
		case HourOfWeekKind:
			off = ofWeek[i]
			// Few weeks may agree by chance: the same hour of the other days says how much it can vary.
			bucket.Spread = max(spreadOf(off, tail, tailScale), spreadOf(ofDay[i%24], tail, tailScale)) * few(weeks[i])
		case HourOfDayKind:
			off = ofDay[i%24]
			bucket.Spread = spreadOf(off, mixedTail, mixedTailScale) * few(days[i%24])
		case GlobalKind:
			off = all
			bucket.Spread = spreadOf(off, mixedTail, mixedTailScale)
		}
		bucket.Samples, bucket.MAD = len(off), quantile(off, 0.5)
		bucket.Spread = max(bucket.Spread, l.floor(bucket.Median))
		b.Buckets[i] = bucket
	}
	b.Widened = l.widening(b)
	for i := range b.Buckets {
		b.Buckets[i].Spread *= b.Widened
	}
	return b
}

// off is what a sample lies above what was usual then.
func (l *learner) off(h hour, s Sample) float64 { return s.Value - h.level - l.season[h.bucket] }

// widening is by how much the spreads must grow so that the rule would have been broken on no more than 15 % of the
// days: what happens once a week at no fixed hour, as bursts do, is usual as well.
func (l *learner) widening(b *Baseline) float64 {
	var (
		worst []float64 // of each day, how far a run of samples lay outside
		day   int
		run   []float64
	)
	for _, h := range l.hours {
		if n := int(h.start.Sub(l.hours[0].start) / (24 * time.Hour)); n > day || worst == nil {
			worst, day = append(worst, 0), n
		}
		for _, s := range l.samples[h.first:h.last] {
			score := l.off(h, s) / b.Buckets[h.bucket].Spread
			switch l.rule.Direction {
			case Low:
				score = -score
			case Both:
				score = math.Abs(score)
			case High:
			}
			run = append(run, score)
			if len(run) > l.rule.Samples {
				run = run[1:]
			}
			if len(run) == l.rule.Samples {
				worst[len(worst)-1] = max(worst[len(worst)-1], slices.Min(run))
			}
		}
	}
	slices.Sort(worst)
	return max(1, quantile(worst, tail)/l.rule.Score)
}

// present is the level that counts from now on: that of the last hours.
func (l *learner) present() float64 {
	from := 0
	if n := len(l.shifts); n > 0 {
		from = l.shifts[n-1]
	}
	last := l.hours[len(l.hours)-1].start
	var values []float64
	for _, h := range l.hours[from:] {
		if last.Sub(h.start) < 2*l.reach() {
			values = append(values, l.rest(h))
		}
	}
	return median(values)
}

// spreadOf is the spread of sorted deviations: by their middle, or by their tail where that says more.
func spreadOf(off []float64, tail, tailScale float64) float64 {
	return max(scale*quantile(off, 0.5), quantile(off, tail)/tailScale)
}

// few makes up for a middle that was estimated from so many occurrences: deviations from it are too small.
func few(occurrences int) float64 {
	n := float64(occurrences)
	return math.Sqrt(n / max(n-1, 1))
}

// median is the middle of values, of which there is at least one.
func median(values []float64) float64 {
	ordered := slices.Clone(values)
	slices.Sort(ordered)
	return quantile(ordered, 0.5)
}

// quantile interpolates between the two sorted values that it lies between.
func quantile(ordered []float64, part float64) float64 {
	at := part * float64(len(ordered)-1)
	low := int(at)
	if low+1 >= len(ordered) {
		return ordered[low]
	}
	return ordered[low] + (ordered[low+1]-ordered[low])*(at-float64(low))
}

// sorted is a window of values that moves.
type sorted struct{ values []float64 }

func (s *sorted) add(value float64) {
	at, _ := slices.BinarySearch(s.values, value)
	s.values = slices.Insert(s.values, at, value)
}

func (s *sorted) remove(value float64) {
	at, _ := slices.BinarySearch(s.values, value)
	s.values = slices.Delete(s.values, at, at+1)
}

func (s *sorted) median() float64 { return quantile(s.values, 0.5) }

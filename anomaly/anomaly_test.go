package anomaly_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"onevault/anomaly"
)

// usual is a bucket around 100 with a spread of 10.
var usual = anomaly.Bucket{Kind: anomaly.GlobalKind, Median: 100, MAD: 10 / 1.4826, Spread: 10, Samples: 100}

// follow judges values five minutes apart and returns the states, N or A each.
func follow(rule anomaly.Rule, values ...float64) (states string, last anomaly.Verdict) {
	at := monday
	for _, v := range values {
		last = anomaly.Judge(rule, usual, anomaly.Sample{At: at, Value: v}, last)
		states += string(last.State[:1])
		at = at.Add(every)
	}
	return states, last
}

func TestJudge_TakesSoManyInARowToBeginAndToEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rule   anomaly.Rule
		values []float64
		want   string
	}{
		{rule, []float64{100, 160, 160, 100, 160, 160}, "NNNNNN"},
		{rule, []float64{100, 160, 160, 160, 160}, "NNNAA"},
		{rule, []float64{40, 40, 40}, "NNA"},
		{rule, []float64{159, 159, 159, 159}, "NNNN"},
		{rule, []float64{160, 160, 40, 40, 40}, "NNNNA"}, // another side is another deviation
		{rule, []float64{160, 160, 160, 100, 100, 160, 100, 100, 100}, "NNAAAAAAN"},
		{anomaly.Rule{Direction: anomaly.High, Score: 6, Samples: 1}, []float64{40, 160, 40}, "NAN"},
		{anomaly.Rule{Direction: anomaly.Low, Score: 6, Samples: 1}, []float64{160, 40, 160}, "NAN"},
	} {
		if got, _ := follow(c.rule, c.values...); got != c.want {
			t.Errorf("%v under %+v: %s, want %s", c.values, c.rule, got, c.want)
		}
	}
}

func TestJudge_SaysSinceWhen(t *testing.T) {
	t.Parallel()
	_, v := follow(rule, 100, 100, 170, 180, 190, 100)
	if v.State != anomaly.Anomalous || !v.Since.Equal(monday.Add(2*every)) || v.Inside != 1 || v.Outside != 0 {
		t.Errorf("got %+v", v)
	}
	if _, v = follow(rule, 100, 170); !v.Since.Equal(monday.Add(every)) || v.Score != 7 || v.Outside != 1 {
		t.Errorf("got %+v", v)
	}
	if _, v = follow(rule, 170, 100); !v.Since.IsZero() {
		t.Errorf("got %+v", v)
	}
}

func TestJudge_AGapOfMinutesIsBridgedOneOfHoursBeginsAnew(t *testing.T) {
	t.Parallel()
	_, before := follow(rule, 170, 170)
	later := monday.Add(3 * every)
	if v := anomaly.Judge(rule, usual, anomaly.Sample{At: later, Value: 170}, before); v.State != anomaly.Anomalous {
		t.Errorf("after a sample that is missing: %+v", v)
	}
	if v := anomaly.Judge(rule, usual, anomaly.Sample{At: later.Add(8 * time.Hour), Value: 170}, before); v.State != anomaly.Normal || v.Outside != 1 {
		t.Errorf("after a night without samples: %+v", v)
	}
}

func TestRange_IsOpenWhereNothingMatters(t *testing.T) {
	t.Parallel()
	for direction, want := range map[anomaly.Direction][2]float64{
		anomaly.Both: {40, 160}, anomaly.High: {math.Inf(-1), 160}, anomaly.Low: {40, math.Inf(1)},
	} {
		if low, high := usual.Range(anomaly.Rule{Direction: direction, Score: 6}); [2]float64{low, high} != want {
			t.Errorf("%s: %v to %v, want %v", direction, low, high, want)
		}
	}
}

func TestHourOfWeek_FollowsTheClocksOfItsZone(t *testing.T) {
	t.Parallel()
	zone := func(name string) *time.Location {
		z, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return z
	}
	for _, c := range []struct {
		at   time.Time
		zone *time.Location
		want int
	}{
		{monday, nil, 0},
		{monday.Add(-time.Nanosecond), nil, 167},
		{monday.Add(25 * time.Hour), nil, 25},
		{monday, zone("Europe/Berlin"), 1},
		{time.Date(2026, 7, 6, 0, 0, 0, 0, time.UTC), zone("Europe/Berlin"), 2}, // summer time
		{monday, zone("America/New_York"), 163},
		{monday.Add(45 * time.Minute), zone("Asia/Kolkata"), 6},
	} {
		if got := anomaly.HourOfWeek(c.at, c.zone); got != c.want {
			t.Errorf("%s in %v is hour %d, want %d", c.at, c.zone, got, c.want)
		}
	}
}

// An hour of high load by the clocks of a place keeps its bucket when those are set to summer time; so does one that
// begins at half past by UTC.
func TestLearn_SeasonsFollowTheClocksOfTheZone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "Asia/Kolkata"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		inZone := rule
		inZone.Zone = zone
		n := newNoise(1)
		samples := series(28, func(_ float64, at time.Time) float64 { // 2 to 29 March; summer time begins on the 29th
			if at.In(zone).Hour() == 9 {
				return 500 + n.white(2)
			}
			return 100 + n.white(2)
		})
		base, _ := anomaly.Learn(samples, inZone, monday.AddDate(0, 0, 28))
		if base == nil {
			t.Fatal("nothing was learned")
		}
		for b, bucket := range base.Buckets {
			want := 100.0
			if b%24 == 9 {
				want = 500
			}
			if math.Abs(bucket.Median-want) > 5 || bucket.Spread > 11 {
				t.Errorf("%s: hour %d of the week is usually %+v, want %v", name, b, bucket, want)
			}
		}
	}
}

func TestLearn_SaysNothingUnderAWeekOfHistory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		days float64
		keep func(i int) bool
		want bool
	}{
		{0, nil, false},
		{6.9, nil, false},
		{7.1, nil, true},
		{14, func(i int) bool { return i%288 < 60 }, false}, // five hours of each day: 70 hours
		{14, func(i int) bool { return i%288 < 100 }, true},
	} {
		var samples []anomaly.Sample
		for i, s := range series(c.days, func(float64, time.Time) float64 { return 1 }) {
			if c.keep == nil || c.keep(i) {
				samples = append(samples, s)
			}
		}
		now := monday.Add(time.Duration(c.days * 24 * float64(time.Hour)))
		base, progress := anomaly.Learn(samples, rule, now)
		if (base != nil) != c.want || progress.Enough() != c.want {
			t.Errorf("%v days: learned %t after %+v, want %t", c.days, base != nil, progress, c.want)
		}
	}
}

func TestLearn_FewWeeksFallBackToTheHourOfTheDayAndToAllHours(t *testing.T) {
	t.Parallel()
	kinds := func(samples []anomaly.Sample, now time.Time) map[anomaly.Kind]int {
		base, _ := anomaly.Learn(samples, rule, now)
		if base == nil {
			t.Fatal("nothing was learned")
		}
		count := map[anomaly.Kind]int{}
		for _, b := range base.Buckets {
			count[b.Kind]++
		}
		return count
	}
	whole := series(28, func(_ float64, at time.Time) float64 { return office(at) })
	for _, c := range []struct {
		days int
		want anomaly.Kind
	}{{8, anomaly.HourOfDayKind}, {14, anomaly.HourOfDayKind}, {22, anomaly.HourOfWeekKind}, {28, anomaly.HourOfWeekKind}} {
		if got := kinds(whole[:288*c.days], monday.AddDate(0, 0, c.days)); got[c.want] != anomaly.HoursOfWeek {
			t.Errorf("%d days: %v, want all %s", c.days, got, c.want)
		}
	}
	// Of one hour there are samples on two days only.
	rare := slices.DeleteFunc(slices.Clone(whole[:288*14]), func(s anomaly.Sample) bool { return s.At.Hour() == 4 && s.At.Day() > 3 })
	if got := kinds(rare, monday.AddDate(0, 0, 14)); got[anomaly.GlobalKind] != 7 {
		t.Errorf("an hour that is rare: %v", got)
	}
}

func TestLearn_OrderLaterSamplesAndNoNumbersDoNotMatter(t *testing.T) {
	t.Parallel()
	now := monday.AddDate(0, 0, 28)
	n := newNoise(3)
	samples := series(28, func(_ float64, at time.Time) float64 { return office(at) + n.white(2) })
	want, _ := anomaly.Learn(samples, rule, now)
	mixed := append(slices.Clone(samples),
		anomaly.Sample{At: now.Add(time.Hour), Value: 1e9},
		anomaly.Sample{At: monday.AddDate(0, -2, 0), Value: 1e9},
		anomaly.Sample{At: now.Add(-time.Hour), Value: math.NaN()},
		anomaly.Sample{At: now.Add(-time.Hour), Value: math.Inf(1)})
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if got, _ := anomaly.Learn(mixed, rule, now); *got != *want {
		t.Error("another baseline was learned")
	}
}

func TestLearn_ScalesAndMovesWithItsValues(t *testing.T) {
	t.Parallel()
	now := monday.AddDate(0, 0, 28)
	bare := anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3}
	learn := func(scale, offset float64) *anomaly.Baseline {
		n := newNoise(4)
		base, _ := anomaly.Learn(series(28, func(_ float64, at time.Time) float64 { return offset + scale*(office(at)+n.white(2)) }), bare, now)
		return base
	}
	a, b := learn(1, 0), learn(1024, 1<<20)
	for i := range a.Buckets {
		if x, y := a.Buckets[i], b.Buckets[i]; math.Abs(x.Median*1024+1<<20-y.Median) > 1e-3 || math.Abs(x.Spread*1024-y.Spread) > 1e-3 {
			t.Fatalf("hour %d: %+v and %+v", i, x, y)
		}
	}
}

func TestLearn_AFlatHistoryHasTheSpreadOfItsFloor(t *testing.T) {
	t.Parallel()
	now := monday.AddDate(0, 0, 28)
	flat := series(28, func(float64, time.Time) float64 { return 50 })
	for _, c := range []struct {
		rule anomaly.Rule
		want float64
	}{
		{anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3, LeastSpread: 3}, 3},
		{anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3, LeastSpread: 1, LeastPercent: 10}, 5},
	} {
		base, _ := anomaly.Learn(flat, c.rule, now)
		if b := base.At(now, c.rule); b.Spread != c.want || b.MAD != 0 || b.Median != 50 {
			t.Errorf("%+v: %+v", c.rule, b)
		}
	}
	base, _ := anomaly.Learn(flat, anomaly.Rule{Direction: anomaly.Both, Score: 6, Samples: 3}, now)
	if score := base.At(now, rule).Score(50); score != 0 {
		t.Errorf("the usual value has the score %v", score)
	}
}

func TestDue_OnceADayAndSoonerWhileAnomalous(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		age   time.Duration
		state anomaly.State
		want  bool
	}{
		{time.Hour, anomaly.Normal, false},
		{23 * time.Hour, anomaly.Normal, false},
		{24 * time.Hour, anomaly.Normal, true},
		{5 * time.Hour, anomaly.Anomalous, false},
		{6 * time.Hour, anomaly.Anomalous, true},
		{6 * time.Hour, anomaly.Learning, true},
	} {
		if got := anomaly.Due(monday, c.state, monday.Add(c.age)); got != c.want {
			t.Errorf("%s after %s: %t", c.state, c.age, got)
		}
	}
	if !anomaly.Due(time.Time{}, anomaly.Normal, monday) {
		t.Error("what was never learned is not due")
	}
}

func BenchmarkLearn(b *testing.B) {
	n := newNoise(5)
	samples := series(28, func(_ float64, at time.Time) float64 { return office(at) + n.white(2) })
	for b.Loop() {
		anomaly.Learn(samples, rule, monday.AddDate(0, 0, 28))
	}
}

package forecast_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"onevault/forecast"
)

var now = time.Date(2026, 5, 4, 3, 18, 0, 0, time.UTC)

const gigabyte = 1e9

// days is a history of n days that ends today; value gets the number of the day, 0 for the oldest.
func days(n int, value func(i int) float64) []forecast.Day {
	today := now.Truncate(24 * time.Hour)
	list := make([]forecast.Day, n)
	for i := range list {
		list[i] = forecast.Day{Day: today.AddDate(0, 0, i-n+1), Value: value(i)}
	}
	return list
}

func line(start, slope float64) func(int) float64 {
	return func(i int) float64 { return start + slope*float64(i) }
}

func room(bytes float64) *float64 { return &bytes }

func near(got, want, tolerance float64) bool {
	return math.Abs(got-want) <= tolerance*math.Max(math.Abs(want), 1)
}

func wantFull(t *testing.T, f forecast.Forecast, days float64) {
	t.Helper()
	want := now.Add(time.Duration(days * 24 * float64(time.Hour)))
	if d := f.Full.Sub(want).Abs(); f.Full.IsZero() || d > time.Hour {
		t.Errorf("full at %s, want %s: %+v", f.Full, want, f)
	}
	if f.Earliest.IsZero() || f.Earliest.After(f.Full) || !f.Latest.IsZero() && f.Latest.Before(f.Full) {
		t.Errorf("between %s and %s does not hold %s", f.Earliest, f.Latest, f.Full)
	}
}

func TestOf_AGigabyteADayFillsWhatIsLeft(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(30, line(100*gigabyte, gigabyte)), room(45*gigabyte), now)
	if f.Days != 30 || f.Trend != forecast.Growing || f.Method != forecast.TheilSen || !near(f.Slope, gigabyte, 1e-9) ||
		!near(f.Low, gigabyte, 1e-9) || !near(f.High, gigabyte, 1e-9) {
		t.Errorf("got %+v", f)
	}
	wantFull(t, f, 45)
}

func TestOf_TooLittleHistoryIsNoTrend(t *testing.T) {
	t.Parallel()
	for n := range forecast.MinDays {
		f := forecast.Of(days(n, line(1, 1)), room(10), now)
		if f.Days != n || f.Trend != forecast.Unknown || f.Method != forecast.NoMethod || f.Slope != 0 || !f.Full.IsZero() {
			t.Errorf("%d days: %+v", n, f)
		}
	}
	if f := forecast.Of(days(forecast.MinDays, line(1, 1)), room(10), now); f.Trend != forecast.Growing {
		t.Errorf("%d days: %+v", forecast.MinDays, f)
	}
}

func TestOf_OlderThanTheWindowAndLaterThanNowDoNotCount(t *testing.T) {
	t.Parallel()
	history := days(200, func(i int) float64 {
		if i < 140 {
			return 1e6 * float64(i) // a steep past
		}
		return 10 + float64(i)
	})
	history = append(history, forecast.Day{Day: now.AddDate(0, 0, 1), Value: 1e12})
	if f := forecast.Of(history, nil, now); f.Days != forecast.Window || !near(f.Slope, 1, 1e-9) || !f.Reset.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestOf_ConstantIsStable(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(60, line(5*gigabyte, 0)), room(gigabyte), now)
	if f.Trend != forecast.Stable || f.Slope != 0 || f.Low != 0 || f.High != 0 || !f.Full.IsZero() || !f.Earliest.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestOf_NoiseAroundALevelIsStable(t *testing.T) {
	t.Parallel()
	random, wrong := rand.New(rand.NewPCG(1, 2)), 0
	for range 400 {
		f := forecast.Of(days(30, func(int) float64 { return 100 + random.NormFloat64() }), room(1000), now)
		if f.Trend != forecast.Stable {
			wrong++
		}
	}
	// The interval is one of 95 %.
	if wrong > 40 {
		t.Errorf("%d of 400 level histories have a trend", wrong)
	}
}

func TestOf_ShrinkingIsNeverFull(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(30, line(100*gigabyte, -gigabyte)), room(gigabyte), now)
	if f.Trend != forecast.Shrinking || !near(f.Slope, -gigabyte, 1e-9) || !f.Full.IsZero() || !f.Latest.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestOf_TheIntervalHoldsTheTruthAndTheSlopeComesNearIt(t *testing.T) {
	t.Parallel()
	random, missed := rand.New(rand.NewPCG(3, 4)), 0
	for range 400 {
		n := 10 + random.IntN(50)
		start, slope, noise := random.Float64()*1e12, (random.Float64()-0.3)*1e9, random.Float64()*3e9
		f := forecast.Of(days(n, func(i int) float64 { return start + slope*float64(i) + noise*random.NormFloat64() }), nil, now)
		if f.Low > f.Slope || f.Slope > f.High {
			t.Fatalf("%v lies outside %v to %v", f.Slope, f.Low, f.High)
		}
		if slope < f.Low || slope > f.High {
			missed++
		}
	}
	if missed > 40 {
		t.Errorf("%d of 400 intervals of 95 %% miss the slope", missed)
	}
}

func TestOf_AFifthOfWildDaysMovesLittle(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		f := forecast.Of(days(50, func(i int) float64 {
			if i%5 == 2 {
				return random.Float64() * 1000 * gigabyte
			}
			return 100*gigabyte + gigabyte*float64(i) + 0.05*gigabyte*random.NormFloat64()
		}), room(30*gigabyte), now)
		if f.Trend != forecast.Growing || !near(f.Slope, gigabyte, 0.15) {
			t.Fatalf("got %+v", f)
		}
	}
}

func TestOf_GapsAndOrderDoNotMatter(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		whole := days(60, line(10*gigabyte, 0.5*gigabyte))
		var kept []forecast.Day
		for _, i := range random.Perm(len(whole)) {
			if random.Float64() < 0.4 {
				kept = append(kept, whole[i])
			}
		}
		if len(kept) < forecast.MinDays {
			continue
		}
		f := forecast.Of(kept, room(20*gigabyte), now)
		if f.Days != len(kept) || !near(f.Slope, 0.5*gigabyte, 1e-9) {
			t.Fatalf("of %d days: %+v", len(kept), f)
		}
		wantFull(t, f, 40)
	}
}

func TestOf_ScalesAndShiftsWithItsValues(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 10))
	for range 100 {
		values := make([]float64, 40)
		for i := range values {
			values[i] = 1000 + 3*float64(i) + 20*random.NormFloat64()
		}
		scale := math.Exp2(float64(random.IntN(30)))
		a := forecast.Of(days(40, func(i int) float64 { return values[i] }), room(500), now)
		b := forecast.Of(days(40, func(i int) float64 { return values[i] * scale }), room(500*scale), now)
		if a.Trend != b.Trend || !near(a.Slope*scale, b.Slope, 1e-6) || a.Full.Sub(b.Full).Abs() > time.Minute {
			t.Fatalf("%+v\n%+v", a, b)
		}
	}
}

// VACUUM FULL halves a table at day 30 of 60: it grows on as before, which a line through all would not show.
func TestOf_OneFallIsNoPartOfTheTrend(t *testing.T) {
	t.Parallel()
	for _, at := range []int{5, 20, 30, 45, 55} {
		f := forecast.Of(days(60, func(i int) float64 {
			if i >= at {
				return 60*gigabyte + gigabyte*float64(i-at)
			}
			return 100*gigabyte + gigabyte*float64(i)
		}), room(30*gigabyte), now)
		if f.Method != forecast.TheilSenReset || f.Trend != forecast.Growing || !near(f.Slope, gigabyte, 1e-9) {
			t.Errorf("fall at day %d: %+v", at, f)
		}
		if want := now.Truncate(24*time.Hour).AddDate(0, 0, at-59); !f.Reset.Equal(want) {
			t.Errorf("reset at %s, want %s", f.Reset, want)
		}
		wantFull(t, f, 30)
	}
}

// A partition is dropped every 20 days: the size goes up and down and is not going to be full.
func TestOf_FallingAgainAndAgainBelongsToTheTrend(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(60, func(i int) float64 { return 100*gigabyte + gigabyte*float64(i%20) }), room(30*gigabyte), now)
	if f.Trend != forecast.Stable || !f.Reset.IsZero() || !f.Full.IsZero() {
		t.Errorf("got %+v", f)
	}
	// Unless less falls than rises: then it grows by 1.5 - 0.5 GB a day.
	f = forecast.Of(days(60, func(i int) float64 { return 100*gigabyte + 1.5*gigabyte*float64(i) - 10*gigabyte*float64(i/20) }), room(30*gigabyte), now)
	if f.Trend != forecast.Growing || !near(f.Slope, gigabyte, 0.15) {
		t.Errorf("got %+v", f)
	}
}

func TestOf_RegularCleanupIsStableWhateverItsPhase(t *testing.T) {
	t.Parallel()
	random, looked, wrong := rand.New(rand.NewPCG(13, 14)), 0, 0
	for period := 3; period <= 25; period++ {
		for phase := range period {
			f := forecast.Of(days(60, func(i int) float64 { return 100 + float64((i+phase)%period) + 0.3*random.NormFloat64() }), room(30), now)
			looked++
			if f.Trend != forecast.Stable {
				wrong++
			}
		}
	}
	if wrong > looked/20 {
		t.Errorf("%d of %d have a trend", wrong, looked)
	}
}

// A batch of 20 GB on every tenth day is growth of 2 GB a day.
func TestOf_SuddenRisesAreGrowth(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(60, func(i int) float64 { return 100*gigabyte + 20*gigabyte*float64(i/10) }), room(40*gigabyte), now)
	if f.Trend != forecast.Growing || !near(f.Slope, 2*gigabyte, 0.05) {
		t.Errorf("got %+v", f)
	}
}

func TestOf_ADayOrTwoOfLessAreNoFall(t *testing.T) {
	t.Parallel()
	f := forecast.Of(days(60, func(i int) float64 {
		if i == 30 || i == 31 {
			return gigabyte
		}
		return 100*gigabyte + gigabyte*float64(i)
	}), nil, now)
	if !f.Reset.IsZero() || !near(f.Slope, gigabyte, 0.01) {
		t.Errorf("got %+v", f)
	}
}

func TestOf_BeyondTheHorizonThereIsNoDate(t *testing.T) {
	t.Parallel()
	history := days(30, line(100*gigabyte, gigabyte))
	horizon := forecast.Horizon.Hours() / 24
	if f := forecast.Of(history, room((horizon+1)*gigabyte), now); f.Trend != forecast.Growing || !f.Full.IsZero() || !f.Earliest.IsZero() {
		t.Errorf("got %+v", f)
	}
	wantFull(t, forecast.Of(history, room((horizon-1)*gigabyte), now), horizon-1)
	if f := forecast.Of(history, room(math.MaxFloat64), now); !f.Full.IsZero() {
		t.Errorf("got %+v", f)
	}
}

// The interval's far end may lie beyond the horizon where its middle does not: then the latest date is open.
func TestOf_LatestIsOpenBeyondTheHorizon(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(11, 12))
	history := days(20, func(i int) float64 { return 1000 + float64(i) + 6*random.NormFloat64() })
	f := forecast.Of(history, nil, now)
	if f.Trend != forecast.Growing {
		t.Fatalf("the history has no trend: %+v", f)
	}
	left := f.Slope * (forecast.Horizon.Hours()/24 - 1)
	if f = forecast.Of(history, &left, now); f.Full.IsZero() || f.Earliest.IsZero() || !f.Latest.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestOf_WithoutRoomItIsFullNow(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 3, 30} {
		f := forecast.Of(days(n, line(100, 0)), room(0), now)
		if !f.Full.Equal(now) || f.Method != forecast.Measured {
			t.Errorf("%d days: %+v", n, f)
		}
	}
}

func TestOf_WithoutALimitThereIsATrendAndNoDate(t *testing.T) {
	t.Parallel()
	if f := forecast.Of(days(30, line(1, 1)), nil, now); f.Trend != forecast.Growing || !f.Full.IsZero() {
		t.Errorf("got %+v", f)
	}
}

func TestOf_OfTwoValuesOfADayTheLaterCounts(t *testing.T) {
	t.Parallel()
	history := days(10, line(1, 1))
	history = append(history, forecast.Day{Day: now.Truncate(24 * time.Hour), Value: 1000})
	want := days(10, line(1, 1))
	want[9].Value = 1000
	if f := forecast.Of(history, nil, now); f != forecast.Of(want, nil, now) {
		t.Errorf("got %+v", f)
	}
}

func TestOf_LeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	history := days(10, line(1, 1))
	forecast.Of(history, nil, now)
	for i, d := range history {
		if d.Value != float64(i+1) {
			t.Fatalf("day %d is now %v", i, d.Value)
		}
	}
}

func TestOf_ValuesThatAreNoNumbersDoNotCount(t *testing.T) {
	t.Parallel()
	history := days(10, line(1, 1))
	history[3].Value, history[5].Value = math.NaN(), math.Inf(1)
	if f := forecast.Of(history, nil, now); f.Days != 8 || !near(f.Slope, 1, 1e-9) {
		t.Errorf("got %+v", f)
	}
}

package backtest_test

import (
	"testing"
	"time"

	"onevault/alert"
	"onevault/backtest"
)

var start = time.Date(2026, 5, 4, 3, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

// looks are one every five minutes: T true, F false, N no data, x of which nothing is kept.
func looks(results string) []backtest.Look {
	var list []backtest.Look
	for n, r := range results {
		result := map[rune]alert.Result{'T': alert.ResultTrue, 'F': alert.ResultFalse, 'N': alert.ResultNoData, 'x': alert.ResultFalse}[r]
		list = append(list, backtest.Look{Look: alert.Look{At: minute(5 * n), Result: result, Clears: result == alert.ResultFalse}, Kept: r != 'x'})
	}
	return list
}

func follow(results string, timing alert.Timing) backtest.Run {
	return backtest.Follow(timing, looks(results), minute(5*len(results)))
}

func TestFollow_CountsAlertsAndTheTimeThatTheyStood(t *testing.T) {
	t.Parallel()
	run := follow("FTTFNFTT", alert.Timing{})
	if len(run.Alerts) != 2 || !run.Alerts[0].Begin.Equal(minute(5)) || !run.Alerts[0].End.Equal(minute(15)) || !run.Alerts[1].End.IsZero() {
		t.Errorf("alerts are %+v", run.Alerts)
	}
	if run.Firing != 20*60 || run.NoData != 1 || run.Kept != 8 {
		t.Errorf("the run is %+v", run)
	}
}

func TestFollow_WhatIsNotKeptIsNoLook(t *testing.T) {
	t.Parallel()
	// The looks between say FALSE, but nothing is known of them: they must not end the alert.
	run := follow("TxxxT", alert.Timing{})
	if len(run.Alerts) != 1 || run.Kept != 2 || run.Looks != 5 {
		t.Errorf("the run is %+v", run)
	}
}

func TestFollow_SuppressedFiringsPageNobody(t *testing.T) {
	t.Parallel()
	run := follow("TFTFTF", alert.Timing{Suppress: time.Hour})
	if len(run.Alerts) != 1 || run.Suppressed != 2 || run.Firing != 5*60 {
		t.Errorf("the run is %+v", run)
	}
}

func TestFiringAt_IsKnownForThreeRounds(t *testing.T) {
	t.Parallel()
	run := follow("FTNxxxxx", alert.Timing{})
	for at, want := range map[int][2]any{-1: {0, false}, 0: {0, true}, 4: {0, true}, 5: {1, true}, 9: {1, true}, 10: {0, false}, 40: {0, false}} {
		if value, known := run.FiringAt(minute(at), 5*time.Minute); value != want[0] || known != want[1] {
			t.Errorf("minute %d: %d, %v; want %v", at, value, known, want)
		}
	}
	held := follow("T", alert.Timing{})
	if _, known := held.FiringAt(minute(15), 5*time.Minute); !known {
		t.Error("after three rounds nothing is known any more")
	}
	if _, known := held.FiringAt(minute(16), 5*time.Minute); known {
		t.Error("a look of more than three rounds ago is taken for known")
	}
}

func TestCompare_WhatIsCaughtLostSparedNewAndUnknown(t *testing.T) {
	t.Parallel()
	present := follow("FTTTTFFFFTTFFFFFxxxxFFT", alert.Timing{})
	run := follow("FTTTTFFFFTTFFFFFxxxxFFT", alert.Timing{Pending: 10 * time.Minute})
	real := []backtest.Real{
		{ShortID: "long", TriggeredAt: minute(6), ResolvedAt: minute(26)},
		{ShortID: "short", TriggeredAt: minute(46), ResolvedAt: minute(56)},
		{ShortID: "false", TriggeredAt: minute(47), ResolvedAt: minute(56), FalsePositive: true},
		{ShortID: "unknown", TriggeredAt: minute(90), ResolvedAt: minute(94)},
	}
	c := backtest.Compare(run, &present, real, 5*time.Minute)
	if len(c.Caught) != 1 || c.Caught[0].ShortID != "long" || c.Caught[0].Later != 600 {
		t.Errorf("caught: %+v", c.Caught)
	}
	if len(c.Lost) != 1 || c.Lost[0].ShortID != "short" || len(c.Spared) != 1 || len(c.Unknown) != 1 || c.Unknown[0].ShortID != "unknown" || len(c.New) != 0 {
		t.Errorf("lost %+v, spared %+v, unknown %+v, new %+v", c.Lost, c.Spared, c.Unknown, c.New)
	}
	// Without another version it is held against what came; and what never came is new.
	c = backtest.Compare(present, nil, real[:2], 5*time.Minute)
	if len(c.Caught) != 2 || c.Caught[0].Later != -60 || len(c.New) != 1 || !c.New[0].Begin.Equal(minute(110)) {
		t.Errorf("caught %+v, new %+v", c.Caught, c.New)
	}
}

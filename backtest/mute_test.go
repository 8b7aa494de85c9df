package backtest_test

import (
	"slices"
	"testing"
	"time"

	"onevault/alert"
	"onevault/backtest"
)

// span is from one minute until another; -1: without an end.
func span(from, to int) backtest.Span {
	s := backtest.Span{From: minute(from)}
	if to >= 0 {
		s.To = minute(to)
	}
	return s
}

func TestUnion_JoinsWhatTouches(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want []backtest.Span }{
		{nil, nil},
		{[]backtest.Span{span(5, 9), span(1, 3)}, []backtest.Span{span(1, 3), span(5, 9)}},
		{[]backtest.Span{span(1, 5), span(5, 9), span(2, 3)}, []backtest.Span{span(1, 9)}},
		{[]backtest.Span{span(1, -1), span(5, 9)}, []backtest.Span{span(1, -1)}},
		{[]backtest.Span{span(1, 5), span(3, -1)}, []backtest.Span{span(1, -1)}},
	} {
		if got := backtest.Union(c.given); !slices.Equal(got, c.want) {
			t.Errorf("of %v: %v, want %v", c.given, got, c.want)
		}
	}
}

func TestWithout_LeavesWhatIsOutside(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, others, want []backtest.Span }{
		{[]backtest.Span{span(0, 10)}, nil, []backtest.Span{span(0, 10)}},
		{[]backtest.Span{span(0, 10)}, []backtest.Span{span(3, 5), span(8, 12)}, []backtest.Span{span(0, 3), span(5, 8)}},
		{[]backtest.Span{span(2, 4), span(6, -1)}, []backtest.Span{span(0, 4), span(7, 9)}, []backtest.Span{span(6, 7), span(9, -1)}},
		{[]backtest.Span{span(2, 4), span(6, -1)}, []backtest.Span{span(3, -1)}, []backtest.Span{span(2, 3)}},
		{[]backtest.Span{span(2, 4)}, []backtest.Span{span(4, 9), span(0, 2)}, []backtest.Span{span(2, 4)}},
	} {
		if got := backtest.Without(c.given, c.others); !slices.Equal(got, c.want) {
			t.Errorf("%v without %v: %v, want %v", c.given, c.others, got, c.want)
		}
	}
}

func TestTold_WhatIsMutedIsToldOnceAtTheEndIfItStillStands(t *testing.T) {
	t.Parallel()
	// It stands from 5 to 15, from 20 to 25 and from 40 on; the looks end at 50.
	run := follow("FTTFTFFFTT", alert.Timing{AutoResolve: true, Reopen: 10 * time.Minute})
	if len(run.Alerts) != 2 || len(run.Alerts[0].Stretches) != 2 || run.Alerts[0].Stretches[1].Event != alert.EventReopened || run.Reopened != 1 || run.Firing != 25*60 {
		t.Fatalf("the run is %+v", run)
	}
	for _, c := range []struct {
		muted []backtest.Span
		pages []int
		held  int
	}{
		{nil, []int{5, 20, 40}, 0},
		{[]backtest.Span{span(0, 10)}, []int{10, 20, 40}, 0},
		{[]backtest.Span{span(0, 7), span(7, 12)}, []int{12, 20, 40}, 0},
		{[]backtest.Span{span(0, 15)}, []int{20, 40}, 1},
		{[]backtest.Span{span(0, 22)}, []int{22, 40}, 1},
		{[]backtest.Span{span(6, 20)}, []int{5, 20, 40}, 0},
		{[]backtest.Span{span(19, -1)}, []int{5}, 2},
		{[]backtest.Span{span(30, 50)}, []int{5, 20}, 1}, // nobody knows whether it stood then
	} {
		told := run.Told(func(alert.Labels) []backtest.Span { return c.muted }, minute(50))
		var pages []int
		for _, e := range told.Alerts {
			for _, at := range e.Pages {
				pages = append(pages, int(at.Sub(start)/time.Minute))
			}
		}
		if !slices.Equal(pages, c.pages) || told.Held != c.held || told.Pages != len(c.pages) {
			t.Errorf("muted at %v: pages at %v and %d held, want %v and %d", c.muted, pages, told.Held, c.pages, c.held)
		}
	}
	if run.Pages != 0 || run.Alerts[0].Pages != nil {
		t.Error("the run itself was changed")
	}
}

func TestFollow_WhatPeopleEndStaysEnded(t *testing.T) {
	t.Parallel()
	timing := alert.Timing{Reopen: time.Hour, MinOpen: time.Hour, FlapCount: 2, FlapWindow: time.Hour}
	if run := follow("TFTF", timing); len(run.Alerts) != 2 || run.Reopened != 0 || run.Firing != 10*60 || run.Flapping != 1 {
		t.Errorf("by people: %+v", run)
	}
	timing.AutoResolve = true
	if run := follow("TFTF", timing); len(run.Alerts) != 1 || !run.Alerts[0].End.IsZero() || run.Flapping != 0 {
		t.Errorf("by itself: %+v", run)
	}
}

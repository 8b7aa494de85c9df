package api

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The tests here run on synctest's clock: time passes only when everybody waits for it.

func TestReadiness_ReportsACheckThatHangsAndDoesNotStartItAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs int
		release := make(chan struct{})
		r := newReadiness(map[string]func(context.Context) error{
			"vault": func(context.Context) error { runs++; <-release; return nil }, // deaf to its context
		}, slog.New(slog.DiscardHandler))

		first := r.ask(t.Context()).Checks["vault"]
		second := r.ask(t.Context()).Checks["vault"]
		if first.OK || first.Error != errNoAnswer.Error() || first.AgeSeconds != answerTimeout.Seconds() {
			t.Errorf("first question: %+v, want no answer for %s", first, answerTimeout)
		}
		if second.OK || second.AgeSeconds != 2*answerTimeout.Seconds() {
			t.Errorf("second question: %+v, want no answer for %s", second, 2*answerTimeout)
		}
		close(release)
		synctest.Wait()
		if third := r.ask(t.Context()).Checks["vault"]; !third.OK || runs != 1 {
			t.Errorf("after it answered: %+v after %d runs, want it to pass after 1", third, runs)
		}
	})
}

func TestReadiness_RunsACheckOnceForManyQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		release := make(chan struct{})
		r := newReadiness(map[string]func(context.Context) error{
			"vault": func(context.Context) error { runs.Add(1); <-release; return nil },
		}, slog.New(slog.DiscardHandler))

		var questions sync.WaitGroup
		for range 20 {
			questions.Go(func() {
				if state := r.ask(t.Context()); !state.Ready {
					t.Errorf("answered %+v, want ready", state)
				}
			})
		}
		synctest.Wait()
		close(release)
		questions.Wait()
		if got := runs.Load(); got != 1 {
			t.Errorf("check ran %d times for 20 questions at once, want 1", got)
		}
	})
}

func TestReadiness_ReusesAnOutcomeForAMomentAndThenAsksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		err := error(nil)
		r := newReadiness(map[string]func(context.Context) error{
			"vault": func(context.Context) error { return err },
		}, slog.New(slog.DiscardHandler))

		if state := r.ask(t.Context()); !state.Ready {
			t.Fatalf("with the vault up: %+v, want ready", state)
		}
		err = down
		time.Sleep(checkReuse)
		if check := r.ask(t.Context()).Checks["vault"]; !check.OK || check.AgeSeconds != checkReuse.Seconds() {
			t.Errorf("%s later: %+v, want the first outcome with its age", checkReuse, check)
		}
		time.Sleep(time.Millisecond)
		if check := r.ask(t.Context()).Checks["vault"]; check.OK || check.AgeSeconds != 0 {
			t.Errorf("after that: %+v, want a new outcome that fails", check)
		}
	})
}

func TestReadiness_EndsWithTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(map[string]func(context.Context) error{
			"vault": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		asked := time.Now()
		if state := r.ask(ctx); state.Ready || time.Since(asked) != 100*time.Millisecond {
			t.Errorf("answered %+v after %s, want not ready after 100ms", state, time.Since(asked))
		}
		time.Sleep(checkTimeout) // the check itself outlives the question and ends with its own context
	})
}

func TestReadiness_ShowsWhatACheckWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(map[string]func(context.Context) error{
			"vault": func(ctx context.Context) error { <-ctx.Done(); return errors.New("ping 10.0.0.5: timeout") },
		}, slog.New(slog.DiscardHandler))
		if got := r.ask(t.Context()).Checks["vault"]; got.Error != "ping 10.0.0.5: timeout" {
			t.Errorf("check that heeds its context: %+v, want its own error", got)
		}
	})
}

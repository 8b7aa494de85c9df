package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

// tickets is a channel that wants a message for each alert.
var tickets = []alert.Channel{{Key: "TICKETS", Type: "WEBHOOK", Recipients: []string{"https://tickets/..."}, RetryAttempts: 2, RetryDelay: time.Minute, PerAlert: true}}

// eachWorld is a world with a receiver of single messages.
type eachWorld struct {
	*world
	sent []activities.SendEachInput
	on   func(n int, in activities.SendEachInput) (activities.SendEachOutput, error)
}

// eachActivity has the one method that the test environment is to take for an activity.
type eachActivity struct{ w *eachWorld }

func (a *eachActivity) SendEach(_ context.Context, in activities.SendEachInput) (activities.SendEachOutput, error) {
	a.w.mu.Lock()
	defer a.w.mu.Unlock()
	a.w.sent = append(a.w.sent, in)
	if a.w.on != nil {
		return a.w.on(len(a.w.sent), in)
	}
	return activities.SendEachOutput{Delivered: keysOf(in)}, nil
}

func keysOf(in activities.SendEachInput) (keys []string) {
	for _, a := range in.Message.Alerts {
		keys = append(keys, a.Key)
	}
	return keys
}

func newEachWorld(t *testing.T) *eachWorld {
	t.Helper()
	w := &eachWorld{world: newWorld(t, tickets)}
	w.env.RegisterActivity(&eachActivity{w})
	return w
}

// storm brings alerts together, and their end after a while.
func (w *eachWorld) storm(n int, until time.Duration) {
	var begin, end []alert.Transition
	for i := range n {
		key := fmt.Sprintf("K%05d", i)
		item := fired(key)
		item.Seq = int64(i + 1)
		if i > 0 {
			item.Definition = nil
		}
		begin, end = append(begin, item), append(end, ended(alert.TransitionResolved, key, "condition cleared"))
	}
	w.bring(0, begin...)
	w.bring(until, end...)
}

func (w *eachWorld) sizes(event string) (sizes []int) {
	for _, in := range w.sent {
		if in.Event == event {
			sizes = append(sizes, len(in.Message.Alerts))
		}
	}
	slices.Sort(sizes)
	return sizes
}

func TestAlert_AStormGoesOutOneByOneWhereTheChannelAsksForIt(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.storm(1200, 10*time.Minute)
	result := w.run()
	for _, event := range []string{"FIRED", "RESOLVED"} {
		if got := w.sizes(event); !slices.Equal(got, []int{200, 500, 500}) {
			t.Errorf("%s in batches of %v, want 500, 500 and 200", event, got)
		}
	}
	if len(w.world.sent) != 0 {
		t.Errorf("%d messages told of several alerts", len(w.world.sent))
	}
	if result.Delivered != 2400 || result.Failed != 0 {
		t.Errorf("delivered %d, failed %d", result.Delivered, result.Failed)
	}
	told := 0
	for _, c := range w.changes {
		if c.Change == "NOTIFIED" {
			if told++; c.Count != 1 {
				t.Errorf("%s was told of by %d messages", c.AlertKey, c.Count)
			}
		}
	}
	if told != 2400 {
		t.Errorf("%d are counted, want 2400", told)
	}
}

func TestAlert_OneByOneOnlyWhatIsLeftIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if n == 1 {
			return activities.SendEachOutput{
				Delivered: []string{"K00000"}, Again: []string{"K00001", "K00002"}, Tried: []string{"K00001"}, Doubtful: []string{"K00001"},
				Receipt: activities.Receipt{Class: activities.Transient, Reason: "HTTP 503"},
			}, nil
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(3, 10*time.Minute)
	w.run()
	second := w.sent[1]
	if got := keysOf(second); !slices.Equal(got, []string{"K00001", "K00002"}) || second.Attempts["K00001"] != 1 || second.Attempts["K00002"] != 0 || !slices.Equal(second.Doubtful, []string{"K00001"}) || second.Uncertain {
		t.Errorf("the second attempt is %+v of %v", second, got)
	}
	if got := w.sizes("RESOLVED"); !slices.Equal(got, []int{3}) {
		t.Errorf("the end was told in %v", got)
	}
}

func TestAlert_OneByOneAnAnswerEndsThePagingOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(_ int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if in.Event == "FIRED" {
			return activities.SendEachOutput{Again: keysOf(in), Tried: keysOf(in)[:1], Receipt: activities.Receipt{Class: activities.NotSent, Reason: "refused"}}, nil
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(2, 10*time.Minute)
	w.update(30*time.Second, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.run()
	if got := w.sizes("FIRED"); !slices.Equal(got, []int{2}) {
		t.Errorf("told in %v: after the answer nobody is to be told", got)
	}
	if got := w.sizes("RESOLVED"); len(got) != 0 {
		t.Errorf("the end was told in %v, and nobody knew of the beginning", got)
	}
	if len(w.ledger) != 1 || w.ledger[0].Status != "SUPPRESSED" || w.ledger[0].AlertKey != "K00000" {
		t.Errorf("the ledger is closed with %+v, want the one that was begun", w.ledger)
	}
}

func TestAlert_OneByOneADeadWorkerLeavesItToTheLedger(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if n <= 2 {
			return activities.SendEachOutput{}, errors.New("the worker died")
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(3, 10*time.Minute)
	if result := w.run(); result.Delivered != 6 || result.Failed != 0 {
		t.Errorf("delivered %d, failed %d", result.Delivered, result.Failed)
	}
	for _, in := range w.sent {
		if in.Uncertain {
			t.Errorf("after the attempts %v everything is called uncertain, but the ledger knows", in.Attempts)
		}
	}
}

// Without the ledger nobody knows what a dead worker sent.
func TestAlert_OneByOneADeathWithoutTheVaultIsUncertainAndEndsAfterTheSecond(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		switch {
		case n == 1:
			return activities.SendEachOutput{VaultSilent: true, Again: keysOf(in)}, nil
		case in.Event == "FIRED":
			return activities.SendEachOutput{}, errors.New("the worker died")
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(2, 10*time.Minute)
	w.run()
	var uncertain, later []bool
	for _, in := range w.sent {
		if in.Event == "FIRED" {
			uncertain, later = append(uncertain, in.Uncertain), append(later, in.LedgerLater)
		}
	}
	if !slices.Equal(uncertain, []bool{false, false, true}) || !slices.Equal(later, []bool{false, true, true}) {
		t.Errorf("uncertain %v, without the ledger %v", uncertain, later)
	}
	if len(w.ledger) != 2 || w.ledger[0].Status != "FAILED" || !w.ledger[0].PossibleDuplicate {
		t.Errorf("the ledger says %+v", w.ledger)
	}
}

func TestAlert_OneByOneANewSilenceStopsARetryAndOwesWhatWasNotTold(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if n == 1 { // the first of three came through, the second did not, the third was not begun
			keys := keysOf(in)
			return activities.SendEachOutput{
				Delivered: keys[:1], Again: keys[1:], Tried: keys[1:2],
				Receipt: activities.Receipt{Class: activities.NotSent, Reason: "refused"}, RetryAfter: 10 * time.Minute,
			}, nil
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(3, 70*time.Minute)
	w.after(time.Minute, func() { w.silenced(time.Minute, time.Hour) })
	w.bring(time.Minute+time.Second, mutesChanged("K00000"))
	w.run()
	if got := len(w.sent); got != 3 {
		t.Fatalf("%d activities, want the first, one after the silence, and the end", got)
	}
	if got := keysOf(w.sent[1]); w.sent[1].Event != "FIRED" || !slices.Equal(got, []string{"K00001", "K00002"}) {
		t.Errorf("after the silence %s is told of %v, want those who were not told of", w.sent[1].Event, got)
	}
	if got := w.sizes("RESOLVED"); !slices.Equal(got, []int{3}) {
		t.Errorf("the end was told in %v", got)
	}
	if got := w.suppressed(); len(got) != 2 || !strings.Contains(got[0], "silenced until") || !strings.Contains(got[1], "silenced until") {
		t.Errorf("the ledger says %q, want why two were not told of", got)
	}
}

// Nobody but the ledger knows what a worker told of before it died: people who may have heard of an alert hear of its
// end, and under a silence what is left is owed.
func TestAlert_OneByOneWhatADeadWorkerMayHaveToldIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		switch n {
		case 1: // while it works one is acknowledged
			w.env.SignalWorkflow(alert.SignalAcknowledge, alert.Command{Actor: "dana", Alerts: []string{"K00000"}})
			return activities.SendEachOutput{}, errors.New("the worker died")
		case 2:
			return activities.SendEachOutput{Again: keysOf(in), Receipt: activities.Receipt{Class: activities.NotSent, Reason: "refused"}, RetryAfter: 10 * time.Minute}, nil
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(3, 70*time.Minute)
	w.after(time.Minute, func() { w.silenced(time.Minute, time.Hour) })
	w.bring(time.Minute+time.Second, mutesChanged("K00001"))
	w.run()
	var told []string
	for _, in := range w.sent {
		keys := keysOf(in)
		slices.Sort(keys)
		told = append(told, in.Event+" "+strings.Join(keys, ","))
	}
	if want := []string{"FIRED K00000,K00001,K00002", "FIRED K00001,K00002", "FIRED K00001,K00002", "RESOLVED K00000,K00001,K00002"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if len(w.ledger) != 1 || w.ledger[0].AlertKey != "K00000" || w.ledger[0].Class != "UNCERTAIN" || w.ledger[0].DeliveryKey != "K00000/FIRED" {
		t.Errorf("the ledger says %+v, want that of the acknowledged one nobody knows", w.ledger)
	}
}

func TestAlert_OneByOneTheLedgerSaysHowOftenTheWorkerEnded(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(_ int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if in.Event == "FIRED" {
			return activities.SendEachOutput{}, errors.New("the worker died")
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(2, 10*time.Minute)
	w.run()
	if n := len(w.sizes("FIRED")); n != 6 {
		t.Fatalf("%d attempts", n)
	}
	if len(w.ledger) == 0 || !strings.Contains(w.ledger[0].Reason, "the worker ended 6 times") {
		t.Errorf("the ledger says %+v", w.ledger)
	}
}

package workflows_test

import (
	"slices"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

// circuitOpen is the answer of an activity whose message a circuit did not let be tried.
func circuitOpen() activities.SendNotificationOutput {
	return activities.SendNotificationOutput{
		Refused: true, Receipt: activities.Receipt{Class: activities.NotSent, Reason: "circuit open since noon", RetryAfter: 30 * time.Second},
	}
}

func TestAlert_ARefusalOfACircuitIsNoAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	n := 0
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event != "FIRED" {
			return accepted(), nil
		}
		if n++; n <= 40 {
			return circuitOpen(), nil
		}
		if n == 41 {
			return failed(activities.Transient, 0, false), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.update(2*time.Hour, alert.UpdateResolve, alert.Command{Actor: "dana"})
	if result := w.run(); result.Failed != 0 {
		t.Errorf("failed %d", result.Failed)
	}
	told := slices.DeleteFunc(slices.Clone(w.sent), func(m sentMessage) bool { return m.Event != "FIRED" })
	if len(told) != 42 {
		t.Fatalf("%d messages told of the firing, want 42", len(told))
	}
	since := told[1].RefusedSince
	if !told[0].RefusedSince.IsZero() || since.IsZero() {
		t.Fatalf("refused since %s, then %s", told[0].RefusedSince, since)
	}
	for i, m := range told[1:] {
		want := 0
		if i == 40 {
			want = 1 // only what was tried counts
		}
		if m.Attempt != want || !m.RefusedSince.Equal(since) {
			t.Errorf("message %d: attempt %d, refused since %s; want %d, %s", i+1, m.Attempt, m.RefusedSince, want, since)
		}
	}
}

func TestAlert_OneByOneARefusalOfACircuitIsNoAttempt(t *testing.T) {
	t.Parallel()
	w := newEachWorld(t)
	w.on = func(n int, in activities.SendEachInput) (activities.SendEachOutput, error) {
		if n <= 4 { // the first is tried, and fails; the second is refused; the third is not come to
			return activities.SendEachOutput{
				Again: []string{"K00000", "K00001", "K00002"}, Tried: []string{"K00000", "K00001"}, Refused: []string{"K00001"},
				Receipt: activities.Receipt{Class: activities.NotSent, Reason: "circuit open since noon"}, RetryAfter: 30 * time.Second,
			}, nil
		}
		return activities.SendEachOutput{Delivered: keysOf(in)}, nil
	}
	w.storm(3, 10*time.Minute)
	w.run()
	var attempts [][]int
	for _, in := range w.sent[:5] {
		attempts = append(attempts, []int{in.Attempts["K00000"], in.Attempts["K00001"], in.Attempts["K00002"]})
	}
	for i, got := range attempts {
		if !slices.Equal(got, []int{i, 0, 0}) {
			t.Errorf("before activity %d the alerts had %v attempts, want only those that were made", i, got)
		}
	}
	first := w.sent[1].RefusedSince
	if !w.sent[0].RefusedSince.IsZero() || first.IsZero() || !w.sent[4].RefusedSince.Equal(first) {
		t.Errorf("refused since %s, %s, %s: want none, and then always the first", w.sent[0].RefusedSince, first, w.sent[4].RefusedSince)
	}
}

func TestDigest_ARefusalOfACircuitIsNoAttempt(t *testing.T) {
	t.Parallel()
	w := newDigest(t)
	for range 3 {
		w.outcomes = append(w.outcomes, func() (activities.SendNotificationOutput, error) { return circuitOpen(), nil })
	}
	w.at(0, "FIRED", "A")
	w.run()
	if len(w.inputs) != 4 {
		t.Fatalf("%d attempts, want 4", len(w.inputs))
	}
	for i, in := range w.inputs {
		if in.Attempt != 0 || in.RefusedSince.IsZero() != (i == 0) {
			t.Errorf("attempt %d was sent as %d, refused since %s", i, in.Attempt, in.RefusedSince)
		}
	}
}

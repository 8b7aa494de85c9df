package activities

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/notify"
)

// reasons lists why the notifications failed that stand as failed.
func (w *world) reasons() []string {
	w.Helper()
	var list []string
	err := w.store.Pool().QueryRow(w.Context(), `
		SELECT coalesce(array_agg(failure_reason), '{}') FROM monitoring.notification_log_s
		 WHERE load_end_date IS NULL AND delivery_status = 'FAILED'`).Scan(&list)
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func TestRefused_ARefusalIsNoAttemptAndIsGivenUpAfterAnHourWithItsReason(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: 2 * time.Hour})
	w.openCircuit(in, 2)
	in.Attempt = in.Channel.RetryAttempts // what is tried now is the last
	for _, since := range []time.Time{{}, time.Now().Add(-59 * time.Minute)} {
		in.RefusedSince = since
		if out := w.send(in); out.Final || !out.Refused || out.Receipt.Class != notify.NotSent {
			t.Errorf("refused since %s: %+v", since, out)
		}
	}
	in.RefusedSince = time.Now().Add(-61 * time.Minute)
	if out := w.send(in); !out.Final || !out.Refused {
		t.Errorf("refused for an hour: %+v", out)
	}
	w.wantReceived(0)
	got := w.reasons()
	if len(got) != 1 || !strings.HasPrefix(got[0], "circuit open since 20") || !strings.Contains(got[0], "given up: this message was first refused at 20") || !strings.Contains(got[0], "1h0m0s") {
		t.Errorf("the ledger says %q", got)
	}
}

func TestRefused_SomebodyElseHearsOfItAfterTwoMinutes(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: 2 * time.Hour})
	w.openCircuit(in, 2)
	in.NextInLine, in.RefusedSince = true, time.Now().Add(-119*time.Second)
	if out := w.send(in); out.Final || !out.Refused {
		t.Errorf("refused for less than two minutes: %+v", out)
	}
	in.RefusedSince = time.Now().Add(-121 * time.Second)
	if out := w.send(in); !out.Final || !out.Refused {
		t.Errorf("refused for two minutes: %+v", out)
	}
	if got := w.reasons(); len(got) != 1 || !strings.Contains(got[0], "2m0s is as long as one waits where another can be told") {
		t.Errorf("the ledger says %q", got)
	}
}

func TestRefused_WhatIsTriedAndFailsUsesAttemptsUpHoweverOftenItWasRefused(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 5})
	in.Attempt, in.RefusedSince = in.Channel.RetryAttempts, time.Now()
	w.fail(1, 503)
	if out := w.send(in); !out.Final || out.Refused {
		t.Errorf("the last attempt: %+v", out)
	}
}

func TestRefused_OneByOneOnlyWhatWasTriedUsesItsAttemptsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alerts := w.openMany(perIntent)
	in := each(w.perAlert(), alerts...)
	in.Message.Definition.Severity = alert.SeverityHigh
	w.notifications.Circuits = NewCircuits(CircuitLimits{Failures: 2, OpenFor: time.Hour}, w.notifications.Log)
	w.fail(1<<20, 503)
	in.Attempts = map[string]int{}
	for _, a := range alerts {
		in.Attempts[a.Key] = 2 // retry_attempts
	}
	out := w.sendEach(in)
	if len(out.Failed) < 2 || len(out.Failed) > perChannel+1 || len(out.Refused) != len(alerts)-len(out.Failed) || !slices.Equal(out.Again, out.Refused) {
		t.Fatalf("failed %d, refused %d, again %d: those under way when the circuit opened fail, the others come again", len(out.Failed), len(out.Refused), len(out.Again))
	}

	tried := len(out.Failed)
	in.Message.Alerts = slices.DeleteFunc(slices.Clone(alerts), func(a alert.Alert) bool { return !slices.Contains(out.Again, a.Key) })
	in.RefusedSince = time.Now().Add(-2 * time.Hour)
	if out = w.sendEach(in); len(out.Failed) != len(alerts)-tried || len(out.Again) != 0 {
		t.Errorf("after an hour of refusals failed %d, again %d", len(out.Failed), len(out.Again))
	}
	given := slices.DeleteFunc(w.reasons(), func(r string) bool { return !strings.Contains(r, "given up") })
	if len(given) != len(alerts)-tried {
		t.Errorf("%d are given up in the ledger, want %d", len(given), len(alerts)-tried)
	}
}

func TestRefused_TheDigestIsNoAttemptEither(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: time.Hour})
	w.openCircuit(in, 2)
	digest := SendDigestInput{
		Channel: in.Channel, Recipient: in.Recipient, Key: "digest/OPS/1", Attempt: in.Channel.RetryAttempts,
		Parts: []DigestPart{{Event: "FIRED", Definition: in.Message.Definition, Alerts: in.Message.Alerts}},
	}
	if out := w.sendDigest(digest); out.Final || !out.Refused {
		t.Errorf("refused: %+v", out)
	}
	digest.RefusedSince = time.Now().Add(-2 * time.Hour)
	if out := w.sendDigest(digest); !out.Final || !out.Refused {
		t.Errorf("refused for two hours: %+v", out)
	}
}

func TestRefused_ThePausesGrowWithTheOutageUpToALimit(t *testing.T) {
	t.Parallel()
	k := NewCircuits(CircuitLimits{}, slog.New(slog.DiscardHandler)).of("somewhere")
	for _, c := range []struct {
		open     time.Duration
		critical bool
		want     time.Duration
	}{
		{time.Minute, false, 15 * time.Second},
		{10 * time.Minute, false, 150 * time.Second},
		{5 * time.Hour, false, longestPause},
		{5 * time.Hour, true, criticalPause},
	} {
		k.since = time.Now().Add(-c.open)
		if got := k.refusal(c.critical).after; got < c.want || got > c.want+time.Second {
			t.Errorf("open for %s, critical %t: the next after %s, want %s", c.open, c.critical, got, c.want)
		}
	}
}

func TestSendEach_TheLeastTriedGoFirst(t *testing.T) {
	t.Parallel()
	in := SendEachInput{
		Message:  notify.Message{Alerts: []alert.Alert{{Key: "A"}, {Key: "B"}, {Key: "C"}, {Key: "D"}}},
		Attempts: map[string]int{"A": 2, "B": 1},
	}
	var order string
	for _, a := range in.leastTriedFirst() {
		order += a.Key
	}
	if order != "CDBA" {
		t.Errorf("tried in the order %s, want CDBA", order)
	}
}

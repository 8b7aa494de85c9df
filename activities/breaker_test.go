package activities

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/alert"
	"onevault/inbox"
	"onevault/notify"
)

// guarded is a world whose messages pass circuits with short times.
func guarded(t *testing.T, limits CircuitLimits) (*world, SendNotificationInput) {
	t.Helper()
	w := newWorld(t)
	w.notifications.Circuits = NewCircuits(limits, slog.New(slog.NewTextHandler(w.log, nil)))
	in := first(w.webhook(), w.open())
	in.Message.Definition.Severity = alert.SeverityHigh
	in.Channel.RetryAttempts = 20
	return w, in
}

func (w *world) fail(times, status int) {
	w.Helper()
	if err := w.inbox.Fail(inbox.Webhook, times, inbox.Behaviour{Status: status}); err != nil {
		w.Fatal(err)
	}
}

// open makes the destination's circuit open by so many failures.
func (w *world) openCircuit(in SendNotificationInput, failures int) {
	w.Helper()
	w.fail(failures, http.StatusServiceUnavailable)
	for range failures {
		if out := w.send(in); out.Receipt.Class != notify.Transient {
			w.Fatalf("%+v", out)
		}
	}
}

func TestCircuits_ADestinationThatFailsInARowIsLeftAloneAndThenTriedByOne(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 3, OpenFor: 2 * time.Second})
	w.openCircuit(in, 3)

	out := w.send(in) // the provider would take it: nobody asks
	if out.Receipt.Class != notify.NotSent || out.Final || out.Receipt.RetryAfter <= 0 || out.Receipt.RetryAfter > 2*time.Second {
		t.Errorf("output %+v", out)
	}
	for _, part := range []string{"circuit open since 20", " until 20", "3 attempts in a row failed at webhook 127.0.0.1:", "HTTP 503"} {
		if !strings.Contains(out.Receipt.Reason, part) {
			t.Errorf("the reason lacks %q: %s", part, out.Receipt.Reason)
		}
	}
	w.wantReceived(0)
	states := w.notifications.Circuits.States()
	if len(states) != 1 || states[0].State != "open" || states[0].Opened != 1 || states[0].Refused != 1 {
		t.Errorf("states %+v", states)
	}

	time.Sleep(out.Receipt.RetryAfter + 50*time.Millisecond) // as the workflow waits
	if out := w.send(in); out.Receipt.Class != notify.Accepted {
		t.Errorf("the probe: %+v", out)
	}
	if state := w.notifications.Circuits.States()[0]; state.State != "closed" || !state.Since.IsZero() {
		t.Errorf("after the probe %+v", state)
	}
	w.wantReceived(1)
	if log := w.log.String(); !strings.Contains(log, "circuit opened") || !strings.Contains(log, "circuit closed") {
		t.Errorf("the log says nothing of it: %s", log)
	}
}

func TestCircuits_AFailedProbeKeepsItOpenFromTheBeginning(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: 300 * time.Millisecond})
	w.openCircuit(in, 2)
	since := w.notifications.Circuits.States()[0].Since
	time.Sleep(350 * time.Millisecond)
	w.fail(1, http.StatusServiceUnavailable)
	if out := w.send(in); out.Receipt.Class != notify.Transient {
		t.Fatalf("the probe: %+v", out)
	}
	state := w.notifications.Circuits.States()[0]
	if state.Since != since || !state.Until.After(time.Now()) || state.Opened != 1 {
		t.Errorf("%+v, open since %s", state, since)
	}
}

func TestCircuits_ACriticalMessageGoesThroughAnOpenOneAndClosesIt(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: time.Hour})
	w.openCircuit(in, 2)
	critical := first(in.Channel, w.open())
	if out := w.send(critical); out.Receipt.Class != notify.Accepted {
		t.Errorf("output %+v", out)
	}
	if out := w.send(in); out.Receipt.Class != notify.Accepted {
		t.Errorf("after it: %+v", out)
	}
}

func TestCircuits_WhatIsNoFailureOfTheDestinationOpensNothing(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: time.Hour})
	for range 2 {
		w.fail(1, http.StatusServiceUnavailable)
		w.send(in)
		w.fail(1, http.StatusBadRequest) // a refused message is an answer
		w.send(in)
	}
	if state := w.notifications.Circuits.States()[0]; state.State != "closed" {
		t.Errorf("%+v", state)
	}
}

func TestCircuits_ASlowDestinationHasSoManyPlacesAndNoMore(t *testing.T) {
	t.Parallel()
	c := NewCircuits(CircuitLimits{Slots: 2, Waiting: 1, Patience: 50 * time.Millisecond}, slog.New(slog.DiscardHandler))
	var (
		in      SendNotificationInput
		release = make(chan struct{})
		begun   = make(chan struct{}, 2)
		held    sync.WaitGroup
	)
	hang := func(context.Context) notify.Receipt {
		begun <- struct{}{}
		<-release
		return notify.Receipt{Class: notify.Accepted}
	}
	for range 2 {
		held.Go(func() { c.send(t.Context(), "slow", in, hang) })
	}
	<-begun
	<-begun
	took := time.Now()
	receipt, refused := c.send(t.Context(), "slow", in, hang)
	if !refused || receipt.Class != notify.NotSent || receipt.RetryAfter != busyRetry || time.Since(took) < 50*time.Millisecond ||
		!strings.Contains(receipt.Reason, "2 messages are under way to slow") {
		t.Errorf("%+v, refused %t", receipt, refused)
	}
	if receipt, _ := c.send(t.Context(), "fast", in, func(context.Context) notify.Receipt { return notify.Receipt{Class: notify.Accepted} }); receipt.Class != notify.Accepted {
		t.Errorf("another destination: %+v", receipt)
	}
	close(release)
	held.Wait()
	if state := c.States()[1]; state.UnderWay != 0 || state.Waiting != 0 || state.Refused != 1 {
		t.Errorf("%+v", state)
	}
}

func TestCircuits_WhatTheyRefuseTheVaultTellsTheDoctorUntilAMessageArrives(t *testing.T) {
	t.Parallel()
	w, in := guarded(t, CircuitLimits{Failures: 2, OpenFor: 200 * time.Millisecond})
	w.openCircuit(in, 2)
	w.send(in)
	refused, err := w.store.RefusedChannels(t.Context())
	if err != nil || len(refused) != 1 || refused[0].Channel != "OPS" || refused[0].Refused != 1 || !strings.HasPrefix(refused[0].Reason, "circuit open since") {
		t.Fatalf("%+v, %v", refused, err)
	}
	time.Sleep(250 * time.Millisecond)
	if out := w.send(in); out.Receipt.Class != notify.Accepted {
		t.Fatalf("%+v", out)
	}
	if refused, err := w.store.RefusedChannels(t.Context()); err != nil || len(refused) != 0 {
		t.Errorf("%+v, %v", refused, err)
	}
}

package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"onevault/alert"
	"onevault/notify"
)

// CircuitLimits are how much one destination may take of a worker, and when it is left alone for a while.
type CircuitLimits struct {
	Failures uint32        // in a row, by which a circuit opens; default 5
	OpenFor  time.Duration // until one message tries again; default 30 s
	Slots    int           // messages under way to one destination; default 32
	Waiting  int           // messages that wait for one of them; default 256
	Patience time.Duration // how long one waits; default 10 s
	// GiveUpAfter is how long a message that was refused is refused again before it counts as failed; default 1 h.
	GiveUpAfter time.Duration
}

func (l CircuitLimits) withDefaults() CircuitLimits {
	if l.Failures == 0 {
		l.Failures = 5
	}
	if l.OpenFor == 0 {
		l.OpenFor = 30 * time.Second
	}
	if l.Slots == 0 {
		l.Slots = 32
	}
	if l.Waiting == 0 {
		l.Waiting = 256
	}
	if l.Patience == 0 {
		l.Patience = 10 * time.Second
	}
	if l.GiveUpAfter == 0 {
		l.GiveUpAfter = time.Hour
	}
	return l
}

// busyRetry is when a message comes again that found too many others before it.
const busyRetry = 5 * time.Second

// Circuits keep one destination from costing the others anything. Each has so many places in this worker and no
// more, and one that failed so often in a row is not asked for a while: its messages are refused at once instead of
// waiting for its timeout. There is one for a process; a nil one refuses nothing. Safe for concurrent use.
type Circuits struct {
	limits CircuitLimits
	log    *slog.Logger

	mu   sync.Mutex
	each map[string]*circuit
}

// NewCircuits returns one that has seen no failure yet.
func NewCircuits(limits CircuitLimits, log *slog.Logger) *Circuits {
	return &Circuits{limits: limits.withDefaults(), log: log, each: map[string]*circuit{}}
}

// CircuitState is how a destination stands.
type CircuitState struct {
	Destination string
	State       string    // closed, open, half-open
	Since       time.Time // when it opened; zero: it is closed
	Until       time.Time // when the next message tries it
	UnderWay    int
	Waiting     int
	Opened      int64 // how often, since the worker began
	Refused     int64 // messages that were not tried, since then
}

// States lists the destinations that were used since the worker began, by name.
func (c *Circuits) States() []CircuitState {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	states := make([]CircuitState, 0, len(c.each))
	for _, k := range c.each {
		states = append(states, k.state())
	}
	slices.SortFunc(states, func(a, b CircuitState) int { return strings.Compare(a.Destination, b.Destination) })
	return states
}

// refusal is why a message was not tried.
type refusal struct {
	reason string
	after  time.Duration
}

func (r *refusal) receipt() notify.Receipt {
	return notify.Receipt{Class: notify.NotSent, Reason: r.reason, RetryAfter: r.after}
}

// send makes an attempt at a destination, or refuses it; refused says which.
func (c *Circuits) send(ctx context.Context, destination string, in SendNotificationInput, attempt func(context.Context) notify.Receipt) (receipt notify.Receipt, refused bool) {
	if c == nil {
		return attempt(ctx), false
	}
	k := c.of(destination)
	critical := in.Message.Definition.Severity == alert.SeverityCritical
	// A circuit that is open gives its answer before anybody waits for a place.
	if no := k.closedTo(critical); no != nil {
		k.refused.Add(1)
		return no.orLater(in.Channel.RetryDelay).receipt(), true
	}
	leave, no := k.enter(ctx, c.limits)
	if no != nil {
		k.refused.Add(1)
		return no.receipt(), true
	}
	defer leave()
	done, no := k.allow(critical)
	if no != nil {
		k.refused.Add(1)
		return no.orLater(in.Channel.RetryDelay).receipt(), true
	}
	receipt = attempt(ctx)
	done(receipt)
	return receipt, false
}

// orLater: who gave a channel a longer pause between two attempts has it.
func (r *refusal) orLater(pause time.Duration) *refusal {
	r.after = max(r.after, pause)
	return r
}

func (c *Circuits) of(destination string) *circuit {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, known := c.each[destination]
	if !known {
		k = &circuit{name: destination, limits: c.limits, log: c.log, slots: make(chan struct{}, c.limits.Slots)}
		k.reset()
		c.each[destination] = k
	}
	return k
}

// circuit is one destination.
type circuit struct {
	name   string
	limits CircuitLimits
	log    *slog.Logger

	slots   chan struct{}
	waiting atomic.Int64
	opened  atomic.Int64
	refused atomic.Int64
	urgent  atomic.Bool // a critical message is trying although the circuit is open

	mu      sync.Mutex
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	since   time.Time
	until   time.Time
	last    string // what the last failure said
}

// failedAttempt and askedToWait are what the breaker is told of an attempt; nil is a success.
type failedAttempt struct{}

func (failedAttempt) Error() string { return "the attempt failed" }

type askedToWait struct{}

func (askedToWait) Error() string { return "nothing was tried" }

// reset closes the circuit.
func (k *circuit) reset() {
	breaker := gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: k.name, Timeout: k.limits.OpenFor, MaxRequests: 1,
		ReadyToTrip:   func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= k.limits.Failures },
		OnStateChange: k.changed,
		IsExcluded:    func(err error) bool { return errors.Is(err, askedToWait{}) },
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.breaker, k.since, k.until = breaker, time.Time{}, time.Time{}
}

// changed is called with the breaker's own lock held, and asks it nothing.
func (k *circuit) changed(_ string, from, to gobreaker.State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	switch to {
	case gobreaker.StateOpen:
		if from == gobreaker.StateClosed {
			k.since = now
			k.opened.Add(1)
			k.log.Warn("circuit opened: the destination is left alone for a while", "destination", k.name, "for", k.limits.OpenFor, "last", k.last)
		}
		k.until = now.Add(k.limits.OpenFor)
	case gobreaker.StateClosed:
		k.log.Info("circuit closed: the destination answers again", "destination", k.name, "open_for", now.Sub(k.since).Round(time.Millisecond))
		k.since, k.until = time.Time{}, time.Time{}
	case gobreaker.StateHalfOpen:
	}
}

func (k *circuit) current() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.breaker
}

// closedTo is why the circuit would refuse a message now; nil: it may take it.
func (k *circuit) closedTo(critical bool) *refusal {
	if critical && !k.urgent.Load() || k.current().State() != gobreaker.StateOpen {
		return nil
	}
	return k.refusal(critical)
}

func (k *circuit) refusal(critical bool) *refusal {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := time.Until(k.until)
	reason := fmt.Sprintf("circuit open since %s until %s: %d attempts in a row failed at %s; the last one said: %s",
		stamp(k.since), stamp(k.until), k.limits.Failures, k.name, k.last)
	if left <= 0 {
		reason = fmt.Sprintf("circuit open since %s: another message is just trying whether %s answers again; the last one said: %s",
			stamp(k.since), k.name, k.last)
	}
	// Who finds another one trying does not come again at once while that one waits for an answer.
	after := max(left, k.limits.OpenFor/4, time.Second)
	if !k.since.IsZero() {
		after = max(after, growing(time.Since(k.since), critical))
	}
	return &refusal{reason: reason, after: after}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// enter takes a place among the messages to the destination, and waits a while for one.
func (k *circuit) enter(ctx context.Context, limits CircuitLimits) (leave func(), no *refusal) {
	leave = func() { <-k.slots }
	select {
	case k.slots <- struct{}{}:
		return leave, nil
	default:
	}
	if k.waiting.Add(1) > int64(limits.Waiting) {
		k.waiting.Add(-1)
		return nil, k.busy()
	}
	defer k.waiting.Add(-1)
	patience := time.NewTimer(limits.Patience)
	defer patience.Stop()
	select {
	case k.slots <- struct{}{}:
		return leave, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	return nil, k.busy()
}

func (k *circuit) busy() *refusal {
	return &refusal{after: busyRetry, reason: fmt.Sprintf("%d messages are under way to %s, and no more at a time: this one comes again", k.limits.Slots, k.name)}
}

// allow asks the breaker. A critical message goes through an open circuit, one at a time, and closes it if it
// arrives.
func (k *circuit) allow(critical bool) (done func(notify.Receipt), no *refusal) {
	report, err := k.current().Allow()
	if err == nil {
		return func(r notify.Receipt) { report(k.judge(r)) }, nil
	}
	if !critical || !k.urgent.CompareAndSwap(false, true) {
		return nil, k.refusal(critical)
	}
	return func(r notify.Receipt) {
		defer k.urgent.Store(false)
		if k.judge(r) == nil {
			k.log.Info("circuit closed: a critical message arrived", "destination", k.name)
			k.reset()
		}
	}, nil
}

// judge says what an attempt proves of its destination. A refusal of the message or of the configuration is an
// answer; who asks to wait, or was made to wait by our own pace, proves neither.
func (k *circuit) judge(r notify.Receipt) error {
	switch r.Class {
	case notify.Accepted, notify.Misconfigured, notify.Permanent:
		return nil
	case notify.NotSent, notify.Transient, notify.Uncertain:
	}
	if r.Class == notify.NotSent && r.RetryAfter > 0 {
		return askedToWait{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = r.Reason
	return failedAttempt{}
}

func (k *circuit) state() CircuitState {
	state := k.current().State().String()
	k.mu.Lock()
	defer k.mu.Unlock()
	return CircuitState{
		Destination: k.name, State: state, Since: k.since, Until: k.until,
		UnderWay: len(k.slots), Waiting: int(k.waiting.Load()), Opened: k.opened.Load(), Refused: k.refused.Load(),
	}
}

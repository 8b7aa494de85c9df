package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	// checkTimeout is how long a check may take: probes give up after a few seconds and then show
	// nothing at all.
	checkTimeout = 2 * time.Second
	// answerTimeout leaves a check that heeds its context the time to say what it waited for.
	answerTimeout = checkTimeout + 500*time.Millisecond
	// checkReuse is how long an outcome is good for: many probes cost the vault no more than one does.
	checkReuse = time.Second
)

var errNoAnswer = errors.New("no answer")

// Readiness is the body of /readyz.
type Readiness struct {
	Ready  bool             `json:"ready"`
	Checks map[string]Check `json:"checks"`
}

// Check is the last outcome of one condition of readiness.
type Check struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// AgeSeconds says how old the outcome is; for a check that does not answer, how long it has run.
	AgeSeconds float64 `json:"age_seconds"`
}

// readiness asks every check at once and remembers the outcomes for a moment.
type readiness struct {
	probes map[string]*probe
	log    *slog.Logger
}

func newReadiness(checks map[string]func(context.Context) error, log *slog.Logger) *readiness {
	probes := make(map[string]*probe, len(checks))
	for name, run := range checks {
		probes[name] = &probe{run: run}
	}
	return &readiness{probes: probes, log: log}
}

// ServeHTTP answers 200 when every check passes and 503 otherwise, with the same body.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	state := r.ask(req.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !state.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if err := json.NewEncoder(w).Encode(state); err != nil {
		r.log.Warn("readiness answer not written", "error", err)
	}
}

func (r *readiness) ask(ctx context.Context) Readiness {
	var (
		mu      sync.Mutex
		waiting sync.WaitGroup
		checks  = make(map[string]Check, len(r.probes))
	)
	for name, p := range r.probes {
		waiting.Go(func() {
			check := p.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			checks[name] = check
		})
	}
	waiting.Wait()

	state := Readiness{Ready: true, Checks: checks}
	for _, check := range checks {
		state.Ready = state.Ready && check.OK
	}
	return state
}

// probe runs one check, never twice at the same time: a check that hangs must not be started again and
// again by every question until the connections are used up.
type probe struct {
	run func(context.Context) error

	mu      sync.Mutex
	err     error
	started time.Time
	ended   time.Time
	running chan struct{} // closed when the present run ends; nil when none runs
}

func (p *probe) ask(ctx context.Context) Check {
	if check, fresh := p.fresh(); fresh {
		return check
	}
	select {
	case <-p.start(ctx):
		return p.last()
	case <-time.After(answerTimeout):
		return p.unanswered(errNoAnswer)
	case <-ctx.Done():
		return p.unanswered(ctx.Err())
	}
}

func (p *probe) fresh() (Check, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended.IsZero() || p.running != nil || time.Since(p.ended) > checkReuse {
		return Check{}, false
	}
	return outcome(p.err, p.ended), true
}

// start joins the run that is under way or begins one. The run outlives the question that began it:
// its outcome serves the next one too.
func (p *probe) start(ctx context.Context) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return p.running
	}
	done := make(chan struct{})
	p.running, p.started = done, time.Now()
	go p.finish(context.WithoutCancel(ctx), done)
	return done
}

func (p *probe) finish(ctx context.Context, done chan<- struct{}) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := safely(ctx, p.run)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.ended, p.running = err, time.Now(), nil
	close(done)
}

// safely turns a panic into an error: a broken check makes the worker unready, it does not end it.
func safely(ctx context.Context, run func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("check panicked: %v", r)
		}
	}()
	return run(ctx)
}

func (p *probe) last() Check {
	p.mu.Lock()
	defer p.mu.Unlock()
	return outcome(p.err, p.ended)
}

func (p *probe) unanswered(reason error) Check {
	p.mu.Lock()
	defer p.mu.Unlock()
	return outcome(reason, p.started)
}

func outcome(err error, at time.Time) Check {
	check := Check{OK: err == nil, AgeSeconds: time.Since(at).Seconds()}
	if err != nil {
		check.Error = err.Error()
	}
	return check
}

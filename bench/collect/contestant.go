//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"onevault/bench/cpu"
	"onevault/collect"
)

// contestant is a way to watch the server.
type contestant struct {
	name, role string
	// judged: it must cost less for a value than each yardstick does.
	judged, yardstick bool
	// whole: all that there is to collect, for which there is a time.
	whole bool
	open  func(ctx context.Context, w *watched, address string) (session, error)
}

// session is a contestant at work on one address.
type session struct {
	// collect measures once and returns how many values that gave.
	collect func(ctx context.Context) (int, error)
	// cpu is what the contestant's own process has spent.
	cpu   func() (time.Duration, error)
	close func() error
}

const (
	asOneVault = "watcher_onevault"
	asExporter = "watcher_exporter"
)

// contestants are all, OneVault's parts first.
func contestants(program exporter) []contestant {
	list := []contestant{}
	for _, p := range parts {
		list = append(list, contestant{name: "OneVault " + p.name, role: asOneVault, open: openParts(p)})
	}
	// Compliance is an audit that runs once a day, and no part of a collection.
	often, collection := parts[:2], parts[:4]
	return append(list,
		contestant{name: "OneVault health and performance", role: asOneVault, judged: true, open: openParts(often...)},
		contestant{name: "the same on a new connection", role: asOneVault, judged: true, open: openAnew(often...)},
		contestant{name: "OneVault, a full collection", role: asOneVault, whole: true, open: openParts(collection...)},
		// Told and not judged: connections are kept from one collection to the next.
		contestant{name: "the same on new connections", role: asOneVault, open: openAnew(collection...)},
		contestant{name: "exporter, lean (no settings)", role: asExporter, yardstick: true, open: program.open("--disable-settings-metrics")},
		contestant{name: "exporter, default", role: asExporter, yardstick: true, open: program.open()},
		contestant{name: "exporter, default and statements", role: asExporter, yardstick: true, open: program.open("--extend.query-path=" + program.statements)},
	)
}

// part is one of OneVault's collections. A value is what an exporter would show as a line of its own.
type part struct {
	name    string
	measure func(ctx context.Context, w *watched, target *collect.Target) (int, error)
}

// parts are all, those that come every few minutes first.
var parts = []part{
	{"health", measureHealth},
	{"performance", measurePerformance},
	{"capacity", measureCapacity},
	{"security", measureSecurity},
	{"compliance", measureCompliance},
}

func measureHealth(ctx context.Context, _ *watched, target *collect.Target) (int, error) {
	queries, err := collect.HealthQueries()
	if err != nil {
		return 0, err
	}
	health, err := target.CollectHealth(ctx, queries)
	if err != nil {
		return 0, err
	}
	values := 0
	for _, sample := range health.Samples {
		if sample.Error != "" {
			return 0, fmt.Errorf("%s is unknown: %s", sample.Name, sample.Error)
		}
		if sample.Value != nil || sample.Counter != nil {
			values++
		}
	}
	return values, nil
}

// countersPerStatement is how many numbers stand behind the four that name an entry.
const countersPerStatement = 10

// measurePerformance leaves out the texts: they are read once of a statement, when it is first among the
// costliest.
func measurePerformance(ctx context.Context, _ *watched, target *collect.Target) (int, error) {
	sample, err := target.SampleStatements(ctx)
	if err != nil {
		return 0, err
	}
	var document struct {
		Entries []json.RawMessage `json:"entries"`
	}
	if err := json.Unmarshal(sample, &document); err != nil {
		return 0, fmt.Errorf("the sample of the statements is no document: %w", err)
	}
	return countersPerStatement * len(document.Entries), nil
}

func measureCapacity(ctx context.Context, _ *watched, target *collect.Target) (int, error) {
	resources, problems, err := target.CollectCapacity(ctx)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("capacity is not measured: %q", problems)
	}
	return len(resources), err
}

func measureCompliance(ctx context.Context, _ *watched, target *collect.Target) (int, error) {
	controls, err := collect.Controls()
	if err != nil {
		return 0, err
	}
	results, err := target.CheckControls(ctx, controls)
	return len(results), err
}

// measureSecurity asks all checks what they find, without recording it.
func measureSecurity(ctx context.Context, _ *watched, target *collect.Target) (int, error) {
	results, err := target.DetectSecurity(ctx)
	if err != nil {
		return 0, err
	}
	for _, result := range results {
		if result.Failed != "" {
			return 0, fmt.Errorf("security check %s: %s", result.Check, result.Failed)
		}
	}
	return len(results), nil
}

// openParts collects as the worker does while it keeps its connections.
func openParts(list ...part) func(context.Context, *watched, string) (session, error) {
	return func(_ context.Context, w *watched, address string) (session, error) {
		target, err := collect.OpenTarget("watched", address)
		if err != nil {
			return session{}, err
		}
		return session{
			collect: func(ctx context.Context) (int, error) { return measureAll(ctx, w, target, list) },
			cpu:     ownCPU,
			close:   func() error { target.Close(); return nil },
		}, nil
	}
}

// openAnew opens a connection for each collection, as when it comes so seldom that none was kept.
func openAnew(list ...part) func(context.Context, *watched, string) (session, error) {
	return func(_ context.Context, w *watched, address string) (session, error) {
		return session{
			collect: func(ctx context.Context) (int, error) {
				target, err := collect.OpenTarget("watched", address)
				if err != nil {
					return 0, err
				}
				defer target.Close()
				return measureAll(ctx, w, target, list)
			},
			cpu:   ownCPU,
			close: func() error { return nil },
		}, nil
	}
}

func measureAll(ctx context.Context, w *watched, target *collect.Target, list []part) (values int, err error) {
	for _, p := range list {
		n, err := p.measure(ctx, w, target)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", p.name, err)
		}
		values += n
	}
	return values, nil
}

// ownCPU is this program's: while it measures, it does nothing but collect.
func ownCPU() (time.Duration, error) { return cpu.Of(os.Getpid()) }

func (e exporter) open(args ...string) func(context.Context, *watched, string) (session, error) {
	return func(ctx context.Context, _ *watched, address string) (session, error) {
		r, err := e.start(ctx, address, args...)
		if err != nil {
			return session{}, err
		}
		return session{collect: r.scrape, cpu: r.cpu, close: r.stop}, nil
	}
}

// figures are the cost of one collection, of each round.
type figures struct {
	Name      string  `json:"name"`
	Values    int     `json:"values"`
	BytesRead int64   `json:"bytes_read"`
	ServerMS  spread  `json:"server_cpu_ms"`
	OwnMS     spread  `json:"own_cpu_ms"`
	WallMS    spread  `json:"wall_ms"`
	PerValue  float64 `json:"cpu_us_per_value"` // median of both CPUs
	Verdict   string  `json:"verdict,omitempty"`

	judged, yardstick, whole bool
}

// compete gives each contestant its turns, one after the other in each round: what else happens on the
// machine meets all of them.
func compete(ctx context.Context, w *watched, list []contestant, size size, o options) ([]figures, error) {
	all := make([]figures, len(list))
	for i, c := range list {
		bytes, err := c.bytesRead(ctx, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all[i] = figures{Name: c.name, BytesRead: bytes, judged: c.judged, yardstick: c.yardstick, whole: c.whole}
	}
	if err := w.resetOwn(ctx); err != nil {
		return nil, err
	}
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "bench-collect: %s database, round %d of %d\n", size.name, round+1, o.rounds)
		for i, c := range list {
			if err := c.turn(ctx, w, size.collections(o), &all[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	for i := range all {
		all[i].finish()
	}
	return all, nil
}

// turn measures a contestant once, from connections that are open and warm, if it keeps any.
func (c contestant) turn(ctx context.Context, w *watched, collections int, into *figures) (err error) {
	s, err := c.open(ctx, w, w.addressOf(c.role))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if into.Values, err = s.collect(ctx); err != nil {
		return err
	}
	before, err := w.clocks(s)
	if err != nil {
		return err
	}
	for range collections {
		if _, err := s.collect(ctx); err != nil {
			return err
		}
	}
	after, err := w.clocks(s)
	if err != nil {
		return err
	}
	each := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) / float64(collections) }
	into.ServerMS.add(each(after.server - before.server))
	into.OwnMS.add(each(after.own - before.own))
	into.WallMS.add(each(after.wall.Sub(before.wall)))
	return nil
}

// bytesRead is what the server sends for one collection.
func (c contestant) bytesRead(ctx context.Context, w *watched) (bytes int64, err error) {
	p, address, err := countingProxy(w.addressOf(c.role))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	s, err := c.open(ctx, w, address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if _, err := s.collect(ctx); err != nil {
		return 0, err
	}
	before := p.received.Load()
	_, err = s.collect(ctx)
	return p.received.Load() - before, err
}

// clocks are all that a turn reads before and after.
type clocks struct {
	server, own time.Duration
	wall        time.Time
}

func (w *watched) clocks(s session) (c clocks, err error) {
	if c.own, err = s.cpu(); err != nil {
		return clocks{}, err
	}
	if c.server, err = cpu.Server(w.PID()); err != nil {
		return clocks{}, err
	}
	c.wall = time.Now()
	return c, nil
}

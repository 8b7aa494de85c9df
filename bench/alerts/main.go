//go:build linux

// Command alerts measures how fast, how cheaply and how faithfully alerts become messages: from a condition that
// becomes true, from a row that is inserted, in storms of thousands, while parts are killed, and at rest. The
// built binaries do the work; a receiver in this process takes the messages of OneVault and of Debian's Prometheus
// and Alertmanager alike. It judges the figures against goals; what is right and wrong the tests hold, but for
// one thing that it counts itself: messages that were lost or doubled.
//
//	make bench-alerts                                     all, with one table at the end, and as JSON
//	make bench-alerts ALERTSFLAGS="-only storm,ack"       some
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are what the command line says.
type options struct {
	only                 []string
	alerts, open, rounds int
	rest                 time.Duration
	json, cache, bin     string
	keep, busy           bool
}

// parts are what can be measured, in the order in which it is done.
var parts = []string{"cadence", "row", "storm", "ack", "each", "kill", "rest"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-alerts:", err)
		code = cmp.Or(code, 1)
	}
	os.Exit(code)
}

func parse(args []string) (options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	o := options{}
	only := ""
	flags := flag.NewFlagSet("bench-alerts", flag.ContinueOnError)
	flags.StringVar(&only, "only", strings.Join(parts, ","), "what is measured")
	flags.IntVar(&o.alerts, "alerts", 5_000, "alerts of a storm")
	flags.IntVar(&o.open, "open", 10_000, "open alerts at rest")
	flags.IntVar(&o.rounds, "rounds", 6, "rounds of ten conditions each, and three times as many rows")
	flags.DurationVar(&o.rest, "rest", time.Minute, "how long the rest is measured")
	flags.StringVar(&o.json, "json", "", "write the figures to this file as well")
	flags.StringVar(&o.cache, "cache", filepath.Join(cache, "onevault", "bench"), "where Debian's packages are kept")
	flags.StringVar(&o.bin, "bin", "bin", "where the binaries lie that are measured")
	flags.BoolVar(&o.keep, "keep", false, "keep data and logs")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o.only = strings.Split(only, ",")
	for _, name := range o.only {
		if !slices.Contains(parts, name) {
			return options{}, fmt.Errorf("-only names %q: give some of %s", name, strings.Join(parts, ","))
		}
	}
	for _, bound := range []struct {
		name            string
		value, min, max int
	}{{"alerts", o.alerts, 10, 10_000}, {"open", o.open, 10, 100_000}, {"rounds", o.rounds, 1, 100}, {"rest", int(o.rest.Seconds()), 5, 3600}} {
		if bound.value < bound.min || bound.value > bound.max {
			return options{}, fmt.Errorf("-%s is %d: give %d to %d", bound.name, bound.value, bound.min, bound.max)
		}
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("%q is no flag: see -help", flags.Arg(0))
	}
	return o, nil
}

// run returns 1 when a goal is missed.
func run(ctx context.Context, args []string) (code int, err error) {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 2, err
	}
	w, err := startWorld(ctx, o)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, w.close(err != nil)) }()

	report := newReport(w)
	var failure error
	for _, part := range parts {
		if !slices.Contains(o.only, part) {
			continue
		}
		before := load()
		figures, err := w.measure(ctx, part)
		for i := range figures {
			figures[i].LoadBefore, figures[i].LoadAfter = before, load()
		}
		report.Figures = append(report.Figures, figures...)
		if err != nil {
			failure = fmt.Errorf("%s: %w", part, err)
			break
		}
	}
	// What was found before a failure is found.
	report.print(os.Stdout)
	if o.json != "" {
		failure = errors.Join(failure, report.write(o.json))
	}
	return report.code(), failure
}

func (w *world) measure(ctx context.Context, part string) ([]figure, error) {
	fmt.Fprintf(os.Stderr, "bench-alerts: %s ...\n", part)
	switch part {
	case "cadence":
		return w.measureCadence(ctx)
	case "row":
		return w.measureRow(ctx)
	case "storm":
		return w.measureStorm(ctx)
	case "ack":
		return w.measureAcknowledgement(ctx)
	case "each":
		return w.measureEach(ctx)
	case "kill":
		return w.measureKills(ctx)
	}
	return w.measureRest(ctx)
}

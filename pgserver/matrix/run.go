package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"onevault/pgserver"
	"onevault/pgserver/pgtest"
)

// errTestsFailed says that go test ran and was not content; what failed stands in the output.
var errTestsFailed = errors.New("tests failed")

// matrix is what to run on what.
type matrix struct {
	vaults   []pgserver.Installation // the tests run on each of these
	targets  []pgserver.Installation // and watch these too
	packages []string                // empty: all whose tests need a server
	flags    []string
	out      io.Writer
	progress io.Writer
}

// result is the outcome of one package on one version.
type result struct {
	major   int
	name    string
	outcome string // ok, FAIL or "no result"
	took    string
}

func (m matrix) run(ctx context.Context) error {
	if len(m.packages) == 0 {
		var err error
		if m.packages, err = needServer(ctx); err != nil {
			return err
		}
	}
	var results []result
	for _, server := range m.vaults {
		of, err := m.test(ctx, server)
		if err != nil {
			return err
		}
		results = append(results, of...)
	}
	return m.report(results)
}

// needServer lists the packages whose tests start a server by pgserver or pgtest, but for those that also need
// built binaries or measure time.
func needServer(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var packages []string
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	for {
		var p struct {
			ImportPath                string
			TestImports, XTestImports []string
		}
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read go list: %w", err)
		}
		imports := slices.Concat(p.TestImports, p.XTestImports)
		if slices.Contains(imports, "onevault/pgserver/pgtest") || p.ImportPath == "onevault/pgserver" || p.ImportPath == "onevault/pgserver/pgtest" {
			packages = append(packages, p.ImportPath)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("no package here needs a server: run this in the root of the source tree")
	}
	return packages, nil
}

// test runs the packages on one version.
func (m matrix) test(ctx context.Context, server pgserver.Installation) ([]result, error) {
	if _, err := fmt.Fprintf(m.out, "== PostgreSQL %d, %s\n", server.Major, server.Dir); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"test"}, m.flags, m.packages)...)
	cmd.Env = append(os.Environ(), m.environment(server)...)
	cmd.Stderr = m.progress
	// go test passes it on, and its tests stop their servers.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = time.Minute
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("go test: %w", err)
	}
	results, readErr := m.follow(server.Major, stdout)
	err = cmd.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit := new(exec.ExitError); readErr != nil || err != nil && !errors.As(err, &exit) {
		return nil, errors.Join(readErr, err)
	}
	// go is the judge: a failure that no line tells of is one all the same.
	if err != nil && !slices.ContainsFunc(results, result.failed) {
		results = append(results, result{server.Major, "go test", "FAIL", err.Error()})
	}
	return results, nil
}

// environment makes the tests take this server and no other, and insist on its version.
func (m matrix) environment(server pgserver.Installation) []string {
	var watched []string
	for _, other := range slices.Concat(m.targets, m.vaults) {
		watched = append(watched, other.Dir)
	}
	return []string{
		"PG_BINDIR=" + server.Dir,
		pgtest.Major + "=" + strconv.Itoa(server.Major),
		pgtest.TargetServers + "=" + strings.Join(watched, string(os.PathListSeparator)),
		pgtest.SharedServer + "=",
	}
}

// follow passes on what go test prints and picks the line about each package out of it.
func (m matrix) follow(major int, output io.Reader) ([]result, error) {
	var results []result
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 16<<20) // a failed test may show a document in one line
	for lines.Scan() {
		if _, err := fmt.Fprintln(m.out, lines.Text()); err != nil {
			return nil, err
		}
		if r, ok := parse(lines.Text()); ok {
			r.major = major
			results = append(results, r)
		}
	}
	return results, lines.Err()
}

// parse reads "ok  \tonevault/vault\t35.6s", "FAIL\tonevault/vault [build failed]" and the like.
func parse(line string) (result, bool) {
	fields := strings.SplitN(line, "\t", 3)
	outcome := strings.TrimSpace(fields[0])
	if len(fields) < 2 || outcome != "ok" && outcome != "FAIL" {
		return result{}, false
	}
	name, note, _ := strings.Cut(fields[1], " ")
	if len(fields) == 3 {
		note = fields[2]
	}
	return result{name: name, outcome: outcome, took: note}, true
}

func (r result) failed() bool { return r.outcome != "ok" }

// report prints a line for each version and package. Each package must have one on each version.
func (m matrix) report(results []result) error {
	fmt.Fprintln(m.out, "\n== the matrix")
	var failed error
	for _, r := range results {
		fmt.Fprintf(m.out, "PostgreSQL %d  %-4s  %s  %s\n", r.major, r.outcome, r.name, r.took)
		if r.failed() {
			failed = errTestsFailed
		}
	}
	for _, server := range m.vaults {
		if !slices.ContainsFunc(results, func(r result) bool { return r.major == server.Major }) {
			fmt.Fprintf(m.out, "PostgreSQL %d  no package has tests\n", server.Major)
			failed = errTestsFailed
		}
	}
	return failed
}

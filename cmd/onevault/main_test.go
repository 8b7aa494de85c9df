package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// asProgram makes this test binary the program itself, for tests of the process.
const asProgram = "ONEVAULT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// deadTemporal is an address that nobody serves.
const deadTemporal = "127.0.0.1:1"

// now is the moment at which the commands of these tests run, unless they write.
var now = time.Date(2026, 5, 4, 3, 18, 0, 0, time.UTC)

// result is how one command line ended.
type result struct {
	code     int
	out, err string
}

// invocation is a command line in this process, with streams of its own.
type invocation struct {
	url   string // of the vault
	stdin string
	asks  bool // a terminal is there
	color bool
}

func (i invocation) run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(i.stdin), out: &out, errOut: &errOut, outIsTerminal: i.color, canAsk: i.asks,
		now: func() time.Time { return now },
	}
	code := a.run(t.Context(), append([]string{"--database-url", i.url, "--temporal-address", deadTemporal}, args...))
	return result{code, out.String(), errOut.String()}
}

// process runs the program in an environment that holds nothing but what is given.
func process(t *testing.T, environment []string, args ...string) result {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append([]string{asProgram + "=1", "ONEVAULT_DATA_DIR=" + t.TempDir(), "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, environment...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func (r result) wants(t *testing.T, code int, parts ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.err)
	}
	for _, part := range parts {
		if !strings.Contains(r.out+r.err, part) {
			t.Errorf("%q is missing\nstdout: %s\nstderr: %s", part, r.out, r.err)
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

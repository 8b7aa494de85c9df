// Package e2e_test tells OneVault's stories on the built binaries: a real PostgreSQL, a real Temporal
// server, real SMTP and HTTP receivers, and processes that are really killed.
//
// It owns the processes that it starts and everything below one temporary directory. It refuses to look
// inside the binaries: it sees what an operator, a receiver and an auditor see, which are commands,
// messages, rows and histories.
//
//	go test ./e2e                                   the binaries are built first
//	ONEVAULT_DEV_BINARY=bin/onevault-dev ONEVAULT_BINARY=bin/onevault go test ./e2e
//	go test ./e2e -export 'cleared|escalated'       also adds the histories of these cases to
//	                                                workflows/testdata/history; none is ever rewritten
package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The variables that name binaries which are built already.
const (
	devBinary = "ONEVAULT_DEV_BINARY"
	cliBinary = "ONEVAULT_BINARY"
)

// export has the stories add the histories of their alerts' workflows to the fixtures of the replay test.
var export = flag.String("export", "", "regular expression of the cases whose histories are added to workflows/testdata/history")

// The secrets of this run: no row, history, log line or output may hold any of them.
var (
	webhookSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(rand.Text() + rand.Text())[:36])
	smtpPassword  = rand.Text()
	slackToken    = rand.Text()
	twilioToken   = (rand.Text() + rand.Text())[:32]
	pagerKey      = (rand.Text() + rand.Text())[:32]
)

// The variables by which the channels of the stories name them.
const (
	webhookSecretVariable = "E2E_WEBHOOK_SECRET"
	smtpPasswordVariable  = "E2E_SMTP_PASSWORD"
	twilioTokenVariable   = "E2E_TWILIO_TOKEN"
	pagerKeyVariable      = "E2E_PAGERDUTY_KEY"
)

// scratch is the directory of this run.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "ov-e2e-"); err != nil {
		return 1, err
	}
	// PostgreSQL's own account has to pass through when the tests run as root.
	if err := os.Chmod(scratch, 0o711); err != nil {
		return 1, err
	}
	defer func() {
		err = errors.Join(err, stopShared())
		if code != 0 || err != nil {
			fmt.Fprintln(os.Stderr, "e2e: logs are kept in", scratch)
			return
		}
		err = os.RemoveAll(scratch)
	}()
	if err := prepareBinaries(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// program is where the binaries lie, side by side: the demo looks for onevault beside itself.
var program struct{ dev, cli string }

func prepareBinaries() error {
	bin := filepath.Join(scratch, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	program.dev, program.cli = filepath.Join(bin, "onevault-dev"), filepath.Join(bin, "onevault")
	if err := provide(devBinary, filepath.Join("..", "cmd", "onevault-dev"), program.dev); err != nil {
		return err
	}
	return provide(cliBinary, filepath.Join("..", "cmd", "onevault"), program.cli)
}

// provide links the binary that the variable names, or builds it.
func provide(variable, source, path string) error {
	if built := os.Getenv(variable); built != "" {
		absolute, err := filepath.Abs(built)
		if err != nil {
			return err
		}
		if _, err := os.Stat(absolute); err != nil {
			return fmt.Errorf("%s: %w", variable, err)
		}
		return os.Symlink(absolute, path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", path, ".")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return nil
}

// Command onevault-dev runs all of OneVault in one process, for a laptop and for the demo: PostgreSQL,
// the Temporal server with its Web UI, an inbox that receives what OneVault sends, and the worker.
//
// It owns one data directory and serves 127.0.0.1 only. It refuses to be a deployment: production runs
// `onevault worker` against a PostgreSQL and a Temporal cluster of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// The exit codes of OneVault's programs that this one uses.
const (
	exitError = 1
	exitUsage = 2
)

// usageError is one that the caller can mend by calling differently.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := untilSignal(context.Background())
	err := rootCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "onevault-dev:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		os.Exit(exitUsage)
	}
	os.Exit(exitError)
}

// sameRequest is how long signals count as one: timeout(1) and some terminals send each twice.
const sameRequest = time.Second

// untilSignal ends the context at the first SIGINT or SIGTERM; another one later ends the process at
// once. PostgreSQL notices that and ends too, and the next start recovers.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		first := time.Now()
		fmt.Fprintln(os.Stderr, "\nstopping; once more to stop at once")
		cancel()
		for range signals {
			if time.Since(first) > sameRequest {
				os.Exit(exitError)
			}
		}
	}()
	return ctx, cancel
}

func rootCommand() *cobra.Command {
	o := &options{}
	run := &cobra.Command{
		Use:           "onevault-dev",
		Short:         "Run all of OneVault in one process: PostgreSQL, Temporal with its UI, an inbox, the worker",
		Long:          runHelp,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd.Flags()); err != nil {
				return usageError{err}
			}
			out := newScreen(cmd.OutOrStdout())
			return runStack(cmd.Context(), o, out, func(ctx context.Context, s *stack) error {
				out.ready(s)
				return s.wait(ctx)
			})
		},
	}
	run.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see onevault-dev --help)", err)}
	})
	o.register(run.PersistentFlags())
	run.AddCommand(demoCommand(o), prepareCommand())
	return run
}

const runHelp = `Run all of OneVault in one process, for a laptop.

PostgreSQL's server programs come from the system. With ONEVAULT_DATABASE_URL set that
database is used and none is started; with TEMPORAL_ADDRESS set, that Temporal cluster.
A port of the defaults that is taken is replaced by a free one; one that was asked for is
an error. A later start in the same data directory continues with its data.`

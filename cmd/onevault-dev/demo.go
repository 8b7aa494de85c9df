package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"onevault/cmd/onevault-dev/demo"
	"onevault/settings"
)

// otherStart is how long the demo waits for a start that is under way.
const otherStart = time.Minute

func demoCommand(o *options) *cobra.Command {
	var stepTimeout time.Duration
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Make a real condition true and show, step by step, what OneVault does about it",
		Long:  demoHelp,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.complete(cmd.Flags()); err != nil {
				return usageError{err}
			}
			return runDemo(cmd.Context(), o, newScreen(cmd.OutOrStdout()), stepTimeout)
		},
	}
	cmd.Flags().DurationVar(&stepTimeout, "step-timeout", 45*time.Second, "how long to wait for one step")
	return cmd
}

const demoHelp = `Make a real condition true and show, step by step, what OneVault does about it.

The demo takes connections on the PostgreSQL of the development start until "High
Connection Count" fires, waits until everybody was told, acknowledges, lets the
connections go, and waits until everybody was told that it is over. It exits 0 only when
every step was seen in the vault and in the inbox, and 1 with the missing step otherwise.

It uses the development start that runs in the data directory, or starts one and ends it
again. It never touches a PostgreSQL that onevault-dev did not start.

A definition suppresses a repeated firing for a while. Where that would hide this one, the
demo puts a version of the definition without it and, at the end, the former one again;
both are said and both stand in the vault.`

// runDemo uses the start that runs, or its own.
func runDemo(ctx context.Context, o *options, out screen, stepTimeout time.Duration) error {
	running, err := o.running()
	if err != nil {
		return err
	}
	if running {
		values, err := awaitEnvFile(ctx, o.dataDir)
		if err != nil {
			return err
		}
		if err := requireOwnPostgres(ctx, values[settings.DatabaseURL], o.dataDir); err != nil {
			return err
		}
		return play(ctx, values, out, stepTimeout, "")
	}
	if o.databaseURL != "" {
		return usageError{fmt.Errorf("the demo takes most of a server's connections, so it runs only on the PostgreSQL that onevault-dev starts itself: unset %s for it", settings.DatabaseURL)}
	}
	out.note("nothing runs in " + o.place() + ": starting everything first")
	end := "it ends now; `make run` starts it again, with this history"
	if o.ephemeral {
		end = "it ends now, and its data with it"
	}
	return runStack(ctx, o, out, func(ctx context.Context, s *stack) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			if err := s.wait(ctx); err != nil {
				cancel(err)
			}
		}()
		return play(ctx, s.addresses(), out, stepTimeout, end)
	})
}

// running reports whether a development start holds the data directory.
func (o *options) running() (bool, error) {
	if o.ephemeral {
		return false, nil
	}
	return inUse(o.dataDir)
}

func (o *options) place() string {
	if o.ephemeral {
		return "a temporary directory"
	}
	return o.dataDir
}

// awaitEnvFile reads the addresses of the start that runs, which writes them when it is ready.
func awaitEnvFile(ctx context.Context, dir string) (settings.Values, error) {
	ctx, cancel := context.WithTimeout(ctx, otherStart)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		values, err := settings.ReadEnvFile(dir)
		if !errors.Is(err, fs.ErrNotExist) {
			return values, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("process %s holds %s but is not ready after %s: see %s", holderOf(dir), dir, otherStart, filepath.Join(dir, "onevault.log"))
		}
	}
}

// requireOwnPostgres refuses a server whose data is not in the data directory: it is not ours to fill.
func requireOwnPostgres(ctx context.Context, databaseURL, dir string) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("reach the vault at %s: %w", hostOf(databaseURL), err)
	}
	defer func() { _ = conn.Close(ctx) }() // the answer is what counts
	var data string
	if err := conn.QueryRow(ctx, `SELECT current_setting('data_directory')`).Scan(&data); err != nil {
		return fmt.Errorf("ask PostgreSQL where its data is: %w", err)
	}
	own, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("look for the data directory: %w", err)
	}
	if !strings.HasPrefix(data, own+string(filepath.Separator)) {
		return usageError{fmt.Errorf("the demo takes most of a server's connections, and %s is not a PostgreSQL that onevault-dev started: start onevault-dev without %s", hostOf(databaseURL), settings.DatabaseURL)}
	}
	return nil
}

// play runs the demo on the addresses of a development start and says where to look.
func play(ctx context.Context, at settings.Values, out screen, stepTimeout time.Duration, end string) error {
	timeline := newTimeline(out)
	result, err := demo.Run(ctx, demo.Config{
		DatabaseURL: at[settings.DatabaseURL],
		InboxURL:    at[settings.InboxURL],
		OneVault:    besides("onevault"),
		Environment: environment(at),
		StepTimeout: stepTimeout,
		Timeline:    timeline,
	})
	timeline.close()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	if err == nil {
		fmt.Fprintf(out, "\n%s: every step was seen, %s from the condition to the last message\n",
			out.paint("32", "done"), result.Took.Round(100*time.Millisecond))
	}
	whereToLook(out, at, result, end)
	return err
}

// environment is this process's, with the addresses of the development start.
func environment(at settings.Values) []string {
	vars := os.Environ()
	for name, value := range at {
		vars = append(vars, name+"="+value)
	}
	return vars
}

func whereToLook(out io.Writer, at settings.Values, r demo.Result, end string) {
	if r.AlertID == "" {
		return
	}
	fmt.Fprintf(out, "\nWhere to look:\n")
	fmt.Fprintf(out, "  alert        %s alert show %s\n", besides("onevault"), r.AlertID)
	if ui := at[settings.UIURL]; ui != "" {
		fmt.Fprintf(out, "  workflow     %s/namespaces/%s/workflows/%s\n", ui, namespace(), url.PathEscape(r.WorkflowID))
	}
	fmt.Fprintf(out, "  messages     %s\n", at[settings.InboxURL])
	if end != "" {
		fmt.Fprintf(out, "  (%s)\n", end)
	}
}

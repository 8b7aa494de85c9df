package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/vault"
)

// app is one invocation: its streams, its clock, its global flags, and what it opened.
type app struct {
	in            io.Reader
	out, errOut   io.Writer
	outIsTerminal bool // colours
	errIsTerminal bool // logs for people
	canAsk        bool // somebody reads a question and can answer
	now           func() time.Time

	output          string
	databaseURL     string
	temporalAddress string
	namespace       string
	noColor         bool

	values   settings.Values
	parsed   bool // flags and arguments were in order: an error is no longer one of usage
	store    *vault.Store
	temporal client.Client
	// temporalErr is why there is no client; asked once, because a dead address costs seconds.
	temporalErr error
}

// run carries out one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	err := root.ExecuteContext(ctx)
	a.close()
	if err == nil {
		return exitDone
	}
	f := a.explain(err)
	if !a.parsed && f.code == exitError {
		f.code = exitUsage
		if f.remedy == "" {
			f.remedy = "see `onevault --help`"
		}
	}
	a.report(f)
	return f.code
}

func (a *app) close() {
	if a.store != nil {
		a.store.Close()
	}
	if a.temporal != nil {
		a.temporal.Close()
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "onevault",
		Short:         "Watch PostgreSQL, fire alerts, and see every alert through to its end",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.prepare()
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", string(output.Table), "format: "+strings.Join(output.Formats(), ", "))
	flags.StringVar(&a.databaseURL, "database-url", "", "the vault, postgres://... (default $"+settings.DatabaseURL+")")
	flags.StringVar(&a.temporalAddress, "temporal-address", "", "host:port of Temporal (default $"+settings.TemporalAddress+")")
	flags.StringVar(&a.namespace, "namespace", "", "Temporal's namespace (default $"+settings.TemporalNamespace+")")
	flags.BoolVar(&a.noColor, "no-color", false, "no colours (also $NO_COLOR)")
	root.AddCommand(
		a.alertCommand(), a.incidentCommand(), a.definitionCommand(), a.channelCommand(), a.scheduleCommand(), a.doctorCommand(),
		a.workerCommand(), a.migrateCommand(), a.inboxCommand(), a.checkCommand(), a.versionCommand(), a.reportCommand(), a.vaultCommand(),
		a.capacityCommand(),
		a.notificationCommand(),
		a.complianceCommand(),
		a.evidenceCommand(),
		a.targetCommand(),
		a.metricCommand(),
		a.securityCommand(),
		a.statementCommand(),
		a.anomalyCommand(),
		a.policyCommand(), a.routeCommand(), a.contactCommand(),
		a.silenceCommand(), a.maintenanceCommand(), a.inhibitionCommand(), a.stormCommand(),
		a.sourceCommand(),
	)
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(
		toCompletions(output.Formats()), cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag only
	return root
}

const rootHelp = `OneVault watches PostgreSQL, fires alerts, and runs every alert's life as a durable workflow.

A development start (make run) leaves its addresses in a file, which is read when the variables
ONEVAULT_DATABASE_URL and TEMPORAL_ADDRESS are not set: in the next terminal every command just works.

Exit codes: 0 done, 1 error, 2 usage, 3 not found, 4 the alert's state does not allow it.`

func toCompletions(words []string) []cobra.Completion { return words }

// noun is a command that only holds others.
func noun(use, short string, verbs ...*cobra.Command) *cobra.Command {
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(verbs...)
	return command
}

// prepare runs before every command, after its flags and arguments were found to be in order.
func (a *app) prepare() error {
	if _, err := output.ParseFormat(a.output); err != nil {
		return err
	}
	a.parsed = true
	values, err := settings.Load()
	if err != nil {
		return err
	}
	a.values = values
	return nil
}

func (a *app) printer() output.Printer {
	return output.Printer{
		Out:    a.out,
		Format: output.Format(a.output),
		Color:  a.outIsTerminal && !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

// note tells a person something that is no part of the result.
func (a *app) note(format string, args ...any) {
	if !a.printer().Structured() {
		fmt.Fprintf(a.errOut, format+"\n", args...)
	}
}

// vaultURL is the vault's address by flag, variable, or the file of a development start.
func (a *app) vaultURL() (string, error) {
	url := a.databaseURL
	if url == "" {
		url = a.values.Get(settings.DatabaseURL)
	}
	if url == "" {
		return "", &failure{
			code: exitError, message: settings.DatabaseURL + " is not set and no development start is running",
			remedy: "start one with `make run`, or give the vault's address: --database-url postgres://user:password@host:5432/onevault",
		}
	}
	return url, nil
}

// vault opens the store once; it does not yet connect.
func (a *app) vault(ctx context.Context) (*vault.Store, error) {
	if a.store != nil {
		return a.store, nil
	}
	url, err := a.vaultURL()
	if err != nil {
		return nil, err
	}
	a.store, err = vault.Open(ctx, url)
	return a.store, err
}

// confirm asks before something that touches much. Without anybody to ask it is an error.
func (a *app) confirm(question string) error {
	if !a.canAsk {
		return &failure{code: exitUsage, message: question + " needs a yes, and nobody is there to ask", remedy: "add --yes"}
	}
	fmt.Fprintf(a.errOut, "%s? [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &failure{code: exitError, message: "nothing was changed"}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/activities"
	"onevault/alert"
	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/command"
	"onevault/settings"
	"onevault/vault"
	"onevault/workflows"
)

// askBeyond is how many alerts one command changes without a question.
const askBeyond = 10

func (a *app) alertCommand() *cobra.Command {
	cmd := noun("alert", "See alerts, take them, put them off, pass them on and end them",
		a.alertListCommand(), a.alertShowCommand(), a.alertExplainCommand(), a.alertTimelineCommand(),
		a.alertSilenceCommand(), a.alertOpenCommand())
	for _, v := range verbs {
		cmd.AddCommand(a.alertActionCommand(v))
	}
	return cmd
}

func (a *app) alertListCommand() *cobra.Command {
	var (
		filter               vault.AlertFilter
		since, asOf, knownAt string
	)
	cmd := &cobra.Command{
		Use:   "list [MATCHER...]",
		Short: "List the alerts that need somebody",
		Long: `List the alerts that need somebody, the worst first; with --all also those that ended, the newest first.

Matchers: ` + strings.Join(alertFields(), ", ") + `, as field=value, field!=value, field=~pattern or
field!~pattern; all must hold, and none regards case.

With --as-of, what was true at that moment; with --known-at also, what was known of it at that one: a fact
that reached the vault late is left out. Moments are RFC 3339, 2026-11-23 03:12, 03:12 (the last one) or a
duration ago (2h); without a zone they are in that of $` + settings.Timezone + ` (UTC).`,
		Example: "  onevault alert list severity=CRITICAL target=~^pg-prod\n  onevault alert list --all --since 24h -o json\n" +
			"  onevault alert list --as-of 03:12 --known-at 03:12",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, alertFields()...)
			if err != nil {
				return usage(err)
			}
			filter.Keep = func(l vault.ListedAlert) bool {
				return set.Match(func(field string) string { return alertField(l, field) })
			}
			if filter.Since, err = sinceTime(a.now(), since); err != nil {
				return usage(err)
			}
			if filter.AsOf, filter.KnownAt, err = a.moments(asOf, knownAt); err != nil {
				return usage(err)
			}
			return a.listAlerts(cmd.Context(), filter)
		},
	}
	cmd.Flags().BoolVar(&filter.All, "all", false, "resolved and suppressed alerts too")
	cmd.Flags().StringVar(&since, "since", "", "opened since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	cmd.Flags().StringVar(&asOf, "as-of", "", "as it was at this moment: RFC 3339, 2026-11-23 03:12, 03:12, or 2h ago")
	cmd.Flags().StringVar(&knownAt, "known-at", "", "with --as-of: as far as it was known at this moment (default: now)")
	cmd.Flags().StringVar(&filter.Target, "target", "", "only this target")
	cmd.Flags().IntVar(&filter.Limit, "limit", 1000, "at most so many; 0: all")
	return cmd
}

func (a *app) listAlerts(ctx context.Context, filter vault.AlertFilter) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	list, more, err := store.Alerts(ctx, filter)
	if err != nil {
		return err
	}
	now := a.now()
	if filter.AsOf.IsZero() {
		if err := store.AddMutes(ctx, list); err != nil {
			return err
		}
	} else {
		now = filter.AsOf // ages and what came next are those of then
		a.note("%s", asOfNote(filter))
	}
	if err := output.List(a.printer(), list, alertColumns(now), func(l vault.ListedAlert) string { return l.ID }); err != nil {
		return err
	}
	switch {
	case more:
		a.note("only the first %d are shown; --limit 0 shows all", filter.Limit)
	case len(list) == 0 && !filter.AsOf.IsZero():
		a.note("none that was asked for")
	case len(list) == 0 && filter.All:
		a.note("no alerts")
	case len(list) == 0:
		a.note("no open alerts; --all shows those that ended")
	}
	return nil
}

func (a *app) alertShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all that stands about an alert: why it fired, who was told, what comes next",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, found, err := a.findAlert(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			told, err := store.AlertTold(cmd.Context(), found)
			if err != nil {
				return err
			}
			shown := []vault.ListedAlert{found}
			if err := store.AddMutes(cmd.Context(), shown); err != nil {
				return err
			}
			return a.showAlert(shown[0], told)
		},
	}
}

func (a *app) findAlert(ctx context.Context, id string) (*vault.Store, vault.ListedAlert, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, vault.ListedAlert{}, err
	}
	found, err := store.FindAlert(ctx, id)
	return store, found, err
}

func (a *app) alertTimelineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "timeline ID",
		Short: "Tell the life of an alert: each state, each notification attempt, each decision, and who",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, found, err := a.findAlert(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			moments, err := store.AlertTimeline(cmd.Context(), found)
			if err != nil {
				return err
			}
			return output.List(a.printer(), moments, momentColumns(found), momentName)
		},
	}
}

// alertActionCommand is `alert ack`, `alert resolve` and their like: the same command with another verb.
func (a *app) alertActionCommand(v alertVerb) *cobra.Command {
	var (
		c     alert.Command
		lasts string
		yes   bool
	)
	action := v.action
	cmd := &cobra.Command{
		Use:   v.use + " ID...|MATCHER...",
		Short: v.short,
		Long: v.long + `

An ID is a short id (A-7F3K) or more of it, a hash key, or the id of an alert's workflow
(alert/<target>/<definition>: all its alerts; works while the vault is down). Matchers, as for alert list, mean
all alerts that need somebody and match: target=pg-prod-3. The alert's workflow answers;
where it cannot, the change is made in the vault and the workflow hears of it when it runs.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := v.complete(&c, lasts); err != nil {
				return usage(err)
			}
			if err := a.signCommand(&c); err != nil {
				return err
			}
			ids, err := a.alertsMeant(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.actOnAlerts(cmd.Context(), action, ids, c, yes)
		},
	}
	if v.lasts != "" {
		cmd.Flags().StringVarP(&lasts, v.lasts, v.lastsShort, "", v.lastsUsage)
	}
	cmd.Flags().StringVarP(&c.Notes, "message", "m", "", "what the others should know")
	cmd.Flags().StringVar(&c.Actor, "actor", "", "who acts (default $"+settings.Actor+", else your login)")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, fmt.Sprintf("do not ask, even for more than %d alerts", askBeyond))
	return cmd
}

// signCommand says who acts and how that is known.
func (a *app) signCommand(c *alert.Command) error {
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find out this host's name: %w", err)
	}
	c.Via = "cli:" + login() + "@" + host
	for _, name := range []string{c.Actor, a.values.Get(settings.Actor), login()} {
		if name = strings.TrimSpace(name); name != "" {
			c.Actor = name
			break
		}
	}
	// The vault's columns; longer would be refused there, after the workflow had taken it.
	if len([]rune(c.Actor)) > 100 {
		return usage(errors.New("the actor's name has more than 100 characters"))
	}
	if via := []rune(c.Via); len(via) > 150 {
		c.Via = string(via[:150])
	}
	return nil
}

// login is the name of the account, or its number: a container's user may have no name.
func login() string {
	current, err := user.Current()
	if err != nil {
		return "uid" + strconv.Itoa(os.Getuid())
	}
	return current.Username
}

func (a *app) actOnAlerts(ctx context.Context, action command.Action, ids []string, c alert.Command, yes bool) error {
	store, err := a.vaultUnlessAllWorkflows(ctx, ids)
	if err != nil {
		return err
	}
	sender := &command.Sender{Vault: store, Workflows: command.Temporal{Connect: a.connectTemporal}}
	plan, planErrs := sender.Plan(ctx, action, ids)
	if n := plan.Count(); n > askBeyond && !yes {
		if err := a.confirm(fmt.Sprintf("%s %d alerts", action, n)); err != nil {
			return err
		}
	}
	outcomes, carryErrs := sender.Carry(ctx, action, plan, c)
	if err := a.printOutcomes(action, outcomes); err != nil {
		return err
	}
	return a.failAll(append(planErrs, carryErrs...))
}

// vaultUnlessAllWorkflows opens the vault only where an id needs it: with ids of workflows, no vault has
// to be known at all.
func (a *app) vaultUnlessAllWorkflows(ctx context.Context, ids []string) (*vault.Store, error) {
	for _, id := range ids {
		if !workflows.IsAlertWorkflowID(id) {
			return a.vault(ctx)
		}
	}
	return nil, nil
}

func (a *app) printOutcomes(action command.Action, outcomes []command.Outcome) error {
	p := a.printer()
	if p.Structured() || p.Format == output.Name {
		return output.List(p, outcomes, nil, func(o command.Outcome) string { return o.ID })
	}
	for _, o := range outcomes {
		if _, err := fmt.Fprintln(a.out, output.Printable(describeOutcome(a.now(), action, o))); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	return nil
}

func (a *app) alertOpenCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "open ID",
		Short: "Print the address of an alert in the Temporal UI, and open it when a terminal asks",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			address, err := a.alertAddress(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(a.out, address)
			if !a.outIsTerminal {
				return nil
			}
			return openBrowser(cmd.Context(), address)
		},
	}
}

func (a *app) alertAddress(ctx context.Context, id string) (string, error) {
	base := a.values.Get(settings.UIURL)
	if base == "" {
		return "", &failure{code: exitError, message: settings.UIURL + " is not set", remedy: "give the base of the Temporal UI: " + settings.UIURL + "=http://localhost:8233"}
	}
	options, err := a.temporalOptions()
	if err != nil {
		return "", err
	}
	if !workflows.IsAlertWorkflowID(id) {
		_, found, err := a.findAlert(ctx, id)
		if err != nil {
			return "", err
		}
		id = found.WorkflowID
	}
	return activities.WorkflowURL(base, options.Namespace, id), nil
}

// openBrowser hands an address to the desktop; where there is none, the printed line is all there is.
func openBrowser(ctx context.Context, address string) error {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, path, address).Run(); err != nil {
		return fmt.Errorf("open the address with %s: %w", program, err)
	}
	return nil
}

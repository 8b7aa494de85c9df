package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onevault/activities"
	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/collect"
	"onevault/settings"
	"onevault/vault"
	"onevault/workflows"
)

func (a *app) securityCommand() *cobra.Command {
	commands := []*cobra.Command{a.securityListCommand(), a.securityShowCommand()}
	for _, action := range verdictActions() {
		commands = append(commands, a.verdictCommand(action))
	}
	return noun("security", "See security events, investigate and settle them, and see what is looked for",
		append(commands, a.securityStatusCommand(), a.securityRunCommand(), a.securityReaderCommand())...)
}

func (a *app) securityListCommand() *cobra.Command {
	var (
		filter vault.SecurityFilter
		since  string
	)
	cmd := &cobra.Command{
		Use:   "list [MATCHER...]",
		Short: "List the security events that nobody has settled, the gravest first",
		Long: `List the security events that nobody has settled, the gravest first; with --all also the resolved ones and
the false positives, the newest first.

Matchers: ` + strings.Join(securityFields, ", ") + ", as in `onevault alert list`.",
		Example: "  onevault security list severity=HIGH target=~^pg-prod\n  onevault security list --all --since 7d type=BRUTE_FORCE -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, securityFields...)
			if err != nil {
				return usage(err)
			}
			filter.Keep = func(e vault.SecurityEvent) bool {
				return set.Match(func(field string) string { return securityField(e, field) })
			}
			if filter.Since, err = sinceTime(a.now(), since); err != nil {
				return usage(err)
			}
			return a.listSecurityEvents(cmd.Context(), filter)
		},
	}
	cmd.Flags().BoolVar(&filter.All, "all", false, "resolved events and false positives too")
	cmd.Flags().StringVar(&since, "since", "", "seen since: a duration (90m, 24h, 30d) or a time (2026-05-04 or RFC 3339)")
	cmd.Flags().StringVar(&filter.Target, "target", "", "only this target")
	cmd.Flags().IntVar(&filter.Limit, "limit", 1000, "at most so many; 0: all")
	return cmd
}

func (a *app) listSecurityEvents(ctx context.Context, filter vault.SecurityFilter) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	list, more, err := store.SecurityEvents(ctx, filter)
	if err != nil {
		return err
	}
	if err := output.List(a.printer(), list, securityColumns(a.now()), func(e vault.SecurityEvent) string { return e.ID }); err != nil {
		return err
	}
	switch {
	case more:
		a.note("only the first %d are shown; --limit 0 shows all", filter.Limit)
	case len(list) == 0 && filter.All:
		a.note("no security events; `onevault security status` says what is looked for")
	case len(list) == 0:
		a.note("no open security events; --all shows the settled ones, `onevault security status` says what is looked for")
	}
	return nil
}

func (a *app) findSecurityEvents(ctx context.Context, ids []string) (*vault.Store, []vault.SecurityEvent, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, nil, err
	}
	events := make([]vault.SecurityEvent, len(ids))
	for i, id := range ids {
		if events[i], err = store.FindSecurityEvent(ctx, id); err != nil {
			return nil, nil, err
		}
	}
	return store, events, nil
}

func (a *app) securityShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all that stands about a security event: who, from where, the evidence, what to do, its history",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, events, err := a.findSecurityEvents(cmd.Context(), args)
			if err != nil {
				return err
			}
			history, err := store.SecurityEventHistory(cmd.Context(), events[0])
			if err != nil {
				return err
			}
			return a.showSecurityEvent(events[0], history)
		},
	}
}

// verdictAction is a verb of `security` by which a person judges events.
type verdictAction struct {
	verb, short, done, message string
	verdict                    vault.SecurityVerdict
	needsReason                bool
}

func verdictActions() []verdictAction {
	return []verdictAction{
		{"investigate", "Take security events: somebody is at it; takes up again what was settled", "is being investigated", "what the others should know", vault.Investigating, false},
		{"resolve", "Settle security events; the same finding later is another event", "is resolved", "what it was and what was done", vault.Settled, false},
		{"false-positive", "Call security events harmless: the same finding is still recorded, and wakes nobody", "is a false positive", "why it is harmless", vault.FalsePositive, true},
	}
}

func (a *app) verdictCommand(action verdictAction) *cobra.Command {
	var actor, message string
	cmd := &cobra.Command{
		Use:   action.verb + " ID...",
		Short: action.short,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if action.needsReason && strings.TrimSpace(message) == "" {
				return usage(errors.New("-m is missing or empty: say why it is harmless, because the same finding will wake nobody any more"))
			}
			signed, err := a.sign(actor, message)
			if err != nil {
				return err
			}
			store, events, err := a.findSecurityEvents(cmd.Context(), args)
			if err != nil {
				return err
			}
			var errs []error
			for _, event := range events {
				changed, err := store.JudgeSecurityEvent(cmd.Context(), event, action.verdict, signed.Actor, signed.Via, signed.Text)
				if err == nil {
					err = a.printVerdict(cmd.Context(), store, action, event, changed)
				}
				if err != nil {
					errs = append(errs, linkFailure(err))
				}
			}
			return a.failAll(errs)
		},
	}
	cmd.Flags().StringVarP(&message, "message", "m", "", action.message)
	a.actorFlag(cmd, &actor)
	return cmd
}

// verdictAnswer is an event after a command, as -o json shows it.
type verdictAnswer struct {
	vault.SecurityEvent
	Changed bool `json:"changed"`
}

func (a *app) printVerdict(ctx context.Context, store *vault.Store, action verdictAction, event vault.SecurityEvent, changed bool) error {
	event, err := store.FindSecurityEvent(ctx, event.Key)
	if err != nil {
		return err
	}
	p := a.printer()
	switch {
	case p.Structured():
		return p.Value(verdictAnswer{event, changed})
	case p.Format == output.Name:
		_, err = fmt.Fprintln(a.out, event.ID)
	case changed:
		_, err = fmt.Fprintln(a.out, output.Printable(fmt.Sprintf("%s %s, by %s", event.ID, action.done, event.ChangedBy)))
	default:
		_, err = fmt.Fprintln(a.out, output.Printable(fmt.Sprintf("%s %s since %s, by %s", event.ID, action.done, output.Moment(event.ChangedAt), cmp.Or(event.ChangedBy, "the detection"))))
	}
	return err
}

func (a *app) securityStatusCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show when each check last looked at each target, and what it could not look at and why",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			list, err := store.SecurityStatus(cmd.Context(), target)
			if err != nil {
				return err
			}
			return printList(a, shownChecks(list), checkColumns(a.now()), func(c shownCheck) string { return c.Check }, "nobody looked within a week; `onevault security run` does it now, the schedule every 15 minutes")
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "only this target")
	return cmd
}

func (a *app) securityRunCommand() *cobra.Command {
	var target, taskQueue string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Look for security events now",
		Long:  `Have a worker run the checks on a target and read its log. The schedule "security" does the same every 15 minutes.`,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if taskQueue = a.setting(taskQueue, settings.TaskQueue); taskQueue == "" {
				taskQueue = workflows.DefaultTaskQueue
			}
			var out activities.DetectSecurityEventsOutput
			if err := a.runOnWorker(cmd.Context(), taskQueue, "security/"+target, "look for security events", workflows.SecurityWorkflowName,
				workflows.SecurityInput{Target: target}, &out); err != nil {
				return err
			}
			return a.printSecurityRun(out)
		},
	}
	cmd.Flags().StringVar(&target, "target", "local", "the target")
	cmd.Flags().StringVar(&taskQueue, "task-queue", "", "the workers' task queue (default $"+settings.TaskQueue+" or onevault)")
	return cmd
}

func (a *app) printSecurityRun(out activities.DetectSecurityEventsOutput) error {
	if out.Error != "" {
		return &failure{exitError, out.Error, "see `onevault security status`"}
	}
	p := a.printer()
	if p.Structured() {
		return p.Value(out)
	}
	for _, part := range []struct {
		word  string
		texts map[string]string
	}{{"cannot look", out.Skipped}, {"failed", out.Failed}} {
		for _, check := range slices.Sorted(maps.Keys(part.texts)) {
			a.note("%s %s: %s", check, part.word, output.Printable(part.texts[check]))
		}
	}
	if err := output.List(p, out.Counts, []output.Column[vault.SecurityCount]{
		{Name: "EVENT", Cell: func(c vault.SecurityCount) output.Cell { return output.Text(c.EventType) }},
		{Name: "OPEN", Cell: func(c vault.SecurityCount) output.Cell { return output.Text(fmt.Sprint(c.Count)) }},
		{Name: "WORST", Cell: func(c vault.SecurityCount) output.Cell { return severityText(c.Severity) }},
	}, func(c vault.SecurityCount) string { return c.EventType }); err != nil {
		return err
	}
	a.note("%d findings, %d of them new or changed; see `onevault security list`", out.Findings, out.Events)
	return nil
}

func (a *app) securityReaderCommand() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "reader --role ROLE",
		Short: "Print the SQL by which a superuser of a target lets OneVault read the log-ins of its log",
		Long: `Print the SQL that a superuser runs on a target so that OneVault's role may read the records of log-ins, and
nothing else, of the server's log. It is needed where the worker does not run on the server's host, or may
not read the log's files there.`,
		Example: "  onevault security reader --role onevault_collector | psql -h pg-2 -U postgres app",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if strings.TrimSpace(role) == "" {
				return usage(errors.New("--role is empty: name the role as which OneVault logs in to the target"))
			}
			_, err := fmt.Fprint(a.out, collect.LogReaderSQL(role))
			return err
		},
	}
	cmd.Flags().StringVar(&role, "role", "onevault_collector", "the role that may read, or a role that it is a member of")
	return cmd
}

package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/cmd/onevault/policies"
	"onevault/vault"
)

func (a *app) policyCommand() *cobra.Command {
	return noun("policy", "See who is paged when, as long as nobody answers, and keep it in a file", a.policyListCommand(), a.policyShowCommand(),
		a.policyExportCommand(), a.policyLintCommand(), a.policyApplyCommand())
}

func (a *app) policyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the escalation policies and who follows them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			list, err := store.Policies(cmd.Context(), nil)
			if err != nil {
				return err
			}
			if err := output.List(a.printer(), list, policyColumns(a.now()), func(p vault.ListedPolicy) string { return p.Key }); err != nil {
				return err
			}
			if len(list) == 0 {
				a.note("no policies: everybody is told again after each escalate_after; `onevault policy apply FILE` brings some")
			}
			return nil
		},
	}
}

func policyColumns(now time.Time) []output.Column[vault.ListedPolicy] {
	type row = vault.ListedPolicy
	return []output.Column[row]{
		{Name: "POLICY", Cell: func(p row) output.Cell { return output.Text(p.Key) }},
		{Name: "NAME", Cell: func(p row) output.Cell { return output.Text(p.Name) }},
		{Name: "DEFAULT FOR", Cell: func(p row) output.Cell { return output.Text(output.OrNone(strings.Join(p.DefaultFor, ", "))) }},
		{Name: "LEVELS", Cell: func(p row) output.Cell { return output.Text(ladder(p.PolicySpec)) }},
		{Name: "FOLLOWED BY", Cell: func(p row) output.Cell { return output.Text(strconv.Itoa(len(p.Definitions))) }},
		{Name: "ENABLED", Wide: true, Cell: func(p row) output.Cell { return output.Text(strconv.FormatBool(p.Enabled)) }},
		{Name: "AUTHOR", Wide: true, Cell: func(p row) output.Cell { return output.Text(p.Author) }},
		{Name: "AGE", Wide: true, Cell: func(p row) output.Cell { return output.Text(output.Age(now, p.WrittenAt)) }},
	}
}

// ladder is a policy in one line: SLACK, 15m PAGER BOSS (2 more, each 5m), 1h everybody; 3 times more, each 2h.
func ladder(p vault.PolicySpec) string {
	steps := make([]string, len(p.Levels))
	for i, level := range p.Levels {
		who := "everybody"
		if len(level.Channels) > 0 {
			who = strings.Join(level.Channels, " ")
		}
		if i > 0 {
			who = policies.Span(level.AfterMinutes) + " " + who
		}
		if level.Repeat > 0 {
			who += fmt.Sprintf(" (%d more, each %s)", level.Repeat, policies.Span(level.EveryMinutes))
		}
		steps[i] = who
	}
	text := strings.Join(steps, ", ")
	if p.RepeatTimes > 0 {
		text += fmt.Sprintf("; %d more, each %s", p.RepeatTimes, policies.Span(p.RepeatEvery))
	}
	return text
}

func (a *app) policyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show KEY",
		Short: "Show an escalation policy and the definitions that follow it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.foundPolicies(cmd.Context(), args)
			if err != nil {
				return err
			}
			p, printer := list[0], a.printer()
			if printer.Structured() {
				return printer.Value(p)
			}
			pairs := [][2]string{
				{"policy", p.Key},
				{"name", p.Name},
				{"about", p.Description},
				{"enabled", strconv.FormatBool(p.Enabled)},
				{"default for", strings.Join(p.DefaultFor, ", ")},
			}
			for i, level := range p.Levels {
				pairs = append(pairs, [2]string{"level " + strconv.Itoa(i), ladder(vault.PolicySpec{Levels: []alert.Level{level}}) + " after " + policies.Span(level.AfterMinutes)})
			}
			if p.RepeatTimes > 0 {
				pairs = append(pairs, [2]string{"then", fmt.Sprintf("from the beginning, %d times, each %s after the last level", p.RepeatTimes, policies.Span(p.RepeatEvery))})
			}
			return printer.Pairs(append(pairs,
				[2]string{"followed by", strings.Join(p.Definitions, ", ")},
				[2]string{"written", output.Moment(p.WrittenAt) + " by " + p.Author}))
		},
	}
}

func (a *app) foundPolicies(ctx context.Context, keys []string) ([]vault.ListedPolicy, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.Policies(ctx, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if !slices.ContainsFunc(list, func(p vault.ListedPolicy) bool { return p.Key == key }) {
			return nil, &failure{exitNotFound, "the vault has no escalation policy " + key, "see `onevault policy list`"}
		}
	}
	return list, nil
}

func (a *app) policyExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export [KEY...]",
		Short: "Write the escalation policies as a file",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.foundPolicies(cmd.Context(), args)
			if err != nil {
				return err
			}
			specs := make([]vault.PolicySpec, len(list))
			for i, p := range list {
				specs[i] = p.PolicySpec
			}
			text, err := policies.Write(specs)
			if err != nil {
				return err
			}
			_, err = a.out.Write(text)
			return err
		},
	}
}

func (a *app) policyLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE",
		Short: "Check a file of escalation policies: its form, and that the vault would take each; nothing is written",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.readPolicies(args[0])
			if err != nil {
				return err
			}
			if err := a.putPolicies(cmd.Context(), args[0], file, "", true); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "%s: %d policies, all in order\n", output.Printable(args[0]), len(file))
			return nil
		},
	}
}

func (a *app) policyApplyCommand() *cobra.Command {
	var (
		dryRun bool
		actor  string
	)
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Bring a file of escalation policies into the vault: all of it or nothing",
		Long: `Bring a file of escalation policies into the vault, all of it or nothing. What is equal is left alone; what differs gets
a new version with its author. Alerts that are open follow to their end the version that they began with. What is
not in the file is left alone, too; write enabled: false to have nobody follow a policy any more.`,
		Example: "  onevault policy apply policies.yaml --dry-run\n  onevault policy export | onevault policy apply -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := a.readPolicies(args[0])
			if err != nil {
				return err
			}
			stands, err := a.foundPolicies(cmd.Context(), nil)
			if err != nil {
				return err
			}
			if err := a.putPolicies(cmd.Context(), args[0], file, actor, dryRun); err != nil {
				return err
			}
			a.tellPolicies(file, stands)
			if dryRun {
				a.note("dry run: nothing was written")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check and show, write nothing")
	a.actorFlag(cmd, &actor)
	return cmd
}

// tellPolicies says what became, or with a dry run would become, of each policy of a file.
func (a *app) tellPolicies(file []policies.Policy, stands []vault.ListedPolicy) {
	unchanged := 0
	for _, p := range file {
		at := slices.IndexFunc(stands, func(s vault.ListedPolicy) bool { return s.Key == p.Key })
		switch {
		case at < 0:
			fmt.Fprintf(a.out, "+ %s   %s\n", p.Key, output.Printable(ladder(p.PolicySpec)))
		case samePolicy(p.PolicySpec, stands[at].PolicySpec):
			unchanged++
		default:
			fmt.Fprintf(a.out, "~ %s   %s -> %s\n", p.Key, output.Printable(ladder(stands[at].PolicySpec)), output.Printable(ladder(p.PolicySpec)))
		}
	}
	fmt.Fprintf(a.out, "%d unchanged\n", unchanged)
}

func samePolicy(a, b vault.PolicySpec) bool {
	if len(a.DefaultFor) == 0 && len(b.DefaultFor) == 0 {
		a.DefaultFor, b.DefaultFor = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func (a *app) readPolicies(name string) ([]policies.Policy, error) {
	text, err := a.readFile(name, "`onevault policy export > "+name+"` writes one")
	if err != nil {
		return nil, err
	}
	file, problems := policies.Parse(text)
	if len(problems) > 0 {
		return nil, a.fileProblems(name, problems)
	}
	return file, nil
}

func (a *app) putPolicies(ctx context.Context, name string, file []policies.Policy, actor string, dryRun bool) error {
	author, err := a.author(actor)
	if err != nil {
		return err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	specs := make([]vault.PolicySpec, len(file))
	for i, p := range file {
		specs[i] = p.PolicySpec
	}
	refused, err := store.PutPolicies(ctx, specs, author, dryRun)
	if err != nil || len(refused) == 0 {
		return err
	}
	return a.fileProblems(name, problemsOf(refused, func(key string) int {
		at := slices.IndexFunc(file, func(p policies.Policy) bool { return p.Key == key })
		if at < 0 {
			return 0
		}
		return file[at].Line
	}))
}

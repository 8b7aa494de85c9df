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
	return noun("policy", "See who is paged when, as long as nobody answers, and keep it in a file", a.policies().command(a), a.policyShowCommand(),
		a.policyExportCommand(), a.keptPolicies().lintCommand(a), a.keptPolicies().applyCommand(a))
}

func (a *app) policies() listing[vault.ListedPolicy] {
	return listing[vault.ListedPolicy]{
		short: "List the escalation policies and who follows them",
		rows: func(ctx context.Context, store *vault.Store, _ bool) ([]vault.ListedPolicy, error) {
			return store.Policies(ctx, nil)
		},
		columns: policyColumns,
		name:    policyKey,
		none:    "no policies: everybody is told again after each escalate_after; `onevault policy apply FILE` brings some",
	}
}

func policyKey(p vault.ListedPolicy) string { return p.Key }

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
		RunE: a.onVault(func(ctx context.Context, store *vault.Store, args []string) error {
			list, err := foundPolicies(ctx, store, args)
			if err != nil {
				return err
			}
			p, printer := list[0], a.printer()
			if done, err := printer.Whole(p, p.Key); done {
				return err
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
		}),
	}
}

func foundPolicies(ctx context.Context, store *vault.Store, keys []string) ([]vault.ListedPolicy, error) {
	list, err := store.Policies(ctx, keys)
	if err != nil {
		return nil, err
	}
	if key := missing(keys, list, policyKey); key != "" {
		return nil, &failure{exitNotFound, "the vault has no escalation policy " + key, "see `onevault policy list`"}
	}
	return list, nil
}

func (a *app) policyExportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export [KEY...]",
		Short: "Write the escalation policies as a file",
		RunE: a.onVault(func(ctx context.Context, store *vault.Store, args []string) error {
			list, err := foundPolicies(ctx, store, args)
			if err != nil {
				return err
			}
			return a.exportKept(policies.Write(each(list, func(p vault.ListedPolicy) vault.PolicySpec { return p.PolicySpec })))
		}),
	}
}

func (a *app) keptPolicies() kept[[]policies.Policy] {
	return kept[[]policies.Policy]{
		noun:    "policy",
		plural:  "escalation policies",
		example: "policies.yaml",
		about: `Bring a file of escalation policies into the vault, all of it or nothing. What is equal is left alone; what differs gets
a new version with its author. Alerts that are open follow to their end the version that they began with. What is
not in the file is left alone, too; write enabled: false to have nobody follow a policy any more.`,
		parse: policies.Parse,
		count: func(file []policies.Policy) string { return fmt.Sprintf("%d policies", len(file)) },
		line: func(file []policies.Policy, key string) int {
			at := slices.IndexFunc(file, func(p policies.Policy) bool { return p.Key == key })
			if at < 0 {
				return 0
			}
			return file[at].Line
		},
		put: func(ctx context.Context, store *vault.Store, file []policies.Policy, author string, dryRun bool) ([]vault.DefinitionRefusal, error) {
			return store.PutPolicies(ctx, each(file, func(p policies.Policy) vault.PolicySpec { return p.PolicySpec }), author, dryRun)
		},
		compare: comparePolicies,
	}
}

func comparePolicies(ctx context.Context, store *vault.Store, file []policies.Policy) ([]comparison, error) {
	stands, err := store.Policies(ctx, nil)
	if err != nil {
		return nil, err
	}
	compared := make([]comparison, len(file))
	for i, p := range file {
		compared[i] = comparison{key: p.Key, text: ladder(p.PolicySpec)}
		if at := slices.IndexFunc(stands, func(s vault.ListedPolicy) bool { return s.Key == p.Key }); at >= 0 {
			was := stands[at].PolicySpec
			compared[i].known, compared[i].same = true, samePolicy(p.PolicySpec, was)
			compared[i].text = ladder(was) + " -> " + compared[i].text
		}
	}
	return compared, nil
}

func samePolicy(a, b vault.PolicySpec) bool {
	if len(a.DefaultFor) == 0 && len(b.DefaultFor) == 0 {
		a.DefaultFor, b.DefaultFor = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/collect"
	"onevault/vault"
)

func (a *app) metricCommand() *cobra.Command {
	return noun("metric", "See what is measured, and measure something of your own",
		a.metricListCommand(), a.metricShowCommand(), a.metricLintCommand(), a.metricApplyCommand(), a.metricRemoveCommand())
}

// shownMetric is a metric as `metric list` prints it as JSON.
type shownMetric struct {
	vault.ListedMetric
	Versions string `json:"postgresql"` // the major versions that there is a SELECT for; empty: the worker measures it
}

func (a *app) metricListCommand() *cobra.Command {
	var (
		target string
		own    bool
	)
	fields := []string{"metric", "category", "status", "query"}
	cmd := &cobra.Command{
		Use:   "list [MATCHER...]",
		Short: "List the metrics with unit, cadence, versions of PostgreSQL, and how they stand",
		Long: `List the metrics, built in and of your own, with unit, cadence, the versions of PostgreSQL that they can be
measured on, and how they stand on a target: the worst status of the newest series within two and a half hours.
Matchers: ` + strings.Join(fields, ", ") + `, as in ` + "`onevault alert list`.",
		Example: "  onevault metric list status=~'WARNING|CRITICAL'\n  onevault metric list --own -o wide",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, fields...)
			if err != nil {
				return usage(err)
			}
			found, err := a.metrics(cmd.Context(), target)
			if err != nil {
				return err
			}
			var list []shownMetric
			for _, m := range found {
				if (!own || m.Own) && set.Match(func(field string) string {
					return map[string]string{"metric": m.Name, "category": m.Category, "status": m.Status, "query": m.Query}[field]
				}) {
					list = append(list, m)
				}
			}
			return output.List(a.printer(), list, metricColumns(a.now()), func(m shownMetric) string { return m.Name })
		},
	}
	cmd.Flags().StringVar(&target, "target", "local", "as they stand on this target")
	cmd.Flags().BoolVar(&own, "own", false, "only those that people added")
	return cmd
}

// metrics are those that the vault knows, with the versions that their queries are written for.
func (a *app) metrics(ctx context.Context, target string) ([]shownMetric, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	found, err := store.Metrics(ctx, target)
	if err != nil {
		return nil, err
	}
	queries, err := collect.HealthQueries()
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, q := range queries {
		versions[q.Name] = q.Versions()
	}
	list := make([]shownMetric, 0, len(found))
	for _, m := range found {
		shown := shownMetric{ListedMetric: m, Versions: versions[m.Query]}
		if m.Own {
			q, err := collect.ParseOwnQuery(m.Name, m.Definition)
			shown.Versions = q.Versions()
			if err != nil {
				shown.Error = err.Error()
			}
		}
		list = append(list, shown)
	}
	return list, nil
}

func metricColumns(now time.Time) []output.Column[shownMetric] {
	type row = shownMetric
	return []output.Column[row]{
		{Name: "METRIC", Cell: func(m row) output.Cell { return output.Text(m.Name) }},
		{Name: "BY", Cell: func(m row) output.Cell { return output.Text(output.OrNone(strings.Join(m.Labels, ", "))) }},
		{Name: "UNIT", Cell: func(m row) output.Cell { return output.Text(m.Unit) }},
		{Name: "EVERY", Cell: func(m row) output.Cell { return output.Text(everyText(m.Every)) }},
		{Name: "STATUS", Cell: metricStatusCell},
		{Name: "VALUE", Cell: func(m row) output.Cell { return output.Text(metricValue(m)) }},
		{Name: "AGE", Cell: func(m row) output.Cell { return output.Text(output.Age(now, m.MeasuredAt)) }},
		{Name: "DESCRIPTION", Cell: func(m row) output.Cell { return output.Text(m.Description) }},
		{Name: "CATEGORY", Wide: true, Cell: func(m row) output.Cell { return output.Text(m.Category) }},
		{Name: "POSTGRESQL", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Versions)) }},
		{Name: "QUERY", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Query)) }},
		{Name: "TARGETS", Wide: true, Cell: func(m row) output.Cell {
			return output.Text(cmp.Or(strings.Join(m.Targets, ", "), "all"))
		}},
		{Name: "BY WHOM", Wide: true, Cell: func(m row) output.Cell { return output.Text(cmp.Or(m.ChangedBy, "built in")) }},
		{Name: "REASON", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(cmp.Or(m.Error, m.Left))) }},
	}
}

func everyText(seconds int) string {
	if seconds == 0 {
		return "each time"
	}
	if seconds%3600 == 0 {
		return strconv.Itoa(seconds/3600) + "h"
	}
	return output.Span(time.Duration(seconds) * time.Second)
}

func metricStatusCell(m shownMetric) output.Cell {
	style := map[string]output.Style{"CRITICAL": output.Bad, "WARNING": output.Fair, "UNKNOWN": output.Fair, "NORMAL": output.Good}[m.Status]
	text := m.Status
	if text == "" && m.Left != "" {
		text = "not here"
	}
	return output.Cell{Text: output.OrNone(text), Style: style}
}

// metricValue is the value of a metric without labels, and how many series another one has.
func metricValue(m shownMetric) string {
	if len(m.Labels) > 0 && m.Series > 0 && m.Error == "" {
		return strconv.Itoa(m.Series) + " series"
	}
	return output.Number(m.Value, m.Unit)
}

func (a *app) metricShowCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:   "show METRIC",
		Short: "Show a metric: what it means, how it stands, and the SELECT that measures it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := a.metrics(cmd.Context(), target)
			if err != nil {
				return err
			}
			for _, m := range list {
				if m.Name == args[0] {
					return a.showMetric(m)
				}
			}
			return &failure{exitNotFound, fmt.Sprintf("there is no metric %q", args[0]), "`onevault metric list` lists them"}
		},
	}
	cmd.Flags().StringVar(&target, "target", "local", "as it stands on this target")
	return cmd
}

func (a *app) showMetric(m shownMetric) error {
	if m.Definition == "" {
		queries, err := collect.HealthQueries()
		if err != nil {
			return err
		}
		for _, q := range queries {
			if q.Name == m.Query {
				m.Definition = q.Text
			}
		}
	}
	p := a.printer()
	if p.Structured() {
		return p.Value(m)
	}
	if p.Format == output.Name {
		_, err := fmt.Fprintln(a.out, m.Name)
		return err
	}
	fmt.Fprintf(a.out, "%s: %s\n", m.Name, output.Printable(m.Description))
	if err := p.Pairs([][2]string{
		{"status", metricStatusCell(m).Text},
		{"value", metricValue(m)},
		{"measured", output.Moment(m.MeasuredAt)},
		{"reason", cmp.Or(m.Error, m.Left)},
		{"category", m.Category},
		{"unit", m.Unit},
		{"labels", strings.Join(m.Labels, ", ")},
		{"every", everyText(m.Every)},
		{"PostgreSQL", m.Versions},
		{"added by", m.ChangedBy},
	}); err != nil {
		return err
	}
	if m.Definition != "" {
		fmt.Fprintln(a.out)
		for line := range strings.Lines(m.Definition) {
			fmt.Fprintln(a.out, output.Printable(strings.TrimRight(line, "\n")))
		}
	}
	return nil
}

const metricFileHelp = `

A file holds a header and one SELECT, with a column of the metric's name and one for each label:

  -- metric queue_length [count] PERFORMANCE warning 100 critical 1000: Jobs that wait
  -- by queue
  -- every 60s

  SELECT queue, count(*) AS queue_length FROM jobs WHERE done_at IS NULL GROUP BY queue ORDER BY 2 DESC LIMIT 50

It runs in a read-only transaction of its own that is rolled back, for 5 seconds at most, and as one statement.
That does not keep a function from what its caller may do outside the database's tables (end sessions, write
files): the guard against that is the collector's role, which needs pg_monitor and nothing more.
docs/metrics.md describes every field.`

func (a *app) metricLintCommand() *cobra.Command {
	var headerOnly bool
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check metrics of your own: the header, and that the vault's server takes the SELECT; nothing is run",
		Long: `Check metrics of your own: the header, and that the vault's server takes the SELECT; it is planned, and not
run. Without a server that answers the header alone is checked, and that is said.` + metricFileHelp,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			queries, err := readMetrics(args)
			if err != nil {
				return err
			}
			if headerOnly {
				return a.saySound(queries, "its SELECT was not shown to a server")
			}
			unasked, err := a.lintMetrics(cmd.Context(), queries)
			if err != nil {
				return err
			}
			return a.saySound(queries, unasked)
		},
	}
	cmd.Flags().BoolVar(&headerOnly, "header-only", false, "ask no server: for a SELECT whose tables are on another one")
	return cmd
}

func (a *app) saySound(queries []collect.Query, unasked string) error {
	if unasked != "" {
		unasked = " (" + unasked + ")"
	}
	for _, q := range queries {
		fmt.Fprintf(a.out, "%s is a metric: %s%s\n", q.Name, output.Printable(q.Metrics[0].Description), output.Printable(unasked))
	}
	return nil
}

// readMetrics reads files of one's own. All that is wrong is told at once.
func readMetrics(files []string) ([]collect.Query, error) {
	var (
		queries  []collect.Query
		problems []string
		taken    = map[string]string{}
	)
	for _, file := range files {
		text, err := readMetric(file)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		query, err := collect.ParseOwnQuery(file, text)
		if err == nil && taken[query.Name] != "" {
			err = fmt.Errorf("%s: metric %s is in %s as well: keep one", file, query.Name, taken[query.Name])
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		taken[query.Name] = file
		queries = append(queries, query)
	}
	return queries, metricProblems(problems)
}

// readMetric reads a file, and no more of it than a metric can have.
func readMetric(name string) (string, error) {
	const most = 200_000
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	return string(text), nil
}

func metricProblems(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return &failure{exitError, strings.Join(problems, "\n  "), "docs/metrics.md shows whole files; `onevault metric show total_connections` shows one that is built in"}
}

// lintMetrics shows the SELECTs to the vault's server. unasked tells why no server was asked.
func (a *app) lintMetrics(ctx context.Context, queries []collect.Query) (unasked string, err error) {
	url, err := a.vaultURL()
	if err != nil {
		return "no server was asked: " + err.Error(), nil
	}
	target, err := collect.OpenTarget("local", url)
	if err != nil {
		return "", err
	}
	defer target.Close()
	var problems []string
	for _, query := range queries {
		err := target.LintQuery(ctx, query)
		if errors.Is(err, collect.ErrUnreachable) {
			return "no server was asked: " + err.Error(), nil
		}
		if err != nil {
			problems = append(problems, query.Name+": "+err.Error())
		}
	}
	return "", metricProblems(problems)
}

func (a *app) metricApplyCommand() *cobra.Command {
	var (
		targets    []string
		headerOnly bool
		actor      string
	)
	cmd := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Measure something of your own, from the next collection on",
		Long: `Measure something of your own: keep the files in the vault, from where the next collection takes them. Applied
again, a file that changed is a new version, with its author; one that did not is nothing.` + metricFileHelp,
		Example: "  onevault metric apply queue_length.sql\n  onevault metric apply --target pg-prod-3 --header-only orders.sql",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			queries, err := readMetrics(args)
			if err != nil {
				return err
			}
			if !headerOnly {
				if _, err := a.lintMetrics(cmd.Context(), queries); err != nil {
					return err
				}
			}
			signed, err := a.sign(actor, "")
			if err != nil {
				return err
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			for _, q := range queries {
				m := q.Metrics[0]
				changed, err := store.SaveMetric(cmd.Context(), vault.SavedMetric{
					Name: m.Name, Description: m.Description, Unit: m.Unit, Category: m.Category, Every: q.Every, Labels: q.By, Targets: targets, Text: q.Text,
				}, signed.Actor)
				if err != nil {
					return err
				}
				where := cmp.Or(strings.Join(targets, ", "), "all targets")
				if !changed {
					fmt.Fprintf(a.out, "%s stands so already\n", m.Name)
					continue
				}
				fmt.Fprintf(a.out, "applied %s: measured on %s from the next collection on\n", m.Name, output.Printable(where))
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&targets, "target", nil, "only on these targets (default all)")
	cmd.Flags().BoolVar(&headerOnly, "header-only", false, "ask no server whether it takes the SELECT: its tables are on another one")
	a.actorFlag(cmd, &actor)
	return cmd
}

func (a *app) metricRemoveCommand() *cobra.Command {
	var actor string
	cmd := &cobra.Command{
		Use:   "remove METRIC",
		Short: "Measure a metric of your own no more; what was measured stays",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			signed, err := a.sign(actor, "")
			if err != nil {
				return err
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			removed, err := store.RemoveMetric(cmd.Context(), args[0], signed.Actor)
			if err != nil {
				return err
			}
			if !removed {
				fmt.Fprintf(a.out, "%s was removed before\n", args[0])
				return nil
			}
			fmt.Fprintf(a.out, "removed %s; what was measured stays\n", args[0])
			return nil
		},
	}
	a.actorFlag(cmd, &actor)
	return cmd
}

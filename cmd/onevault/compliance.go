package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/alert"
	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/collect"
	"onevault/settings"
	"onevault/vault"
	"onevault/workflows"
)

func (a *app) complianceCommand() *cobra.Command {
	return noun("compliance", "Run the controls of HIPAA, GDPR, SOX, PCI DSS and SOC 2, and see how they stand",
		a.complianceRunCommand(), a.complianceListCommand(), a.complianceShowCommand(), a.complianceReportCommand(), a.complianceLintCommand())
}

// complianceFlags are what run and report have in common.
type complianceFlags struct{ target, framework, failOn string }

func (f *complianceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.framework, "framework", "", "only the controls of this framework: hipaa, gdpr, sox, pci-dss, soc2, or one of your own")
	cmd.Flags().StringVar(&f.failOn, "fail-on", "", "exit with 1 where a control is not met: NON_COMPLIANT any, CRITICAL one of that severity")
}

func (f *complianceFlags) validate() error {
	f.failOn = strings.ToUpper(f.failOn)
	if !slices.Contains([]string{"", collect.NonCompliant, "CRITICAL"}, f.failOn) {
		return usage(fmt.Errorf("--fail-on %q is unknown: use NON_COMPLIANT or CRITICAL", f.failOn))
	}
	return nil
}

// fails reports whether a control that is not met makes the exit code 1.
func (f *complianceFlags) fails(status, severity string) bool {
	return f.failOn == collect.NonCompliant && status == collect.NonCompliant ||
		f.failOn == "CRITICAL" && severity == "CRITICAL" && (status == collect.NonCompliant || status == collect.PartiallyCompliant)
}

func (a *app) complianceRunCommand() *cobra.Command {
	var (
		flags     complianceFlags
		taskQueue string
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the controls now, record what they found, and print it",
		Long: `Have a worker run the controls on a target, and print what is not met. Each run is recorded; the schedule
"compliance" does the same every night.`,
		Example: "  onevault compliance run --framework hipaa\n  onevault compliance run --fail-on CRITICAL",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.validate(); err != nil {
				return err
			}
			if taskQueue = a.setting(taskQueue, settings.TaskQueue); taskQueue == "" {
				taskQueue = workflows.DefaultTaskQueue
			}
			out, err := a.runCompliance(cmd.Context(), taskQueue, workflows.ComplianceInput{Target: flags.target, Framework: flags.framework})
			if err != nil {
				return err
			}
			return a.printComplianceRun(out, flags)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.target, "target", "local", "the target")
	cmd.Flags().StringVar(&taskQueue, "task-queue", "", "the workers' task queue (default $"+settings.TaskQueue+" or onevault)")
	return cmd
}

func (a *app) runCompliance(ctx context.Context, taskQueue string, in workflows.ComplianceInput) (out activities.CheckComplianceOutput, err error) {
	return out, a.runOnWorker(ctx, taskQueue, complianceRunID(in), "run the compliance controls", workflows.ComplianceWorkflowName, in, &out)
}

// runTimeout bounds how long a person waits for a run, which takes seconds.
const runTimeout = 5 * time.Minute

// runOnWorker has a worker run a workflow now, and waits for its result. Somebody who asked for the same a
// moment ago gets the same result.
func (a *app) runOnWorker(ctx context.Context, taskQueue, id, summary, workflowName string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	temporal, err := a.mustTemporal(ctx)
	if err != nil {
		return err
	}
	queue, err := temporal.DescribeTaskQueue(ctx, taskQueue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return fmt.Errorf("ask who works on task queue %s: %w", taskQueue, err)
	}
	if len(queue.GetPollers()) == 0 {
		return &failure{exitError, "no worker listens on the task queue " + taskQueue, "start one: onevault worker (or set " + settings.TaskQueue + " to the queue that they listen on)"}
	}
	run, err := temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: id, TaskQueue: taskQueue, WorkflowExecutionTimeout: runTimeout,
		StaticSummary:            summary + ", asked for by " + login(),
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, workflowName, in)
	if err != nil {
		return fmt.Errorf("start the run: %w", err)
	}
	err = run.Get(ctx, out)
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{exitError, "the run did not end within " + runTimeout.String(), "see workflow " + run.GetID() + " in the Temporal UI"}
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", run.GetID(), err)
	}
	return nil
}

func complianceRunID(in workflows.ComplianceInput) string {
	return strings.TrimSuffix("compliance/"+in.Target+"/"+strings.ToLower(in.Framework), "/")
}

func (a *app) printComplianceRun(out activities.CheckComplianceOutput, flags complianceFlags) error {
	if out.Error != "" {
		return &failure{exitError, out.Error, "see `onevault compliance list` for the targets and frameworks"}
	}
	p := a.printer()
	if p.Structured() {
		if err := p.Value(out); err != nil {
			return err
		}
	} else if err := output.List(p, out.Findings, controlFindingColumns(), func(f activities.ControlFinding) string { return f.Control }); err != nil {
		return err
	}
	for _, problem := range out.Problems {
		a.note("no control: %s", output.Printable(problem))
	}
	a.note("%d controls: %d compliant, %d partially, %d non-compliant, %d not tested", out.Controls, out.Compliant, out.Partial, out.NonCompliant, out.NotTested)
	for _, f := range out.Findings {
		if flags.fails(f.Status, f.Severity) {
			return &silent{exitError}
		}
	}
	return nil
}

func controlFindingColumns() []output.Column[activities.ControlFinding] {
	type row = activities.ControlFinding
	return []output.Column[row]{
		{Name: "CONTROL", Cell: func(f row) output.Cell { return output.Text(f.Control) }},
		{Name: "SEV", Cell: func(f row) output.Cell { return severityCell(alert.Severity(f.Severity)) }},
		{Name: "STATUS", Cell: func(f row) output.Cell { return complianceCell(f.Status) }},
		{Name: "TITLE", Cell: func(f row) output.Cell { return output.Text(f.Title) }},
	}
}

func complianceCell(status string) output.Cell {
	style := map[string]output.Style{
		collect.NonCompliant: output.Bad, collect.PartiallyCompliant: output.Fair, collect.Compliant: output.Good, collect.NotTested: output.Faint,
	}[status]
	return output.Cell{Text: status, Style: style}
}

var complianceFields = []string{"framework", "control", "status", "severity", "category", "target", "overdue"}

func complianceField(c vault.ListedControl, field string) string {
	switch field {
	case "framework":
		return c.Framework
	case "control":
		return c.Control
	case "status":
		return c.Status
	case "severity":
		return c.Severity
	case "category":
		return c.Category
	case "target":
		return c.Target
	}
	return fmt.Sprint(c.Overdue)
}

func (a *app) complianceListCommand() *cobra.Command {
	var framework string
	cmd := &cobra.Command{
		Use:     "list [MATCHER...]",
		Short:   "List how the controls stand, the worst first, a row for each framework that asks for one",
		Long:    "List how the controls stand, the worst first. Matchers: " + strings.Join(complianceFields, ", ") + ", as in `onevault alert list`.",
		Example: "  onevault compliance list status=NON_COMPLIANT --framework hipaa\n  onevault compliance list overdue=true -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, complianceFields...)
			if err != nil {
				return usage(err)
			}
			list, err := a.standing(cmd.Context(), "", framework)
			if err != nil {
				return err
			}
			shown := slices.DeleteFunc(slices.Clone(list), func(c vault.ListedControl) bool {
				return !set.Match(func(field string) string { return complianceField(c, field) })
			})
			if err := output.List(a.printer(), shown, complianceColumns(a.now()), func(c vault.ListedControl) string { return c.Control }); err != nil {
				return err
			}
			if len(list) == 0 {
				a.note("no control was run yet; `onevault compliance run` does it now, the schedule every night")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&framework, "framework", "", "only of this framework, in any spelling: pci-dss, soc2")
	return cmd
}

// standing lists the controls as they stand, of one framework where one is given.
func (a *app) standing(ctx context.Context, target, framework string) ([]vault.ListedControl, error) {
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	list, err := store.Compliance(ctx, target, a.now())
	if err != nil || framework == "" || len(list) == 0 {
		return list, err
	}
	known := map[string]bool{}
	found := slices.DeleteFunc(slices.Clone(list), func(c vault.ListedControl) bool {
		known[c.Framework] = true
		return !collect.SameFramework(c.Framework, framework)
	})
	if len(found) == 0 {
		return nil, &failure{exitNotFound, fmt.Sprintf("no control of framework %q was run", framework), "use one of: " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")}
	}
	return found, nil
}

func complianceColumns(now time.Time) []output.Column[vault.ListedControl] {
	type row = vault.ListedControl
	return []output.Column[row]{
		{Name: "CONTROL", Cell: func(c row) output.Cell { return output.Text(c.Control) }},
		{Name: "SEV", Cell: func(c row) output.Cell { return severityCell(alert.Severity(c.Severity)) }},
		{Name: "STATUS", Cell: func(c row) output.Cell { return complianceCell(c.Status) }},
		{Name: "SCORE", Cell: func(c row) output.Cell { return output.Text(output.Number(c.Score, "%")) }},
		{Name: "FRAMEWORK", Cell: func(c row) output.Cell { return output.Text(c.Framework) }},
		{Name: "CLAUSE", Cell: func(c row) output.Cell { return output.Text(clauseNames(c)) }},
		{Name: "TITLE", Cell: func(c row) output.Cell { return output.Text(c.Title) }},
		{Name: "SINCE", Cell: func(c row) output.Cell { return output.Text(output.Age(now, c.Since)) }},
		{Name: "DEADLINE", Cell: deadlineCell},
		{Name: "TARGET", Wide: true, Cell: func(c row) output.Cell { return output.Text(c.Target) }},
		{Name: "CATEGORY", Wide: true, Cell: func(c row) output.Cell { return output.Text(c.Category) }},
		{Name: "CHECKED", Wide: true, Cell: func(c row) output.Cell { return output.Text(output.Age(now, c.CheckedAt)) }},
		{Name: "RUN", Wide: true, Cell: func(c row) output.Cell { return output.Text(output.OrNone(c.Run)) }},
	}
}

func clauseNames(c vault.ListedControl) string {
	names := make([]string, len(c.Clauses))
	for i, clause := range c.Clauses {
		names[i] = clause.Clause
	}
	return output.OrNone(strings.Join(names, ", "))
}

func deadlineCell(c vault.ListedControl) output.Cell {
	if c.Overdue {
		return output.Cell{Text: c.Deadline + " overdue", Style: output.Bad}
	}
	return output.Text(output.OrNone(c.Deadline))
}

// shownControl is a control with its history, as -o json shows it.
type shownControl struct {
	Frameworks []vault.ListedControl `json:"frameworks"`
	History    []vault.ControlPeriod `json:"history"`
}

func (a *app) complianceShowCommand() *cobra.Command {
	var target string
	cmd := &cobra.Command{
		Use:     "show CONTROL",
		Short:   "Show a control: what it asks, its clauses, what was found, since when, and what to do",
		Example: "  onevault compliance show C08",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id := strings.ToUpper(args[0])
			list, err := a.standing(cmd.Context(), target, "")
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(c vault.ListedControl) bool { return c.Control != id || c.Target != target })
			if len(list) == 0 {
				return a.showUntried(id, target)
			}
			slices.SortStableFunc(list, func(x, y vault.ListedControl) int { return strings.Compare(x.Framework, y.Framework) })
			history, err := a.store.ControlHistory(cmd.Context(), target, id)
			if err != nil {
				return err
			}
			return a.showControl(shownControl{list, history})
		},
	}
	cmd.Flags().StringVar(&target, "target", "local", "on this target")
	return cmd
}

// showUntried tells what a built-in control asks that was not run on a target.
func (a *app) showUntried(id, target string) error {
	all, err := collect.Controls()
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(c collect.Control) bool { return c.ID == id })
	if at < 0 {
		return &failure{exitNotFound, fmt.Sprintf("no control %q was run on %s", id, target), "see `onevault compliance list`"}
	}
	c := all[at]
	found := shownControl{History: []vault.ControlPeriod{}}
	for _, framework := range c.Frameworks() {
		one := vault.ListedControl{
			Target: target, Framework: framework, Control: c.ID, Title: c.Title, Asks: c.Asks, Category: c.Category, Severity: c.Severity,
			Status: collect.NotTested, Remediation: c.Remediation, Source: c.Evidence,
		}
		for _, clause := range c.Clauses {
			if clause.Framework == framework {
				one.Clauses = append(one.Clauses, vault.ControlClause{Clause: clause.Clause, Text: clause.Text})
			}
		}
		found.Frameworks = append(found.Frameworks, one)
	}
	a.note("it was not run on %s yet: onevault compliance run", target)
	return a.showControl(found)
}

func (a *app) showControl(found shownControl) error {
	p := a.printer()
	if p.Structured() {
		return p.Value(found)
	}
	c := found.Frameworks[0]
	if p.Format == output.Name {
		_, err := fmt.Fprintln(a.out, c.Control)
		return err
	}
	checkedAt := ""
	if !c.CheckedAt.IsZero() {
		checkedAt = output.Moment(c.CheckedAt)
	}
	fmt.Fprintf(a.out, "%s %s, %s on %s\n", c.Control, output.Printable(c.Title), p.Paint(complianceCell(c.Status)), output.Printable(c.Target))
	if err := p.Pairs([][2]string{
		{"asks", c.Asks},
		{"severity", c.Severity},
		{"score", scoreText(c)},
		{"checked", checkedAt},
		{"deadline", deadlineCell(c).Text},
		{"remediation", c.Remediation},
		{"evidence of", c.Source},
		{"run", c.Run},
	}); err != nil {
		return err
	}
	if err := a.section("clauses", clausePairs(found.Frameworks)); err != nil {
		return err
	}
	if err := a.section("evidence", evidencePairs(c.Evidence)); err != nil {
		return err
	}
	if len(found.History) == 0 {
		return nil
	}
	fmt.Fprintln(a.out, "\nhistory")
	return output.List(p, found.History, []output.Column[vault.ControlPeriod]{
		{Name: "STATUS", Cell: func(h vault.ControlPeriod) output.Cell { return complianceCell(h.Status) }},
		{Name: "FROM", Cell: func(h vault.ControlPeriod) output.Cell { return output.Text(output.Moment(h.From)) }},
		{Name: "LAST FOUND", Cell: func(h vault.ControlPeriod) output.Cell { return output.Text(output.Moment(h.Last)) }},
		{Name: "RUNS", Cell: func(h vault.ControlPeriod) output.Cell { return output.Text(fmt.Sprint(h.Runs)) }},
	}, func(h vault.ControlPeriod) string { return h.Status })
}

func (a *app) section(title string, pairs [][2]string) error {
	if len(pairs) == 0 {
		return nil
	}
	fmt.Fprintln(a.out, "\n"+title)
	return a.printer().Pairs(pairs)
}

func scoreText(c vault.ListedControl) string {
	if c.Score == nil {
		return ""
	}
	return output.Number(c.Score, "%")
}

func clausePairs(list []vault.ListedControl) (pairs [][2]string) {
	for _, c := range list {
		for _, clause := range c.Clauses {
			pairs = append(pairs, [2]string{c.Framework + " " + clause.Clause, cmp.Or(clause.Text, output.None)})
		}
	}
	return pairs
}

// evidencePairs shows each part of the evidence; a text as it is, anything else as JSON.
func evidencePairs(evidence json.RawMessage) (pairs [][2]string) {
	var parts map[string]json.RawMessage
	if json.Unmarshal(evidence, &parts) != nil {
		return nil // there is none
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		text := string(parts[name])
		var plain string
		if json.Unmarshal(parts[name], &plain) == nil {
			text = cmp.Or(plain, `""`)
		}
		pairs = append(pairs, [2]string{name, text})
	}
	return pairs
}

// complianceReport is how a framework stands, clause by clause.
type complianceReport struct {
	Framework    string         `json:"framework"`
	Target       string         `json:"target"`
	At           time.Time      `json:"at"`
	Controls     int            `json:"controls"`
	Compliant    int            `json:"compliant"`
	Partial      int            `json:"partially_compliant"`
	NonCompliant int            `json:"non_compliant"`
	NotTested    int            `json:"not_tested"`
	Overdue      int            `json:"overdue"`
	Score        *float64       `json:"score,omitempty"` // percent of those that were tested; absent: none was
	Clauses      []reportClause `json:"clauses"`
}

type reportClause struct {
	Clause   string                `json:"clause"`
	Text     string                `json:"text"`
	Controls []vault.ListedControl `json:"controls"`
}

func (a *app) complianceReportCommand() *cobra.Command {
	var (
		flags complianceFlags
		html  string
	)
	cmd := &cobra.Command{
		Use:     "report --framework FRAMEWORK",
		Short:   "Report how a framework stands, clause by clause, from what the newest runs recorded",
		Example: "  onevault compliance report --framework hipaa\n  onevault compliance report --framework gdpr --html gdpr.html\n  onevault compliance report --framework soc2 -o json --fail-on CRITICAL",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.validate(); err != nil {
				return err
			}
			if flags.framework == "" {
				return usage(errors.New("--framework is missing: name one, such as hipaa"))
			}
			list, err := a.standing(cmd.Context(), flags.target, flags.framework)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return &failure{exitNotFound, "no control was run on " + flags.target + " yet", "run them: onevault compliance run"}
			}
			if err := a.printComplianceReport(reportOf(list, a.now()), html); err != nil {
				return err
			}
			if slices.ContainsFunc(list, func(c vault.ListedControl) bool { return flags.fails(c.Status, c.Severity) }) {
				return &silent{exitError}
			}
			return nil
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&flags.target, "target", "local", "of this target")
	cmd.Flags().StringVar(&html, "html", "", "also write the report to this file, one page that needs no network and prints well; - for standard output")
	return cmd
}

// reportOf counts the controls of one framework on one target, and groups them by clause.
func reportOf(list []vault.ListedControl, now time.Time) complianceReport {
	r := complianceReport{Framework: list[0].Framework, Target: list[0].Target, At: now.UTC(), Controls: len(list)}
	sum, tested := 0.0, 0
	for _, c := range list {
		switch c.Status {
		case collect.Compliant:
			r.Compliant++
		case collect.PartiallyCompliant:
			r.Partial++
		case collect.NonCompliant:
			r.NonCompliant++
		default:
			r.NotTested++
		}
		if c.Overdue {
			r.Overdue++
		}
		if c.Score != nil {
			sum, tested = sum+*c.Score, tested+1
		}
		for _, clause := range c.Clauses {
			at := slices.IndexFunc(r.Clauses, func(known reportClause) bool { return known.Clause == clause.Clause })
			if at < 0 {
				at = len(r.Clauses)
				r.Clauses = append(r.Clauses, reportClause{Clause: clause.Clause, Text: clause.Text})
			}
			r.Clauses[at].Controls = append(r.Clauses[at].Controls, c)
		}
	}
	if tested > 0 {
		score := sum / float64(tested)
		r.Score = &score
	}
	slices.SortFunc(r.Clauses, func(x, y reportClause) int { return strings.Compare(x.Clause, y.Clause) })
	return r
}

func (a *app) printComplianceReport(r complianceReport, htmlFile string) error {
	if htmlFile != "" {
		page, err := r.page().HTML()
		if err != nil {
			return err
		}
		if htmlFile == "-" {
			_, err := fmt.Fprint(a.out, page)
			return err
		}
		if err := writeReport(htmlFile, page); err != nil {
			return err
		}
		a.note("wrote %s", htmlFile)
	}
	p := a.printer()
	if p.Structured() {
		return p.Value(r)
	}
	fmt.Fprintf(a.out, "%s on %s, %s\n", output.Printable(r.Framework), output.Printable(r.Target), output.Moment(r.At))
	score := output.None + " (nothing was tested)"
	if r.Score != nil {
		score = fmt.Sprintf("%s of the %d controls that were tested", output.Number(r.Score, "%"), r.Controls-r.NotTested)
	}
	if err := p.Pairs([][2]string{
		{"score", score},
		{"controls", fmt.Sprintf("%d: %d compliant, %d partially, %d non-compliant, %d not tested", r.Controls, r.Compliant, r.Partial, r.NonCompliant, r.NotTested)},
		{"overdue", fmt.Sprint(r.Overdue)},
	}); err != nil {
		return err
	}
	for _, clause := range r.Clauses {
		fmt.Fprintf(a.out, "\n%s  %s\n", output.Printable(clause.Clause), output.Printable(clause.Text))
		err := output.List(p, clause.Controls, []output.Column[vault.ListedControl]{
			{Name: "CONTROL", Cell: func(c vault.ListedControl) output.Cell { return output.Text(c.Control) }},
			{Name: "STATUS", Cell: func(c vault.ListedControl) output.Cell { return complianceCell(c.Status) }},
			{Name: "SEV", Cell: func(c vault.ListedControl) output.Cell { return severityCell(alert.Severity(c.Severity)) }},
			{Name: "CHECKED", Cell: func(c vault.ListedControl) output.Cell { return output.Text(output.Moment(c.CheckedAt)) }},
			{Name: "DEADLINE", Cell: deadlineCell},
			{Name: "TITLE", Cell: func(c vault.ListedControl) output.Cell { return output.Text(c.Title) }},
		}, func(c vault.ListedControl) string { return c.Control })
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *app) complianceLintCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE|DIR",
		Short: "Check controls of your own: the header, and that the server takes the SELECT; nothing is run",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url, err := a.vaultURL()
			if err != nil {
				return err
			}
			target, err := collect.OpenTarget("local", url)
			if err != nil {
				return err
			}
			defer target.Close()
			controls, problems := collect.CustomControls(args[0])
			for _, control := range controls {
				if err := target.LintControl(cmd.Context(), control); err != nil {
					problems = append(problems, control.ID+": "+err.Error())
					continue
				}
				fmt.Fprintf(a.out, "%s is a control: %s\n", control.ID, output.Printable(control.Title))
			}
			switch {
			case len(problems) > 0:
				return &failure{code: exitError, message: strings.Join(problems, "\n  "), remedy: "correct them; docs/compliance.md shows a whole file"}
			case len(controls) == 0:
				return &failure{exitNotFound, "there is no *.sql file in " + args[0], "give a file or a directory of controls"}
			}
			return nil
		},
	}
}

package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/matcher"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

func (a *app) definitionCommand() *cobra.Command {
	return noun("definition", "See what is watched, keep it in a file, and see who changed it", a.definitionListCommand(),
		a.definitionExportCommand(), a.definitionLintCommand(), a.definitionDiffCommand(), a.definitionApplyCommand(),
		a.definitionHistoryCommand(), a.definitionRollbackCommand(), a.definitionSchemaCommand(), a.definitionBacktestCommand(), a.definitionTestCommand())
}

func (a *app) definitionListCommand() *cobra.Command {
	var all bool
	fields := []string{"key", "name", "severity", "category", "result"}
	cmd := &cobra.Command{
		Use:   "list [MATCHER...]",
		Short: "List the alert definitions with their last result and who hears them",
		Long:  "List the alert definitions. Matchers: " + strings.Join(fields, ", ") + ", as in `onevault alert list`.",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := matcher.Parse(args, fields...)
			if err != nil {
				return usage(err)
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			found, err := store.Definitions(cmd.Context(), all)
			if err != nil {
				return err
			}
			var list []vault.ListedDefinition
			for _, d := range found {
				if set.Match(func(field string) string { return definitionField(d, field) }) {
					list = append(list, d)
				}
			}
			return output.List(a.printer(), list, definitionColumns(a.now()), func(d vault.ListedDefinition) string { return d.Key })
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "disabled definitions too")
	return cmd
}

func definitionField(d vault.ListedDefinition, field string) string {
	switch field {
	case "key":
		return d.Key
	case "name":
		return d.Name
	case "severity":
		return d.Severity
	case "category":
		return d.Category
	}
	return d.LastResult
}

func definitionColumns(now time.Time) []output.Column[vault.ListedDefinition] {
	type row = vault.ListedDefinition
	return []output.Column[row]{
		{Name: "DEFINITION", Cell: func(d row) output.Cell { return output.Text(d.Key) }},
		{Name: "SEV", Cell: func(d row) output.Cell { return severityCell(alert.Severity(d.Severity)) }},
		{Name: "ALERT", Cell: func(d row) output.Cell { return output.Text(d.Name) }},
		{Name: "CONDITION", Cell: func(d row) output.Cell { return output.Text(d.Condition) }},
		{Name: "THRESHOLD", Cell: func(d row) output.Cell { return output.Text(output.Number(d.Threshold, "")) }},
		{Name: "RESULT", Cell: resultCell},
		{Name: "EVALUATED", Cell: func(d row) output.Cell { return output.Text(output.Age(now, d.LastEvaluatedAt)) }},
		{Name: "OPEN", Cell: func(d row) output.Cell { return output.Text(strconv.Itoa(d.OpenAlerts)) }},
		{Name: "HEARD BY", Cell: heardCell},
		{Name: "ENABLED", Wide: true, Cell: func(d row) output.Cell { return output.Text(strconv.FormatBool(d.Enabled)) }},
		{Name: "CATEGORY", Wide: true, Cell: func(d row) output.Cell { return output.Text(d.Category) }},
		{Name: "EVERY", Wide: true, Cell: func(d row) output.Cell { return output.Text(strconv.Itoa(d.EveryMinutes) + "m") }},
		{Name: "ESCALATES", Wide: true, Cell: func(d row) output.Cell {
			if !d.EscalationEnabled {
				return output.Text(output.None)
			}
			return output.Text("after " + strconv.Itoa(d.EscalationMinutes) + "m")
		}},
		{Name: "AUTO RESOLVE", Wide: true, Cell: func(d row) output.Cell { return output.Text(strconv.FormatBool(d.AutoResolve)) }},
		{Name: "VERSION", Wide: true, Cell: func(d row) output.Cell { return output.Text(output.Moment(d.Version)) }},
		{Name: "RUNBOOK", Wide: true, Cell: func(d row) output.Cell { return output.Text(output.OrNone(d.Runbook)) }},
		{Name: "REASON", Wide: true, Cell: func(d row) output.Cell { return output.Text(output.OrNone(d.LastReason)) }},
	}
}

func resultCell(d vault.ListedDefinition) output.Cell {
	return output.Cell{Text: output.OrNone(d.LastResult), Style: resultStyle(d.LastResult)}
}

func resultStyle(result string) output.Style {
	switch result {
	case "TRUE", "ERROR":
		return output.Bad
	case "NO_DATA":
		return output.Fair
	case "FALSE":
		return output.Good
	}
	return output.Plain
}

func heardCell(d vault.ListedDefinition) output.Cell {
	if len(d.Channels) == 0 {
		return output.Cell{Text: "nobody", Style: output.Bad}
	}
	return output.Text(strings.Join(d.Channels, ", "))
}

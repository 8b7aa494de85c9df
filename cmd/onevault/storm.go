package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/vault"
	"onevault/workflows"
)

func (a *app) stormCommand() *cobra.Command {
	return noun("storm", "See the times in which so much fired at once that people are told of it in one message", listing[vault.ListedStorm]{
		short: "List the storms that are on: on which target, or of which definition, and of how many groups of alerts",
		all:   "those that are over, too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]vault.ListedStorm, error) {
			return store.Storms(ctx, all)
		},
		columns: stormColumns,
		name:    stormID,
		none:    "no storm is on",
	}.command(a))
}

// stormID is what the Temporal UI shows a storm as.
func stormID(s vault.ListedStorm) string {
	return workflows.StormWorkflowID(alert.Storm{Kind: s.Kind, Name: s.Name, Tenant: s.Tenant})
}

func stormColumns(now time.Time) []output.Column[vault.ListedStorm] {
	type row = vault.ListedStorm
	return []output.Column[row]{
		{Name: "STORM", Cell: func(s row) output.Cell { return output.Text(stormID(s)) }},
		{Name: "STATE", Cell: func(s row) output.Cell {
			if s.EndedAt == nil {
				return output.Cell{Text: "ON", Style: output.Bad}
			}
			return output.Cell{Text: "OVER", Style: output.Faint}
		}},
		{Name: "BEGAN", Cell: func(s row) output.Cell { return output.Text(output.Moment(s.BeganAt)) }},
		{Name: "LASTS", Cell: func(s row) output.Cell {
			end := now
			if s.EndedAt != nil {
				end = *s.EndedAt
			}
			return output.Text(output.Span(end.Sub(s.BeganAt).Round(time.Second)))
		}},
		{Name: "GROUPS", Cell: func(s row) output.Cell { return output.Text(strconv.Itoa(s.Groups)) }},
		{Name: "ALERTS", Cell: func(s row) output.Cell {
			if s.Alerts == nil {
				return output.Text(output.OrNone("")) // known when it is over
			}
			return output.Text(strconv.Itoa(*s.Alerts))
		}},
		{Name: "LIMIT", Cell: func(s row) output.Cell { return output.Text(strconv.Itoa(s.Limit)) }},
		{Name: "KEY", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.Key) }},
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"onevault/cmd/onevault/output"
)

func (a *app) scheduleCommand() *cobra.Command {
	return noun("schedule", "See and steer what runs when",
		a.scheduleListCommand(),
		a.scheduleActionCommand("pause", "Pause a schedule: nothing is collected (or evaluated) until it is resumed", "paused",
			func(ctx context.Context, handle client.ScheduleHandle, note string) error {
				return handle.Pause(ctx, client.SchedulePauseOptions{Note: note})
			}),
		a.scheduleActionCommand("resume", "Let a paused schedule go on", "resumed",
			func(ctx context.Context, handle client.ScheduleHandle, note string) error {
				return handle.Unpause(ctx, client.ScheduleUnpauseOptions{Note: note})
			}),
		a.scheduleActionCommand("trigger", "Run a schedule's work now", "triggered",
			func(ctx context.Context, handle client.ScheduleHandle, _ string) error {
				return handle.Trigger(ctx, client.ScheduleTriggerOptions{})
			}),
	)
}

// shownSchedule is a schedule as its list shows it.
type shownSchedule struct {
	ID       string    `json:"id"`
	Workflow string    `json:"workflow"`
	Every    []string  `json:"every,omitempty"`
	Paused   bool      `json:"paused"`
	Note     string    `json:"note,omitempty"`
	LastRun  time.Time `json:"last_run,omitzero"`
	NextRun  time.Time `json:"next_run,omitzero"`
}

func (a *app) scheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the schedules: how often, when last, when next",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			temporal, err := a.mustTemporal(cmd.Context())
			if err != nil {
				return err
			}
			list, err := listSchedules(cmd.Context(), temporal)
			if err != nil {
				return err
			}
			return printList(a, list, scheduleColumns(a.now()), func(s shownSchedule) string { return s.ID }, "no schedules; a worker creates them at its start")
		},
	}
}

func listSchedules(ctx context.Context, temporal client.Client) ([]shownSchedule, error) {
	entries, err := temporal.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return nil, fmt.Errorf("list schedules: %w", err)
	}
	var list []shownSchedule
	for entries.HasNext() {
		entry, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("list schedules: %w", err)
		}
		list = append(list, showSchedule(entry))
	}
	return list, nil
}

func showSchedule(entry *client.ScheduleListEntry) shownSchedule {
	s := shownSchedule{ID: entry.ID, Workflow: entry.WorkflowType.Name, Paused: entry.Paused, Note: entry.Note}
	if entry.Spec != nil {
		for _, interval := range entry.Spec.Intervals {
			s.Every = append(s.Every, interval.Every.String())
		}
		for _, calendar := range entry.Spec.Calendars {
			s.Every = append(s.Every, runsAt(calendar, entry.Spec.TimeZoneName))
		}
	}
	if n := len(entry.RecentActions); n > 0 {
		s.LastRun = entry.RecentActions[n-1].ActualTime.UTC()
	}
	if len(entry.NextActionTimes) > 0 && !entry.Paused {
		s.NextRun = entry.NextActionTimes[0].UTC()
	}
	return s
}

// runsAt says when a calendar schedule runs. One that is not simply daily, which somebody changed by
// hand, is shown by its comment, or named as what it is.
func runsAt(c client.ScheduleCalendarSpec, zone string) string {
	if len(c.Hour) != 1 || len(c.Minute) > 1 || c.Hour[0].End > c.Hour[0].Start {
		return cmp.Or(c.Comment, "by calendar")
	}
	minute := 0
	if len(c.Minute) == 1 {
		minute = c.Minute[0].Start
	}
	return fmt.Sprintf("day at %02d:%02d %s", c.Hour[0].Start, minute, cmp.Or(zone, "UTC"))
}

func scheduleColumns(now time.Time) []output.Column[shownSchedule] {
	type row = shownSchedule
	return []output.Column[row]{
		{Name: "SCHEDULE", Cell: func(s row) output.Cell { return output.Text(s.ID) }},
		{Name: "EVERY", Cell: func(s row) output.Cell { return output.Text(output.OrNone(strings.Join(s.Every, ", "))) }},
		{Name: "STATE", Cell: func(s row) output.Cell {
			if s.Paused {
				return output.Cell{Text: "paused", Style: output.Fair}
			}
			return output.Cell{Text: "running", Style: output.Good}
		}},
		{Name: "LAST RUN", Cell: func(s row) output.Cell {
			if s.LastRun.IsZero() {
				return output.Text(output.None)
			}
			return output.Text(output.Age(now, s.LastRun) + " ago")
		}},
		{Name: "NEXT RUN", Cell: func(s row) output.Cell {
			if s.NextRun.IsZero() {
				return output.Text(output.None)
			}
			return output.Text("in " + output.Span(s.NextRun.Sub(now)))
		}},
		{Name: "NOTE", Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.Note)) }},
		{Name: "WORKFLOW", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.Workflow) }},
	}
}

func (a *app) scheduleActionCommand(verb, short, done string, act func(context.Context, client.ScheduleHandle, string) error) *cobra.Command {
	var message string
	cmd := &cobra.Command{
		Use:   verb + " NAME",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			temporal, err := a.mustTemporal(cmd.Context())
			if err != nil {
				return err
			}
			if message == "" {
				message = done + " by " + login() + " with onevault schedule " + verb
			}
			err = act(cmd.Context(), temporal.ScheduleClient().GetHandle(cmd.Context(), args[0]), message)
			var unknown *serviceerror.NotFound
			if errors.As(err, &unknown) {
				return &failure{exitNotFound, fmt.Sprintf("no schedule %q", args[0]), "see `onevault schedule list`"}
			}
			if err != nil {
				return fmt.Errorf("%s schedule %s: %w", verb, args[0], err)
			}
			fmt.Fprintln(a.out, done+" "+args[0])
			return nil
		},
	}
	if verb != "trigger" {
		cmd.Flags().StringVarP(&message, "message", "m", "", "why, for whoever finds it so")
	}
	return cmd
}

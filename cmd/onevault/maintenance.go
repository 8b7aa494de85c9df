package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/vault"
	"onevault/worker"
)

func (a *app) maintenanceCommand() *cobra.Command {
	return noun("maintenance", "Plan times in which people are not told of alerts, also recurring ones",
		a.maintenanceAddCommand(), a.maintenances().command(a), a.maintenanceShowCommand(), a.removeCommand("End a maintenance and all its windows to come", func(ctx context.Context, store *vault.Store, name, by string) error {
			return store.RemoveMaintenance(ctx, name, by)
		}))
}

func (a *app) maintenanceAddCommand() *cobra.Command {
	var (
		m               vault.Maintenance
		start, duration string
		yes             bool
	)
	cmd := &cobra.Command{
		Use:   "add NAME MATCHER...",
		Short: "Plan a maintenance, once or recurring, and see its next windows",
		Long: `Plan a maintenance. In its windows the alerts that match are muted, as by a silence. --start and --rrule go by the clocks
of --tz: 02:00 stays 02:00 when clocks are changed, and a window lasts its duration by a stopwatch. Its windows are those
that the rule gives from --start on.

` + matcherHelp,
		Example: "  onevault maintenance add sunday-patching target=~^pg-prod --rrule FREQ=WEEKLY\\;BYDAY=SU --start '2026-12-06 02:00' \\\n" +
			"    --duration 3h --tz Europe/Berlin -m 'operating system updates'\n" +
			"  onevault maintenance add move target=billing --start '2026-12-06 02:00' --duration 6h -m CHG-812",
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Name, m.Matchers = args[0], args[1:]
			return a.addMaintenance(cmd.Context(), m, start, duration, yes)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&m.RRule, "rrule", "", "how it recurs, by RFC 5545: FREQ=WEEKLY;BYDAY=SU, FREQ=MONTHLY;BYDAY=1SA (default: once)")
	flags.StringVar(&start, "start", "", "when the first window begins, by the clocks of --tz: '2026-12-06 02:00'")
	flags.StringVarP(&duration, "duration", "d", "", "how long each window lasts: 90m, 3h; at most 7d")
	flags.StringVar(&m.TimeZone, "tz", "UTC", "the time zone of --start and --rrule, such as Europe/Berlin")
	flags.StringVarP(&m.Comment, "message", "m", "", "why: what is done then")
	flags.BoolVar(&m.IncludeCritical, "critical", false, "alerts of severity CRITICAL as well")
	flags.BoolVarP(&yes, "yes", "y", false, "do not ask, even if it mutes most of what can fire")
	a.actorFlag(cmd, &m.By)
	return cmd
}

func (a *app) addMaintenance(ctx context.Context, m vault.Maintenance, start, duration string, yes bool) error {
	var err error
	if m.StartsOn, err = wallTime(start); err != nil {
		return usage(err)
	}
	if m.Duration, err = spanOf("--duration", duration); err != nil {
		return usage(err)
	}
	if strings.TrimSpace(m.Comment) == "" {
		return &failure{exitUsage, "a maintenance needs its reason", "give it with --message: -m 'operating system updates'"}
	}
	if err := worker.PlanWindows(&m, a.now()); err != nil {
		return usage(err)
	}
	switch _, found, err := worker.NextWindow(m, a.now()); {
	case err != nil:
		return usage(err)
	case !found && m.RRule == "":
		return &failure{exitUsage, fmt.Sprintf("the window from %s %s on, for %s, is over already", start, m.TimeZone, duration), "give a --start that is yet to come"}
	case !found:
		return &failure{exitUsage, fmt.Sprintf("rule %q from %s %s on has no window that is yet to come", m.RRule, start, m.TimeZone), "look at its UNTIL, COUNT and days: it would mute nothing"}
	}
	signed, err := a.sign(m.By, "")
	if err != nil {
		return err
	}
	m.By, m.Via = signed.Actor, signed.Via
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	preview, err := store.PreviewSilence(ctx, m.Matchers, m.IncludeCritical)
	if err != nil {
		return err
	}
	if preview.CanMute == 0 {
		a.note("can mute: nothing that is defined now")
	} else {
		a.note("can mute: %d of %d (definitions on targets)", preview.CanMute, preview.CanFire)
	}
	if preview.Broad() && !yes {
		if err := a.confirm(fmt.Sprintf("plan a maintenance over %d of the %d alerts that can fire", preview.CanMute, preview.CanFire)); err != nil {
			return err
		}
	}
	if err := store.AddMaintenance(ctx, m); err != nil {
		return err
	}
	p := a.printer()
	if done, err := p.Whole(m, m.Name); done {
		return err
	}
	fmt.Fprintf(a.out, "planned %s: %s\n", m.Name, nextWindows(m, 3, a.now()))
	return nil
}

// noWindow is what is said of a maintenance that has had its last window.
const noWindow = "never again"

// wallTime reads what calendar and clock show.
func wallTime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--start %q is no date with a time of day: write '2026-12-06 02:00'; its zone is said with --tz", text)
}

// nextWindows says when the next windows begin, by the maintenance's own clocks: of those that are written, else the
// first one beyond them.
func nextWindows(m vault.Maintenance, n int, now time.Time) string {
	zone, err := time.LoadLocation(m.TimeZone)
	if err != nil {
		zone = time.UTC // PostgreSQL knows the zone, this host does not: said in UTC
	}
	windows := m.Windows
	if len(windows) == 0 {
		switch {
		case m.WindowsError != "":
			return "never: " + m.WindowsError
		case m.WindowsUntil.IsZero() && m.RRule != "":
			return "a worker is yet to compute its windows"
		}
		if m.RRule == "" {
			return noWindow
		}
		if m.WindowsUntil.After(now) {
			now = m.WindowsUntil
		}
		first, found, err := worker.NextWindow(m, now)
		if err != nil || !found { // what cannot be computed stands in windows_error
			return noWindow
		}
		windows = []vault.Window{first}
	}
	var texts []string
	for i, w := range windows {
		if i == n {
			break
		}
		texts = append(texts, w.From.In(zone).Format("Mon 2006-01-02 15:04 MST"))
	}
	return "next " + strings.Join(texts, ", ")
}

func (a *app) maintenances() listing[vault.Maintenance] {
	return listing[vault.Maintenance]{
		short: "List the maintenances and when each mutes next",
		all:   "removed ones too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]vault.Maintenance, error) {
			return store.Maintenances(ctx, all)
		},
		columns: maintenanceColumns,
		name:    func(m vault.Maintenance) string { return m.Name },
		none:    "no maintenance is planned",
	}
}

func maintenanceColumns(now time.Time) []output.Column[vault.Maintenance] {
	type row = vault.Maintenance
	return []output.Column[row]{
		{Name: "MAINTENANCE", Cell: func(m row) output.Cell { return output.Text(m.Name) }},
		{Name: "STATE", Cell: func(m row) output.Cell {
			switch {
			case m.State != "PLANNED":
				return output.Cell{Text: m.State, Style: output.Faint}
			case len(m.Windows) > 0 && !m.Windows[0].From.After(now):
				return output.Cell{Text: "MUTES NOW", Style: output.Fair}
			case m.WindowsError != "":
				return output.Cell{Text: "BROKEN", Style: output.Bad}
			}
			return output.Text(m.State)
		}},
		{Name: "MATCHERS", Cell: func(m row) output.Cell { return output.Text(matchersText(m.Matchers, m.IncludeCritical)) }},
		{Name: "RECURS", Cell: func(m row) output.Cell {
			if m.RRule == "" {
				return output.Text("once")
			}
			return output.Text(m.RRule)
		}},
		{Name: "LASTS", Cell: func(m row) output.Cell { return output.Text(output.Span(m.Duration)) }},
		{Name: "NEXT", Cell: func(m row) output.Cell { return output.Text(strings.TrimPrefix(nextWindows(m, 1, now), "next ")) }},
		{Name: "BY", Cell: func(m row) output.Cell { return output.Text(m.By) }},
		{Name: "COMMENT", Cell: func(m row) output.Cell { return output.Text(m.Comment) }},
		{Name: "ZONE", Wide: true, Cell: func(m row) output.Cell { return output.Text(m.TimeZone) }},
	}
}

// maxWindows is how many windows `maintenance show` names.
const maxWindows = 10

func (a *app) maintenanceShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show a maintenance and its next windows",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			list, err := store.Maintenances(cmd.Context(), true)
			if err != nil {
				return err
			}
			for _, m := range list {
				if strings.EqualFold(m.Name, args[0]) {
					return a.showMaintenance(m)
				}
			}
			return &failure{exitNotFound, fmt.Sprintf("no maintenance %q", args[0]), "see `onevault maintenance list --all`"}
		},
	}
}

func (a *app) showMaintenance(m vault.Maintenance) error {
	p := a.printer()
	if done, err := p.Whole(m, m.Name); done {
		return err
	}
	until := ""
	if !m.WindowsUntil.IsZero() {
		until = output.Moment(m.WindowsUntil)
	}
	if err := p.Pairs([][2]string{
		{"maintenance", m.Name + " " + m.State},
		{"matchers", matchersText(m.Matchers, m.IncludeCritical)},
		{"starts", m.StartsOn.Format("2006-01-02 15:04") + " " + m.TimeZone},
		{"recurs", output.OrNone(m.RRule)},
		{"lasts", m.Duration.String()},
		{"comment", m.Comment},
		{"by", m.By + via(m.Via)},
		{"written ahead", until},
		{"problem", m.WindowsError},
	}); err != nil {
		return err
	}
	if m.State != "PLANNED" {
		return nil
	}
	fmt.Fprintln(a.out, "\n"+strings.ReplaceAll(strings.Replace(output.Printable(nextWindows(m, maxWindows, a.now())), "next ", "next:\n  ", 1), ", ", "\n  "))
	return nil
}

func (a *app) inhibitionCommand() *cobra.Command {
	list := listing[vault.Inhibition]{
		short: "List the inhibitions: which alert speaks for which others",
		rows: func(ctx context.Context, store *vault.Store, _ bool) ([]vault.Inhibition, error) {
			return store.Inhibitions(ctx)
		},
		columns: func(time.Time) []output.Column[vault.Inhibition] { return inhibitionColumns() },
		name:    func(i vault.Inhibition) string { return i.Key },
	}
	cmd := noun("inhibition", "See which alerts speak for others", list.command(a))
	cmd.Long = `While an alert of an inhibition's source definition is active, the alerts that match and agree with it in its equal fields
are muted. A source that is silenced itself speaks for nobody. Inhibitions are rows of monitoring.inhibition_s.`
	return cmd
}

func inhibitionColumns() []output.Column[vault.Inhibition] {
	type row = vault.Inhibition
	return []output.Column[row]{
		{Name: "INHIBITION", Cell: func(i row) output.Cell { return output.Text(i.Key) }},
		{Name: "ENABLED", Cell: func(i row) output.Cell { return output.Text(fmt.Sprint(i.Enabled)) }},
		{Name: "SOURCE", Cell: func(i row) output.Cell { return output.Text(i.Source) }},
		{Name: "MUTES", Cell: func(i row) output.Cell { return output.Text(strings.Join(i.Muted, " ")) }},
		{Name: "EQUAL", Cell: func(i row) output.Cell { return output.Text(output.OrNone(strings.Join(i.Equal, " "))) }},
		{Name: "NOW", Cell: func(i row) output.Cell { return output.Text(fmt.Sprint(i.InEffect)) }},
		{Name: "COMMENT", Cell: func(i row) output.Cell { return output.Text(i.Comment) }},
		{Name: "BY", Wide: true, Cell: func(i row) output.Cell { return output.Text(i.By) }},
	}
}

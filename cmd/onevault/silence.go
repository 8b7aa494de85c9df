package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/vault"
)

const matcherHelp = `Matchers: definition, target, severity, category, source, tenant or label.NAME, as field=value, field!=value, field=~pattern
or field!~pattern; all must hold, and none regards case. A pattern may match anywhere: target=~^pg-prod. Whoever means
every alert writes target=~.`

func (a *app) silenceCommand() *cobra.Command {
	return noun("silence", "Keep people from being told of alerts for a while",
		a.silenceAddCommand(), a.silences().command(a), a.silenceShowCommand(), a.silenceExtendCommand(), a.silenceEndCommand())
}

// silenceFlags say how long, why, and how much.
type silenceFlags struct {
	duration, until, start, comment, actor string
	critical, yes, dryRun                  bool
}

func (f *silenceFlags) add(a *app, cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.duration, "duration", "d", "", "how long: 90m, 2h, 3d; at most 30d")
	flags.StringVar(&f.until, "until", "", "instead of --duration: RFC 3339, or 2026-11-23 06:00 in $"+settings.Timezone+" (UTC)")
	flags.StringVarP(&f.comment, "message", "m", "", "why: a change, a ticket; whoever is not told finds it there")
	flags.BoolVar(&f.critical, "critical", false, "alerts of severity CRITICAL as well")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask, even if it mutes most of what can fire")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what it would mute")
	a.actorFlag(cmd, &f.actor)
}

func (a *app) silenceAddCommand() *cobra.Command {
	var f silenceFlags
	cmd := &cobra.Command{
		Use:   "add MATCHER...",
		Short: "Silence the alerts that match, after a look at which those are",
		Long: `Silence the alerts that match: they exist, have their rows and their workflows, and nobody is told of them and
nothing escalates. When the silence ends, people are told of what nobody has answered, once. CRITICAL alerts are told
anyway, unless --critical is given.

` + matcherHelp + `

What it mutes now is said first. A silence over more than half of all that can fire, or over more than ` + strconv.Itoa(askBeyond) + ` open alerts, is
asked about.`,
		Example: "  onevault silence add target=pg-prod-3 -d 2h -m CHG-812\n  onevault silence add definition=DISK_WARNING severity!=CRITICAL --until '2026-11-23 06:00' -m 'disk is ordered'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.addSilence(cmd.Context(), args, f)
		},
	}
	f.add(a, cmd)
	cmd.Flags().StringVar(&f.start, "start", "", "from when on (default now): RFC 3339, or 2026-11-23 06:00")
	return cmd
}

func (a *app) alertSilenceCommand() *cobra.Command {
	var f silenceFlags
	cmd := &cobra.Command{
		Use:   "silence ID",
		Short: "Silence an alert, and what its definition fires on the same target meanwhile",
		Long:  "Silence an alert, and what its definition fires on the same target meanwhile; see `onevault silence add --help`.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, found, err := a.findAlert(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if found.State == alert.StatusResolved {
				return &failure{exitConflict, found.ID + " is over", "silence what is to come: onevault silence add definition=" + found.Definition}
			}
			if found.Severity == alert.SeverityCritical && !f.critical {
				return &failure{exitUsage, found.ID + " is CRITICAL, which a silence spares", "add --critical"}
			}
			matchers := []string{"definition=" + found.Definition, "target=" + found.Target}
			if found.Tenant != "" {
				matchers = append(matchers, "tenant="+found.Tenant)
			}
			return a.addSilence(cmd.Context(), matchers, f)
		},
	}
	f.add(a, cmd)
	return cmd
}

// times is when a silence begins and ends; a zero beginning is now.
func (a *app) times(f silenceFlags) (from, to time.Time, err error) {
	zone, err := settings.ParseTimezone(a.values.Get(settings.Timezone))
	if err != nil {
		return from, to, err
	}
	if f.start != "" {
		if from, err = momentIn("--start", f.start, zone); err != nil {
			return from, to, usage(err)
		}
	}
	to, err = a.endOf(f.duration, f.until, from, zone)
	return from, to, err
}

// endOf is the end that a duration or a time gives; exactly one of them must.
func (a *app) endOf(duration, until string, from time.Time, zone *time.Location) (time.Time, error) {
	switch {
	case (duration == "") == (until == ""):
		return time.Time{}, &failure{exitUsage, "a silence needs its end", "give --duration (-d 2h) or --until"}
	case until != "":
		at, err := momentIn("--until", until, zone)
		if err != nil {
			return at, usage(err)
		}
		return at, nil
	}
	length, err := spanOf("--duration", duration)
	if err != nil {
		return time.Time{}, usage(err)
	}
	if from.IsZero() {
		from = a.now()
	}
	return from.Add(length), nil
}

// spanOf reads 90m, 2h, 3d or 1w.
func spanOf(flag, text string) (time.Duration, error) {
	if parts := days.FindStringSubmatch(text); parts != nil {
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return 0, fmt.Errorf("%s %q: %w", flag, text, err)
		}
		if parts[2] == "w" {
			n *= 7
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	length, err := time.ParseDuration(text)
	if err != nil || length <= 0 {
		return 0, fmt.Errorf("%s %q is no duration: write 90m, 2h, 3d or 1w", flag, text)
	}
	return length, nil
}

// momentIn reads a time; one without a zone is in `zone`.
func momentIn(flag, text string, zone *time.Location) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q is no time: write 2026-11-23 06:00 or RFC 3339", flag, text)
}

// addedSilence is `silence add` for programs.
type addedSilence struct {
	ID      string        `json:"id,omitempty"` // empty: only looked at
	EndsAt  time.Time     `json:"ends_at"`
	Preview vault.Preview `json:"preview"`
}

func (a *app) addSilence(ctx context.Context, matchers []string, f silenceFlags) error {
	from, to, err := a.times(f)
	if err != nil {
		return err
	}
	if strings.TrimSpace(f.comment) == "" && !f.dryRun {
		return &failure{exitUsage, "a silence needs its reason", "give it with --message: -m CHG-812"}
	}
	signed, err := a.sign(f.actor, "")
	if err != nil {
		return err
	}
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	preview, err := store.PreviewSilence(ctx, matchers, f.critical)
	if err != nil {
		return err
	}
	for _, line := range previewLines(preview) {
		a.note("%s", line)
	}
	if !f.yes && !f.dryRun && (preview.Broad() || len(preview.Muted) > askBeyond) {
		if err := a.confirm(fmt.Sprintf("silence %d of the %d alerts that can fire, %d of them open, until %s",
			preview.CanMute, preview.CanFire, len(preview.Muted), output.Moment(to))); err != nil {
			return err
		}
	}
	result := addedSilence{EndsAt: to, Preview: preview}
	if !f.dryRun {
		if result.ID, err = store.AddSilence(ctx, vault.Silence{
			Matchers: matchers, StartsAt: from, EndsAt: to, Comment: f.comment, IncludeCritical: f.critical, By: signed.Actor, Via: signed.Via,
		}); err != nil {
			return err
		}
	}
	p := a.printer()
	switch {
	case p.Structured():
		return p.Value(result)
	case f.dryRun:
		fmt.Fprintln(a.out, "nothing was silenced: --dry-run")
	case p.Format == output.Name:
		fmt.Fprintln(a.out, result.ID)
	default:
		fmt.Fprintf(a.out, "silenced %s until %s (%s)\n", result.ID, output.Moment(to), output.Span(to.Sub(a.now())))
	}
	return nil
}

// maxPreviewed is how many open alerts a preview names.
const maxPreviewed = 5

func previewLines(p vault.Preview) []string {
	name := func(list []vault.PreviewedAlert) string {
		var names []string
		for i, l := range list {
			if i == maxPreviewed {
				names = append(names, fmt.Sprintf("and %d more", len(list)-i))
				break
			}
			names = append(names, fmt.Sprintf("%s %s %s on %s", l.ID, l.Severity, l.Name, l.Target))
		}
		return output.Printable(strings.Join(names, "; "))
	}
	var lines []string
	if len(p.Muted) == 0 {
		lines = append(lines, "mutes now: no open alert")
	} else {
		lines = append(lines, fmt.Sprintf("mutes now: %d open, %s", len(p.Muted), name(p.Muted)))
	}
	if len(p.Spared) > 0 {
		lines = append(lines, fmt.Sprintf("spares: %d open because they are CRITICAL (--critical mutes them too), %s", len(p.Spared), name(p.Spared)))
	}
	if p.CanMute == 0 {
		return append(lines, "can mute: nothing that is defined now")
	}
	return append(lines, fmt.Sprintf("can mute: %d of %d (definitions on targets)", p.CanMute, p.CanFire))
}

func (a *app) silences() listing[vault.Silence] {
	return listing[vault.Silence]{
		short: "List the silences, the next to end first",
		all:   "those that ended too",
		rows: func(ctx context.Context, store *vault.Store, all bool) ([]vault.Silence, error) {
			return store.Silences(ctx, all)
		},
		columns: silenceColumns,
		name:    func(s vault.Silence) string { return s.ID },
		none:    "no silences; --all shows those that ended",
	}
}

func silenceColumns(now time.Time) []output.Column[vault.Silence] {
	type row = vault.Silence
	return []output.Column[row]{
		{Name: "ID", Cell: func(s row) output.Cell { return output.Text(s.ID) }},
		{Name: "STATE", Cell: func(s row) output.Cell {
			style := map[string]output.Style{"ACTIVE": output.Fair, "ENDED": output.Faint}[s.State]
			return output.Cell{Text: s.State, Style: style}
		}},
		{Name: "MATCHERS", Cell: func(s row) output.Cell { return output.Text(matchersText(s.Matchers, s.IncludeCritical)) }},
		{Name: "ENDS", Cell: func(s row) output.Cell {
			if s.State == "ENDED" {
				return output.Text(output.Age(now, s.EndsAt) + " ago")
			}
			return output.Text("in " + output.Span(s.EndsAt.Sub(now)))
		}},
		{Name: "MUTES", Cell: func(s row) output.Cell { return output.Text(strconv.Itoa(s.OpenAlerts)) }},
		{Name: "BY", Cell: func(s row) output.Cell { return output.Text(s.By) }},
		{Name: "COMMENT", Cell: func(s row) output.Cell { return output.Text(s.Comment) }},
		{Name: "FROM", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.Moment(s.StartsAt)) }},
		{Name: "UNTIL", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.Moment(s.EndsAt)) }},
		{Name: "ENDED BY", Wide: true, Cell: func(s row) output.Cell { return output.Text(output.OrNone(s.EndedBy)) }},
		{Name: "VIA", Wide: true, Cell: func(s row) output.Cell { return output.Text(s.Via) }},
	}
}

func matchersText(matchers []string, critical bool) string {
	text := strings.Join(matchers, " ")
	if critical {
		text += " (critical too)"
	}
	return text
}

func (a *app) silenceShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a silence: what it mutes, until when, why, and who made it",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			s, err := store.FindSilence(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := a.printer()
			if done, err := p.Whole(s, s.ID); done {
				return err
			}
			mutes := ""
			if s.State != "ENDED" {
				mutes = strconv.Itoa(s.OpenAlerts) + " open alerts"
			}
			return p.Pairs([][2]string{
				{"silence", s.ID + " " + s.State},
				{"mutes", mutes},
				{"matchers", matchersText(s.Matchers, s.IncludeCritical)},
				{"from", output.Moment(s.StartsAt)},
				{"until", output.Moment(s.EndsAt)},
				{"comment", s.Comment},
				{"by", s.By + via(s.Via)},
				{"changed by", s.ChangedBy},
				{"ended by", s.EndedBy},
			})
		},
	}
}

func (a *app) silenceExtendCommand() *cobra.Command {
	var who, duration, until string
	cmd := &cobra.Command{
		Use:     "extend ID",
		Short:   "Give a silence another end, from now",
		Example: "  onevault silence extend S-7F3K -d 1h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			zone, err := settings.ParseTimezone(a.values.Get(settings.Timezone))
			if err != nil {
				return err
			}
			to, err := a.endOf(duration, until, time.Time{}, zone)
			if err != nil {
				return err
			}
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			if _, err := store.ExtendSilence(cmd.Context(), args[0], to, by); err != nil {
				return stateConflict(err)
			}
			fmt.Fprintf(a.out, "%s ends at %s (%s)\n", strings.ToUpper(args[0]), output.Moment(to), output.Span(to.Sub(a.now())))
			return nil
		},
	}
	cmd.Flags().StringVarP(&duration, "duration", "d", "", "how long from now: 90m, 2h, 3d; at most 30d")
	cmd.Flags().StringVar(&until, "until", "", "instead of --duration: RFC 3339, or 2026-11-23 06:00 in $"+settings.Timezone+" (UTC)")
	a.actorFlag(cmd, &who)
	return cmd
}

// stateConflict gives a change that comes too late its exit code.
func stateConflict(err error) error {
	var refused *vault.Refusal
	if errors.As(err, &refused) && refused.Code == "55000" {
		return &failure{exitConflict, refused.Message, refused.Hint}
	}
	return err
}

func (a *app) silenceEndCommand() *cobra.Command {
	var who string
	cmd := &cobra.Command{
		Use:   "end ID...",
		Short: "End silences now; people are told at once of what nobody has answered",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, by, err := a.vaultAs(cmd.Context(), who)
			if err != nil {
				return err
			}
			var errs []error
			for _, id := range args {
				ended, err := store.EndSilence(cmd.Context(), id, by)
				switch {
				case err != nil:
					errs = append(errs, err)
				case ended:
					fmt.Fprintf(a.out, "ended %s\n", strings.ToUpper(id))
				default:
					fmt.Fprintf(a.out, "%s had ended\n", strings.ToUpper(id))
				}
			}
			return a.failAll(errs)
		},
	}
	a.actorFlag(cmd, &who)
	return cmd
}

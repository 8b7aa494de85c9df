package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/report"
	"onevault/settings"
	"onevault/vault"
)

func (a *app) reportCommand() *cobra.Command {
	return noun("report", "See how a day went: health, alerts, deliveries, capacity, and how they stand to the goals",
		a.reportDailyCommand(), a.reportListCommand(), a.reportShowCommand())
}

// reportFlags say which period, and where its page goes.
type reportFlags struct {
	date, since, until string
	timezone           string
	html               string
}

func (a *app) reportDailyCommand() *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use:   "daily",
		Short: "Make the report: since the beginning of yesterday, of one day, or of any period",
		Long: `Make the daily report from what the vault holds. Without flags it covers the time since the beginning of
yesterday, as the deployment guide's report at 06:00 does. Nothing is recorded and nothing is mailed: the
schedule "report" does that every morning (run it now: onevault schedule trigger report).`,
		Example: "  onevault report daily\n  onevault report daily --date 2026-11-22 --html report.html\n  onevault report daily --since 7d -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			period, zone, err := a.reportPeriod(flags)
			if err != nil {
				return usage(err)
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			made, err := store.Report(cmd.Context(), period)
			if err != nil {
				return err
			}
			return a.printReport(made, zone, flags.html)
		},
	}
	cmd.Flags().StringVar(&flags.date, "date", "", "one day, 2026-11-22, from midnight to midnight")
	cmd.Flags().StringVar(&flags.since, "since", "", "from when: a duration (24h, 7d) or a time (2026-11-22T06:00 or RFC 3339)")
	cmd.Flags().StringVar(&flags.until, "until", "", "until when, like --since (default now)")
	addReportFlags(cmd, &flags)
	return cmd
}

func addReportFlags(cmd *cobra.Command, flags *reportFlags) {
	cmd.Flags().StringVar(&flags.timezone, "timezone", "", "time zone whose midnights and hours count (default $"+settings.Timezone+" or UTC)")
	cmd.Flags().StringVar(&flags.html, "html", "", "also write the report with its plots to this file, one page that needs no network; - for standard output")
}

func (a *app) reportShowCommand() *cobra.Command {
	var flags reportFlags
	cmd := &cobra.Command{
		Use:   "show DATE",
		Short: "Show the report of a date as it was recorded that day",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := time.Parse(time.DateOnly, args[0]); err != nil {
				return usage(fmt.Errorf("%q is no date: write it like 2026-11-22", args[0]))
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			stored, err := store.StoredReport(cmd.Context(), args[0])
			if errors.Is(err, vault.ErrNotFound) {
				return &failure{exitNotFound, "no report of " + args[0] + " was recorded", "see `onevault report list`, or make it: onevault report daily --date " + args[0]}
			}
			if err != nil {
				return err
			}
			zone, err := a.reportZone(flags.timezone, stored.TimeZone)
			if err != nil {
				return usage(err)
			}
			return a.printReport(stored, zone, flags.html)
		},
	}
	addReportFlags(cmd, &flags)
	return cmd
}

func (a *app) reportListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the recorded reports, and how their mails ended",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			list, err := store.Reports(cmd.Context(), limit)
			if err != nil {
				return err
			}
			return printList(a, list, reportColumns(a.now()), func(r vault.ListedReport) string { return r.Date }, "no report was recorded yet; the schedule makes one every morning, `onevault schedule trigger report` now")
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 31, "how many, the newest first")
	return cmd
}

func reportColumns(now time.Time) []output.Column[vault.ListedReport] {
	type row = vault.ListedReport
	number := func(name string, of func(row) int, style output.Style) output.Column[row] {
		return output.Column[row]{Name: name, Cell: func(r row) output.Cell {
			cell := output.Cell{Text: fmt.Sprint(of(r))}
			if of(r) > 0 {
				cell.Style = style
			}
			return cell
		}}
	}
	return []output.Column[row]{
		{Name: "DATE", Cell: func(r row) output.Cell { return output.Text(r.Date) }},
		number("MET", func(r row) int { return r.Met }, output.Good),
		number("MISSED", func(r row) int { return r.Missed }, output.Bad),
		number("NOT KNOWN", func(r row) int { return r.Unknown }, output.Plain),
		number("MAILED", func(r row) int { return r.Delivered }, output.Good),
		number("FAILED", func(r row) int { return r.Failed }, output.Bad),
		number("UNDER WAY", func(r row) int { return r.Pending }, output.Fair),
		{Name: "MADE", Cell: func(r row) output.Cell { return output.Text(output.Age(now, r.RecordedAt) + " ago") }},
		{Name: "FROM", Wide: true, Cell: func(r row) output.Cell { return output.Text(output.Moment(r.From)) }},
		{Name: "TO", Wide: true, Cell: func(r row) output.Cell { return output.Text(output.Moment(r.To)) }},
		{Name: "TIME ZONE", Wide: true, Cell: func(r row) output.Cell { return output.Text(r.TimeZone) }},
	}
}

// reportPeriod turns the flags into a period; its errors are of usage.
func (a *app) reportPeriod(flags reportFlags) (report.Period, *time.Location, error) {
	zone, err := a.reportZone(flags.timezone, a.setting("", settings.Timezone))
	if err != nil {
		return report.Period{}, nil, err
	}
	now := a.now()
	switch {
	case flags.date != "" && (flags.since != "" || flags.until != ""):
		return report.Period{}, nil, errors.New("--date is one whole day: leave out --since and --until")
	case flags.date != "":
		period, err := report.Day(flags.date, now, zone)
		return period, zone, err
	case flags.since == "" && flags.until == "":
		return report.Today(now, zone), zone, nil
	}
	period := report.Today(now, zone)
	if flags.since != "" {
		if period.From, err = sinceTimeIn(now, flags.since, zone); err != nil {
			return report.Period{}, nil, err
		}
	}
	if flags.until != "" {
		if period.To, err = sinceTimeIn(now, flags.until, zone); err != nil {
			return report.Period{}, nil, errors.New(strings.Replace(err.Error(), "--since", "--until", 1))
		}
	}
	if period.To.After(now) {
		period.To = now
	}
	period, err = report.Between(period.From, period.To, zone)
	return period, zone, err
}

// reportZone is the time zone of the flag, else the other one.
func (a *app) reportZone(flag, otherwise string) (*time.Location, error) {
	if flag == "" {
		return settings.ParseTimezone(otherwise)
	}
	zone, err := settings.ParseTimezone(flag)
	if err != nil {
		return nil, fmt.Errorf("--timezone %q is no time zone: write a name such as UTC or Europe/Berlin", flag)
	}
	return zone, nil
}

// sinceTimeIn reads a time without a zone of its own in a time zone, and everything else as --since
// everywhere does.
func sinceTimeIn(now time.Time, text string, zone *time.Location) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, nil
		}
	}
	return sinceTime(now, text)
}

func (a *app) printReport(r report.Report, zone *time.Location, htmlFile string) error {
	if htmlFile != "" {
		page, err := r.HTML(zone)
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
	switch p := a.printer(); {
	case p.Structured():
		return p.Value(r)
	case p.Format == output.Name:
		_, err := fmt.Fprintln(a.out, r.Date)
		return err
	}
	return a.printDocument(r.Words(zone))
}

// writeReport replaces the file as a whole or not at all.
func writeReport(path, page string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = file.WriteString(page)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(file.Name()))
	}
	return nil
}

// styles are the terminal's colours for what a figure means.
var styles = map[report.Tone]output.Style{
	report.Good: output.Good, report.Fair: output.Fair, report.Bad: output.Bad, report.Faint: output.Faint,
}

func (a *app) printDocument(d report.Document) error {
	p := a.printer()
	fmt.Fprintf(a.out, "%s\n%s\n", p.Paint(output.Cell{Text: d.Title, Style: "1"}), d.Period)
	for _, section := range d.Sections {
		fmt.Fprintf(a.out, "\n%s\n", p.Paint(output.Cell{Text: "--- " + section.Title + " ---", Style: "1"}))
		if err := a.printFacts(section.Facts); err != nil {
			return err
		}
		for i, table := range section.Tables {
			if i > 0 || len(section.Facts) > 0 {
				fmt.Fprintln(a.out)
			}
			if err := a.printTable(table); err != nil {
				return err
			}
		}
		for _, note := range section.Notes {
			fmt.Fprintln(a.out, p.Paint(output.Cell{Text: note, Style: output.Faint}))
		}
	}
	return nil
}

func (a *app) printFacts(facts []report.Fact) error {
	if len(facts) == 0 {
		return nil
	}
	p := a.printer()
	p.Format = output.Wide // facts have no columns to leave out
	rows := make([][]report.Cell, len(facts))
	for i, f := range facts {
		rows[i] = []report.Cell{{Text: f.Label}, {Text: f.Value, Tone: f.Tone}}
	}
	return output.List(p, rows, cellColumns([]report.Column{{Name: "FIGURE"}, {Name: "VALUE"}}, true), nil)
}

func (a *app) printTable(t report.Table) error {
	p := a.printer()
	if t.Title != "" {
		fmt.Fprintln(a.out, p.Paint(output.Cell{Text: t.Title, Style: output.Note}))
	}
	if len(t.Rows) == 0 {
		fmt.Fprintln(a.out, output.Printable(t.Empty))
		return nil
	}
	if err := output.List(p, t.Rows, cellColumns(t.Columns, p.Format == output.Wide), nil); err != nil {
		return err
	}
	if t.More != "" {
		fmt.Fprintln(a.out, p.Paint(output.Cell{Text: t.More, Style: output.Faint}))
	}
	return nil
}

// maxCell bounds what one cell takes of a terminal's line unless -o wide asks for all of it.
const maxCell = 60

func cellColumns(columns []report.Column, whole bool) []output.Column[[]report.Cell] {
	list := make([]output.Column[[]report.Cell], len(columns))
	for i, c := range columns {
		list[i] = output.Column[[]report.Cell]{Name: c.Name, Wide: c.Wide, Cell: func(row []report.Cell) output.Cell {
			text := []rune(row[i].Text)
			if len(text) > maxCell && !whole {
				text = append(text[:maxCell-1], '…')
			}
			return output.Cell{Text: string(text), Style: styles[row[i].Tone]}
		}}
	}
	return list
}

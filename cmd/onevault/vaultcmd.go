package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"onevault/activities"
	"onevault/archive"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

func (a *app) vaultCommand() *cobra.Command {
	return noun("vault", "See how large the vault is, what left it, and bring it back",
		a.vaultStatsCommand(), a.vaultArchivesCommand(), a.vaultRestoreCommand())
}

// storageGoal is the guide's KPI: monitoring data below 5 % of the total database size.
const storageGoal = 5.0

// shownStats is what `vault stats` prints as JSON.
type shownStats struct {
	Tables []vault.TableStats `json:"tables"`
	vault.Sizes
	Archived int64 `json:"archived_bytes"`
	// Percent is monitoring against everything else that the server holds; nil: there is nothing else.
	Percent *float64 `json:"percent_of_others"`
	Goal    float64  `json:"goal_percent"`
	Met     *bool    `json:"goal_met"` // nil: nothing to compare with
}

func (a *app) vaultStatsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Show each table's size, age and retention, and the share that monitoring takes",
		Long: `Show each table of the vault: its rows (as statistics estimate them), its size with indexes, the oldest
and newest row, how long rows are kept, and what was archived.

The last line compares the whole schema with everything else that the vault's server holds: the deployment
guide's goal is that monitoring takes less than 5 % of the database that it watches. A vault on a server of
its own has nothing to compare with and is told as that; what it watches elsewhere is not counted, because
from here its size is only a measurement (database_size_bytes).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			tables, sizes, err := store.Stats(cmd.Context())
			if err != nil {
				return err
			}
			stats := showStats(tables, sizes)
			if p := a.printer(); p.Structured() {
				return p.Value(stats)
			}
			if err := output.List(a.printer(), tables, statsColumns(a.now()), func(t vault.TableStats) string { return t.Table }); err != nil {
				return err
			}
			a.note("\n%s", stats.line())
			return nil
		},
	}
}

// worthComparing is how large the rest of a server must be before a share of it says something: a server
// without data has some 10 MiB per database.
const worthComparing = 64 << 20

func showStats(tables []vault.TableStats, sizes vault.Sizes) shownStats {
	stats := shownStats{Tables: tables, Sizes: sizes, Goal: storageGoal}
	for _, t := range tables {
		stats.Archived += t.ArchivedBytes
	}
	if sizes.Others >= worthComparing {
		percent := 100 * float64(sizes.Monitoring) / float64(sizes.Others)
		met := percent < storageGoal
		stats.Percent, stats.Met = &percent, &met
	}
	return stats
}

func (s shownStats) line() string {
	text := fmt.Sprintf("monitoring takes %s, and its archives %s; everything else on this server %s",
		size(s.Monitoring), size(s.Archived), size(s.Others))
	switch {
	case s.Percent == nil:
		return text + ": a vault alone, so there is nothing to compare it with"
	case *s.Met:
		return text + fmt.Sprintf(": %.1f %%, within the goal of %g %%", *s.Percent, s.Goal)
	}
	return text + fmt.Sprintf(": %.1f %%, over the goal of %g %%; shorten retention (monitor_config_s), or collect less often", *s.Percent, s.Goal)
}

func statsColumns(now time.Time) []output.Column[vault.TableStats] {
	type row = vault.TableStats
	return []output.Column[row]{
		{Name: "TABLE", Cell: func(t row) output.Cell { return output.Text(t.Table) }},
		{Name: "KIND", Wide: true, Cell: func(t row) output.Cell { return output.Text(t.Kind) }},
		{Name: "ROWS", Cell: func(t row) output.Cell { return output.Text("~" + strconv.FormatInt(t.EstimatedRows, 10)) }},
		{Name: "SIZE", Cell: func(t row) output.Cell { return output.Text(size(t.Bytes)) }},
		{Name: "OLDEST", Cell: func(t row) output.Cell { return output.Text(output.Age(now, t.Oldest.Time)) }},
		{Name: "NEWEST", Cell: func(t row) output.Cell { return output.Text(output.Age(now, t.Newest.Time)) }},
		{Name: "KEEP", Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.Keep)) }},
		{Name: "ARCHIVES", Cell: func(t row) output.Cell { return output.Text(countOrNone(t.Archives)) }},
		{Name: "ARCHIVED", Cell: func(t row) output.Cell { return output.Text(sizeOrNone(t.ArchivedBytes)) }},
		{Name: "ARCHIVED ROWS", Wide: true, Cell: func(t row) output.Cell { return output.Text(countOrNone(t.ArchivedRows)) }},
		{Name: "PARTITIONS", Wide: true, Cell: func(t row) output.Cell { return output.Text(countOrNone(int64(t.Partitions))) }},
		{Name: "ARCHIVE FIRST", Wide: true, Cell: func(t row) output.Cell {
			if t.Keep == "" || t.Kind == "QUEUE" {
				return output.Text(output.None)
			}
			return output.Text(strconv.FormatBool(t.Archive))
		}},
	}
}

func (a *app) vaultArchivesCommand() *cobra.Command {
	return listing[vault.ListedArchive]{
		use:   "archives",
		short: "List what was archived, and what became of it",
		rows: func(ctx context.Context, store *vault.Store, _ bool) ([]vault.ListedArchive, error) {
			return store.Archives(ctx)
		},
		columns: archiveColumns,
		name:    func(l vault.ListedArchive) string { return l.Name },
		none:    "no archives: nothing is older than its retention (see `onevault vault stats`)",
	}.command(a)
}

func archiveColumns(now time.Time) []output.Column[vault.ListedArchive] {
	type row = vault.ListedArchive
	return []output.Column[row]{
		{Name: "ARCHIVE", Cell: func(l row) output.Cell { return output.Text(l.Name) }},
		{Name: "FROM", Cell: func(l row) output.Cell { return output.Text(l.From.UTC().Format(time.DateOnly)) }},
		{Name: "TO", Cell: func(l row) output.Cell { return output.Text(l.To.UTC().Format(time.DateOnly)) }},
		{Name: "ROWS", Cell: func(l row) output.Cell { return output.Text(strconv.FormatInt(l.Rows, 10)) }},
		{Name: "SIZE", Cell: func(l row) output.Cell { return output.Text(sizeOrNone(l.FileBytes)) }},
		{Name: "STATUS", Cell: archiveStatusCell},
		{Name: "SINCE", Cell: func(l row) output.Cell { return output.Text(output.Age(now, l.ChangedAt)) }},
		{Name: "HELD UNTIL", Cell: func(l row) output.Cell { return output.Text(output.Moment(l.HeldUntil.Time)) }},
		{Name: "HOST", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.Host)) }},
		{Name: "FILE", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.File)) }},
		{Name: "SHA-256 OF THE CSV", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.SHA256)) }},
	}
}

func archiveStatusCell(l vault.ListedArchive) output.Cell {
	style := output.Plain
	switch l.Status {
	case "WRITTEN":
		style = output.Fair // and not yet read back
	case "RESTORED":
		style = output.Note
	}
	return output.Cell{Text: l.Status, Style: style}
}

// shownRestore is what `vault restore` prints as JSON.
type shownRestore struct {
	Archive  string    `json:"archive"`
	Table    string    `json:"table"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Rows     int64     `json:"rows"`
	Inserted int64     `json:"inserted"`
	Keys     int64     `json:"keys_inserted"`
	Held     time.Time `json:"held_until"`
}

func (a *app) vaultRestoreCommand() *cobra.Command {
	var keep string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring the rows of an archive back; doing it twice doubles nothing",
		Long: `Bring the rows of an archive back into the vault. FILE is the archive's manifest (.json) or its rows
(.csv.zst); ` + "`onevault vault archives -o wide`" + ` tells where it was written, and on which host.

Everything is read and compared with the manifest first; a file that was damaged is refused. Rows that are
there already stay. Retention leaves the rows alone for as long as --keep says, and archives nothing anew that
did not change. An archive holds the keys that its rows refer to, so it can be restored into an empty vault
(onevault migrate up), on another server, for an auditor.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			until, err := keepUntil(a.now(), keep)
			if err != nil {
				return usage(err)
			}
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			store, err := a.vault(cmd.Context())
			if err != nil {
				return err
			}
			m, restored, err := activities.RestoreArchive(cmd.Context(), store, path, until)
			if err != nil {
				return restoreFailure(err)
			}
			if p := a.printer(); p.Structured() {
				return p.Value(shownRestore{path, m.Table, m.From, m.To, restored.Rows, restored.Inserted, restored.Keys, until})
			}
			there := ""
			if n := restored.Rows - restored.Inserted; n > 0 {
				there = fmt.Sprintf(" (%d were there already)", n)
			}
			fmt.Fprintf(a.out, "restored %d of %d rows%s of %s, %s to %s; retention leaves them alone until %s\n",
				restored.Inserted, restored.Rows, there, m.Table, m.From.Format(time.DateOnly), m.To.Format(time.DateOnly), output.Moment(until))
			return nil
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "30d", "for how long retention is to leave the rows alone, such as 12h, 30d or 8w")
	return cmd
}

// keepUntil reads a time from now on; longer than a decade is a mistake.
func keepUntil(now time.Time, text string) (time.Time, error) {
	limit := now.AddDate(10, 0, 0)
	until := now
	if parts := days.FindStringSubmatch(text); parts != nil {
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return time.Time{}, fmt.Errorf("--keep %q: %w", text, err)
		}
		if parts[2] == "w" {
			n *= 7
		}
		until = now.AddDate(0, 0, n)
	} else if d, err := time.ParseDuration(text); err == nil {
		until = now.Add(d)
	}
	if !until.After(now) || until.After(limit) {
		return time.Time{}, fmt.Errorf("--keep is %q: write how long, such as 12h, 30d or 8w, and at most ten years", text)
	}
	return until.UTC().Truncate(time.Microsecond), nil
}

func restoreFailure(err error) error {
	var damage *archive.Damage
	switch {
	case errors.As(err, &damage):
		return &failure{exitError, err.Error(), "nothing was restored; take a copy of the archive from elsewhere"}
	case errors.Is(err, fs.ErrNotExist):
		return &failure{exitNotFound, err.Error(), "`onevault vault archives -o wide` tells the host and the file"}
	}
	return err
}

// size prints a size.
func size(n int64) string {
	value := float64(n)
	return output.Number(&value, "bytes")
}

func sizeOrNone(n int64) string {
	if n == 0 {
		return output.None
	}
	return size(n)
}

func countOrNone(n int64) string {
	if n == 0 {
		return output.None
	}
	return strconv.FormatInt(n, 10)
}

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"
)

// report is all that a run found; it is written as JSON as it stands.
type report struct {
	Server      string     `json:"postgresql"`
	Exporter    string     `json:"exporter"`
	Rounds      int        `json:"rounds"`
	Collections int        `json:"collections_per_round"`
	Databases   []database `json:"databases"`
}

// database is what was found on one.
type database struct {
	Name        string        `json:"name"`
	Tables      int           `json:"tables"`
	Statements  int           `json:"statements"`
	Goal        time.Duration `json:"-"`
	Contestants []figures     `json:"contestants"`
	Slowest     []statement   `json:"slowest_statements"` // of OneVault
}

// statement is one of OneVault's, by pg_stat_statements.
type statement struct {
	Name   string  `json:"name"`
	Calls  int64   `json:"calls"`
	MinMS  float64 `json:"min_ms"`
	MeanMS float64 `json:"mean_ms"`
}

// spread is one figure over the rounds.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`

	all []float64
}

func (s *spread) add(value float64) {
	s.all = append(s.all, value)
	slices.Sort(s.all)
	n := len(s.all)
	s.Median, s.Min, s.Max = (s.all[(n-1)/2]+s.all[n/2])/2, s.all[0], s.all[n-1]
}

func (s spread) String() string { return fmt.Sprintf("%.1f (%.1f-%.1f)", s.Median, s.Min, s.Max) }

// finish computes what follows from all rounds.
func (f *figures) finish() {
	if f.Values > 0 {
		f.PerValue = 1000 * (f.ServerMS.Median + f.OwnMS.Median) / float64(f.Values)
	}
}

const (
	met    = "met"
	missed = "MISSED"
)

// judge holds OneVault against the goals: less CPU for a value than any setting of the exporter, and all
// parts together within the goal of the database. Nothing of it waits for a disk, a lock or another, so CPU is
// the time that it takes on an idle machine; the clock on a busy one says what else went on.
func (r *report) judge() {
	for _, d := range r.Databases {
		for i := range d.Contestants {
			f := &d.Contestants[i]
			cheaper := func(y figures) bool { return y.yardstick && f.PerValue >= y.PerValue }
			switch {
			case f.judged && slices.ContainsFunc(d.Contestants, cheaper), f.whole && d.Goal > 0 && f.ServerMS.Median+f.OwnMS.Median > milliseconds(d.Goal):
				f.Verdict = missed
			case f.judged, f.whole && d.Goal > 0:
				f.Verdict = met
			}
		}
	}
}

// code is that of a run: 1 when a goal is missed.
func (r *report) code() int {
	for _, d := range r.Databases {
		if slices.ContainsFunc(d.Contestants, func(f figures) bool { return f.Verdict == missed }) {
			return 1
		}
	}
	return 0
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\nPostgreSQL %s, exporter %s; one collection, median of %d rounds (least-most)\n", r.Server, r.Exporter, r.Rounds)
	for _, d := range r.Databases {
		fmt.Fprintf(w, "\n%s database: %d tables, %d statements", d.Name, d.Tables, d.Statements)
		if d.Goal > 0 {
			fmt.Fprintf(w, "; a full collection is to take less than %s of CPU", d.Goal)
		}
		fmt.Fprintln(w)
		lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(lines, "\tvalues\tserver CPU ms\town CPU ms\twall ms\tkB read\tCPU us/value\t\t")
		for _, f := range d.Contestants {
			fmt.Fprintf(lines, "%s\t%d\t%s\t%s\t%s\t%d\t%.1f\t %s\t\n",
				f.Name, f.Values, f.ServerMS, f.OwnMS, f.WallMS, f.BytesRead/1024, f.PerValue, f.Verdict)
		}
		_ = lines.Flush() // an error here is one of the terminal's
		fmt.Fprintln(w, "\nOneVault's costliest statements, ms by the server's clock:")
		for _, s := range d.Slowest {
			fmt.Fprintf(w, "%10.2f  %s\n", s.MinMS, s.Name)
		}
	}
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

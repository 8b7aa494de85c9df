//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// figure is one line of the table.
type figure struct {
	Measure string  `json:"measure"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Goal    string  `json:"goal,omitempty"` // empty: there for comparison
	Met     bool    `json:"met"`
	Note    string  `json:"note,omitempty"`
	// LoadBefore and LoadAfter are the machine's load of a minute around the measure; the measure itself is a part of it.
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`
}

// report is all that a run found; it is written as JSON as it stands.
type report struct {
	At         time.Time         `json:"at"`
	PostgreSQL string            `json:"postgresql"`
	Cores      int               `json:"cores"`
	Alerts     int               `json:"alerts_of_a_storm"`
	Peers      map[string]string `json:"peers,omitempty"`
	Figures    []figure          `json:"figures"`
}

func newReport(w *world) *report {
	r := &report{At: time.Now().UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Alerts: w.options.alerts}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.db.QueryRow(ctx, "SHOW server_version").Scan(&r.PostgreSQL); err != nil {
		r.PostgreSQL = "unknown: " + err.Error()
	}
	return r
}

// code is that of a run: 1 when a goal is missed.
func (r *report) code() int {
	if slices.ContainsFunc(r.Figures, func(f figure) bool { return f.verdict() == missed }) {
		return 1
	}
	return 0
}

const (
	met    = "met"
	missed = "MISSED"
)

func (f figure) verdict() string {
	switch {
	case f.Goal == "":
		return ""
	case f.Met:
		return met
	}
	return missed
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\nPostgreSQL %s, %d cores, %s\n\n", r.PostgreSQL, r.Cores, r.At.Format(time.RFC3339))
	lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(lines, "measure\tvalue\tgoal\t\tload\tnote")
	for _, f := range r.Figures {
		fmt.Fprintf(lines, "%s\t%.4g %s\t%s\t%s\t%.1f-%.1f\t%s\n", f.Measure, f.Value, f.Unit, f.Goal, f.verdict(), f.LoadBefore, f.LoadAfter, f.Note)
	}
	_ = lines.Flush() // an error here is one of the terminal's
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func seconds(d time.Duration) float64 { return d.Seconds() }

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}

// percentile is the value that so many of a hundred do not exceed.
func percentile(list []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)*p+99)/100-1]
}

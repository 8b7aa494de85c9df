//go:build linux

package main

import (
	"io"
	"testing"
	"time"
)

func TestReport_AMissedGoalFailsTheRun(t *testing.T) {
	t.Parallel()
	dear, cheap := figures{PerValue: 2, yardstick: true}, figures{PerValue: 1, yardstick: true}
	for name, c := range map[string]struct {
		goal time.Duration
		all  []figures
		code int
	}{
		"nothing was measured":             {0, nil, 0},
		"cheaper than each yardstick":      {0, []figures{{PerValue: 0.9, judged: true}, dear, cheap}, 0},
		"dearer than one of them":          {0, []figures{{PerValue: 1.1, judged: true}, dear, cheap}, 1},
		"dearer, and not judged":           {0, []figures{{PerValue: 9}, dear, cheap}, 0},
		"within the time":                  {2 * time.Second, []figures{{ServerMS: spread{Median: 1998}, OwnMS: spread{Median: 1}, whole: true}}, 0},
		"beyond the time":                  {2 * time.Second, []figures{{ServerMS: spread{Median: 1999}, OwnMS: spread{Median: 2}, whole: true}}, 1},
		"beyond the time, where none goes": {0, []figures{{ServerMS: spread{Median: 2001}, whole: true}}, 0},
	} {
		r := report{Databases: []database{{Goal: c.goal, Contestants: c.all}}}
		r.judge()
		r.print(io.Discard)
		if code := r.code(); code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
	}
}

func TestSpread_IsOfAllRounds(t *testing.T) {
	t.Parallel()
	var s spread
	for _, value := range []float64{5, 1, 3, 100} {
		s.add(value)
	}
	if s.Min != 1 || s.Median != 4 || s.Max != 100 {
		t.Errorf("got %v of 1, 3, 5, 100", s)
	}
}

func TestCountValues_LeavesOutWhatAnExporterTellsOfItself(t *testing.T) {
	t.Parallel()
	body := "# HELP pg_up Whether\n# TYPE pg_up gauge\npg_up 1\n" +
		"pg_database_size_bytes{datname=\"a b\"} 7e+06\npg_exporter_scrapes_total 3\npg_scrape_collector_success{collector=\"x\"} 1\n" +
		"go_goroutines 8\nprocess_open_fds 9\npromhttp_metric_handler_requests_total{code=\"200\"} 1\n"
	if values, up := countValues([]byte(body)); values != 2 || !up {
		t.Errorf("got %d values, up %t; want 2 and up", values, up)
	}
	if _, up := countValues([]byte("pg_up 0\n")); up {
		t.Error("pg_up 0 passes for up")
	}
}

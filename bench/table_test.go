//go:build linux

package bench_test

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// result is one line of the table.
type result struct {
	name   string
	cost   time.Duration // least of the rounds
	goal   time.Duration // 0: none
	why    string        // why there is no goal
	ratio  float64       // to the fixed piece of work
	failed string        // instead of all that
}

func (r result) missed() bool { return r.failed != "" || r.goal > 0 && r.cost > r.goal }

func (r result) verdict() string {
	switch {
	case r.failed != "":
		return "FAILED: " + r.failed
	case r.goal == 0:
		return r.why
	case r.missed():
		return "MISSED"
	default:
		return "met"
	}
}

// table collects the results of a run.
type table struct {
	mu   sync.Mutex
	rows []result
}

var results table

// add keeps the newest result of each name: the testing package may run a benchmark more than once.
func (t *table) add(r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.rows {
		if t.rows[i].name == r.name {
			t.rows[i] = r
			return
		}
	}
	t.rows = append(t.rows, r)
}

// print writes the table and returns the exit code that it deserves.
func (t *table) print(w io.Writer) (code int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.rows) == 0 {
		return 0
	}
	lines := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(lines, "\nmeasured\tCPU ms\tgoal\tratio\t\t")
	for _, r := range t.rows {
		goal := "-"
		if r.goal > 0 {
			goal = fmt.Sprint(r.goal.Milliseconds())
		}
		fmt.Fprintf(lines, "%s\t%.2f\t%s\t%.3f\t %s\t\n", r.name, milliseconds(r.cost), goal, r.ratio, r.verdict())
		if r.missed() {
			code = 1
		}
	}
	// An error here is one of the terminal's.
	_ = lines.Flush()
	return code
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func TestTable_AMissedGoalFailsTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows []result
		code int
	}{
		"nothing was measured":  {nil, 0},
		"met":                   {[]result{{cost: 99 * time.Millisecond, goal: 100 * time.Millisecond}}, 0},
		"missed among others":   {[]result{{name: "a", cost: 101 * time.Millisecond, goal: 100 * time.Millisecond}, {name: "b"}}, 1},
		"without a goal":        {[]result{{cost: time.Hour, why: "returns the whole table"}}, 0},
		"missed, then measured": {[]result{{cost: 2, goal: 1}, {cost: 1, goal: 1}}, 0},
		"not measured":          {[]result{{failed: "no such view"}}, 1},
	} {
		var all table
		for _, r := range c.rows {
			all.add(r)
		}
		if code := all.print(io.Discard); code != c.code {
			t.Errorf("%s: exit code %d, want %d", name, code, c.code)
		}
	}
}

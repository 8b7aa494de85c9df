package collect_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"onevault/collect"
)

var update = flag.Bool("update", false, "write the tables of the documentation anew")

// The table of all metrics in docs/metrics.md is what the files say; go test ./collect -run Docs -update writes it.
func TestDocs_ListEveryMetric(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/metrics.md", "<!-- metrics: begin -->\n", "<!-- metrics: end -->\n"
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no %s and %s", file, begin, end)
	}
	want := before + begin + metricTable(t) + end + after
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s does not list the metrics as they are, %v; run: go test ./collect -run Docs -update", file, err)
	}
}

func metricTable(t *testing.T) string {
	t.Helper()
	lines := []string{"| metric | by | unit | every | warning, critical | PostgreSQL | what it is |", "|---|---|---|---|---|---|---|"}
	add := func(m collect.Metric, by []string, each, versions string) {
		limits := strings.Trim(m.Warning+", "+m.Critical, ", ")
		if m.LowIsBad && limits != "" {
			limits = "at most " + limits
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s | %s | %s | %s |", m.Name, strings.Join(by, ", "), m.Unit, each, limits, versions,
			strings.ReplaceAll(m.Description, "|", "\\|")))
	}
	for _, m := range collect.WorkerMetrics {
		add(m, nil, "each time", "any")
	}
	for _, m := range collect.PerformanceMetrics {
		add(m, nil, "with the statements", "any")
	}
	for _, m := range collect.CapacityMetrics {
		add(m, nil, "with the sizes", "any")
	}
	for _, q := range healthQueries(t) {
		each := "each time"
		if q.Every > 0 {
			each = strings.NewReplacer("0m0s", "", "m0s", "m").Replace(q.Every.String())
		}
		for _, m := range q.Metrics {
			add(m, q.By, each, q.Versions())
		}
	}
	slices.Sort(lines[2:])
	return strings.Join(lines, "\n") + "\n"
}

// Package collect reads a target PostgreSQL: what is measured is data (the files below health/), how it
// is read is here. It writes nothing on the target, holds at most two connections to it, and bounds
// every statement; it does not know the vault.
package collect

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

//go:embed health/*.sql
var healthFiles embed.FS

// Metric is one value that a query measures.
type Metric struct {
	Name        string
	Description string
}

// Query is one file of the catalogue: a SELECT of (name, category, unit, value, warning, critical,
// low_is_bad, source, counter). The same text runs on a target and, installed as the function
// monitoring.health_<name>(), in the vault.
type Query struct {
	Name     string // the file's name without .sql
	Metrics  []Metric
	Requires string // a table without which the query does not apply, e.g. auth.session_state_s
	SQL      string
}

// HealthQueries returns the catalogue of health metrics in the order of the file names.
func HealthQueries() ([]Query, error) {
	entries, err := healthFiles.ReadDir("health")
	if err != nil {
		return nil, fmt.Errorf("read health queries: %w", err)
	}
	var queries []Query
	for _, entry := range entries {
		text, err := healthFiles.ReadFile(path.Join("health", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read health query %s: %w", entry.Name(), err)
		}
		query, err := parseQuery(strings.TrimSuffix(entry.Name(), ".sql"), string(text))
		if err != nil {
			return nil, err
		}
		queries = append(queries, query)
	}
	slices.SortFunc(queries, func(a, b Query) int { return strings.Compare(a.Name, b.Name) })
	return queries, nil
}

// parseQuery reads the header lines `-- metric NAME: description` and `-- requires: TABLE`.
func parseQuery(name, text string) (Query, error) {
	query := Query{Name: name, SQL: strings.TrimSpace(text)}
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "-- metric "); ok {
			metric, description, found := strings.Cut(rest, ":")
			if !found {
				return Query{}, fmt.Errorf("health query %s: %q lacks a description; write `-- metric NAME: description`", name, strings.TrimSpace(line))
			}
			query.Metrics = append(query.Metrics, Metric{Name: strings.TrimSpace(metric), Description: strings.TrimSpace(description)})
		}
		if rest, ok := strings.CutPrefix(line, "-- requires: "); ok {
			query.Requires = strings.TrimSpace(rest)
		}
	}
	if len(query.Metrics) == 0 {
		return Query{}, fmt.Errorf("health query %s names no metric; write `-- metric NAME: description` lines at its top", name)
	}
	return query, nil
}

// WorkerMetrics are measured by the worker itself, beside the queries.
var WorkerMetrics = []Metric{
	{Name: "target_reachable", Description: "1 when the target answered the collector, 0 when it did not"},
	{Name: "server_version_num", Description: "Version of the server, 150018 for PostgreSQL 15.18"},
	{Name: "disk_usage_pct", Description: "Use of the volume of the data directory, measured where the server runs on the worker's host"},
}

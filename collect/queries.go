// Package collect reads a target PostgreSQL: what is measured is data (the files below health/), how it
// is read is here. It writes nothing on the target, holds at most two connections to it, and bounds
// every statement; it does not know the vault.
package collect

import (
	"cmp"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed health/*.sql
var healthFiles embed.FS

// WorkerMetrics are measured by the worker itself, beside the queries.
var WorkerMetrics = []Metric{
	{Name: "target_reachable", Unit: "bool", Category: "AVAILABILITY", Description: "1 when the target answered the collector, 0 when it did not"},
	{Name: "server_version_num", Unit: "version", Category: "AVAILABILITY", Description: "Version of the server, 150018 for PostgreSQL 15.18"},
	{Name: "disk_usage_pct", Unit: "%", Category: "CAPACITY", Description: "Use of the volume of the data directory, measured where the server runs on the worker's host"},
}

// HealthQueries returns the catalogue of health metrics in the order of the file names. It is read once.
func HealthQueries() ([]Query, error) {
	queries, err := catalogue()
	return slices.Clone(queries), err
}

var catalogue = sync.OnceValues(readCatalogue)

func readCatalogue() ([]Query, error) {
	entries, err := healthFiles.ReadDir("health")
	if err != nil {
		return nil, fmt.Errorf("read health queries: %w", err)
	}
	queries := make([]Query, 0, len(entries))
	for _, entry := range entries {
		text, err := healthFiles.ReadFile(path.Join("health", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read health query %s: %w", entry.Name(), err)
		}
		query, err := ParseQuery(entry.Name(), string(text))
		if err != nil {
			return nil, err
		}
		query.Name = strings.TrimSuffix(entry.Name(), ".sql")
		query.From = cmp.Or(query.From, query.Name)
		queries = append(queries, query)
	}
	return queries, nil
}

// Due returns the queries whose time has come, when each ran last being known. One that never ran is due.
// A tenth of slack: a collection that comes a little early is still the next one.
func Due(queries []Query, ran map[string]time.Time, now time.Time) []Query {
	var due []Query
	for _, query := range queries {
		last, before := ran[query.Name]
		if !before || last.After(now) || now.Sub(last) >= query.Every-query.Every/10 {
			due = append(due, query)
		}
	}
	return due
}

// ParseOwnQuery reads a file that people wrote: it measures one metric, whose name is not taken by a built-in
// one, by numbers of its own and not by names of the catalogue.
func ParseOwnQuery(file, text string) (Query, error) {
	query, err := ParseQuery(file, text)
	if err != nil {
		return Query{}, err
	}
	if len(query.Metrics) != 1 {
		return Query{}, fmt.Errorf("%s: the file names %d metrics: write one for each file", file, len(query.Metrics))
	}
	query.Name, query.Own, query.From = query.Metrics[0].Name, true, cmp.Or(query.From, query.Metrics[0].Name)
	builtIn, err := HealthQueries()
	if err != nil {
		return Query{}, err
	}
	for _, other := range builtIn {
		if other.Name == query.Name || slices.ContainsFunc(other.Metrics, func(m Metric) bool { return m.Name == query.Name }) {
			return Query{}, fmt.Errorf("%s: %s is the name of a metric or of a query that is built in: choose another", file, query.Name)
		}
	}
	if slices.ContainsFunc(slices.Concat(WorkerMetrics, PerformanceMetrics, CapacityMetrics), func(m Metric) bool { return m.Name == query.Name }) {
		return Query{}, fmt.Errorf("%s: %s is the name of a metric that is built in: choose another", file, query.Name)
	}
	return query, nil
}

package collect

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed capacity/*.sql
var capacityFiles embed.FS

// sizeTimeout bounds a query of sizes: the server asks the file system for every file of a database, which
// takes seconds where there are a million of them, and locks nothing.
const sizeTimeout = 30 * time.Second

// Resource is something that fills up. The unit is bytes, of a SEQUENCE values.
type Resource struct {
	Type string // DISK, DATABASE, TABLE, INDEX, TABLESPACE, WAL, TEMP, SEQUENCE
	Name string
	Size int64
	// Available is how much more there can be; nil: no limit is known.
	Available *int64
	Source    string
}

// CapacityMetrics are recorded with every measurement of the resources.
var CapacityMetrics = []Metric{
	{Name: "capacity_unmeasured", Unit: "count", Category: "CAPACITY", Description: "Kinds of resources whose size could not be measured; once an hour, so give a definition lookback_minutes of 70"},
}

// capacityQuery is one file of capacity/: a SELECT of (type, name, size, available, source). A row without a size
// says in its name what could not be measured.
type capacityQuery struct {
	name  string
	kinds []string
	// portions is the catalog of what is measured, where one statement may not measure all of it; empty: it may.
	portions string
	sql      string
}

// What is measured in portions: the size of one, and how many of the fullest are told of all.
const (
	portionSize = 1000
	fullest     = 10
)

func capacityQueries() ([]capacityQuery, error) {
	entries, err := capacityFiles.ReadDir("capacity")
	if err != nil {
		return nil, fmt.Errorf("read capacity queries: %w", err)
	}
	var queries []capacityQuery
	for _, entry := range entries {
		text, err := capacityFiles.ReadFile(path.Join("capacity", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read capacity query %s: %w", entry.Name(), err)
		}
		query := capacityQuery{name: strings.TrimSuffix(entry.Name(), ".sql"), sql: strings.TrimSpace(string(text))}
		for line := range strings.Lines(query.sql) {
			if rest, ok := strings.CutPrefix(line, "-- resource "); ok {
				kind, _, _ := strings.Cut(rest, ":")
				query.kinds = append(query.kinds, kind)
			}
			if rest, ok := strings.CutPrefix(line, "-- portions: "); ok {
				query.portions = strings.TrimSpace(rest)
			}
		}
		if len(query.kinds) == 0 {
			return nil, fmt.Errorf("capacity query %s names no resource; write `-- resource TYPE: description` lines at its top", query.name)
		}
		queries = append(queries, query)
	}
	return queries, nil
}

// CollectCapacity measures what can fill up, on one connection. The error means that the target did not answer at
// all. What could not be measured is named in problems, one for a kind or a place, and the others are measured.
func (t *Target) CollectCapacity(ctx context.Context) (resources []Resource, problems []string, err error) {
	queries, err := capacityQueries()
	if err != nil {
		return nil, nil, err
	}
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	defer conn.Release()
	if err := ping(ctx, conn.Conn()); err != nil {
		return nil, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	resources, problems = disks(ctx, conn.Conn())
	for _, query := range queries {
		measured, unmeasured, err := inPortions(ctx, conn.Conn(), query)
		if conn.Conn().IsClosed() {
			return nil, nil, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
		}
		if err != nil {
			problems = append(problems, strings.Join(query.kinds, ", ")+": "+plain(err).Error())
			continue
		}
		resources, problems = append(resources, measured...), append(problems, unmeasured...)
	}
	return resources, problems, nil
}

// inPortions runs a query, as often as there are portions of what it measures.
func inPortions(ctx context.Context, conn *pgx.Conn, query capacityQuery) (resources []Resource, problems []string, err error) {
	if query.portions == "" {
		return sizes(ctx, conn, query)
	}
	var total int64
	counting := "/* onevault capacity " + query.name + ": how many */ SELECT count(*) FROM " + pgx.Identifier{query.portions}.Sanitize()
	if err := conn.QueryRow(ctx, counting).Scan(&total); err != nil {
		return nil, nil, err
	}
	for passed := int64(0); passed < total; passed += portionSize {
		measured, unmeasured, err := sizes(ctx, conn, query, passed)
		if err != nil {
			return nil, nil, err
		}
		resources, problems = append(resources, measured...), append(problems, unmeasured...)
	}
	slices.SortStableFunc(resources, func(a, b Resource) int { return cmp.Compare(b.fullness(), a.fullness()) })
	return resources[:min(len(resources), fullest)], problems, nil
}

// fullness is 0 to 1; 0 as well where no limit is known.
func (r Resource) fullness() float64 {
	if r.Available == nil || r.Size <= 0 {
		return 0
	}
	return float64(r.Size) / (float64(r.Size) + float64(*r.Available))
}

func sizes(ctx context.Context, conn *pgx.Conn, query capacityQuery, args ...any) (resources []Resource, problems []string, err error) {
	ctx = withLimit(ctx, sizeTimeout)
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, nil, err
	}
	defer tx.Rollback(ctx) // nothing was written
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", sizeTimeout.Milliseconds())); err != nil {
		return nil, nil, err
	}
	rows, err := tx.Query(ctx, "/* onevault capacity "+query.name+" */ "+query.sql, args...)
	if err != nil {
		return nil, nil, err
	}
	var (
		r    Resource
		size *int64
	)
	_, err = pgx.ForEachRow(rows, []any{&r.Type, &r.Name, &size, &r.Available, &r.Source}, func() error {
		if size == nil {
			problems = append(problems, r.Type+": "+r.Name)
			return nil
		}
		r.Size = *size
		resources = append(resources, r)
		return nil
	})
	return resources, problems, err
}

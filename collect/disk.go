package collect

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
)

// errElsewhere: only the disks of this host can be measured.
var errElsewhere = errors.New("the server runs on another host or in another container: run a worker beside it to measure its disk")

// volume is what a file system holds, as df counts it: available is what ordinary users can still have.
type volume struct {
	mount           string // the directory at which it begins
	used, available int64
}

// usage is the used share in per cent.
func (v volume) usage() float64 { return 100 * float64(v.used) / float64(v.used+v.available) }

// diskUsage measures the volume of the data directory. Only a server on this host can be measured; for
// any other the value is unknown, and the error says so.
func diskUsage(ctx context.Context, conn *pgx.Conn) Sample {
	warning, critical := 80.0, 95.0
	sample := Sample{Name: "disk_usage_pct", Category: "CAPACITY", Unit: "%", Warning: &warning, Critical: &critical, Source: "statfs"}
	directory, err := dataDirectory(ctx, conn)
	if err != nil {
		sample.Error = err.Error()
		return sample
	}
	v, err := volumeOf(directory)
	if err != nil {
		sample.Error = err.Error()
		return sample
	}
	used := v.usage()
	sample.Value = &used
	return sample
}

// dataDirectory is where a server on this host keeps its data.
func dataDirectory(ctx context.Context, conn *pgx.Conn) (string, error) {
	var (
		directory string
		pid       uint32
	)
	if err := conn.QueryRow(ctx, "SELECT current_setting('data_directory'), pg_backend_pid()").Scan(&directory, &pid); err != nil {
		return "", fmt.Errorf("the data directory is not visible (needs pg_monitor): %w", plain(err))
	}
	if !backendIsHere(pid) {
		return "", errElsewhere
	}
	return directory, nil
}

// disks measures each volume that the server writes to, once: those of the data directory, of its WAL and of every
// tablespace. They are named by where they are mounted.
func disks(ctx context.Context, conn *pgx.Conn) (resources []Resource, problems []string) {
	data, err := dataDirectory(ctx, conn)
	if err != nil {
		return nil, []string{"DISK: " + err.Error()}
	}
	places := []string{data, filepath.Join(data, "pg_wal")}
	rows, err := conn.Query(ctx, "SELECT pg_tablespace_location(t.oid) FROM pg_tablespace t ORDER BY 1")
	if err == nil {
		var locations []string
		locations, err = pgx.CollectRows(rows, pgx.RowTo[string])
		for _, location := range locations {
			// The others lie in the data directory.
			if filepath.IsAbs(location) {
				places = append(places, location)
			}
		}
	}
	if err != nil {
		problems = append(problems, "DISK of the tablespaces: "+plain(err).Error())
	}
	for _, place := range places {
		v, err := volumeOf(place)
		if err != nil {
			problems = append(problems, "DISK of "+place+": "+err.Error())
			continue
		}
		if slices.ContainsFunc(resources, func(r Resource) bool { return r.Name == v.mount }) {
			continue
		}
		resources = append(resources, Resource{Type: "DISK", Name: v.mount, Size: v.used, Available: &v.available, Source: "statfs"})
	}
	return resources, problems
}

package collect

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// diskUsage measures the volume of the data directory. Only a server on this host can be measured; for
// any other the value is unknown, and the error says so.
func diskUsage(ctx context.Context, conn *pgx.Conn) Sample {
	warning, critical := 80.0, 95.0
	sample := Sample{Name: "disk_usage_pct", Category: "CAPACITY", Unit: "%", Warning: &warning, Critical: &critical, Source: "statfs"}
	used, err := dataVolumeUsage(ctx, conn)
	if err != nil {
		sample.Error = err.Error()
		return sample
	}
	sample.Value = &used
	return sample
}

func dataVolumeUsage(ctx context.Context, conn *pgx.Conn) (float64, error) {
	var (
		directory string
		pid       uint32
	)
	if err := conn.QueryRow(ctx, "SELECT current_setting('data_directory'), pg_backend_pid()").Scan(&directory, &pid); err != nil {
		return 0, fmt.Errorf("the data directory is not visible (needs pg_monitor): %w", plain(err))
	}
	if !backendIsHere(pid) {
		return 0, fmt.Errorf("the server runs on another host or in another container: run a worker beside it to measure its disk")
	}
	return volumeUsage(directory)
}

//go:build linux

package bench_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"onevault/backtest"
	"onevault/vault"
)

// perBacktest is how long a month of every definition may take.
const perBacktest = 30 * time.Second

// BenchmarkBacktest repeats 30 days of the looks of every default definition over the seeded vault, one
// connection and one processor: what `onevault definition backtest --since 30d` does.
func BenchmarkBacktest(b *testing.B) {
	line := result{name: "backtest of a month, server and client", goal: perBacktest}
	failed := line
	failed.failed = "it did not end"
	results.add(failed)
	store, err := vault.Open(b.Context(), vaultURL)
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	definitions, err := store.DefinitionVersions(b.Context(), nil, true)
	if err != nil {
		b.Fatal(err)
	}
	until := time.Now().UTC()
	in := vault.Subject{Target: vault.LocalTarget, Since: until.Add(-30 * 24 * time.Hour), Until: until}
	for b.Loop() {
		began, own := time.Now(), processCPU(b)
		history, err := store.History(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		server := connect(b)
		if err := server.conn.QueryRow(b.Context(), `
			SELECT pid FROM pg_stat_activity WHERE application_name = 'onevault' AND state = 'idle in transaction' AND datname = current_database()`).
			Scan(&server.pid); err != nil {
			b.Fatal(err)
		}
		before := server.cpu()
		tried, looks, kept, alerts := 0, 0, 0, 0
		for _, d := range definitions {
			if !d.Enabled {
				continue
			}
			run, err := follow(b.Context(), history, d.DefinitionSpec, in)
			if none := (*vault.NoHistoryError)(nil); errors.As(err, &none) {
				continue
			}
			if err != nil {
				history.Close(b.Context())
				b.Fatal(err)
			}
			tried, looks, kept, alerts = tried+1, looks+run.Looks, kept+run.Kept, alerts+len(run.Alerts)
		}
		line.cost = server.cpu() - before + processCPU(b) - own
		history.Close(context.Background())
		if kept < looks*9/10 || alerts == 0 {
			b.Fatalf("of %d looks %d had measurements, and %d alerts came of them: that is no month", looks, kept, alerts)
		}
		b.ReportMetric(float64(tried), "definitions")
		b.ReportMetric(float64(looks), "looks")
		b.ReportMetric(time.Since(began).Seconds(), "elapsed-s")
	}
	line.ratio = ratio(b, line.cost)
	results.add(line)
	b.ReportMetric(milliseconds(line.cost), "cpu-ms")
	b.ReportMetric(0, "ns/op")
}

// processCPU is what this process has spent on processors.
func processCPU(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(fmt.Errorf("read the CPU of this process: %w", err))
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// follow repeats the looks of a definition, as of a composite whose others never fire.
func follow(ctx context.Context, history *vault.History, d vault.DefinitionSpec, in vault.Subject) (backtest.Run, error) {
	never := func(string, time.Time) (int, bool) { return 0, false }
	if len(d.AlertBy) > 0 {
		whole, sets, err := history.LabelLooks(ctx, d, in, never)
		return backtest.FollowLabels(d.Timing(), whole, sets, in.Until), err
	}
	looks, err := history.Looks(ctx, d, in, never)
	return backtest.Follow(d.Timing(), looks, in.Until), err
}

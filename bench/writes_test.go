//go:build linux

package bench_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// loadTestSessions is how many psql the guide's load test starts at once.
const loadTestSessions = 100

// BenchmarkRecord measures the part of a collection that writes.
func BenchmarkRecord(b *testing.B) {
	s := connect(b)
	s.exec(`CREATE TEMPORARY TABLE sample AS
		SELECT monitoring.measure('database') || monitoring.measure('server') || monitoring.measure('sessions') || monitoring.measure('replication') AS list`)
	s.report(b, result{name: "record_health_samples", goal: perQuery}, func() {
		s.exec("SELECT count(*) FROM sample, monitoring.record_health_samples('local', NULL, clock_timestamp(), 300, list)")
	})
}

// BenchmarkLoadTest is the guide's: 100 psql at once, each with a connection of its own that collects.
// It fails when one of them does, or when a row is missing afterwards.
func BenchmarkLoadTest(b *testing.B) {
	line := result{name: "collect_health, one of 100 at once", failed: "it did not end"}
	results.add(line)
	counter := connect(b)
	alone := time.Duration(0)
	for i := range 5 {
		if took := clock(func() { collectOnce(b) }); i == 0 || took < alone {
			alone = took
		}
	}
	var spent, took time.Duration
	rounds := 0
	for b.Loop() {
		before := counter.count()
		returned := 0
		took += clock(func() {
			var cpu time.Duration
			returned, cpu = collectAtOnce(b)
			spent += cpu
		})
		if stored := counter.count() - before; stored != returned || returned < loadTestSessions {
			b.Fatalf("%d sessions returned %d samples, and %d are stored", loadTestSessions, returned, stored)
		}
		rounds++
	}
	line.failed, line.why = "", "no goal: no error, no lost row"
	line.cost = spent / time.Duration(rounds*loadTestSessions)
	line.ratio = ratio(b, line.cost)
	results.add(line)
	b.ReportMetric(milliseconds(line.cost), "cpu-ms/session")
	b.ReportMetric(milliseconds(took)/float64(rounds), "ms/100")
	b.ReportMetric(float64(took)/float64(rounds)/float64(alone), "ratio-to-one")
}

func clock(work func()) time.Duration {
	began := time.Now()
	work()
	return time.Since(began)
}

// count is the number of samples in the vault.
func (s *session) count() (n int) {
	s.Helper()
	if err := s.conn.QueryRow(s.Context(), "SELECT count(*) FROM monitoring.system_health_metric_s").Scan(&n); err != nil {
		s.Fatal(err)
	}
	return n
}

// collectAtOnce has all sessions collect at the same moment, and returns how many samples they were told
// of and what their server processes spent together.
func collectAtOnce(b *testing.B) (samples int, cpu time.Duration) {
	b.Helper()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for range loadTestSessions {
		wg.Go(func() {
			n, spent := collectOnce(b)
			mu.Lock()
			defer mu.Unlock()
			samples += n
			cpu += spent
		})
	}
	wg.Wait()
	return samples, cpu
}

// collectOnce is one psql of the load test, from its connection to its end.
func collectOnce(b *testing.B) (samples int, cpu time.Duration) {
	conn, err := pgx.Connect(b.Context(), vaultURL)
	if err != nil {
		b.Error(err)
		return 0, 0
	}
	defer conn.Close(context.Background())
	s := &session{TB: b, conn: conn, pid: conn.PgConn().PID()}
	if err := conn.QueryRow(b.Context(), "SELECT count(*) FROM monitoring.collect_system_health_metrics()").Scan(&samples); err != nil {
		b.Error(err)
		return 0, 0
	}
	return samples, s.cpu()
}

//go:build linux

package bench_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// session is one connection as psql has it, and the means to see what its server process spends.
type session struct {
	testing.TB
	conn *pgx.Conn
	pid  uint32
}

func connect(tb testing.TB) *session {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), vaultURL)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close(context.Background()) })
	return &session{TB: tb, conn: conn, pid: conn.PgConn().PID()}
}

// exec sends a statement as psql does, as text to be planned anew, and reads all that it returns.
func (s *session) exec(sql string) {
	s.Helper()
	results := s.conn.PgConn().Exec(s.Context(), sql)
	for results.NextResult() {
		rows := results.ResultReader()
		for rows.NextRow() {
			_ = rows.Values() // read, as psql would, and not kept
		}
		if _, err := rows.Close(); err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
	}
	if err := results.Close(); err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
}

// cpu is what the server process of this session has spent on a processor since it began.
func (s *session) cpu() time.Duration {
	s.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", s.pid))
	if err != nil {
		s.Fatalf("the CPU of the server process cannot be read (the kernel needs CONFIG_SCHED_INFO): %v", err)
	}
	var spent time.Duration
	if _, err := fmt.Sscan(string(text), &spent); err != nil {
		s.Fatalf("/proc/%d/schedstat: %q: %v", s.pid, text, err)
	}
	return spent
}

// measure runs work so many times and returns what one run cost.
func (s *session) measure(times int, work func()) time.Duration {
	s.Helper()
	before := s.cpu()
	for range times {
		work()
	}
	return (s.cpu() - before) / time.Duration(times)
}

// roundLength is the CPU of a round: the kernel brings its count up to date when it pleases, which in so
// long a time is nothing.
const roundLength = 10 * time.Millisecond

// loop measures work in rounds until the benchmark is over, and returns the least and the mean of them:
// the least is what it costs, the rest is what else went on.
func (s *session) loop(b *testing.B, work func()) (least, mean time.Duration) {
	b.Helper()
	s.measure(2, work) // fills caches
	times := 1 + int(roundLength/max(s.measure(3, work), time.Microsecond))
	rounds, sum := 0, time.Duration(0)
	for b.Loop() {
		cost := s.measure(times, work)
		if rounds == 0 || cost < least {
			least = cost
		}
		sum += cost
		rounds++
	}
	return least, sum / time.Duration(rounds)
}

// fixedWork is what the server spends on counting a million numbers.
var fixedWork time.Duration

// ratio tells a cost as a multiple of the fixed work, which the first caller has measured.
func ratio(b *testing.B, cost time.Duration) float64 {
	b.Helper()
	if fixedWork == 0 {
		s := connect(b)
		for range 12 {
			once := s.measure(1, func() { s.exec("SELECT count(*) FROM generate_series(1, 1000000)") })
			if fixedWork == 0 || once < fixedWork {
				fixedWork = once
			}
		}
	}
	return float64(cost) / float64(fixedWork)
}

package collect_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/collect"
	"onevault/pgserver/pgtest"
)

// collectAll is all that a target is asked, by anybody. The texts are those of statements that differ from
// round to round.
func collectAll(ctx context.Context, target *collect.Target, round int) error {
	queries, err := collect.HealthQueries()
	if err != nil {
		return err
	}
	if _, err := target.CollectHealth(ctx, queries); err != nil {
		return err
	}
	if _, err := target.SampleStatements(ctx); err != nil {
		return err
	}
	texts := make([]int64, round+1)
	for i := range texts {
		texts[i] = int64(1000*round + i)
	}
	if _, err := target.AnswerStatementQuestions(ctx, collect.StatementQuestions{Texts: texts, Tables: []uint32{uint32(round)}}); err != nil {
		return err
	}
	if _, _, err := target.CollectCapacity(ctx); err != nil {
		return err
	}
	controls, err := collect.Controls()
	if err != nil {
		return err
	}
	_, err = target.CheckControls(ctx, controls)
	return err
}

// A server keeps the statistics of so many statements, and drops others for new ones.
func TestCollection_LeavesNoTraceInTheStatistics(t *testing.T) {
	t.Parallel()
	address := ownServer(t)
	admin := connect(t, address)
	exec(t, admin, "CREATE EXTENSION pg_stat_statements")
	// The test's own statements are no part of the matter.
	exec(t, admin, "SET pg_stat_statements.track = 'none'")
	granted := asNewRole(t, address, "pg_monitor")
	role := userOf(t, granted)
	exec(t, admin, "GRANT SET ON PARAMETER pg_stat_statements.track TO "+role)
	t.Cleanup(func() { // a role with privileges cannot be dropped
		if _, err := admin.Exec(context.Background(), "REVOKE SET ON PARAMETER pg_stat_statements.track FROM "+role); err != nil {
			t.Error(err)
		}
	})
	entries := func(address string) []string {
		return column[string](t, admin, "SELECT s.query FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = $1 ORDER BY 1", userOf(t, address))
	}

	for name, watcher := range map[string]string{"a superuser": address, "a role that may set the parameter": granted} {
		exec(t, admin, "SELECT pg_stat_statements_reset()")
		collectTimes(t, watcher, 3)
		// At most the statement with which it hides itself is seen.
		for _, query := range entries(watcher) {
			if !strings.Contains(query, "pg_stat_statements.track") {
				t.Errorf("%s leaves %s", name, query)
			}
		}
	}

	// Nobody else may. Its statements are the same each time, and known by their role.
	plain := asNewRole(t, address, "pg_monitor")
	collectTimes(t, plain, 1)
	first := entries(plain)
	collectTimes(t, plain, 10)
	if tenth := entries(plain); !slices.Equal(tenth, first) {
		t.Errorf("the first collection has %d entries, ten more %d: %q", len(first), len(tenth), without(tenth, first))
	}
	if len(first) < 10 || len(first) > 120 {
		t.Errorf("%d entries: none were seen, or too many", len(first))
	}
}

func collectTimes(t *testing.T, address string, rounds int) {
	t.Helper()
	// With a new connection each time, as after an interruption.
	for round := range rounds {
		target := openTarget(t, address)
		if err := collectAll(t.Context(), target, round); err != nil {
			t.Fatal(err)
		}
		target.Close()
	}
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}

func userOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address is not a URL")
	}
	return u.User.Username()
}

// The controls of compliance need a connection of their own. It takes the place of one of the two.
func TestCollection_TakesTwoConnectionsAtMostWhateverItDoes(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	target, watcher := openTarget(t, address), connect(t, address)
	slow, err := collect.ParseControl(`-- id: SLOW
-- title: Slow
-- category: TEST
-- severity: LOW
-- asks: for time
-- remediation: wait
-- clause: TEST | 1 | takes two seconds
SELECT pg_sleep(2) IS NOT NULL, 100, '{}'::jsonb`)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	// Both connections are there before the controls need theirs.
	for range 2 {
		wg.Go(func() {
			if _, err := target.CollectHealth(ctx, healthQueries(t)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if _, err := target.CollectHealth(ctx, healthQueries(t)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		defer stop()
		results, err := target.CheckControls(ctx, []collect.Control{slow, slow})
		if err != nil || results[1].Status != collect.Compliant {
			t.Errorf("controls: %v, %v", results, err)
		}
	})
	const seen = `
		SELECT count(*) FILTER (WHERE query LIKE '/* onevault control SLOW %' AND state = 'active') AS controls, count(*) AS all
		  FROM pg_stat_activity WHERE application_name = 'onevault' AND datname = current_database()`
	most, looks := 0, 0
	for ctx.Err() == nil {
		var controls, all int
		if err := watcher.QueryRow(t.Context(), seen).Scan(&controls, &all); err != nil {
			t.Fatal(err)
		}
		if controls > 0 { // the one whose place the controls took may take a moment to end
			if looks++; looks > 5 {
				most = max(most, all)
			}
		}
		exec(t, watcher, "SELECT pg_sleep(0.05)")
	}
	wg.Wait()
	if most != 2 {
		t.Errorf("%d connections at most while controls and health run, want 2", most)
	}
}

func TestCollectHealth_ASlowQueryIsCutAndTheOthersAreMeasured(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, "DROP TABLE auth.session_state_s CASCADE")
	exec(t, conn, "CREATE VIEW auth.session_state_s AS SELECT pg_sleep(3600)::text AS session_status, NULL::timestamptz AS load_end_date")
	samples := collectOnce(t, address)
	if slow := find(t, samples, "active_sessions"); slow.Value != nil || !strings.Contains(slow.Error, "statement timeout") {
		t.Errorf("the slow query: value %v, error %q", slow.Value, slow.Error)
	}
	if other := find(t, samples, "uptime_s"); other.Value == nil {
		t.Errorf("another query: error %q", other.Error)
	}
}

// A stopped process keeps none of the server's limits, and holds its connections open.
func TestCollection_ComesBackFromAServerThatHangs(t *testing.T) {
	t.Parallel()
	address := ownServer(t)
	conn := connect(t, address)
	exec(t, conn, "CREATE EXTENSION pg_stat_statements")
	// Its own deadline brings it back, and not the caller's.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for name, work := range map[string]func(*collect.Target) error{
		"health":      func(target *collect.Target) error { _, err := target.CollectHealth(ctx, healthQueries(t)); return err },
		"performance": func(target *collect.Target) error { _, err := target.SampleStatements(ctx); return err },
	} {
		warm, cold := openTarget(t, address), openTarget(t, address)
		if err := work(warm); err != nil {
			t.Fatal(err)
		}
		goOn := stopServer(t, conn)
		for state, target := range map[string]*collect.Target{"an open connection": warm, "a new connection": cold} {
			if err := work(target); err == nil || !strings.Contains(err.Error(), "target watched") || ctx.Err() != nil {
				t.Errorf("%s on %s of a server that hangs: %v", name, state, err)
			}
		}
		goOn()
		// A target that was silent is not asked again at once.
		var err error
		for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(100 * time.Millisecond) {
			if err = work(warm); err == nil {
				break
			}
		}
		if err != nil {
			t.Errorf("%s, when the server goes on: %v", name, err)
		}
	}
}

// stopServer stops all processes of a server where they stand, until goOn is called.
func stopServer(t *testing.T, conn *pgx.Conn) (goOn func()) {
	t.Helper()
	pids := column[int](t, conn, `
		SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
		UNION ALL
		SELECT (string_to_array(pg_read_file('postmaster.pid'), E'\n'))[1]::integer`)
	signal := func(s syscall.Signal) {
		for _, pid := range pids {
			if err := syscall.Kill(pid, s); err != nil {
				t.Errorf("%s to process %d of the server: %v", s, pid, err)
			}
		}
	}
	signal(syscall.SIGSTOP)
	// Also when the test ends early: a stopped server cannot be told to end.
	var once sync.Once
	goOn = func() { once.Do(func() { signal(syscall.SIGCONT) }) }
	t.Cleanup(goOn)
	return goOn
}

func TestCollection_ServerOutOfConnectionsIsAnErrorThatSaysSo(t *testing.T) {
	t.Parallel()
	address := ownServer(t, "max_connections", "6", "superuser_reserved_connections", "2", "max_wal_senders", "0")
	watcher := asNewRole(t, address, "pg_monitor")
	var taken []*pgx.Conn
	for range 4 {
		conn, err := pgx.Connect(t.Context(), watcher)
		if err != nil {
			break // asNewRole's connection is one of the six
		}
		taken = append(taken, conn)
		defer conn.Close(context.Background())
	}
	began := time.Now()
	_, err := openTarget(t, watcher).CollectHealth(t.Context(), healthQueries(t))
	if err == nil || !strings.Contains(err.Error(), "reach target watched") || !strings.Contains(fmt.Sprint(err), "53300") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	for _, conn := range taken {
		conn.Close(context.Background())
	}
	target := openTarget(t, watcher)
	awaitRow(t, connect(t, address), "SELECT 1 WHERE 4 > (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')")
	if _, err := target.CollectHealth(t.Context(), healthQueries(t)); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

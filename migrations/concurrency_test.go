package migrations_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

// atOnce runs work in so many goroutines, which all begin when all are ready.
func atOnce(n int, work func(i int)) {
	var ready, wg sync.WaitGroup
	ready.Add(n)
	for i := range n {
		wg.Go(func() {
			ready.Done()
			ready.Wait()
			work(i)
		})
	}
	wg.Wait()
}

// awaitBlocked waits until another session of the test's database waits for a lock.
func awaitBlocked(t *testing.T, db database) {
	t.Helper()
	awaitSession(t, db, "wait_event_type = 'Lock'")
}

// awaitSession waits until another session of the test's database is as pg_stat_activity says.
func awaitSession(t *testing.T, db database, state string) {
	t.Helper()
	giveUp := time.After(30 * time.Second)
	for value[int](t, db, "SELECT count(*) FROM pg_stat_activity WHERE "+state+" AND datname = current_database() AND pid <> pg_backend_pid()") == 0 {
		select {
		case <-giveUp:
			t.Fatalf("no session is at %s", state)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// psql runs one statement in a session of its own, as each psql of the guide's load test does, and
// returns the one number that it yields.
func psql(t *testing.T, address, sql string) int {
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	return n
}

// collectors is the guide's number of sessions.
const collectors = 100

const collectAndCount = "SELECT count(*) FROM monitoring.collect_system_health_metrics()"

// wantSamplesOf: each metric has one sample of each collection, under one key.
func wantSamplesOf(t *testing.T, db database, collections, each int) {
	t.Helper()
	if uneven := values[string](t, db, `
		SELECT h.health_metric_bk || ': ' || count(s.*)
		  FROM monitoring.system_health_metric_h h
		  LEFT JOIN monitoring.system_health_metric_s s ON s.health_metric_hk = h.health_metric_hk AND s.load_end_date IS NULL
		 GROUP BY h.health_metric_bk
		HAVING count(s.*) <> $1 OR count(DISTINCT s.metric_name) <> 1`, collections); len(uneven) > 0 {
		t.Errorf("metrics that have not %d samples: %v", collections, uneven)
	}
	if hubs := value[int](t, db, "SELECT count(*) FROM monitoring.system_health_metric_h"); hubs != each {
		t.Errorf("%d hubs for the %d metrics of a collection", hubs, each)
	}
}

func TestCollectors_AHundredAtOnceLoseNoSample(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t) // in which nothing was ever collected: the hubs are raced for as well
	var returned [collectors]int
	atOnce(collectors, func(i int) { returned[i] = psql(t, address, collectAndCount) })
	for i, n := range returned {
		if n < 30 || n != returned[0] {
			t.Fatalf("session %d returned %d samples, the first one %d", i, n, returned[0])
		}
	}
	wantSamplesOf(t, connect(t, address), collectors, returned[0])
}

// In a database that nothing used for weeks, the first collection has to make its partitions, and the
// first ones may be a hundred.
func TestCollectors_AHundredAtOnceWithoutAPartitionForThem(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	for _, partition := range values[string](t, conn, `
		SELECT i.inhrelid::regclass::text FROM pg_inherits i
		 WHERE i.inhparent IN (SELECT ('monitoring.' || table_name)::regclass FROM monitoring.partitioned_tables())`) {
		exec(t, conn, "DROP TABLE "+partition)
	}
	var returned [collectors]int
	atOnce(collectors, func(i int) { returned[i] = psql(t, address, collectAndCount) })
	wantSamplesOf(t, conn, collectors, returned[0])
}

// Whoever writes a version, by whatever way, ends the one before it: blind writers of plain INSERTs and
// people whose commands pass the guard, all on one alert.
func TestWriters_FortyOnOneAlertLeaveOneUnbrokenHistory(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn := connect(t, address)
	exec(t, conn, `
		SELECT monitoring.open_alert('local||X||1', alert_definition_hk, NULL, 'local', 'OPEN', now(), 1, '{}', 'HIGH', NULL, 'test')
		  FROM monitoring.alert_definition_h ORDER BY 1 LIMIT 1`)
	const writers, each = 40, 25
	sessions := make([]*pgx.Conn, writers)
	for i := range sessions {
		sessions[i] = connect(t, address)
	}
	atOnce(writers, func(i int) {
		for n := range each {
			if _, err := sessions[i].Exec(t.Context(), `
				INSERT INTO monitoring.alert_instance_s (alert_instance_hk, hash_diff, alert_status, triggered_timestamp, impact_assessment)
				VALUES (util.hash_binary('local||X||1'), '\x', 'OPEN', now(), $1)`, fmt.Sprintf("seen by %d, %d", i, n)); err != nil {
				t.Errorf("writer %d: %v", i, err)
				return
			}
		}
	})
	wantUnbroken(t, conn, 1+writers*each)

	var acknowledged [writers]int
	atOnce(writers, func(i int) {
		acknowledged[i] = psql(t, address, fmt.Sprintf(
			"SELECT monitoring.acknowledge_alert(util.hash_binary('local||X||1'), 'person %d')::integer", i))
	})
	first := 0
	for _, n := range acknowledged {
		first += n
	}
	if first != 1 {
		t.Errorf("%d of %d acknowledged the same alert first", first, writers)
	}
	wantUnbroken(t, conn, 1+writers*each+1)
	if told := value[int](t, conn, "SELECT count(*) FROM monitoring.outbox WHERE kind = 'ACKNOWLEDGED'"); told != 1 {
		t.Errorf("the workflow is told %d times", told)
	}
}

// wantUnbroken: of so many versions of the one alert one is current, and each other ends where the next begins.
func wantUnbroken(t *testing.T, db database, want int) {
	t.Helper()
	const versions = `
		(SELECT load_date, load_end_date, lead(load_date) OVER (ORDER BY load_date) AS next FROM monitoring.alert_instance_s) AS v`
	if n := value[int](t, db, "SELECT count(*) FROM "+versions); n != want {
		t.Errorf("%d versions, want %d", n, want)
	}
	if n := value[int](t, db, "SELECT count(*) FROM "+versions+" WHERE load_end_date IS NULL"); n != 1 {
		t.Errorf("%d current rows", n)
	}
	if n := value[int](t, db, "SELECT count(*) FROM "+versions+" WHERE load_end_date IS DISTINCT FROM next OR load_end_date <= load_date"); n != 0 {
		t.Errorf("%d versions that do not end where the next begins", n)
	}
}

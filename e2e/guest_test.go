package e2e_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/settings"
)

// The complaint: "monitoring hurts the database". A server is watched whose tables are locked and whose queries take
// for ever, and which then hangs altogether: it is asked by one collection at a time over two connections at most,
// nobody queues behind its locks, and the others are watched meanwhile as ever.
func TestTargetInTrouble_IsAskedByOneCollectionAtATimeAndHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	r := startRig(t, "guest")
	s := tell(t, &r.world, "E2E_GUEST")
	other := startSecond(t, r)
	owner := other.connect()
	for _, statement := range []string{
		"CREATE TABLE public.story AS SELECT 1 AS here", "GRANT SELECT ON public.story TO watcher",
	} {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := owner.Begin(t.Context())
	if err == nil {
		_, err = lock.Exec(t.Context(), "LOCK TABLE public.story IN ACCESS EXCLUSIVE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	awaitReady(t, r.startWorker(settings.SecretsDir+"="+filepath.Dir(other.file)))
	other.add()
	other.awaitWatched("OK")
	slow, locked := strings.ToLower(s.key)+"_slow", strings.ToLower(s.key)+"_locked"
	for name, query := range map[string]string{
		slow:   fmt.Sprintf("SELECT 1 AS %s FROM pg_sleep(3600)", slow),
		locked: fmt.Sprintf("SELECT count(*) AS %s FROM public.story", locked),
	} {
		if _, err := r.db.Exec(t.Context(), `SELECT monitoring.apply_metric($1, 'Of a story', 'count', 'PERFORMANCE', $2, p_targets => '{second}')`, name, query); err != nil {
			t.Fatalf("put metric %s: %v", name, err)
		}
	}

	// Its locks and its slow queries cost it two sessions, and nobody waits for a lock for longer than half a second.
	guests := other.connect()
	since, most := time.Now(), 0
	eventually(t, patience, "two collections, each with an answer and with two queries that had none", func(ctx context.Context) (bool, any, error) {
		var sessions int
		var waiting float64
		if err := guests.QueryRow(ctx, `
			SELECT count(*), coalesce(max(extract(epoch FROM clock_timestamp() - query_start)) FILTER (WHERE wait_event_type = 'Lock'), 0)
			  FROM pg_stat_activity WHERE usename = 'watcher'`).Scan(&sessions, &waiting); err != nil {
			return false, nil, err
		}
		most = max(most, sessions)
		if sessions > 2 || waiting > 3 {
			t.Fatalf("%d sessions of the watcher, one waits for a lock for %.1f s", sessions, waiting)
		}
		r.mustBeOneCollection(ctx)
		var answered, cut, refused int
		err := r.db.QueryRow(ctx, `
			SELECT count(*) FILTER (WHERE s.metric_name = 'uptime_s' AND s.metric_value IS NOT NULL),
			       count(*) FILTER (WHERE s.metric_name = $1 AND s.additional_context::text LIKE '%statement timeout%'),
			       count(*) FILTER (WHERE s.metric_name = $2 AND s.additional_context::text LIKE '%lock timeout%')
			  FROM monitoring.system_health_metric_s s
			  JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
			 WHERE h.target_name = 'second' AND s.measurement_timestamp > $3`, slow, locked, since).Scan(&answered, &cut, &refused)
		return answered >= 2 && cut >= 2 && refused >= 2, fmt.Sprintf("%d answered, %d cut, %d refused", answered, cut, refused), err
	})
	if most == 0 {
		t.Error("no session of the watcher was ever seen: nothing was looked at")
	}

	// It hangs: nothing answers, and nothing is refused.
	goOn := other.hang(guests)
	s.define(rule{}, holds)
	r.awaitAlertOn(t, "local", s.key, "OPEN")
	s.awaitTold("FIRED", 3)
	eventually(t, patience, "people hear of it", func(ctx context.Context) (bool, any, error) {
		r.mustBeOneCollection(ctx)
		var open bool
		err := r.db.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM monitoring.alert_current
			                WHERE alert_definition_bk = 'TARGET_UNREACHABLE' AND target_name = 'second' AND alert_status = 'OPEN')`).Scan(&open)
		return open, open, err
	})
	goOn()
	other.awaitAlert("TARGET_UNREACHABLE", "RESOLVED")
	other.awaitWatched("OK")
}

// connect opens a session of the server's owner.
func (o *second) connect() *pgx.Conn {
	o.t.Helper()
	conn, err := pgx.Connect(o.t.Context(), o.server.URL("postgres"))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone by then
	return conn
}

// hang stops all processes of the server where they stand, until goOn is called.
func (o *second) hang(conn *pgx.Conn) (goOn func()) {
	o.t.Helper()
	rows, err := conn.Query(o.t.Context(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		o.t.Fatal(err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		o.t.Fatal(err)
	}
	pids = append([]int{o.server.PID()}, pids...) // first the one that starts the others
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && pid == o.server.PID() {
			o.t.Fatal(err)
		}
	}
	var once sync.Once
	goOn = func() {
		once.Do(func() {
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGCONT) // one that ended meanwhile needs it no more
			}
		})
	}
	o.t.Cleanup(goOn) // a stopped server cannot be told to end
	return goOn
}

// mustBeOneCollection: no more than one collection of the second server is under way.
func (r *rig) mustBeOneCollection(ctx context.Context) {
	r.t.Helper()
	schedule, err := r.temporal.ScheduleClient().GetHandle(ctx, "collect/second").Describe(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	if running := schedule.Info.RunningWorkflows; len(running) > 1 {
		r.t.Fatalf("%d collections are under way at once: %v", len(running), running)
	}
}

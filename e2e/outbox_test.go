package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	enumspb "go.temporal.io/api/enums/v1"

	"onevault/alert"
	"onevault/settings"
	"onevault/workflows"
)

// latency is how many acknowledgements in psql are followed to their workflows; `make bench` asks for
// enough of them to tell a 95th percentile.
var latency = flag.Int("latency", 3, "number of acknowledgements in psql whose way to the workflow is measured")

// commanded is how many alerts are commanded in psql while workers die.
const commanded = 6

func TestOutbox_CommandsInPsqlTakeEffectOnceWhileWorkersAreKilled(t *testing.T) {
	t.Parallel()
	r := startRig(t, "outbox")
	s := tell(t, &r.world, "E2E_OUTBOX")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	awaitReady(t, r.startWorker())
	r.awaitSamples()
	var keys []string
	for i := range commanded {
		keys = append(keys, fmt.Sprintf("%s_%d", s.key, i+1))
	}
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("WEBHOOK")}}, holds, keys...)
	var alerts []version
	for _, key := range keys {
		alerts = append(alerts, r.awaitState(t, key, "OPEN"))
		r.awaitTold(t, key, "FIRED", 1)
	}

	// (a) The worker dies when the workflow has heard and the outbox does not say so yet: the next one
	// says it again.
	hold := r.holdMarks(s.key)
	requests := 0
	for round := range 3 {
		slices.Reverse(alerts) // another one is the first of the batch
		requests++
		release := hold()
		r.command(alerts, "SELECT monitoring.send_alert_notifications($1)")
		r.awaitHeldMark()
		r.worker.kill()
		r.endWaitingSession()
		release()
		t.Logf("round %d: killed between delivery and mark", round+1)
		r.startWorker()
	}

	// (b) At any moment of the relaying.
	for round := range 3 {
		awaitReady(t, r.worker)
		requests++
		r.command(alerts, "SELECT monitoring.send_alert_notifications($1)")
		pause := time.Duration(random.IntN(60)) * time.Millisecond
		time.Sleep(pause) // the moment is the point, not an event
		r.worker.kill()
		t.Logf("round %d: killed %s after the commit", round+1, pause)
		r.startWorker()
	}

	// (c) The session that listens is lost, and what is committed at that moment is announced to nobody.
	awaitReady(t, r.worker)
	r.awaitRelayed()
	requests++
	r.endRelaySession()
	r.command(alerts, "SELECT monitoring.send_alert_notifications($1)")
	r.awaitRelayed()

	// (d) Nothing is announced at all: what a lost notification looks like to the relay.
	requests++
	r.command(alerts, `
		INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, payload)
		VALUES ('NOTIFY', 'local', $1, jsonb_build_object('via', 'nobody heard', 'at', clock_timestamp()))`)
	r.awaitRelayed()

	for _, a := range alerts {
		for n := range requests {
			r.awaitTold(t, definitionOf(a), fmt.Sprintf("REQUESTED:%d", n+1), 1)
		}
	}

	// (e) The commands that change a state, with a death between delivery and mark again.
	release := hold()
	r.command(alerts[:commanded/2], "SELECT monitoring.acknowledge_alert($1, 'dana', 'on it')")
	r.command(alerts[commanded/2:], "SELECT monitoring.resolve_alert($1, 'dana', 'over')")
	r.awaitHeldMark()
	r.worker.kill()
	r.endWaitingSession()
	release()
	r.startWorker()
	awaitReady(t, r.worker)
	r.awaitRelayed()
	for _, a := range alerts[:commanded/2] {
		r.awaitAcknowledged(t, definitionOf(a))
	}

	for i, a := range alerts {
		want, told := []string{"OPEN", "ACKNOWLEDGED"}, requests+1
		if i >= commanded/2 {
			r.awaitTold(t, definitionOf(a), "RESOLVED", 1)
			want, told = []string{"OPEN", "RESOLVED"}, requests+2
		}
		versions, err := r.versions(t.Context(), definitionOf(a))
		if err != nil {
			t.Fatal(err)
		}
		if got := states(versions, a.Key); !slices.Equal(got, want) {
			t.Errorf("states of %s are %v, want %v", a.Key, got, want)
		}
		entries, err := r.ledger(t.Context(), definitionOf(a))
		if err != nil {
			t.Fatal(err)
		}
		if messages := current(entries); len(messages) != told {
			t.Errorf("%s was told of %d times, want %d: once when it fired, once for each of %d requests, once when it was over: %v",
				a.Key, len(messages), told, requests, messages)
		}
	}
	r.mustRelayedOnceAndMore(keys, 3)
}

// definitionOf is the definition that an alert belongs to: a part of its key.
func definitionOf(v version) string { return strings.Split(v.Key, "||")[2] }

// command gives all alerts the same command in one transaction, as a script in psql does.
func (r *rig) command(alerts []version, sql string) {
	r.t.Helper()
	err := pgx.BeginFunc(r.t.Context(), r.db, func(tx pgx.Tx) error {
		for _, a := range alerts {
			if _, err := tx.Exec(r.t.Context(), sql, a.HashKey); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatalf("%s: %v", sql, err)
	}
}

// holdMarks puts a gate before "the workflow has heard" is written of an alert whose definition begins so; the
// returned function closes it, and what that returns opens it again. Others may fire on a busy machine, and pass.
func (r *rig) holdMarks(definition string) (hold func() (release func())) {
	r.t.Helper()
	if _, err := r.db.Exec(r.t.Context(), `
		CREATE FUNCTION public.e2e_gate() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN
		    IF EXISTS (SELECT FROM monitoring.alert_instance_h h JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
		                WHERE h.alert_instance_hk = NEW.alert_instance_hk AND starts_with(d.alert_definition_bk, TG_ARGV[0])) THEN
		        PERFORM pg_advisory_xact_lock_shared(4711);
		    END IF;
		    RETURN NEW;
		END $$;
		CREATE TRIGGER e2e_gate BEFORE UPDATE ON monitoring.outbox FOR EACH ROW EXECUTE FUNCTION public.e2e_gate('`+definition+`');`); err != nil {
		r.t.Fatal(err)
	}
	return func() func() {
		conn, err := pgx.Connect(r.t.Context(), r.env[settings.DatabaseURL])
		if err == nil {
			_, err = conn.Exec(r.t.Context(), "SELECT pg_advisory_lock(4711)")
		}
		if err != nil {
			r.t.Fatal(err)
		}
		return func() {
			if err := conn.Close(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

const sqlHeldMark = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted`

func (r *rig) awaitHeldMark() {
	r.t.Helper()
	eventually(r.t, patience, "a relay that has delivered and cannot say so", func(ctx context.Context) (bool, any, error) {
		var waiting int
		err := r.db.QueryRow(ctx, sqlHeldMark).Scan(&waiting)
		return waiting == 1, waiting, err
	})
}

// endWaitingSession ends the session of the killed worker as the end of its host would: left alone, it
// would still write its mark when the gate opens.
func (r *rig) endWaitingSession() {
	r.t.Helper()
	r.endSession(`SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted`)
}

// endRelaySession ends the session that holds the outbox and listens.
func (r *rig) endRelaySession() {
	r.t.Helper()
	r.endSession(`
		SELECT pid FROM pg_locks
		 WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = hashtextextended('onevault.outbox', 0)`)
}

// endSession ends the one session that a query names, once there is one.
func (r *rig) endSession(whose string) {
	r.t.Helper()
	eventually(r.t, patience, "a session to end", func(ctx context.Context) (bool, any, error) {
		var ended int
		err := r.db.QueryRow(ctx, "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM ("+whose+") AS s").Scan(&ended)
		return ended == 1, ended, err
	})
}

// awaitRelayed waits until nothing is left in the outbox.
func (r *rig) awaitRelayed() {
	r.t.Helper()
	eventually(r.t, patience, "everything in the outbox is relayed", func(ctx context.Context) (bool, any, error) {
		var left int
		err := r.db.QueryRow(ctx, "SELECT count(*) FROM monitoring.outbox WHERE relayed_at IS NULL").Scan(&left)
		return left == 0, left, err
	})
}

// awaitAcknowledged waits until the workflow of a definition says that its one alert is acknowledged.
func (w *world) awaitAcknowledged(t *testing.T, definition string) {
	t.Helper()
	eventually(t, patience, definition+" is acknowledged in its workflow", func(ctx context.Context) (bool, any, error) {
		status, err := w.status(ctx, definition)
		return err == nil && acknowledged(status, "dana"), status, err
	})
}

func acknowledged(status alert.GroupStatus, by string) bool {
	return len(status.Alerts) == 1 && status.Alerts[0].Status == alert.StatusAcknowledged && status.Alerts[0].AcknowledgedBy == by
}

// mustRelayedOnceAndMore: the histories of the workflows hold every row of the outbox, and so many of
// them more than once, or the story was about nothing.
func (r *rig) mustRelayedOnceAndMore(definitions []string, repeated int) {
	r.t.Helper()
	heard := map[int64]int{}
	for _, d := range definitions {
		for seq, n := range r.heard(d) {
			heard[seq] += n
		}
	}
	rows, err := r.db.Query(r.t.Context(), `
		SELECT o.outbox_id
		  FROM monitoring.outbox o
		  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
		  JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
		 WHERE d.alert_definition_bk = ANY ($1)
		 ORDER BY o.outbox_id`, definitions)
	if err != nil {
		r.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		r.t.Fatal(err)
	}
	again := 0
	for _, id := range ids {
		if heard[id] == 0 {
			r.t.Errorf("row %d of the outbox reached no workflow", id)
		}
		again += max(0, heard[id]-1)
	}
	r.t.Logf("%d rows, delivered %d times more than once", len(ids), again)
	if again < repeated {
		r.t.Errorf("%d deliveries were repeated, want at least %d: the workers died at harmless moments", again, repeated)
	}
}

// heard counts how often each row of the outbox stands in the history of a definition's workflow.
func (r *rig) heard(definition string) map[int64]int {
	r.t.Helper()
	times := map[int64]int{}
	history := r.temporal.GetWorkflowHistory(r.t.Context(), workflows.AlertWorkflowID("local", definition, ""), "", false,
		enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		signal := event.GetWorkflowExecutionSignaledEventAttributes()
		if signal.GetSignalName() != alert.SignalTransitions {
			continue
		}
		var transitions alert.Transitions
		if err := workflows.DataConverter().FromPayloads(signal.GetInput(), &transitions); err != nil {
			r.t.Fatal(err)
		}
		for _, item := range transitions.Items {
			times[item.Seq]++
		}
	}
	return times
}

// What an operator does in psql is the workflow's within moments. How long it takes is logged, next to
// what the command itself took in the same run.
func TestOutbox_AcknowledgementsInPsqlReachTheirWorkflows(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_LATENCY")
	var keys []string
	for i := range *latency {
		keys = append(keys, fmt.Sprintf("%s_%02d", s.key, i+1))
	}
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("WEBHOOK")}}, holds, keys...)
	for _, key := range keys {
		w.awaitState(t, key, "OPEN")
		w.awaitTold(t, key, "FIRED", 1)
	}
	var command, heard, relayed []time.Duration
	for _, key := range keys {
		v := w.awaitState(t, key, "OPEN")
		began := time.Now()
		s.acknowledgeInPsql(v, "dana")
		committed := time.Now()
		heard = append(heard, w.untilAcknowledged(t, key, committed))
		command = append(command, committed.Sub(began))
		var took *time.Duration // the mark comes after the delivery
		eventually(t, patience, "the outbox says that the workflow has heard of "+key, func(ctx context.Context) (bool, any, error) {
			err := w.db.QueryRow(ctx, `
				SELECT relayed_at - created_at FROM monitoring.outbox WHERE alert_instance_hk = $1 AND kind = 'ACKNOWLEDGED'`, v.HashKey).Scan(&took)
			return took != nil, took, err
		})
		relayed = append(relayed, *took)
	}
	ratio := float64(percentile(heard, 50)) / float64(percentile(command, 50))
	t.Logf("acknowledge_alert in psql, %d times: the command takes %s; the workflow has it %s after the commit (%.1f times the command); row to mark %s",
		len(keys), spread(command), spread(heard), ratio, spread(relayed))
	s.defineAs(rule{suppression: 60, channels: []string{s.channelKey("WEBHOOK")}}, clears, keys...)
	for _, key := range keys {
		w.awaitState(t, key, "RESOLVED")
	}
}

// untilAcknowledged asks the workflow again and again, and returns how long after a moment it knew.
func (w *world) untilAcknowledged(t *testing.T, definition string, since time.Time) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		status, err := w.status(ctx, definition)
		if err == nil && acknowledged(status, "dana") {
			return time.Since(since)
		}
		if ctx.Err() != nil {
			t.Fatalf("%s is not acknowledged in its workflow: %+v", definition, errors.Join(err, ctx.Err()))
		}
	}
}

func spread(list []time.Duration) string {
	return fmt.Sprintf("p50 %.1f ms, p95 %.1f ms", inMilliseconds(percentile(list, 50)), inMilliseconds(percentile(list, 95)))
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile is the value that so many of a hundred do not exceed.
func percentile(list []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)*p+99)/100-1]
}

//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// conditions is how many there are, each with an alert of its own on both sides.
const conditions = 10

// measureCadence makes conditions true at moments spread over the cadence, and waits for the messages of OneVault and
// of Prometheus and Alertmanager, which look at the same rows at the same intervals.
func (w *world) measureCadence(ctx context.Context) ([]figure, error) {
	if err := w.useWorker(ctx, true); err != nil {
		return nil, err
	}
	for i := 1; i <= conditions; i++ {
		name := fmt.Sprintf("bench_signal_%d", i)
		if _, err := w.db.Exec(ctx, `SELECT monitoring.apply_metric($1, 'A condition of the benchmark', 'count', 'PERFORMANCE', $2)`,
			name, fmt.Sprintf("SELECT value AS %s FROM bench.signal WHERE id = %d", name, i)); err != nil {
			return nil, fmt.Errorf("apply a metric: %w", err)
		}
		if err := w.define(ctx, fmt.Sprintf("BENCH_SIGNAL_%d", i), "system_health", name+" > threshold_value", []string{}, false); err != nil {
			return nil, err
		}
	}
	peers, err := w.startPeers(ctx)
	if err != nil {
		return nil, err
	}
	defer peers.stop()
	time.Sleep(3 * cadence) // both have looked
	var ours, theirs []time.Duration
	for round := range w.options.rounds {
		ourRound, theirRound, err := w.round(ctx)
		if err != nil {
			return nil, fmt.Errorf("round %d: %w", round+1, err)
		}
		ours, theirs = append(ours, ourRound...), append(theirs, theirRound...)
	}
	p50, p95 := percentile(ours, 50), percentile(ours, 95)
	peer50, peer95 := percentile(theirs, 50), percentile(theirs, 95)
	what := "condition true to notification, " + cadence.String() + " cadence"
	ratio50, ratio95 := seconds(p50)/seconds(peer50), seconds(p95)/seconds(peer95)
	return []figure{
		{Measure: what + ": p50", Value: seconds(p50), Unit: "s", Goal: "under 2.9 s", Met: p50 < 2900*time.Millisecond, Note: fmt.Sprintf("of %d", len(ours))},
		{Measure: what + ": p95", Value: seconds(p95), Unit: "s", Goal: "under 5.4 s", Met: p95 < 5400*time.Millisecond},
		{Measure: what + ", " + peers.version + ": p50", Value: seconds(peer50), Unit: "s"},
		{Measure: what + ", the same: p95", Value: seconds(peer95), Unit: "s"},
		{
			Measure: what + ": the greater of both ratios", Value: max(ratio50, ratio95), Unit: "", Goal: "at most 0.6", Met: max(ratio50, ratio95) <= 0.6,
			Note: fmt.Sprintf("p50 %.2f, p95 %.2f", ratio50, ratio95),
		},
	}, nil
}

// round makes each condition true once, and false again when both sides have told of all.
func (w *world) round(ctx context.Context) (ours, theirs []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	made := map[int]time.Time{}
	for n, i := range rand.Perm(conditions) {
		at := time.Duration((float64(n) + rand.Float64()) / conditions * float64(cadence))
		time.Sleep(time.Until(began.Add(at)))
		if _, err := w.db.Exec(ctx, "UPDATE bench.signal SET value = 1 WHERE id = $1", i+1); err != nil {
			return nil, nil, err
		}
		made[i+1] = time.Now()
	}
	for i, at := range made {
		mine, err := w.awaitSince(ctx, fmt.Sprintf("/BENCH_SIGNAL_%d", i), "firing", "", at)
		if err != nil {
			return nil, nil, fmt.Errorf("message of OneVault about condition %d: %w", i, err)
		}
		peer, err := w.awaitSince(ctx, peersPath, "firing", strconv.Itoa(i), at)
		if err != nil {
			return nil, nil, fmt.Errorf("message of Alertmanager about condition %d: %w", i, err)
		}
		ours, theirs = append(ours, mine.Sub(at)), append(theirs, peer.Sub(at))
	}
	if _, err := w.db.Exec(ctx, "UPDATE bench.signal SET value = 0"); err != nil {
		return nil, nil, err
	}
	cleared := time.Now()
	for i := range made {
		if _, err := w.awaitSince(ctx, fmt.Sprintf("/BENCH_SIGNAL_%d", i), "resolved", "", cleared); err != nil {
			return nil, nil, fmt.Errorf("message of OneVault about the end of condition %d: %w", i, err)
		}
		if _, err := w.awaitSince(ctx, peersPath, "resolved", strconv.Itoa(i), cleared); err != nil {
			return nil, nil, fmt.Errorf("message of Alertmanager about the end of condition %d: %w", i, err)
		}
	}
	time.Sleep(2 * time.Second) // Alertmanager forgets the groups
	return ours, theirs, nil
}

// awaitSince waits for a message about an alert (empty: any) that came after a moment, and returns when it came.
func (w *world) awaitSince(ctx context.Context, path, status, id string, since time.Time) (time.Time, error) {
	var came time.Time
	_, err := w.receiver.await(ctx, path, func(list []message) bool {
		for _, m := range list {
			if m.at.After(since) && m.status == status && (id == "" || slices.Contains(m.alerts, id)) {
				came = m.at
				return true
			}
		}
		return false
	})
	return came, err
}

// measureRow inserts failed backups, each of which is at once put right again.
func (w *world) measureRow(ctx context.Context) ([]figure, error) {
	const key = "BENCH_BACKUP"
	if err := w.useWorker(ctx, w.cadenced); err != nil {
		return nil, err
	}
	if err := w.define(ctx, key, "backup_failures", "failed_backup_count > threshold_value", []string{}, false); err != nil {
		return nil, err
	}
	var took []time.Duration
	for i := range 3*w.options.rounds + 2 {
		after, err := w.failBackup(ctx, "/"+key, i)
		if err != nil {
			return nil, fmt.Errorf("backup %d: %w", i+1, err)
		}
		took = append(took, after)
	}
	took = took[2:] // the first ones begin sessions and plans
	p50, p95 := percentile(took, 50), percentile(took, 95)
	what := "row inserted (a backup failed) to notification: "
	return []figure{
		{Measure: what + "p50", Value: seconds(p50), Unit: "s", Note: fmt.Sprintf("of %d", len(took))},
		{Measure: what + "p95", Value: seconds(p95), Unit: "s", Goal: "under 0.5 s", Met: p95 < 500*time.Millisecond},
	}, nil
}

func (w *world) failBackup(ctx context.Context, path string, i int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	key := fmt.Sprintf("BENCH BACKUP %d", i)
	if _, err := w.db.Exec(ctx, `
		INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, record_source) VALUES (util.hash_binary($1), $1, 'BENCH')`, key); err != nil {
		return 0, err
	}
	if _, err := w.db.Exec(ctx, `
		INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_start_time, backup_status, record_source)
		VALUES (util.hash_binary($1), '\x', 'FULL', now() - interval '1 minute', 'FAILED', 'BENCH')`, key); err != nil {
		return 0, err
	}
	inserted := time.Now()
	came, err := w.awaitSince(ctx, path, "firing", "", inserted)
	if err != nil {
		return 0, err
	}
	if _, err := w.db.Exec(ctx, "UPDATE backup_mgmt.backup_execution_s SET backup_status = 'COMPLETED' WHERE backup_hk = util.hash_binary($1)", key); err != nil {
		return 0, err
	}
	_, err = w.awaitSince(ctx, path, "resolved", "", inserted)
	time.Sleep(200 * time.Millisecond)
	return came.Sub(inserted), err
}

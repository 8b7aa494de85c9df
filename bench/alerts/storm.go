//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	_ "embed"

	"onevault/settings"
)

//go:embed prepare.sql
var prepareSQL string

// patience bounds what is waited for; what takes longer is a failure.
const patience = 3 * time.Minute

func (w *world) prepareVault(ctx context.Context) error {
	conn, err := w.db.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Conn().PgConn().Exec(ctx, prepareSQL).ReadAll(); err != nil {
		return fmt.Errorf("prepare the vault: %w", err)
	}
	return nil
}

// defineSeries puts a channel and a definition that it alone hears, which alerts by the series of a metric of its own.
func (w *world) defineSeries(ctx context.Context, key string, perAlert bool) error {
	if _, err := w.db.Exec(ctx, "CALL bench.put_series($1)", metricOf(key)); err != nil {
		return fmt.Errorf("add a metric: %w", err)
	}
	return w.define(ctx, key, "system_health", metricOf(key)+" > threshold_value", []string{"slot"}, perAlert)
}

// metricOf is the metric of a definition of the benchmark.
func metricOf(key string) string { return strings.ToLower(key) }

// define puts a channel and a definition that it alone hears.
func (w *world) define(ctx context.Context, key, source, condition string, by []string, perAlert bool) error {
	if _, err := w.db.Exec(ctx, "CALL bench.put_channel($1, $2, $3)", key, w.receiver.address+"/"+key, perAlert); err != nil {
		return fmt.Errorf("put channel %s: %w", key, err)
	}
	if _, err := w.db.Exec(ctx, "CALL bench.define($1, $2, $3, 0, $1, $4)", key, source, condition, by); err != nil {
		return fmt.Errorf("define %s: %w", key, err)
	}
	return nil
}

// storm is what was seen of one.
type storm struct {
	opening  time.Duration // from the commit of the collection to that of the evaluation, which opens the alerts
	message  time.Duration // from there until the last alert was told of
	final    time.Duration // from there until every row is final
	messages []message
	cpu      spent // from there on
	opened   spent // before it: the evaluation
}

// blow opens alerts of a definition and waits until all were told and every row is final. meanwhile, where it is
// given, is done as soon as that part of the messages has come.
func (w *world) blow(ctx context.Context, key string, alerts int) (s storm, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	before, err := w.spent(ctx)
	if err != nil {
		return s, err
	}
	collected, committed, err := w.open(ctx, key, alerts)
	if err != nil {
		return s, err
	}
	s.opening = committed.Sub(collected)
	opened, err := w.spent(ctx)
	if err != nil {
		return s, err
	}
	s.opened = opened.since(before)
	s.messages, err = w.receiver.await(ctx, "/"+key, func(list []message) bool { return toldOf(list) >= alerts })
	if err != nil {
		return s, fmt.Errorf("%d of %d alerts were told of: %w", toldOf(s.messages), alerts, err)
	}
	s.message = s.messages[len(s.messages)-1].at.Sub(committed)
	if err := w.awaitFinal(ctx, key, 1); err != nil {
		return s, err
	}
	s.final = time.Since(committed)
	after, err := w.spent(ctx)
	s.cpu = after.since(opened)
	s.messages, _ = w.receiver.of("/" + key)
	return s, err
}

// open has a collection find series over the line, and returns when that and when the alerts were committed.
func (w *world) open(ctx context.Context, key string, alerts int) (collected, opened time.Time, err error) {
	if _, err := w.db.Exec(ctx, "CALL bench.collect($1, $2, 1)", metricOf(key), alerts); err != nil {
		return collected, opened, fmt.Errorf("record a storm: %w", err)
	}
	collected = time.Now()
	for {
		var there bool
		if err := w.db.QueryRow(ctx, "SELECT bench.opened($1)", key).Scan(&there); err != nil {
			return collected, opened, fmt.Errorf("the evaluation opens nothing: %w", err)
		}
		if there {
			return collected, time.Now(), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// over has a collection find the series back under the line, and waits until the alerts have ended and that is told: what
// is measured next is not to pay for them. It returns how long the alerts took to end from the commit of the collection.
func (w *world) over(ctx context.Context, key string, alerts int) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := w.db.Exec(ctx, "CALL bench.collect($1, $2, 0)", metricOf(key), alerts); err != nil {
		return 0, fmt.Errorf("record the end of a storm: %w", err)
	}
	collected := time.Now()
	var ended time.Duration
	for open, untold := alerts, alerts; open+untold > 0; time.Sleep(50 * time.Millisecond) {
		if err := w.db.QueryRow(ctx, "SELECT * FROM bench.unended($1)", key).Scan(&open, &untold); err != nil {
			return 0, fmt.Errorf("of %s %d alerts do not end, and of %d the end is not told: %w", key, open, untold, err)
		}
		if open == 0 && ended == 0 {
			ended = time.Since(collected)
		}
	}
	time.Sleep(2 * time.Second) // until what follows has settled
	if _, err := w.db.Exec(ctx, "CALL bench.end_definition($1)", key); err != nil {
		return 0, fmt.Errorf("end definition %s: %w", key, err)
	}
	return ended, nil
}

func toldOf(list []message) (n int) {
	for _, m := range list {
		n += m.told()
	}
	return n
}

// awaitFinal asks seldom enough not to be felt.
func (w *world) awaitFinal(ctx context.Context, key string, channels int) error {
	var left int
	for {
		err := w.db.QueryRow(ctx, "SELECT bench.unfinished($1, $2)", key, channels).Scan(&left)
		if err == nil && left == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d rows of %s are not final: %w", left, key, errors.Join(err, ctx.Err()))
		}
		time.Sleep(250 * time.Millisecond)
	}
}

func (w *world) measureStorm(ctx context.Context) ([]figure, error) {
	if err := w.useWorker(ctx, false); err != nil {
		return nil, err
	}
	if err := w.defineSeries(ctx, "BENCH_STORM", false); err != nil {
		return nil, err
	}
	s, err := w.blow(ctx, "BENCH_STORM", w.options.alerts)
	if err != nil {
		return nil, err
	}
	n := w.options.alerts
	ended, err := w.over(ctx, "BENCH_STORM", n)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("storm of %d in one group", n)
	return []figure{
		{
			Measure: what + ": commit to the message", Value: seconds(s.message), Unit: "s", Goal: "under 1.5 s", Met: s.message < 1500*time.Millisecond,
			Note: fmt.Sprintf("%d message(s); %s after the collection", len(s.messages), round(s.opening+s.message)),
		},
		{Measure: what + ": commit to every row final", Value: seconds(s.final), Unit: "s", Goal: "under 5 s", Met: s.final < 5*time.Second, Note: s.cpu.each(n)},
		{Measure: what + ": one message", Value: float64(len(s.messages)), Unit: "messages", Goal: "1", Met: len(s.messages) == 1},
		{Measure: what + ": collection to the alerts", Value: seconds(s.opening), Unit: "s", Note: "evaluated and opened"},
		{Measure: what + ": collection to the last alert's end", Value: seconds(ended), Unit: "s", Note: "when the series are back under the line"},
	}, nil
}

// measureAcknowledgement acknowledges the storm before it, in one command.
func (w *world) measureAcknowledgement(ctx context.Context) ([]figure, error) {
	const key = "BENCH_ACK"
	if err := w.useWorker(ctx, false); err != nil {
		return nil, err
	}
	if err := w.defineSeries(ctx, key, false); err != nil {
		return nil, err
	}
	if _, err := w.blow(ctx, key, w.options.alerts); err != nil {
		return nil, err
	}
	before, err := w.spent(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := w.onevault(ctx, "alert", "ack", "alert/local/"+key, "--yes", "--actor", "bench"); err != nil {
		return nil, err
	}
	took := time.Since(began)
	var acknowledged int
	for {
		if err := w.db.QueryRow(ctx, `
			SELECT count(*) FROM monitoring.alert_instance_h h
			  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
			 WHERE h.alert_definition_hk = util.hash_binary($1) AND s.alert_status = 'ACKNOWLEDGED'`, key).Scan(&acknowledged); err != nil {
			return nil, err
		}
		if acknowledged == w.options.alerts || time.Since(began) > patience {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	final := time.Since(began)
	after, err := w.spent(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.over(ctx, key, w.options.alerts); err != nil {
		return nil, err
	}
	return []figure{{
		Measure: fmt.Sprintf("acknowledging %d in one command", w.options.alerts), Value: seconds(took), Unit: "s", Goal: "under 2 s",
		Met:  took < 2*time.Second && acknowledged == w.options.alerts,
		Note: fmt.Sprintf("all %d rows ACKNOWLEDGED after %s; %s", acknowledged, round(final), after.since(before).each(w.options.alerts)),
	}}, nil
}

// onevault runs one command line.
func (w *world) onevault(ctx context.Context, args ...string) error {
	path, err := filepath.Abs(filepath.Join(w.options.bin, "onevault"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir,
		settings.DatabaseURL + "=" + w.values[settings.DatabaseURL], settings.TemporalAddress + "=" + w.values[settings.TemporalAddress],
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("onevault %v: %w\n%s", args, err, tail(out))
	}
	return nil
}

// count is how often alerts were told of.
type count struct {
	told, twice, twiceUnmarked int
}

// countOf looks at the messages of single alerts: which alerts were told of, which more than once, and of these
// where no message after the first said that it may be a duplicate.
func countOf(list []message) count {
	times, marked := map[string]int{}, map[string]bool{}
	for _, m := range list {
		for _, id := range m.alerts {
			times[id]++
			marked[id] = marked[id] || m.duplicate
		}
	}
	c := count{told: len(times)}
	for id, n := range times {
		if n > 1 {
			c.twice++
			if !marked[id] {
				c.twiceUnmarked++
			}
		}
	}
	return c
}

func (w *world) measureEach(ctx context.Context) ([]figure, error) {
	const key = "BENCH_EACH"
	if err := w.useWorker(ctx, false); err != nil {
		return nil, err
	}
	if err := w.defineSeries(ctx, key, true); err != nil {
		return nil, err
	}
	s, err := w.blow(ctx, key, w.options.alerts)
	if err != nil {
		return nil, err
	}
	n, c := w.options.alerts, countOf(s.messages)
	if _, err := w.over(ctx, key, n); err != nil {
		return nil, err
	}
	rate, each := float64(n)/s.message.Seconds(), milliseconds(s.cpu.sum()+s.opened.sum())/float64(n)
	what := fmt.Sprintf("storm of %d, one request each", n)
	return []figure{
		{
			Measure: what + ": rate", Value: rate, Unit: "per s", Goal: "at least 1000 per s", Met: rate >= 1000,
			Note: fmt.Sprintf("all told %s after the commit, every row final after %s; from the collection to the alerts %s", round(s.message), round(s.final), round(s.opening)),
		},
		{
			Measure: what + ": CPU of server, worker and vault", Value: each, Unit: "ms each", Goal: "under 2 ms", Met: each < 2,
			Note: fmt.Sprintf("of it %.2f for evaluating and opening; after that %s", milliseconds(s.opened.sum())/float64(n), s.cpu.each(n)),
		},
		{Measure: what + ": lost or doubled", Value: float64(n - c.told + c.twice), Unit: "alerts", Goal: "0", Met: c.told == n && c.twice == 0},
	}, nil
}

// measureKills ends each part in mid-storm, as the kernel ends a process that takes too much memory, and starts it
// again after a second.
func (w *world) measureKills(ctx context.Context) (figures []figure, err error) {
	if err := w.useWorker(ctx, false); err != nil {
		return nil, err
	}
	for _, victim := range []struct {
		name string
		kill func() error
		back func(context.Context) error
	}{
		{"worker", func() error { return w.worker.kill() }, func(ctx context.Context) error { return w.startWorker(ctx, false) }},
		{"Temporal", func() error { return w.dev.kill() }, w.startDev},
		{"PostgreSQL", w.killPostgres, w.startPostgres},
	} {
		figure, err := w.measureKill(ctx, victim.name, victim.kill, victim.back)
		if err != nil {
			return figures, fmt.Errorf("kill -9 of %s: %w", victim.name, err)
		}
		figures = append(figures, figure)
	}
	return figures, nil
}

func (w *world) measureKill(ctx context.Context, victim string, kill func() error, back func(context.Context) error) (figure, error) {
	key, n := "BENCH_KILL_"+strings.ToUpper(victim), w.options.alerts
	if err := w.defineSeries(ctx, key, true); err != nil {
		return figure{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, committed, err := w.open(ctx, key, n)
	if err != nil {
		return figure{}, err
	}
	if _, err := w.receiver.await(ctx, "/"+key, func(list []message) bool { return len(list) >= n/5 }); err != nil {
		return figure{}, fmt.Errorf("a fifth of the messages: %w", err)
	}
	if err := kill(); err != nil {
		return figure{}, err
	}
	at, _ := w.receiver.of("/" + key)
	time.Sleep(time.Second)
	if err := back(ctx); err != nil {
		return figure{}, err
	}
	told := func(list []message) bool { return countOf(list).told >= n }
	if _, err := w.receiver.await(ctx, "/"+key, told); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return figure{}, err
	}
	all := time.Since(committed)
	finalErr := w.awaitEnded(ctx, key)
	time.Sleep(3 * time.Second) // what comes too late comes now
	list, _ := w.receiver.of("/" + key)
	c := countOf(list)
	var delivered, failed, uncertain int
	if err := w.db.QueryRow(ctx, "SELECT * FROM bench.ledger($1)", key).Scan(&delivered, &failed, &uncertain); err != nil {
		return figure{}, errors.Join(err, finalErr)
	}
	if _, err := w.over(ctx, key, n); err != nil {
		return figure{}, err
	}
	return figure{
		Measure: fmt.Sprintf("kill -9 of %s in mid-storm of %d: lost, or doubled and not shown as uncertain", victim, n),
		Value:   float64(n - c.told + c.twiceUnmarked), Unit: "alerts", Goal: "0", Met: c.told == n && c.twiceUnmarked == 0 && finalErr == nil,
		Note: fmt.Sprintf("killed after %d messages; all told %s after the commit; %d arrived twice, all marked but %d; the ledger: %d delivered, %d failed, %d possible duplicates%s",
			len(at), round(all), c.twice, c.twiceUnmarked, delivered, failed, uncertain, problem(finalErr)),
	}, nil
}

func problem(err error) string {
	if err == nil {
		return ""
	}
	return "; " + err.Error()
}

// awaitEnded waits until no message is under way any more.
func (w *world) awaitEnded(ctx context.Context, key string) error {
	var pending int
	for {
		err := w.db.QueryRow(ctx, `
			SELECT count(*) FROM monitoring.alert_instance_h h
			  LEFT JOIN monitoring.notification_log_h n USING (alert_instance_hk)
			  LEFT JOIN monitoring.notification_log_s l ON l.notification_log_hk = n.notification_log_hk AND l.load_end_date IS NULL
			 WHERE h.alert_definition_hk = util.hash_binary($1) AND coalesce(l.delivery_status, 'PENDING') = 'PENDING'`, key).Scan(&pending)
		if err == nil && pending == 0 {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%d messages have no outcome in the ledger: %w", pending, errors.Join(err, ctx.Err()))
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// calm is how long what follows a storm takes to settle: timers of workflows, what Temporal and PostgreSQL tidy up.
const calm = 45 * time.Second

// measureRest looks at what open alerts cost when nothing happens.
func (w *world) measureRest(ctx context.Context) ([]figure, error) {
	if err := w.useWorker(ctx, false); err != nil {
		return nil, err
	}
	time.Sleep(calm)
	idle, err := w.spentIn(ctx, w.options.rest)
	if err != nil {
		return nil, err
	}
	server0, worker0, vault0, err := w.resident()
	if err != nil {
		return nil, err
	}
	const perGroup = 5_000
	for i, left := 0, w.options.open; left > 0; i, left = i+1, left-perGroup {
		key := fmt.Sprintf("BENCH_REST_%d", i+1)
		if err := w.defineSeries(ctx, key, false); err != nil {
			return nil, err
		}
		if _, err := w.blow(ctx, key, min(left, perGroup)); err != nil {
			return nil, err
		}
	}
	time.Sleep(calm)
	rest, err := w.spentIn(ctx, w.options.rest)
	if err != nil {
		return nil, err
	}
	server, worker, vault, err := w.resident()
	if err != nil {
		return nil, err
	}
	share := func(s spent) float64 { return 100 * s.sum().Seconds() / w.options.rest.Seconds() }
	return []figure{{
		Measure: fmt.Sprintf("%d open alerts at rest: CPU of server, worker and vault", w.options.open), Value: share(rest), Unit: "% of a core",
		Goal: "under 5 %", Met: share(rest) < 5,
		Note: fmt.Sprintf("%.1f %% before they were opened (%s); memory Temporal %.0f MB (%.0f before), worker %.0f MB (%.0f), vault %.0f MB (%.0f); %s in %s",
			share(idle), idle, server, server0, worker, worker0, vault, vault0, rest, w.options.rest),
	}}, nil
}

func (w *world) spentIn(ctx context.Context, d time.Duration) (spent, error) {
	before, err := w.spent(ctx)
	if err != nil {
		return spent{}, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return spent{}, ctx.Err()
	}
	after, err := w.spent(ctx)
	return after.since(before), err
}

package collect_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// recorded is a sample as the vault keeps it.
type recorded struct {
	value  *float64
	status string
	reason string // why there is no value
}

// record writes one sample of a counter at a moment, and reads back what the vault made of it.
func record(t *testing.T, pool *pgxpool.Pool, at time.Time, sample map[string]any) recorded {
	t.Helper()
	text, err := json.Marshal([]any{sample})
	if err != nil {
		t.Fatal(err)
	}
	exec(t, pool, "SELECT FROM monitoring.record_health_samples('there', NULL, $1, 10, $2)", at, text)
	var r recorded
	err = pool.QueryRow(t.Context(), `
		SELECT metric_value::float8, status, coalesce(additional_context ->> 'error', '')
		  FROM monitoring.system_health_metric_s WHERE metric_name = $1 AND measurement_timestamp = $2`, sample["name"], at).
		Scan(&r.value, &r.status, &r.reason)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r recorded) wants(t *testing.T, what string, value float64, status string) {
	t.Helper()
	if r.value == nil || *r.value != value || r.status != status || r.reason != "" {
		t.Errorf("%s: got %s, want %v %s", what, r, value, status)
	}
}

func (r recorded) wantsUnknown(t *testing.T, what, reason string) {
	t.Helper()
	if r.value != nil || r.status != "UNKNOWN" || r.reason != reason {
		t.Errorf("%s: got %s, want UNKNOWN: %s", what, r, reason)
	}
}

func (r recorded) String() string {
	text, err := json.Marshal(map[string]any{"value": r.value, "status": r.status, "reason": r.reason})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestRates_CountPerSecondBetweenTwoSamples(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	deadlocks := func(after time.Duration, count int) recorded {
		return record(t, pool, start.Add(after), map[string]any{
			"name": "deadlocks_per_h", "category": "PERFORMANCE", "warning": 1, "critical": 1500, "low_is_bad": false, "source": "test",
			"counter": map[string]any{"count": count, "per_s": 3600},
		})
	}
	deadlocks(0, 100).wantsUnknown(t, "first sample", "first sample: a rate needs two")
	deadlocks(10*time.Second, 102).wants(t, "2 in 10 s", 720, "WARNING")
	deadlocks(20*time.Second, 102).wants(t, "none", 0, "NORMAL")
	deadlocks(30*time.Second, 5).wants(t, "5 since a reset", 1800, "CRITICAL")
}

func TestRates_ShareOfWhatHappenedBetweenTwoSamples(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	hits := func(after time.Duration, part, whole int) recorded {
		return record(t, pool, start.Add(after), map[string]any{
			"name": "cache_hit_ratio_pct", "category": "PERFORMANCE", "warning": 95, "critical": 90, "low_is_bad": true, "source": "test",
			"counter": map[string]any{"part": 100 * part, "whole": whole},
		})
	}
	hits(0, 990, 1000).wants(t, "since the last reset", 99, "NORMAL")
	hits(10*time.Second, 1083, 1100).wants(t, "93 of 100", 93, "WARNING")
	hits(20*time.Second, 1083, 1100).wantsUnknown(t, "idle", "nothing happened since the previous sample")
	hits(30*time.Second, 1090, 1110).wants(t, "7 of 10", 70, "CRITICAL")
	hits(40*time.Second, 48, 50).wants(t, "48 of 50 since a reset", 96, "NORMAL")
}

// Two collections within seconds of each other (a person in psql beside the worker) must not make a
// rate of almost nothing.
func TestRates_IgnoreASampleOfJustNow(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	sample := func(count int) map[string]any {
		return map[string]any{
			"name": "wal_bytes_per_s", "category": "PERFORMANCE", "source": "test", "low_is_bad": false, "counter": map[string]any{"count": count},
		}
	}
	record(t, pool, start, sample(1000))
	record(t, pool, start.Add(20*time.Second), sample(1200)).wants(t, "200 in 20 s", 10, "NORMAL")
	record(t, pool, start.Add(21*time.Second), sample(2050)).wants(t, "1050 in 21 s", 50, "NORMAL")
}

func TestRateStatus_ByThresholds(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	number := func(n float64) *float64 { return &n }
	for name, c := range map[string]struct {
		value, warning, critical *float64
		lowIsBad                 bool
		want                     string
	}{
		"no value":                 {nil, number(1), number(2), false, "UNKNOWN"},
		"below both":               {number(0.5), number(1), number(2), false, "NORMAL"},
		"at the warning":           {number(1), number(1), number(2), false, "WARNING"},
		"at the critical":          {number(2), number(1), number(2), false, "CRITICAL"},
		"no thresholds":            {number(99), nil, nil, false, "NORMAL"},
		"only a warning":           {number(99), number(1), nil, false, "WARNING"},
		"low is bad, above both":   {number(99), number(95), number(90), true, "NORMAL"},
		"low is bad, at warning":   {number(95), number(95), number(90), true, "WARNING"},
		"low is bad, at critical":  {number(90), number(95), number(90), true, "CRITICAL"},
		"low is bad, nothing left": {number(0), number(95), number(90), true, "CRITICAL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := column[string](t, pool, "SELECT monitoring.rate_status($1::float8::numeric, $2::float8::numeric, $3::float8::numeric, $4)",
				c.value, c.warning, c.critical, c.lowIsBad)[0]
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What a failing query leaves behind stands in the vault with its cause.
func TestRecordHealth_KeepsAnErrorAsUnknown(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	at := time.Now().Truncate(time.Microsecond)
	record(t, pool, at, map[string]any{
		"name": "wal_size_gb", "category": "AVAILABILITY", "source": "wal", "low_is_bad": false, "error": "permission denied for function pg_ls_waldir",
	}).wantsUnknown(t, "error", "permission denied for function pg_ls_waldir")
	record(t, pool, at, map[string]any{"name": "total_connections", "category": "PERFORMANCE", "source": "sessions", "low_is_bad": false}).
		wantsUnknown(t, "neither value nor error", "the server told no value: the role of the collector may lack pg_monitor")
}

// Every sample of a real collection finds its way into the vault, also from a role that may see little.
func TestRecordHealth_KeepsEverySampleOfACollection(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	for i, samples := range [][]collect.Sample{collectOnce(t, address), collectOnce(t, asNewRole(t, address))} {
		var rows []vault.Sample
		for _, s := range samples {
			rows = append(rows, vault.Sample{
				Name: s.Name, Category: s.Category, Unit: s.Unit, Value: s.Value, Warning: s.Warning, Critical: s.Critical,
				LowIsBad: s.LowIsBad, Source: s.Source, Counter: s.Counter, Labels: s.Labels, Evidence: s.Evidence, Error: s.Error,
			})
		}
		at := time.Now().Add(time.Duration(i) * time.Second)
		n, err := store.RecordHealth(t.Context(), "there", at, time.Minute, rows)
		if err != nil || n != int64(len(samples)) {
			t.Errorf("%d of %d samples recorded, %v", n, len(samples), err)
		}
	}
	silent := column[string](t, store.Pool(), `
		SELECT metric_name FROM monitoring.system_health_metric_s
		 WHERE metric_value IS NULL AND coalesce(additional_context ->> 'error', '') = ''`)
	if len(silent) > 0 {
		t.Errorf("unknown without a reason: %q", silent)
	}
}

func TestRecordHealth_MakesPartitionsAhead(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	// A vault that nobody wrote into for a year.
	at := time.Now().AddDate(1, 0, 0).Truncate(time.Microsecond)
	record(t, pool, at, map[string]any{"name": "uptime_s", "category": "AVAILABILITY", "source": "test", "low_is_bad": false, "value": 1})
	for _, table := range []string{"system_health_metric_s", "alert_evaluation_s"} {
		missing := column[string](t, pool, `
			SELECT p.name
			  FROM generate_series(0, 1) AS week,
			       LATERAL (SELECT $1::text || '_p' || to_char(date_trunc('week', $2::timestamptz AT TIME ZONE 'UTC') + week * interval '7 days', 'YYYYMMDD') AS name) AS p
			 WHERE to_regclass('monitoring.' || p.name) IS NULL`, table, at)
		if len(missing) > 0 {
			t.Errorf("partitions %q are missing", missing)
		}
	}
}

// psql sees the same as a worker would: what failed is unknown with its cause, the rest is measured.
func TestCollectSystemHealthMetrics_OneFailingQueryLeavesTheOthers(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	exec(t, pool, "DROP EXTENSION pg_stat_statements CASCADE")
	exec(t, pool, "SELECT FROM monitoring.collect_system_health_metrics()")
	failed := column[string](t, pool, `
		SELECT metric_name || ' ' || status
		  FROM monitoring.system_health_metric_s WHERE additional_context ->> 'error' LIKE '%pg_stat_statements%does not exist%'`)
	slices.Sort(failed)
	if !slices.Equal(failed, []string{"avg_query_time_ms UNKNOWN", "statement_entries_pct UNKNOWN"}) {
		t.Errorf("the failing query leaves %q", failed)
	}
	if measured := column[int](t, pool, "SELECT count(*) FROM monitoring.system_health_metric_s WHERE metric_value IS NOT NULL")[0]; measured < 25 {
		t.Errorf("only %d metrics are measured", measured)
	}
}

// The file system is not for SQL to ask, so psql repeats what a worker measured, as long as it is fresh.
func TestCollectSystemHealthMetrics_RepeatsTheDiskThatAWorkerMeasured(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	disk := func() []string {
		return column[string](t, pool, `
			SELECT coalesce(current_value::float8::text, 'none') || ' ' || status
			  FROM monitoring.collect_system_health_metrics() WHERE metric_name = 'disk_usage_pct'`)
	}
	if got := disk(); len(got) != 1 || got[0] != "none UNKNOWN" {
		t.Errorf("got %q before any worker measured", got)
	}
	exec(t, pool, `
		SELECT FROM monitoring.record_health_samples('local', NULL, clock_timestamp(), 300,
		    '[{"name": "disk_usage_pct", "category": "CAPACITY", "unit": "%", "value": 81.5, "warning": 80, "critical": 95, "low_is_bad": false, "source": "statfs"}]')`)
	if got := disk(); len(got) != 1 || got[0] != "81.5 WARNING" {
		t.Errorf("got %q, want what the worker measured", got)
	}
}

// What is measured once an hour has its previous sample an hour ago, and at twice that it is still the last one.
func TestRates_OfACounterThatIsReadOnceAnHour(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	start := time.Now().Add(-8 * time.Hour).Truncate(time.Microsecond)
	jobs := func(after time.Duration, count int) recorded {
		return record(t, pool, start.Add(after), map[string]any{
			"name": "jobs_per_h", "category": "PERFORMANCE", "low_is_bad": false, "source": "test", "every_s": 3600,
			"counter": map[string]any{"count": count, "per_s": 3600},
		})
	}
	jobs(0, 100).wantsUnknown(t, "first sample", "first sample: a rate needs two")
	jobs(62*time.Minute, 162).wants(t, "62 in 62 minutes", 60, "NORMAL")
	jobs(3*time.Hour+2*time.Minute, 402).wants(t, "240 in two hours: one run was missed", 120, "NORMAL")
	jobs(6*time.Hour, 402).wantsUnknown(t, "three hours later", "first sample: a rate needs two")
	interval := column[int](t, pool, "SELECT DISTINCT measurement_interval_seconds FROM monitoring.system_health_metric_s WHERE metric_name = 'jobs_per_h'")
	if len(interval) != 1 || interval[0] != 3600 {
		t.Errorf("the interval is %v", interval)
	}
}

// After a failover another server answers at the same address, with counters of its own.
func TestRates_KnowWhenTheCountersBegan(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	start := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	epoch := func(at time.Time) float64 { return float64(at.UnixMicro()) / 1e6 }
	commits := func(after time.Duration, count int, since time.Time) recorded {
		return record(t, pool, start.Add(after), map[string]any{
			"name": "commits_per_s", "category": "PERFORMANCE", "low_is_bad": false, "source": "test",
			"counter": map[string]any{"count": count, "since": epoch(since)},
		})
	}
	hits := func(after time.Duration, part, whole int, since time.Time) recorded {
		return record(t, pool, start.Add(after), map[string]any{
			"name": "hit_pct", "category": "PERFORMANCE", "low_is_bad": false, "source": "test",
			"counter": map[string]any{"part": 100 * part, "whole": whole, "since": epoch(since)},
		})
	}
	old, other := start.Add(-time.Hour), start.Add(-24*time.Hour)
	commits(0, 1000, old)
	hits(0, 90, 100, old)
	commits(10*time.Second, 1100, old).wants(t, "100 in 10 s", 10, "NORMAL")
	hits(10*time.Second, 140, 200, old).wants(t, "50 of 100", 50, "NORMAL")
	reset := start.Add(15 * time.Second)
	commits(20*time.Second, 1200, reset).wants(t, "reset in between: all of it is new, though it is more than before", 120, "NORMAL")
	hits(20*time.Second, 150, 300, reset).wants(t, "reset in between", 50, "NORMAL")
	const elsewhere = "another server answers than before: its counters cannot be compared with the last ones"
	commits(30*time.Second, 5000000, other).wantsUnknown(t, "another server", elsewhere)
	hits(30*time.Second, 3000, 4000, other).wantsUnknown(t, "another server", elsewhere)
	commits(40*time.Second, 5000020, other).wants(t, "the same again", 2, "NORMAL")
}

func TestRecordHealth_LabelsTellSeriesApart(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	at := time.Now().Truncate(time.Microsecond)
	for i, at := range []time.Time{at.Add(-time.Minute), at} {
		var samples []any
		for table, rows := range map[string]int{"public.Orders": 10, "public.orders": 20, " public.orders": 30, "a||b": 40} {
			samples = append(samples, map[string]any{
				"name": "rows", "category": "CAPACITY", "low_is_bad": false, "source": "test", "value": rows + i, "labels": map[string]string{"table": table},
			})
		}
		samples = append(samples, map[string]any{"name": "rows", "category": "CAPACITY", "low_is_bad": false, "source": "test", "value": 7})
		text, err := json.Marshal(samples)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, pool, "SELECT FROM monitoring.record_health_samples('local', NULL, $1, 60, $2)", at, text)
	}
	got := column[string](t, pool, `
		SELECT concat_ws(' ', labels ->> 'table', string_agg(trim_scale(metric_value)::text, ',' ORDER BY measurement_timestamp))
		  FROM monitoring.system_health_metric_s GROUP BY health_metric_hk, labels ORDER BY min(metric_value)`)
	if want := []string{"7,7", "public.Orders 10,11", "public.orders 20,21", " public.orders 30,31", "a||b 40,41"}; !slices.Equal(got, want) {
		t.Errorf("the series are %q, want %q", got, want)
	}
	// A condition reads the metric, and not one of its series; so do the dashboard and the history.
	for what, sql := range map[string]string{
		"condition": "SELECT monitoring.condition_inputs('system_health', 'local', NULL, interval '10 minutes', clock_timestamp()) ->> 'rows'",
		"dashboard": "SELECT string_agg(trim_scale(metric_value)::text, ',') FROM monitoring.system_dashboard WHERE metric_name = 'rows'",
		"as of":     "SELECT string_agg(trim_scale(metric_value)::text, ',') FROM monitoring.health_as_of(clock_timestamp()) WHERE metric_name = 'rows'",
	} {
		if got := column[*string](t, pool, sql)[0]; got == nil || *got != "7" && *got != "7.0000" {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// An hourly metric is there for a condition that looks back ten minutes, and no longer than it is known.
func TestConditionInputs_ReachBackAsFarAsAMetricIsRare(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	now := time.Now().Truncate(time.Microsecond)
	exec(t, pool, `SELECT monitoring.apply_metric('jobs_waiting', 'Jobs that wait', 'count', 'PERFORMANCE', 'SELECT 5 AS jobs_waiting', '1 hour')`)
	exec(t, pool, `SELECT FROM monitoring.record_health_samples('local', NULL, $1, 60,
		'[{"name": "jobs_waiting", "category": "PERFORMANCE", "low_is_bad": false, "source": "test", "value": 5, "every_s": 3600}]')`, now.Add(-50*time.Minute))
	input := func(at time.Time) string {
		return column[string](t, pool, "SELECT coalesce(monitoring.condition_inputs('system_health', 'local', NULL, interval '10 minutes', $1) ->> 'jobs_waiting', 'missing')", at)[0]
	}
	for after, want := range map[time.Duration]string{0: "5.0000", 99 * time.Minute: "5.0000", 101 * time.Minute: "missing", -51 * time.Minute: "missing"} {
		if got := input(now.Add(after)); got != want {
			t.Errorf("%s from now: %s, want %s", after, got, want)
		}
	}
	// A newer sample without a value hides the older one, as it does for every metric.
	exec(t, pool, `SELECT FROM monitoring.record_health_samples('local', NULL, $1, 60,
		'[{"name": "jobs_waiting", "category": "PERFORMANCE", "low_is_bad": false, "source": "test", "error": "it failed", "every_s": 3600}]')`, now.Add(-time.Minute))
	if got := input(now); got != "missing" {
		t.Errorf("the newest sample is unknown, but the input is %s", got)
	}
}

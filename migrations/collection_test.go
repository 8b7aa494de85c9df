package migrations_test

import (
	"fmt"
	"testing"

	"onevault/pgserver/pgtest"
)

func TestCollection_ACopiedDiskSampleIsNotCopiedAgain(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	disk := func(minutesAgo int, source string) {
		exec(t, db, `
			SELECT monitoring.record_health_samples('local', NULL, clock_timestamp() - make_interval(mins => $1), 300,
			           jsonb_build_array(jsonb_build_object('name', 'disk_usage_pct', 'category', 'CAPACITY', 'value', 42, 'low_is_bad', false, 'source', $2::text)))`,
			minutesAgo, source)
	}
	collected := func() string {
		return value[string](t, db, `
			SELECT concat_ws(' ', trim_scale(current_value), status) FROM monitoring.collect_system_health_metrics() WHERE metric_name = 'disk_usage_pct'`)
	}
	disk(10, "statfs")
	if got := collected(); got != "42 NORMAL" {
		t.Errorf("a worker measured 10 minutes ago: %s", got)
	}
	// As it is stored by somebody who collects in psql, with no worker any more: the copy outlives what it
	// was copied from, and must not become its own source.
	copied := value[string](t, db, "SELECT data_source FROM monitoring.system_health_metric_s WHERE metric_name = 'disk_usage_pct' ORDER BY measurement_timestamp DESC LIMIT 1")
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_end_date = clock_timestamp()")
	disk(20, "statfs")
	disk(5, copied)
	if got := collected(); got != "UNKNOWN" {
		t.Errorf("no worker measured for 20 minutes, but: %s", got)
	}
}

func TestCollection_AMetricThatCannotBeMeasuredStaysTheSameMetric(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "SELECT monitoring.collect_system_health_metrics()")
	measured := value[int](t, db, "SELECT count(*) FROM monitoring.system_health_metric_h")
	exec(t, db, `UPDATE monitoring.health_query SET variants = '[{"from": 14, "to": 99, "sql": "SELECT 1 / 0 AS row"}]' WHERE query_name = 'sessions'`)
	exec(t, db, "SELECT monitoring.collect_system_health_metrics()")
	if hubs := value[int](t, db, "SELECT count(*) FROM monitoring.system_health_metric_h"); hubs != measured {
		t.Errorf("%d metrics became %d", measured, hubs)
	}
	shown := values[string](t, db, `
		SELECT concat_ws(' ', metric_name, status) FROM monitoring.system_dashboard
		 WHERE metric_name IN ('blocked_backends', 'connection_usage_pct', 'oldest_transaction_s') ORDER BY metric_name`)
	if want := "[blocked_backends UNKNOWN connection_usage_pct UNKNOWN oldest_transaction_s UNKNOWN]"; fmt.Sprint(shown) != want {
		t.Errorf("the dashboard shows %v, want %s", shown, want)
	}
}

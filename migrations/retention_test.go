package migrations_test

import (
	"fmt"
	"testing"

	"onevault/pgserver/pgtest"
)

// keepFor is the statement by which people say how long a table is kept.
const keepFor = `
	INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
	VALUES (util.hash_binary(util.bk('RETENTION', $1)), '\x', $1, 'RETENTION', $2::jsonb)`

func TestRetention_EveryTableHasASettingThatPeopleCanSee(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, missing := range values[string](t, db, `
		SELECT t.table_name FROM monitoring.retained_tables() AS t
		 WHERE NOT EXISTS (SELECT FROM monitoring.monitor_config_s s
		                    WHERE s.config_type = 'RETENTION' AND s.config_name = t.table_name AND s.load_end_date IS NULL)`) {
		// Of a table that a later script made: the first run of retention gives it one.
		if n := value[int](t, db, "SELECT monitoring.put_retention_defaults()"); n == 0 {
			t.Errorf("%s gets no setting", missing)
		}
	}
	if n := value[int](t, db, "SELECT monitoring.put_retention_defaults()"); n != 0 {
		t.Errorf("%d settings were put again", n)
	}
	for table, want := range map[string]string{
		"system_health_metric_s": "35 days true", "performance_metric_s": "35 days true", "system_health_metric_hourly_s": "13 months true",
		"capacity_metric_s": "100 days true", "security_event_s": "13 months true", "compliance_check_s": "7 years true",
		"alert_instance_s": "7 years true", "incident_s": "7 years true", "outbox": "7 days false",
	} {
		if got := value[string](t, db, "SELECT keep_text || ' ' || archive::text FROM monitoring.retention_setting($1)", table); got != want {
			t.Errorf("%s is kept for %s, want %s", table, got, want)
		}
	}
}

func TestRetention_AFreshVaultHoldsNothingThatIsDueToLeave(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, late := range values[string](t, db, `
		SELECT p.table_name || ' up to ' || p.range_to
		  FROM monitoring.retention_plan() AS p, LATERAL monitoring.retention_setting(p.table_name) AS s
		 WHERE p.range_to <= now() - s.keep`) {
		t.Errorf("%s", late)
	}
}

func TestRetentionSetting_WhatCannotWorkIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, c := range []struct {
		table, value string
		words        []string
	}{
		{"no_such_table", `{"keep": "35 days"}`, []string{"config_name is 'no_such_table'", "system_health_metric_s"}},
		{"archive_s", `{"keep": "35 days"}`, []string{"config_name is 'archive_s'"}},
		{"system_health_metric_s", `"35 days"`, []string{`config_value of system_health_metric_s is "35 days": not an object`, `{"keep": "35 days", "archive": true}`}},
		{"system_health_metric_s", `{"keep": 35}`, []string{"config_value.keep", "is 35"}},
		{"system_health_metric_s", `{}`, []string{"config_value.keep", "null"}},
		{"system_health_metric_s", `{"keep": "a while"}`, []string{`"a while"`, "not an interval"}},
		{"system_health_metric_s", `{"keep": "7 days"}`, []string{`"7 days"`, "too short", "8 days"}},
		{"system_health_metric_s", `{"keep": "-35 days"}`, []string{"too short"}},
		{"alert_instance_s", `{"keep": "29 days"}`, []string{"too short", "STATE", "30 days"}},
		{"outbox", `{"keep": "1 hour"}`, []string{"too short", "1 day"}},
		{"system_health_metric_s", `{"keep": "101 years"}`, []string{"more than 100 years", "is_enabled = false"}},
		{"system_health_metric_s", `{"keep": "35 days", "archive": "yes"}`, []string{`config_value.archive`, `"yes"`}},
		{"system_health_metric_s", `{"keep": "35 days", "zip": true}`, []string{"'zip'", "only keep and archive"}},
	} {
		refused(t, db, "22023", c.words, keepFor, c.table, c.value)
	}
	exec(t, db, keepFor, "system_health_metric_s", `{"keep": "8 days"}`)
	exec(t, db, "INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('MINE'), 'MINE')")
	refused(t, db, "22023", []string{"set under the key RETENTION"}, `
		INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary('MINE'), '\x', 'system_health_metric_s', 'RETENTION', '{"keep": "8 days"}')`)
	// What is not about retention is nobody's business here.
	exec(t, db, `
		INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary('MINE'), '\x', 'dashboard', 'UI', '3')`)
}

func TestRollUp_SumsStatementsAndWeighsTheirMeans(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk) VALUES (util.hash_binary('Q'), 'Q')")
	exec(t, db, "INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk) VALUES (util.hash_binary('D'), 'D')")
	hour := "date_trunc('hour', now() - interval '3 hours', 'UTC')"
	exec(t, db, fmt.Sprintf(`
		INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, query_hash, total_time_ms, mean_time_ms, calls, measurement_period_end)
		VALUES (util.hash_binary('Q'), '\x', 'q', 100, 100, 1, %[1]s + interval '5 minutes'),
		       (util.hash_binary('Q'), '\x', 'q', 900, 1, 900, %[1]s + interval '10 minutes')`, hour))
	exec(t, db, fmt.Sprintf(`
		INSERT INTO monitoring.capacity_metric_s (capacity_metric_hk, hash_diff, resource_type, resource_name, current_size_bytes, utilization_percentage, measurement_timestamp)
		VALUES (util.hash_binary('D'), '\x', 'DISK', 'd', 90, 90, %[1]s + interval '5 minutes'),
		       (util.hash_binary('D'), '\x', 'DISK', 'd', 10, 10, %[1]s + interval '50 minutes')`, hour))
	for _, table := range []string{"performance_metric_s", "capacity_metric_s"} {
		for round, want := range []int64{1, 0} {
			if n := value[int64](t, db, "SELECT monitoring.roll_up($1, now() - interval '1 day', now())", table); n != want {
				t.Errorf("round %d of %s wrote %d hours, want %d", round+1, table, n, want)
			}
		}
	}
	if got := value[string](t, db, "SELECT concat_ws(' ', sample_count, total_time_ms, mean_time_ms, max_mean_time_ms, calls) FROM monitoring.performance_metric_hourly_s"); got != "2 1000.0000 1.1099 100.0000 901" {
		t.Errorf("the hour of the statement is %s", got)
	}
	if got := value[string](t, db, "SELECT concat_ws(' ', sample_count, last_size_bytes, max_size_bytes, last_utilization_percentage, max_utilization_percentage) FROM monitoring.capacity_metric_hourly_s"); got != "2 10 90 10.00 90.00" {
		t.Errorf("the hour of the disk is %s", got)
	}
}

func TestRollUp_LeavesTheHourThatIsNotOver(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk) VALUES (util.hash_binary('D'), 'D')")
	exec(t, db, `
		INSERT INTO monitoring.capacity_metric_s (capacity_metric_hk, hash_diff, resource_type, current_size_bytes, measurement_timestamp)
		VALUES (util.hash_binary('D'), '\x', 'DISK', 1, now())`)
	if n := value[int64](t, db, "SELECT monitoring.roll_up('capacity_metric_s', now() - interval '1 day', now() + interval '1 day')"); n != 0 {
		t.Errorf("%d hours written before they were over", n)
	}
	refused(t, db, "22023", []string{"alert_evaluation_s has no hourly roll-up", "capacity_metric_s"},
		"SELECT monitoring.roll_up('alert_evaluation_s', now() - interval '1 day', now())")
}

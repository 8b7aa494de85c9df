package migrations_test

import (
	"fmt"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

const applyJobs = `SELECT monitoring.apply_metric('jobs_waiting', 'Jobs that wait', 'count', 'PERFORMANCE', 'SELECT count(*) AS jobs_waiting FROM pg_class', '90 s', 10, 100)`

func TestApplyMetric_KeepsAFileAndItsVersions(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for i, want := range []bool{true, false} {
		if got := value[bool](t, db, applyJobs); got != want {
			t.Errorf("applied %d times: %t", i+1, got)
		}
	}
	text := value[string](t, db, "SELECT definition_text FROM monitoring.metric_definition_s WHERE load_end_date IS NULL")
	if want := "-- metric jobs_waiting [count] PERFORMANCE warning 10 critical 100: Jobs that wait\n-- every 90s\n\nSELECT count(*) AS jobs_waiting FROM pg_class\n"; text != want {
		t.Errorf("kept as %q", text)
	}
	exec(t, db, `SELECT monitoring.apply_metric('jobs_waiting', 'Jobs that wait', 'count', 'PERFORMANCE', 'SELECT 1 AS jobs_waiting, 2 AS place', p_labels => '{place}', p_targets => '{there}')`)
	exec(t, db, "SELECT monitoring.remove_metric('jobs_waiting', 'dana')")
	if removed := value[bool](t, db, "SELECT monitoring.remove_metric('jobs_waiting')"); removed {
		t.Error("removed twice")
	}
	versions := values[string](t, db, `
		SELECT concat_ws(' ', every_s, label_names, target_names, is_enabled, changed_by = session_user, changed_by = 'dana', load_end_date IS NULL)
		  FROM monitoring.metric_definition_s ORDER BY load_date`)
	if want := "[90 {} t t f f 0 {place} {there} t t f f 0 {place} {there} f f t t]"; fmt.Sprint(versions) != want {
		t.Errorf("versions %v, want %s", versions, want)
	}
}

func TestApplyMetric_RefusesWithARemedy(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	apply := func(name, description, unit, category, query, more string) string {
		return fmt.Sprintf("SELECT monitoring.apply_metric(%s, %s, %s, %s, %s%s)", name, description, unit, category, query, more)
	}
	for sql, parts := range map[string][]string{
		apply("'Jobs'", "'It'", "'count'", "'CAPACITY'", "'SELECT 1'", ""):                            {`"Jobs"`, "small letters"},
		apply("'total_connections'", "'It'", "'count'", "'CAPACITY'", "'SELECT 1'", ""):               {`"total_connections"`, "built in", "another name"},
		apply("'sessions'", "'It'", "'count'", "'CAPACITY'", "'SELECT 1'", ""):                        {`"sessions"`, "built in"},
		apply("'jobs'", "'It'", "'count'", "'SIZE'", "'SELECT 1'", ""):                                {`"SIZE"`, "PERFORMANCE, CAPACITY"},
		apply("'jobs'", "E'It\\n-- every 1s'", "'count'", "'CAPACITY'", "'SELECT 1'", ""):             {"line break"},
		apply("'jobs'", "''", "'count'", "'CAPACITY'", "'SELECT 1'", ""):                              {"missing"},
		apply("'jobs'", "NULL", "'count'", "'CAPACITY'", "'SELECT 1'", ""):                            {"missing"},
		apply("'jobs'", "'It'", "'count]'", "'CAPACITY'", "'SELECT 1'", ""):                           {"without brackets"},
		apply("'jobs'", "'It'", "'count'", "'CAPACITY'", "'DELETE FROM x'", ""):                       {`"DELETE FROM x"`, "one SELECT"},
		apply("'jobs'", "'It'", "'count'", "'CAPACITY'", "'SELECT 1'", ", '2 days'"):                  {"every_s", "172800", "86400"},
		apply("'jobs'", "'It'", "'count'", "'CAPACITY'", "'SELECT 1'", ", p_targets => '{}'"):         {"target_names", "NULL for all"},
		"SELECT monitoring.save_metric('jobs', 'It', 'count', 'CAPACITY', 0, '{}', NULL, 'SELECT 1')": {"no file that defines it", "-- metric jobs"},
	} {
		refused(t, db, "22023", parts, sql)
	}
	refused(t, db, "P0002", []string{`nobody added a metric "jobs"`, "metric list"}, "SELECT monitoring.remove_metric('jobs')")
	refused(t, db, "P0002", []string{"built in, and stays"}, "SELECT monitoring.remove_metric('uptime_s')")
}

// A condition may name a metric that somebody added, for as long as it is measured and has no labels.
func TestApplyMetric_ConditionsMayNameIt(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	const define = `INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, alert_name, alert_category, alert_severity, metric_source, condition_logic, is_enabled)
		VALUES (util.hash_binary('JOBS'), '\x', 'Jobs', 'PERFORMANCE', 'LOW', 'system_health', 'jobs_waiting > 5', `
	exec(t, db, "INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES (util.hash_binary('JOBS'), 'JOBS')")
	refused(t, db, "22023", []string{`unknown metric "jobs_waiting"`}, define+"true)")
	exec(t, db, applyJobs)
	exec(t, db, define+"true)")
	refused(t, db, "55000", []string{`"jobs_waiting"`, "alert definition JOBS", "disable the definition first"}, "SELECT monitoring.remove_metric('jobs_waiting')")
	refused(t, db, "55000", []string{`"jobs_waiting"`, "alert_by"},
		"SELECT monitoring.apply_metric('jobs_waiting', 'Jobs', 'count', 'PERFORMANCE', 'SELECT 1', p_labels => '{place}')")
	exec(t, db, define+"false)")
	exec(t, db, "SELECT monitoring.remove_metric('jobs_waiting')")
	refused(t, db, "22023", []string{`unknown metric "jobs_waiting"`}, define+"true)")
}

func TestApplyMetric_IsForOperatorsAndNotForReaders(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	exec(t, db, "SET ROLE onevault_reader")
	refused(t, db, "42501", []string{"permission denied"}, applyJobs)
	exec(t, db, "RESET ROLE; SET ROLE onevault_operator")
	exec(t, db, applyJobs)
	refused(t, db, "42501", []string{"permission denied"}, "UPDATE monitoring.health_query SET variants = '[]'")
	refused(t, db, "42501", []string{"permission denied"}, "INSERT INTO monitoring.metric_definition_h (metric_definition_hk, metric_definition_bk) VALUES (util.hash_binary('X'), 'X')")
	exec(t, db, "RESET ROLE; SET ROLE onevault_worker")
	refused(t, db, "42501", []string{"permission denied"}, "UPDATE monitoring.health_query SET variants = '[]'")
	exec(t, db, "SELECT monitoring.record_collection('local', NULL, clock_timestamp(), 60, '[]', '[{\"query\": \"sessions\", \"rows\": 1}]')")
}

// One query that is broken, returns nothing or too much is told with its reason, and the others go on.
func TestMeasure_TellsWhyThereIsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for variants, want := range map[string]string{
		`[{"from": 14, "to": 99, "sql": "SELECT 1 / 0 AS row"}]`:                  "division by zero",
		`[{"from": 14, "to": 14, "sql": "SELECT 1 AS row"}]`:                      "is not supported",
		`[{"from": 14, "to": 99, "sql": "SELECT 1 AS row WHERE false"}]`:          "yields no row",
		`[{"from": 14, "to": 99, "sql": "SELECT generate_series(1, 2) AS row"}]`:  "more than 1 rows",
		`[{"from": 14, "to": 99, "sql": "SELECT 1 AS row FROM pg_stat_nothing"}]`: "does not exist",
	} {
		exec(t, db, "UPDATE monitoring.health_query SET variants = $1::jsonb WHERE query_name = 'tables'", variants)
		if n := value[int](t, db, "SELECT count(*) FROM monitoring.collect_system_health_metrics() WHERE current_value IS NOT NULL"); n < 30 {
			t.Errorf("%s: only %d other metrics", variants, n)
		}
		got := values[string](t, db, `
			SELECT DISTINCT ON (metric_name) concat_ws(' ', metric_name, status, additional_context ->> 'error')
			  FROM monitoring.system_health_metric_s
			 WHERE metric_name IN ('invalid_indexes', 'worst_dead_tuple_pct') ORDER BY metric_name, measurement_timestamp DESC`)
		if len(got) != 2 || !contains(got[0], "invalid_indexes UNKNOWN", want) || !contains(got[1], "worst_dead_tuple_pct UNKNOWN", want) {
			t.Errorf("%s: %q, want %q", variants, got, want)
		}
	}
	refused(t, db, "P0002", []string{`"nothing"`, "SELECT query_name"}, "SELECT monitoring.measure('nothing')")
}

// An hour of a series keeps its labels; one of a metric without them is as it was before there were any.
func TestRollUp_KeepsLabels(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, `SELECT monitoring.record_health_samples('local', NULL, date_trunc('hour', now()) - interval '90 minutes', 60,
		'[{"name": "rows", "category": "CAPACITY", "value": 1, "low_is_bad": false, "labels": {"table": "a"}},
		  {"name": "rows", "category": "CAPACITY", "value": 2, "low_is_bad": false, "labels": {"table": "b"}},
		  {"name": "plain", "category": "CAPACITY", "value": 3, "low_is_bad": false}]')`)
	exec(t, db, "SELECT monitoring.roll_up('system_health_metric_s', now() - interval '1 day', now())")
	got := values[string](t, db, `SELECT concat_ws(' ', metric_name, labels, trim_scale(avg_value)) FROM monitoring.system_health_metric_hourly_s ORDER BY 1`)
	if want := `[plain 3 rows {"table": "a"} 1 rows {"table": "b"} 2]`; fmt.Sprint(got) != want {
		t.Errorf("hours %v, want %s", got, want)
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

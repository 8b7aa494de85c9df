package migrations_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// Time is shifted by the argument of evaluate_definition where the rules over time are meant, and by past
// measurement timestamps and evaluations where evaluate_definitions itself reads the clock.

// noon is a moment today or yesterday, for which partitions are there.
func noon() time.Time {
	return time.Now().UTC().Add(-24 * time.Hour).Truncate(24 * time.Hour).Add(12 * time.Hour)
}

func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

// outboxOf lists the kinds of all outbox rows in order.
func outboxOf(t *testing.T, db database) string {
	t.Helper()
	return strings.Join(values[string](t, db, "SELECT kind FROM monitoring.outbox ORDER BY outbox_id"), " ")
}

func TestEvaluation_SuppressionOfOneTargetOrDefinitionMutesNoOther(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"suppression_window_minutes": 60})
	define(t, db, "E", columns{"suppression_window_minutes": 60})
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary('ORG1'), 'ORG1', now(), 'TEST'")
	wantDecision(t, db, "D", at, bad, "TRUE", "FIRED")
	wantDecision(t, db, "E", at.Add(minutes(1)), bad, "TRUE", "FIRED")
	for _, group := range []string{"'elsewhere', NULL", "'local', util.hash_binary('ORG1')"} {
		decision := value[string](t, db, `
			SELECT e.decision FROM monitoring.alert_definition_s AS d,
			       LATERAL monitoring.evaluate_definition(d, 'D', `+group+`, $1, '{"blocked_backends": 9}', NULL) AS e
			 WHERE d.alert_definition_hk = util.hash_binary('D')`, at.Add(minutes(2)))
		if decision != "FIRED" {
			t.Errorf("for %s: %s", group, decision)
		}
	}
}

func TestEvaluation_AnErrorInTheClearConditionKeepsTheAlertOpen(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", columns{"clear_condition_logic": "1 / blocked_backends > 0"})
	wantDecision(t, db, "D", at, bad, "TRUE", "FIRED")
	wantDecision(t, db, "D", at.Add(minutes(1)), good, "FALSE", "HOLDING")
	wantDecision(t, db, "D", at.Add(minutes(2)), `{"blocked_backends": 1}`, "FALSE", "RESOLVED")
}

func TestEvaluation_OfADefinitionThatChangedWhileItsAlertIsOpen(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	at := noon()
	define(t, db, "D", nil)
	wantDecision(t, db, "D", at, bad, "TRUE", "FIRED")
	define(t, db, "D", columns{"threshold_value": 50, "alert_severity": "LOW", "alert_name": "Renamed"})
	if name := value[string](t, db, "SELECT alert_name || ' ' || alert_severity FROM monitoring.alert_current"); name != "Name of D HIGH" {
		t.Errorf("the open alert shows %q", name)
	}
	wantDecision(t, db, "D", at.Add(minutes(1)), bad, "FALSE", "RESOLVED")
	if n := value[int](t, db, "SELECT count(DISTINCT definition_load_date) FROM monitoring.alert_evaluation_s"); n != 2 {
		t.Errorf("the evaluations name %d versions", n)
	}
	wantDecision(t, db, "D", at.Add(minutes(2)), `{"blocked_backends": 60}`, "TRUE", "FIRED")
	if names := values[string](t, db, "SELECT alert_name FROM monitoring.alert_current ORDER BY triggered_timestamp"); fmt.Sprint(names) != "[Name of D Renamed]" {
		t.Errorf("each alert should show its own version: %v", names)
	}
}

// judged tells what one round decided about a definition, and under which of its versions (1 is the first).
func judged(t *testing.T, db database, key string) string {
	t.Helper()
	exec(t, db, "SELECT count(*) FROM monitoring.evaluate_due('local', '0')")
	return value[string](t, db, `
		SELECT coalesce((SELECT concat_ws(' ', e.decision, (SELECT count(*) FROM monitoring.alert_definition_s d
		                                           WHERE d.alert_definition_hk = e.alert_definition_hk AND d.load_date <= e.definition_load_date))
		                   FROM monitoring.alert_evaluation_s e
		                  WHERE e.alert_definition_hk = util.hash_binary($1)
		                    AND e.evaluated_at > now() - interval '1 minute'
		                  ORDER BY e.evaluated_at DESC LIMIT 1), 'not looked at')`, key)
}

func TestEvaluateDue_AnOpenAlertEndsUnderTheVersionItBeganWith(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	sample := func(val int) { record(t, db, "blocked_backends", time.Now(), val) }
	define(t, db, "D", nil) // fires above 3
	sample(9)
	wants := func(want string) {
		t.Helper()
		if got := judged(t, db, "D"); got != want {
			t.Errorf("decided %s, want %s", got, want)
		}
	}
	wants("FIRED 1")
	define(t, db, "D", columns{"threshold_value": 50})
	wants("HOLDING 1") // by the new version it would be over
	define(t, db, "D", columns{"threshold_value": 50, "is_enabled": false})
	wants("HOLDING 1")
	sample(0)
	wants("RESOLVED 1")
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.evaluate_due('local', '0')"); n != 0 {
		t.Errorf("a disabled definition without an open alert was looked at %d times", n)
	}
	define(t, db, "D", columns{"threshold_value": 50})
	sample(9)
	wants("NONE 4")
	sample(60)
	wants("FIRED 4")
}

// record writes one sample of a metric as if it had been measured then.
func record(t *testing.T, db database, metric string, at time.Time, val any) {
	t.Helper()
	exec(t, db, `
		SELECT monitoring.record_health_samples('local', NULL, $2, 300,
		           jsonb_build_array(jsonb_build_object('name', $1::text, 'category', 'PERFORMANCE', 'value', $3::numeric, 'low_is_bad', false)))`, metric, at, val)
}

// onlyDefinition turns the default definitions off.
func onlyDefinition(t *testing.T, db database) {
	t.Helper()
	exec(t, db, "UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp() WHERE load_end_date IS NULL")
}

// due runs the evaluator that reads the clock and lists what it looked at.
func due(t *testing.T, db database, every any) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT definition_key || ' ' || result || ' ' || decision FROM monitoring.evaluate_due('local', $1::interval) ORDER BY definition_key`, every), ", ")
}

func TestEvaluateDue_JudgesByTheNewestSampleWithinItsLookBack(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	now := time.Now().UTC()
	define(t, db, "D", columns{"lookback_minutes": 10})
	expect := func(want string) {
		t.Helper()
		if got := due(t, db, "0"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	record(t, db, "blocked_backends", now.Add(-minutes(11)), 9)
	expect("D NO_DATA NONE")
	record(t, db, "blocked_backends", now.Add(-minutes(9)), 9)
	expect("D TRUE FIRED")
	record(t, db, "blocked_backends", now.Add(-minutes(8)), nil) // UNKNOWN: an older value would hide it
	expect("D NO_DATA HOLDING")
	record(t, db, "blocked_backends", now.Add(-minutes(7)), 0)
	expect("D FALSE RESOLVED")
	record(t, db, "blocked_backends", now.Add(minutes(30)), 9) // of a clock that is ahead
	expect("D FALSE NONE")
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_end_date = clock_timestamp() WHERE metric_value = 0")
	expect("D NO_DATA NONE")
}

func TestEvaluateDue_ATenantsDefinitionSeesItsOwnMeasurementsFirst(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary('ORG1'), 'ORG1', now(), 'TEST'")
	exec(t, db, `
		INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk)
		VALUES (util.hash_binary('T'), 'T', util.hash_binary('ORG1'))`)
	define(t, db, "T", nil)
	define(t, db, "SYSTEM_WIDE", nil)
	record(t, db, "blocked_backends", time.Now().Add(-minutes(1)), 0)
	exec(t, db, `
		SELECT monitoring.record_health_samples('local', util.hash_binary('ORG1'), now() - interval '2 minutes', 300,
		           '[{"name": "blocked_backends", "category": "PERFORMANCE", "value": 9, "low_is_bad": false}]')`)
	if got := due(t, db, nil); got != "SYSTEM_WIDE FALSE NONE, T TRUE FIRED" {
		t.Errorf("due: %s", got)
	}
	group := value[string](t, db, "SELECT workflow_id FROM monitoring.alert_current")
	if want := value[string](t, db, "SELECT 'alert/local/T/' || left(encode(util.hash_binary('ORG1'), 'hex'), 12)"); group != want {
		t.Errorf("its workflow is %s, want %s", group, want)
	}
}

func TestEvaluateDue_ASourceThatFailsIsAnErrorOfItsDefinitionsAlone(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	define(t, db, "BACKUPS", columns{"metric_source": "backup_failures", "condition_logic": "failed_backup_count > 0"})
	define(t, db, "HEALTH", nil)
	record(t, db, "blocked_backends", time.Now().Add(-minutes(1)), 9)
	exec(t, db, "ALTER TABLE backup_mgmt.backup_execution_s RENAME TO lost")
	if got := due(t, db, nil); got != "BACKUPS ERROR NONE, HEALTH TRUE FIRED" {
		t.Errorf("due: %s", got)
	}
	reason := value[string](t, db, "SELECT reason FROM monitoring.alert_evaluation_s WHERE result = 'ERROR'")
	if !strings.Contains(reason, "backup_execution_s") {
		t.Errorf("the reason is %q", reason)
	}
}

func TestEvaluateAlertConditions_TellsWhetherAnAlertIsUp(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	onlyDefinition(t, db)
	define(t, db, "UP", nil)
	define(t, db, "FINE", columns{"condition_logic": "deadlocks_per_h > 1"})
	define(t, db, "PENDING", columns{"pending_minutes": 5})
	record(t, db, "blocked_backends", time.Now().Add(-minutes(2)), 9)
	record(t, db, "deadlocks_per_h", time.Now().Add(-minutes(2)), 0)
	for range 2 { // fired, and then holding
		got := values[string](t, db, `
			SELECT concat_ws(' ', alert_name, alert_fired, trim_scale(trigger_value), alert_severity)
			  FROM monitoring.evaluate_alert_conditions() ORDER BY alert_name`)
		if want := "[Name of FINE f 0 HIGH Name of PENDING f 9 HIGH Name of UP t 9 HIGH]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

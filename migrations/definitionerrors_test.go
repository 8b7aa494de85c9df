package migrations_test

import (
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// looked writes a look as if it had taken place then.
func looked(t *testing.T, db database, key, result string, since, at time.Time, reason string) {
	t.Helper()
	exec(t, db, `
		INSERT INTO monitoring.alert_evaluation_s (alert_definition_hk, hash_diff, target_name, evaluated_at, definition_load_date, result, result_since, inputs, reason, decision)
		SELECT util.hash_binary($1), '\x', 'local', $4, d.load_date, $2, $3, '{}', $5, 'NONE'
		  FROM monitoring.alert_definition_s d WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, key, result, since, at, reason)
}

func TestDefinitionError_IsAnAlertThatNamesDefinitionAuthorAndReason(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	now := time.Now().UTC().Truncate(time.Microsecond)
	exec(t, db, `UPDATE monitoring.alert_definition_s SET load_end_date = clock_timestamp()
	              WHERE load_end_date IS NULL AND alert_definition_hk <> util.hash_binary('DEFINITION_ERROR')`)
	define(t, db, "BROKEN", columns{"condition_logic": "blocked_backends / deadlocks_per_h > 1", "no_data_minutes": 10, "last_modified_by": "dana"})
	define(t, db, "FINE", nil)
	decided := func() string {
		t.Helper()
		return value[string](t, db, `
			SELECT string_agg(definition_key || ' ' || result || ' ' || decision, ', ' ORDER BY definition_key) FROM monitoring.evaluate_due('local', '0')`)
	}
	record(t, db, "blocked_backends", now, 1)
	record(t, db, "deadlocks_per_h", now, 0)
	if got := decided(); got != "BROKEN ERROR NONE, DEFINITION_ERROR FALSE NONE, FINE FALSE NONE" {
		t.Errorf("at first: %s", got)
	}
	// For twelve minutes now, which is longer than ten.
	exec(t, db, "ALTER TABLE monitoring.alert_evaluation_s DISABLE TRIGGER USER")
	exec(t, db, "UPDATE monitoring.alert_evaluation_s SET result_since = $1 WHERE result = 'ERROR'", now.Add(-minutes(12)))
	if got := decided(); got != "BROKEN ERROR NONE, DEFINITION_ERROR TRUE FIRED, FINE FALSE NONE" {
		t.Errorf("after twelve minutes: %s", got)
	}
	reason := value[string](t, db, "SELECT trigger_details ->> 'reason' FROM monitoring.alert_instance_s WHERE load_end_date IS NULL")
	for _, part := range []string{"BROKEN (written by dana) errs since ", "it divides by zero"} {
		if !strings.Contains(reason, part) {
			t.Errorf("the alert says %q, not %q", reason, part)
		}
	}
	if !value[bool](t, db, "SELECT agrees FROM monitoring.explain_alert((SELECT alert_instance_hk FROM monitoring.alert_instance_h))") {
		t.Error("explained otherwise than it was decided")
	}
	// Another one begins to err when this one is repaired: it is not over.
	define(t, db, "BROKEN", nil)
	define(t, db, "FINE", columns{"condition_logic": "blocked_backends / deadlocks_per_h > 1", "no_data_minutes": 10})
	if got := decided(); got != "BROKEN FALSE NONE, DEFINITION_ERROR FALSE HOLDING, FINE ERROR NONE" {
		t.Errorf("while another one errs: %s", got)
	}
	record(t, db, "deadlocks_per_h", time.Now(), 1)
	if got := decided(); got != "BROKEN FALSE NONE, DEFINITION_ERROR FALSE RESOLVED, FINE FALSE NONE" {
		t.Errorf("when none errs: %s", got)
	}
}

func TestDefinitionError_WhereNobodyLookedNothingIsKnown(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	now := time.Now().UTC()
	inputs := func() string {
		return value[string](t, db, "SELECT monitoring.condition_inputs('evaluation', 'local', NULL, '10 minutes', $1)::text", now)
	}
	if got := inputs(); got != "{}" {
		t.Errorf("before the first look: %s", got)
	}
	define(t, db, "OLD", nil)
	looked(t, db, "OLD", "ERROR", now.Add(-minutes(90)), now.Add(-minutes(60)), "long ago")
	if got := inputs(); got != "{}" {
		t.Errorf("when the last look is an hour old: %s", got)
	}
	for _, key := range []string{"A", "B", "C", "D", "E", "F", "G"} {
		define(t, db, key, nil)
		looked(t, db, key, "ERROR", now.Add(-minutes(30)), now.Add(-minutes(1)), "division by zero")
	}
	if got := inputs(); !strings.Contains(got, `"erring_definition_count": 7`) || !strings.Contains(got, "E (written by") || strings.Contains(got, "F (written by") || !strings.Contains(got, "; and 2 more") {
		t.Errorf("of seven: %s", got)
	}
}

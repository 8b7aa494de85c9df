package migrations_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// columns of a row, by name.
type columns map[string]any

// define writes a version of a definition: what is not given is a definition that fires at once, on
// every firing, and resolves by itself.
func define(t *testing.T, db database, key string, given columns) {
	t.Helper()
	if _, err := db.Exec(t.Context(), `
		INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
		VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, key); err != nil {
		t.Fatal(err)
	}
	sql, args := definitionRow(key, given)
	exec(t, db, sql, args...)
}

// definitionRow is the INSERT of a version of a definition.
func definitionRow(key string, given columns) (string, []any) {
	row := columns{
		"alert_name": "Name of " + key, "alert_category": "PERFORMANCE", "alert_severity": "HIGH", "metric_source": "system_health",
		"condition_logic": "blocked_backends > threshold_value", "threshold_value": 3, "suppression_window_minutes": 0, "auto_resolve": true,
	}
	maps.Copy(row, given)
	names := slices.Sorted(maps.Keys(row))
	args := []any{key}
	var places []string
	for i, name := range names {
		args = append(args, row[name])
		places = append(places, fmt.Sprintf("$%d", i+2))
	}
	return "INSERT INTO monitoring.alert_definition_s (alert_definition_hk, hash_diff, " + strings.Join(names, ", ") +
		") VALUES (util.hash_binary($1), '\\x', " + strings.Join(places, ", ") + ")", args
}

// evaluated is the outcome of one evaluation.
type evaluated struct{ Result, Decision string }

// evaluate looks at the current version of a definition as if it were that moment, with these inputs.
func evaluate(t *testing.T, db database, key string, at time.Time, inputs string) evaluated {
	t.Helper()
	rows, err := db.Query(t.Context(), `
		SELECT e.result, e.decision
		  FROM monitoring.alert_definition_s AS d,
		       LATERAL monitoring.evaluate_definition(d, $1, 'local', NULL, $2, $3::jsonb, NULL) AS e
		 WHERE d.alert_definition_hk = util.hash_binary($1) AND d.load_end_date IS NULL`, key, at, inputs)
	if err != nil {
		t.Fatal(err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[evaluated])
	if err != nil {
		t.Fatalf("evaluate %s: %v", key, err)
	}
	return e
}

// wantDecision evaluates and checks what was decided.
func wantDecision(t *testing.T, db database, key string, at time.Time, inputs, result, decision string) {
	t.Helper()
	if got := evaluate(t, db, key, at, inputs); got != (evaluated{result, decision}) {
		t.Errorf("at %s with %s: %s %s, want %s %s", at.Format("15:04:05"), inputs, got.Result, got.Decision, result, decision)
	}
}

const (
	bad  = `{"blocked_backends": 9}`
	good = `{"blocked_backends": 0}`
)

// openAlert opens an alert as a workflow records it, by the key of its own definition.
func openAlert(t *testing.T, db database, definition string, at time.Time) (key string) {
	t.Helper()
	define(t, db, definition, nil)
	key = "ALERT||LOCAL||" + definition + "||" + at.Format(time.RFC3339Nano)
	exec(t, db, `
		SELECT monitoring.record_alert_changes(jsonb_build_array(jsonb_build_object('change', 'OPEN', 'alert_key', $1::text,
		           'definition_key', $2::text, 'target', 'local', 'at', $3::timestamptz, 'severity', 'HIGH', 'value', 9, 'via', 'workflow')))`, key, definition, at)
	return key
}

// alertIn makes an alert that has reached a status.
func alertIn(t *testing.T, db database, definition, status string) (key string) {
	t.Helper()
	at := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	if status == "SUPPRESSED" {
		define(t, db, definition, nil)
		key = "ALERT||LOCAL||" + definition + "||SUPPRESSED"
		exec(t, db, "SELECT monitoring.open_alert($1, util.hash_binary($2), NULL, 'local', 'SUPPRESSED', $3, 9, '{}', 'HIGH', 'fired again', 'evaluator')",
			key, definition, at)
		return key
	}
	key = openAlert(t, db, definition, at)
	if status != "OPEN" {
		exec(t, db, "SELECT monitoring.change_alert_state(util.hash_binary($1), $2, $3, 'erin', 'test', 'noted', 1)", key, status, at.Add(time.Minute))
	}
	return key
}

// statusOf returns the current status of an alert.
func statusOf(t *testing.T, db database, key string) string {
	t.Helper()
	return value[string](t, db, "SELECT alert_status FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1) AND load_end_date IS NULL", key)
}

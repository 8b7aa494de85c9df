package migrations_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// asOf lists the alerts as they were at a moment, as known at another (nil: now).
func asOf(t *testing.T, db database, at time.Time, known any) string {
	t.Helper()
	return strings.Join(values[string](t, db, `
		SELECT concat_ws(' ', definition_key, alert_status, nullif(escalation_level, 0), acknowledged_by, resolved_by)
		  FROM monitoring.alerts_as_of($1, coalesce($2, clock_timestamp())) ORDER BY definition_key`, at, known), ", ")
}

// learned moves what the vault knows: the newest version of an alert was learned at that moment.
func learned(t *testing.T, db database, key string, at time.Time) {
	t.Helper()
	exec(t, db, `
		WITH newest AS (SELECT max(load_date) AS load_date FROM monitoring.alert_instance_s WHERE alert_instance_hk = util.hash_binary($1)),
		moved AS (UPDATE monitoring.alert_instance_s s SET load_date = $2 FROM newest n
		           WHERE s.alert_instance_hk = util.hash_binary($1) AND s.load_date = n.load_date)
		UPDATE monitoring.alert_instance_s s SET load_end_date = $2 FROM newest n
		 WHERE s.alert_instance_hk = util.hash_binary($1) AND s.load_end_date = n.load_date`, key, at)
}

// past lets a session write history as if it had been learned then.
func past(t *testing.T, address string) database {
	t.Helper()
	db := connect(t, address)
	exec(t, db, "ALTER TABLE monitoring.alert_instance_s DISABLE TRIGGER t60_allow_only_closing")
	return db
}

func TestAsOf_FollowsEveryTransition(t *testing.T) {
	t.Parallel()
	db := past(t, pgtest.DB(t))
	at := noon()
	key := openAlert(t, db, "D", at)
	learned(t, db, key, at.Add(time.Second))
	step := func(minute float64, status, actor string, level any) {
		t.Helper()
		exec(t, db, "SELECT monitoring.change_alert_state(util.hash_binary($1), $2, $3, $4, 'test', 'noted', $5)", key, status, at.Add(minutes(minute)), actor, level)
		learned(t, db, key, at.Add(minutes(minute)+time.Second))
	}
	step(10, "ESCALATED", "workflow", 1)
	step(20, "ACKNOWLEDGED", "dana", nil)
	step(30, "RESOLVED", "erin", nil)
	for minute, want := range map[float64]string{
		-1: "", 0: "D OPEN", 9: "D OPEN", 10: "D ESCALATED 1", 19: "D ESCALATED 1", 20: "D ACKNOWLEDGED 1 dana", 29: "D ACKNOWLEDGED 1 dana", 30: "D RESOLVED 1 dana erin",
	} {
		if got := asOf(t, db, at.Add(minutes(minute)), nil); got != want {
			t.Errorf("at minute %v: %q, want %q", minute, got, want)
		}
		if got := asOf(t, db, at.Add(minutes(minute)), at.Add(minutes(minute)+2*time.Second)); got != want {
			t.Errorf("at minute %v, as known then: %q, want %q", minute, got, want)
		}
	}
	if got := asOf(t, db, at.Add(minutes(30)), at.Add(minutes(15))); got != "D ESCALATED 1" {
		t.Errorf("known before it happened: %q", got)
	}
	age := value[float64](t, db, "SELECT age_minutes::float8 FROM monitoring.alerts_as_of($1)", at.Add(minutes(15)))
	if age != 15 {
		t.Errorf("its age at minute 15 is %v", age)
	}
}

func TestAsOf_WhatCameLateWasNotKnown(t *testing.T) {
	t.Parallel()
	db := past(t, pgtest.DB(t))
	at := noon()
	key := openAlert(t, db, "D", at)
	learned(t, db, key, at.Add(minutes(60))) // the vault was down for an hour
	if got := asOf(t, db, at.Add(minutes(5)), at.Add(minutes(5)+time.Second)); got != "" {
		t.Errorf("the operator saw %q before the vault knew", got)
	}
	if got := asOf(t, db, at.Add(minutes(5)), at.Add(minutes(61))); got != "D OPEN" {
		t.Errorf("known later it was %q", got)
	}
	// Resolved by its condition in the vault; that somebody had acknowledged it before comes later.
	exec(t, db, "SELECT monitoring.change_alert_state(util.hash_binary($1), 'RESOLVED', $2, 'condition cleared', 'evaluator', NULL, NULL)", key, at.Add(minutes(70)))
	learned(t, db, key, at.Add(minutes(71)))
	exec(t, db, "SELECT monitoring.change_alert_state(util.hash_binary($1), 'ACKNOWLEDGED', $2, 'dana', 'cli', 'on it', NULL)", key, at.Add(minutes(65)))
	learned(t, db, key, at.Add(minutes(90)))
	for _, c := range []struct {
		valid, known float64
		want         string
	}{
		{66, 80, "D OPEN"},
		{66, 91, "D ACKNOWLEDGED dana"},
		{64, 91, "D OPEN"},
		{75, 80, "D RESOLVED condition cleared"},
		{75, 91, "D RESOLVED dana condition cleared"},
	} {
		if got := asOf(t, db, at.Add(minutes(c.valid)), at.Add(minutes(c.known))); got != c.want {
			t.Errorf("at %v known at %v: %q, want %q", c.valid, c.known, got, c.want)
		}
	}
}

func TestAsOf_AMessageThatIsCountedChangesNoState(t *testing.T) {
	t.Parallel()
	db := past(t, pgtest.DB(t))
	at := noon()
	key := openAlert(t, db, "D", at)
	learned(t, db, key, at)
	exec(t, db, `SELECT monitoring.record_alert_changes(jsonb_build_array(jsonb_build_object('change', 'NOTIFIED', 'alert_key', $1::text, 'at', $2::timestamptz, 'count', 3)))`, key, at.Add(minutes(2)))
	learned(t, db, key, at.Add(minutes(2)))
	counts := func(minute float64) int {
		return value[int](t, db, "SELECT notification_count FROM monitoring.alert_states_as_of($1)", at.Add(minutes(minute)))
	}
	if counts(1) != 0 || counts(2) != 3 {
		t.Errorf("messages counted: %d before, %d after they were sent", counts(1), counts(2))
	}
}

func TestAsOf_NamesTheVersionThatWasKnown(t *testing.T) {
	t.Parallel()
	db := past(t, pgtest.DB(t))
	at := noon()
	define(t, db, "D", columns{"alert_name": "First"})
	wantDecision(t, db, "D", at, bad, "TRUE", "FIRED")
	learned(t, db, onlyAlert(t, db), at)
	define(t, db, "D", columns{"alert_name": "Second", "threshold_value": 99})
	if name := value[string](t, db, "SELECT alert_name FROM monitoring.alerts_as_of($1)", at.Add(minutes(1))); name != "First" {
		t.Errorf("the alert of then is shown as %q", name)
	}
	// One that plain SQL wrote, without saying when it changed.
	exec(t, db, `
		WITH hub AS (INSERT INTO monitoring.alert_instance_h (alert_instance_hk, alert_instance_bk, alert_definition_hk)
		             VALUES (util.hash_binary('BY_HAND'), 'BY_HAND', util.hash_binary('D')) RETURNING alert_instance_hk)
		INSERT INTO monitoring.alert_instance_s (alert_instance_hk, hash_diff, alert_status, triggered_timestamp) SELECT alert_instance_hk, '\x', 'OPEN', $1 FROM hub`, at)
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alerts_as_of($1) WHERE alert_key = 'BY_HAND'", at.Add(minutes(1))); n != 1 {
		t.Errorf("of the one by hand there are %d", n)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.alerts_as_of($1, $2) WHERE alert_key = 'BY_HAND'", at.Add(minutes(1)), at.Add(minutes(2))); n != 0 {
		t.Errorf("of the one by hand %d were known a day ago", n)
	}
}

func TestHealthAsOf_IsWhatTheDashboardShowed(t *testing.T) {
	t.Parallel()
	db := connect(t, pgtest.DB(t))
	at := noon()
	exec(t, db, "SELECT monitoring.ensure_partitions_around($1)", at)
	exec(t, db, "ALTER TABLE monitoring.system_health_metric_s DISABLE TRIGGER t60_allow_only_closing")
	for minute, v := range map[float64]int{0: 1, 5: 2, 10: 3} {
		record(t, db, "blocked_backends", at.Add(minutes(minute)), v)
	}
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_date = measurement_timestamp + interval '1 second'")
	exec(t, db, "UPDATE monitoring.system_health_metric_s SET load_end_date = $1 WHERE metric_value = 2", at.Add(minutes(30))) // retracted
	show := func(valid, known float64) string {
		return fmt.Sprint(values[string](t, db, `
			SELECT metric_name || ' ' || trim_scale(metric_value) || ' ' || age_seconds FROM monitoring.health_as_of($1, $2, 'local')`, at.Add(minutes(valid)), at.Add(minutes(known))))
	}
	for _, c := range []struct {
		valid, known float64
		want         string
	}{
		{4, 4, "[blocked_backends 1 240.0]"},
		{6, 6, "[blocked_backends 2 60.0]"},
		{6, 31, "[blocked_backends 1 360.0]"},
		{12, 12, "[blocked_backends 3 120.0]"},
		{12, 9, "[blocked_backends 2 420.0]"},
		{-1, 60, "[]"},
		{71, 80, "[]"},
	} {
		if got := show(c.valid, c.known); got != c.want {
			t.Errorf("at %v known at %v: %s, want %s", c.valid, c.known, got, c.want)
		}
	}
	if got := value[int](t, db, "SELECT count(*) FROM monitoring.health_as_of($1, $1, 'elsewhere')", at.Add(minutes(6))); got != 0 {
		t.Errorf("elsewhere %d metrics", got)
	}
}

func TestAsOf_TheFutureIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for _, function := range []string{"alerts_as_of", "health_as_of"} {
		refused(t, db, "22023", []string{"p_at ", "lies in the future"}, "SELECT * FROM monitoring."+function+"(now() + interval '1 hour')")
		refused(t, db, "22023", []string{"p_known_at ", "lies in the future"}, "SELECT * FROM monitoring."+function+"(now(), now() + interval '1 hour')")
		refused(t, db, "22023", []string{"p_at is NULL"}, "SELECT * FROM monitoring."+function+"(NULL)")
	}
}

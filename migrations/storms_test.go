package migrations_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

// joins asks to which storm a group belongs that fired now; empty: to none.
func joins(t *testing.T, db database, target, definition string) string {
	t.Helper()
	found := values[string](t, db, `
		SELECT storm_kind || ' ' || storm_name || ' beyond ' || group_limit FROM monitoring.join_storm($1, $2, NULL, clock_timestamp())`, target, definition)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// setStorm writes the setting of a name.
func setStorm(t *testing.T, db database, name, value string) {
	t.Helper()
	bk := "STORM||" + name
	exec(t, db, "INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING", bk)
	exec(t, db, `INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
	             VALUES (util.hash_binary($1), '\x', $2, 'STORM', $3)`, bk, name, value)
}

func TestStorms_BeginWithTheGroupThatPassesTheLimitAndTakeInWhatFiresLater(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	for i := range 12 {
		define(t, db, fmt.Sprintf("D%d", i), nil)
	}
	for i := range 10 {
		fireOn(t, db, fmt.Sprintf("D%d", i), "local", "HIGH")
	}
	fireOn(t, db, "D0", "local", "HIGH") // another alert of a group is no other group
	if got := joins(t, db, "local", "D0"); got != "" {
		t.Fatalf("10 groups are %q, want no storm", got)
	}
	fireOn(t, db, "D10", "local", "HIGH")
	// Whoever asks is answered the same, also those that ask at the same moment.
	answers, wait := make([]string, 8), sync.WaitGroup{}
	for i := range answers {
		wait.Go(func() { answers[i] = joins(t, db, "local", fmt.Sprintf("D%d", i)) })
	}
	wait.Wait()
	for _, got := range answers {
		if got != "TARGET local beyond 10" {
			t.Errorf("11 groups are %q", got)
		}
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.storm_h"); n != 1 {
		t.Errorf("%d storms began, want 1", n)
	}
	if got := joins(t, db, "elsewhere", "D11"); got != "" {
		t.Errorf("another target belongs to %q", got)
	}
	key := value[string](t, db, "SELECT storm_bk FROM monitoring.storm_current WHERE ended_at IS NULL")
	if !value[bool](t, db, "SELECT monitoring.end_storm($1, clock_timestamp(), 11, 12)", key) {
		t.Error("the storm had ended before")
	}
	if value[bool](t, db, "SELECT monitoring.end_storm($1, clock_timestamp(), 11, 12)", key) {
		t.Error("it ended twice")
	}
	if got := value[string](t, db, "SELECT group_count || ' groups, ' || alert_count || ' alerts' FROM monitoring.storm_current WHERE ended_at IS NOT NULL"); got != "11 groups, 12 alerts" {
		t.Errorf("the storm that ended has %s", got)
	}
	if got := joins(t, db, "local", "D0"); got != "TARGET local beyond 10" {
		t.Errorf("the same 11 groups are %q, want another storm", got)
	}
	refused(t, db, "P0002", []string{`storm "none"`, "storm_current"}, "SELECT monitoring.end_storm('none', now(), 1, 1)")
}

func TestStorms_CountOneDefinitionOnManyTargets(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	define(t, db, "LAG", nil)
	for i := range 11 {
		fireOn(t, db, "LAG", fmt.Sprintf("pg-%d", i), "HIGH")
	}
	if got := joins(t, db, "pg-3", "LAG"); got != "DEFINITION LAG beyond 10" {
		t.Errorf("11 targets are %q", got)
	}
}

func TestStorms_LeaveOutWhatWasAnsweredIsMutedOrFiredAtAnotherTime(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	setStorm(t, db, "default", `{"groups": 2}`)
	var keys []string
	for i := range 3 {
		define(t, db, fmt.Sprintf("D%d", i), nil)
		keys = append(keys, fireOn(t, db, fmt.Sprintf("D%d", i), "local", "HIGH"))
	}
	count := func(at time.Time) int {
		return value[int](t, db, "SELECT monitoring.storm_groups('TARGET', 'local', NULL, $1, 60)", at)
	}
	if n := count(time.Now()); n != 3 {
		t.Fatalf("%d groups fired, want 3", n)
	}
	if n := count(time.Now().Add(-5 * time.Minute)); n != 0 {
		t.Errorf("%d groups fired five minutes ago, want none", n)
	}
	exec(t, db, "SELECT monitoring.acknowledge_alert(util.hash_binary($1), 'dana')", keys[0])
	if n := count(time.Now()); n != 2 {
		t.Errorf("%d groups beside an acknowledged one, want 2", n)
	}
	exec(t, db, "SELECT monitoring.add_silence('{definition=D1}', now() + interval '1 hour', 'CHG-812')")
	if n := count(time.Now()); n != 1 {
		t.Errorf("%d groups beside a silenced one, want 1", n)
	}
	if got := joins(t, db, "local", "D2"); got != "" {
		t.Errorf("it is %q, want no storm", got)
	}
}

func TestStorms_LimitAndWindowAreSetForAllAndForOneTarget(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	setting := func(target string) string {
		return value[string](t, db, "SELECT group_limit || ' ' || window_seconds || ' ' || is_enabled FROM monitoring.storm_setting($1)", target)
	}
	if got := setting("local"); got != "10 60 true" {
		t.Errorf("without a setting it is %q", got)
	}
	setStorm(t, db, "default", `{"groups": 5, "window_seconds": 30}`)
	setStorm(t, db, "target local", `{"groups": 2}`)
	if got := setting("local"); got != "2 30 true" {
		t.Errorf("of the target it is %q", got)
	}
	if got := setting("other"); got != "5 30 true" {
		t.Errorf("of another target it is %q", got)
	}
	const insert = `INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
	                VALUES (util.hash_binary('STORM||default'), '\x', $1, 'STORM', $2)`
	for _, bad := range []struct {
		name, value string
		words       []string
	}{
		{"pg-none", `{}`, []string{"'pg-none'", "onevault target list"}},
		{"target pg-none", `{}`, []string{"'target pg-none'", "onevault target list"}},
		{"target local", `{}`, []string{"'target local'", "STORM||target local already"}},
		{"default", `[]`, []string{"not an object", `"groups": 10`}},
		{"default", `{"group": 3}`, []string{"'group'", "unknown", `"groups": 10`}},
		{"default", `{"groups": 0}`, []string{"config_value.groups", "is 0", "from 1 to 1000"}},
		{"default", `{"groups": 2.5}`, []string{"config_value.groups", "2.5", "whole number"}},
		{"default", `{"window_seconds": "60"}`, []string{"config_value.window_seconds", `"60"`, "from 1 to 3600"}},
	} {
		refused(t, db, "22023", bad.words, insert, bad.name, bad.value)
	}
	exec(t, db, `INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value, is_enabled)
	             VALUES (util.hash_binary('STORM||target local'), '\x', 'target local', 'STORM', '{"groups": 2}', false)`)
	for i := range 3 {
		define(t, db, fmt.Sprintf("D%d", i), nil)
		fireOn(t, db, fmt.Sprintf("D%d", i), "local", "HIGH")
	}
	if got := joins(t, db, "local", "D0"); got != "" {
		t.Errorf("switched off it is %q", got)
	}
}

package migrations_test

import (
	"testing"
	"time"

	"onevault/pgserver/pgtest"
)

const putPolicy = `
	WITH hub AS (INSERT INTO monitoring.escalation_policy_h (escalation_policy_hk, escalation_policy_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING)
	INSERT INTO monitoring.escalation_policy_s (escalation_policy_hk, hash_diff, policy_name, escalation_levels, repeat_times, repeat_every_minutes, default_for_severities)
	VALUES (util.hash_binary($1), '\x', 'On call', $2::jsonb, $3, $4, $5)`

func policy(t *testing.T, db database, key, levels string, times, every int, severities ...string) {
	t.Helper()
	exec(t, db, `INSERT INTO monitoring.escalation_policy_h (escalation_policy_hk, escalation_policy_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, key)
	exec(t, db, putPolicy, key, levels, times, every, severities)
}

func TestPolicy_WhatContradictsItselfIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putChannel(t, db, "TEAM", nil)
	exec(t, db, `INSERT INTO monitoring.escalation_policy_h (escalation_policy_hk, escalation_policy_bk) VALUES (util.hash_binary('P'), 'P')`)
	for _, c := range []struct {
		levels       string
		times, every int
		severities   []string
		says         []string
	}{
		{`{}`, 0, 0, nil, []string{`"P"`, "escalation_levels", "1 to 20"}},
		{`[]`, 0, 0, nil, []string{"escalation_levels"}},
		{`[7]`, 0, 0, nil, []string{"escalation_levels[0]", "is 7"}},
		{`[{"chanels": ["TEAM"]}]`, 0, 0, nil, []string{"escalation_levels[0].chanels", "unknown", "after_minutes, channels"}},
		{`[{"after_minutes": 5}]`, 0, 0, nil, []string{"escalation_levels[0].after_minutes", "is 5", "at once"}},
		{`[{}, {}]`, 0, 0, nil, []string{"escalation_levels[1].after_minutes", "missing"}},
		{`[{}, {"after_minutes": "5"}]`, 0, 0, nil, []string{"escalation_levels[1].after_minutes", `"5"`, "whole number"}},
		{`[{}, {"after_minutes": 1.5}]`, 0, 0, nil, []string{"1.5", "whole number"}},
		{`[{}, {"after_minutes": 1e12}]`, 0, 0, nil, []string{"43200"}},
		{`[{}, {"after_minutes": 9}, {"after_minutes": 9}]`, 0, 0, nil, []string{"escalation_levels[2].after_minutes", "is 9", "10 or more"}},
		{`[{"repeat": 3, "every_minutes": 5}, {"after_minutes": 15}]`, 0, 0, nil, []string{"level 0 pages until minute 15", "16 or more"}},
		{`[{"repeat": 3}]`, 0, 0, nil, []string{"escalation_levels[0].every_minutes", "repeat is 3"}},
		{`[{"channels": []}]`, 0, 0, nil, []string{"escalation_levels[0].channels", "leave it out"}},
		{`[{"channels": "TEAM"}]`, 0, 0, nil, []string{"escalation_levels[0].channels", "a list"}},
		{`[{"channels": ["TEAMS"]}]`, 0, 0, nil, []string{`"TEAMS"`, "TEAM"}},
		{`[{"channels": [null]}]`, 0, 0, nil, []string{"escalation_levels[0].channels"}},
		{`[{}]`, 2, 0, nil, []string{"repeat_every_minutes", "is 0", "1 to 43200"}},
		{`[{"repeat": 2, "every_minutes": 5}]`, 1, 10, nil, []string{"repeat_every_minutes", "pages for 10 minutes"}},
		{`[{}]`, -1, 0, nil, []string{"repeat_times", "-1"}},
		{`[{}]`, 0, -1, nil, []string{"repeat_every_minutes", "-1"}},
		{`[{}]`, 0, 0, []string{"URGENT"}, []string{"default_for_severities", "URGENT", "CRITICAL"}},
	} {
		refused(t, db, "22023", c.says, `
			INSERT INTO monitoring.escalation_policy_s (escalation_policy_hk, hash_diff, policy_name, escalation_levels, repeat_times, repeat_every_minutes, default_for_severities)
			VALUES (util.hash_binary('P'), '\x', 'On call', $1::jsonb, $2, $3, $4)`, c.levels, c.times, c.every, c.severities)
	}
	if n := value[int](t, db, "SELECT count(*) FROM monitoring.escalation_policy_s"); n != 0 {
		t.Errorf("%d versions were kept", n)
	}
	policy(t, db, "P", `[{"channels": ["TEAM"]}, {"after_minutes": 15, "channels": ["EMAIL", "TEAM"], "repeat": 2, "every_minutes": 5}]`, 3, 30, "CRITICAL")
	exec(t, db, `INSERT INTO monitoring.escalation_policy_h (escalation_policy_hk, escalation_policy_bk) VALUES (util.hash_binary('Q'), 'Q')`)
	refused(t, db, "22023", []string{`"Q"`, "CRITICAL", `"P" is the default`}, `
		INSERT INTO monitoring.escalation_policy_s (escalation_policy_hk, hash_diff, policy_name, escalation_levels, default_for_severities)
		VALUES (util.hash_binary('Q'), '\x', 'Other', '[{}]', '{HIGH,CRITICAL}')`)
}

func TestPolicy_OfADefinition(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	policy(t, db, "NAMED", `[{}]`, 0, 0)
	policy(t, db, "STANDARD", `[{}, {"after_minutes": 10}]`, 0, 0, "HIGH")
	define(t, db, "D", nil)
	of := func() string {
		t.Helper()
		return value[string](t, db, `
			SELECT coalesce(monitoring.escalation_policy_of(d, clock_timestamp()) ->> 'key', 'none')
			  FROM monitoring.alert_definition_s d WHERE d.alert_definition_hk = util.hash_binary('D') AND d.load_end_date IS NULL`)
	}
	revise := func(set string) {
		t.Helper()
		exec(t, db, `
			INSERT INTO monitoring.alert_definition_s
			SELECT (jsonb_populate_record(d, $1::jsonb || '{"load_date": null}')).* FROM monitoring.alert_definition_s d
			 WHERE d.alert_definition_hk = util.hash_binary('D') AND d.load_end_date IS NULL`, set)
	}
	for _, step := range []struct{ set, want string }{
		{`{"alert_severity": "HIGH", "escalation_enabled": true}`, "STANDARD"},
		{`{"escalation_enabled": false}`, "none"}, // what does not escalate follows no default
		{`{"escalation_policy": "NAMED"}`, "NAMED"},
		{`{"escalation_enabled": true}`, "NAMED"},
		{`{"escalation_policy": null, "alert_severity": "LOW"}`, "none"},
	} {
		revise(step.set)
		if got := of(); got != step.want {
			t.Errorf("after %s it follows %s, want %s", step.set, got, step.want)
		}
	}
	refused(t, db, "22023", []string{"escalation_policy", `"NAMEED"`, "NAMED, STANDARD"}, `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, '{"escalation_policy": "NAMEED", "load_date": null}')).* FROM monitoring.alert_definition_s d
		 WHERE d.alert_definition_hk = util.hash_binary('D') AND d.load_end_date IS NULL`)
}

func TestPolicy_AnOpenAlertKeepsTheVersionThatItBeganWith(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	policy(t, db, "STANDARD", `[{}, {"after_minutes": 10}]`, 0, 0)
	key := openAlert(t, db, "D", time.Now().UTC().Truncate(time.Microsecond))
	exec(t, db, `
		INSERT INTO monitoring.alert_definition_s
		SELECT (jsonb_populate_record(d, '{"escalation_policy": "STANDARD", "load_date": null}')).* FROM monitoring.alert_definition_s d
		 WHERE d.alert_definition_hk = util.hash_binary('D') AND d.load_end_date IS NULL`)
	policy(t, db, "STANDARD", `[{}]`, 0, 0)
	if n := value[int](t, db, "SELECT jsonb_array_length(policy -> 'levels') FROM monitoring.alert_current WHERE alert_instance_bk = $1", key); n != 2 {
		t.Errorf("the alert's policy has %d levels, want those 2 of then", n)
	}
	// And nobody is escalated to whom it does not name.
	for level, want := range []bool{true, false} {
		if raised := value[bool](t, db, "SELECT monitoring.escalate_alert(util.hash_binary($1), 'dana')", key); raised != want {
			t.Errorf("escalated to level %d: %v, want %v", level+1, raised, want)
		}
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver/pgtest"
)

const storyOfLag = `version: 1
definitions:
  - key: TRIED_LAG
    name: Tried Lag
    category: PERFORMANCE
    severity: HIGH
    condition: replication_lag_s > threshold_value
    clear: replication_lag_s < 10
    threshold: 30
    pending: 10m
    suppress: 0m
    auto_resolve: true
  - key: TRIED_TREND
    name: Tried Trend
    category: PERFORMANCE
    severity: LOW
    condition: avg(replication_lag_s, 15m) > 40 && firing("TRIED_LAG") == 1
    suppress: 0m
    auto_resolve: true
  - key: TRIED_BACKUP
    name: Tried Backup
    category: BACKUP
    severity: HIGH
    source: backup_failures
    condition: failed_backup_count > 0
    auto_resolve: true
tests:
  - name: a lag of ten minutes fires, and clears below ten
    definition: TRIED_LAG
    series: {replication_lag_s: 0 0 50x4 20x2 0 0}
    expect:
      - {from: 0m, to: 5m, state: OK}
      - {at: 10m, state: pending}
      - {from: 20m, to: 35m, state: FIRING}
    fires: [20m]
    clears: [40m]
  - name: what is missing clears nothing
    definition: TRIED_LAG
    series: {replication_lag_s: 50x4 _x6}
    expect:
      - {from: 10m, to: 45m, state: FIRING}
    clears: []
  - name: a window, and another definition
    definition: TRIED_TREND
    series: {replication_lag_s: 0 0 50x6 0x6}
    fires: [20m]
    clears: [40m]
  - name: a failed backup
    definition: TRIED_BACKUP
    series: {failed_backup_count: 0 0 1 1 0}
    fires: [10m]
    clears: [20m]
`

func testInvocation(t *testing.T) invocation {
	t.Helper()
	return invocation{url: pgtest.DB(t)}
}

func TestDefinitionTest_SaysWhatHolds(t *testing.T) {
	t.Parallel()
	i := testInvocation(t)
	i.stdin = storyOfLag
	r := i.run(t, "definition", "test", "-")
	r.wants(t, exitDone, "ok    a lag of ten minutes", "ok    what is missing", "ok    a window", "ok    a failed backup")
	i.run(t, "definition", "export", "TRIED_LAG").wants(t, exitNotFound, "no definition TRIED_LAG") // nothing stays
	conn, err := pgx.Connect(t.Context(), i.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var left int
	if err := conn.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM monitoring.alert_instance_h) + (SELECT count(*) FROM monitoring.alert_evaluation_s) + (SELECT count(*) FROM monitoring.outbox)
		       + (SELECT count(*) FROM monitoring.system_health_metric_h WHERE target_name = 'definition-test')`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d rows stayed, %v", left, err)
	}
}

func TestDefinitionTest_ShowsWhatHappenedInstead(t *testing.T) {
	t.Parallel()
	i := testInvocation(t)
	i.stdin = strings.Replace(storyOfLag, "fires: [20m]", "fires: [15m]", 1)
	i.run(t, "definition", "test", "-").wants(t, exitError, "FAIL  a lag of ten minutes", "it fires at 20m, expected 15m", "PENDING", "FIRED", "RESOLVED",
		"ok    what is missing", "1 of 4 tests failed")
	i.stdin = strings.Replace(storyOfLag, "state: pending", "state: FIRING", 1)
	r := i.run(t, "definition", "test", "-", "-o", "json")
	var results []testResult
	if err := json.Unmarshal([]byte(r.out), &results); err != nil || r.code != exitError || len(results) != 4 || results[0].OK || !results[1].OK ||
		results[0].Differs[0] != "at 10m it is PENDING, expected FIRING" {
		t.Errorf("exit %d, %v: %s", r.code, err, r.out)
	}
}

func TestDefinitionTest_SaysWhatIsWrongWithTheFile(t *testing.T) {
	t.Parallel()
	i := testInvocation(t)
	for _, c := range []struct{ from, to, want string }{
		{"state: pending", "state: burning", `expect.state: is "burning"`},
		{"{at: 10m, ", "{att: 10m, ", `did you mean "at"?`},
		{"0 0 50x4 20x2", "0 0 50*4", `holds "50*4"`},
		{"definition: TRIED_TREND", "definition: NO_SUCH", "there is no such definition"},
		{"replication_lag_s > threshold_value", "replication_lagg_s > threshold_value", `Did you mean "replication_lag_s"?`},
		{"at: 10m", "at: 12m", "nobody looks at 12m: the definition is looked at every 5m"},
		{"replication_lag_s > threshold_value", `firing("TRIED_TREND") == 1`, "rests on itself"},
	} {
		if i.stdin = strings.Replace(storyOfLag, c.from, c.to, 1); i.stdin == storyOfLag {
			t.Fatal(c.from)
		}
		i.run(t, "definition", "test", "-").wants(t, exitError, c.want)
	}
	i.run(t, "definition", "test", "no-such.yaml").wants(t, exitNotFound, "there is no file")
	i.stdin, i.url = storyOfLag, "postgres://postgres@127.0.0.1:1/none"
	began := time.Now()
	i.run(t, "definition", "test", "-").wants(t, exitError, "the vault does not answer")
	if time.Since(began) > time.Minute {
		t.Error("it took more than a minute to say that there is no vault")
	}
}

func TestDefinitionTest_WhatFiresAgainSoonIsFiring(t *testing.T) {
	t.Parallel()
	i := testInvocation(t)
	i.stdin = `version: 1
definitions:
  - {key: COMES_AND_GOES, name: Comes And Goes, category: PERFORMANCE, severity: HIGH, condition: replication_lag_s > 30, reopen: 30m, auto_resolve: true}
tests:
  - name: it goes on
    definition: COMES_AND_GOES
    series: {replication_lag_s: 0 50 0 50 50 0}
    expect: [{from: 15m, to: 20m, state: FIRING}]
    fires: [5m, 15m]
    clears: [10m, 25m]
`
	i.run(t, "definition", "test", "-").wants(t, exitDone, "ok    it goes on")
}

const storyOfSlots = `version: 1
definitions:
  - {key: TRIED_SLOT, name: Tried Slot, category: CAPACITY, severity: HIGH, condition: slot_retained_bytes > 50, alert_by: [slot],
     pending: 5m, suppress: 0m, no_data: OK, auto_resolve: true}
  - {key: TRIED_REST, name: Tried Rest, category: CAPACITY, severity: LOW, condition: firing("TRIED_SLOT") == 1, suppress: 0m, auto_resolve: true}
tests:
  - name: the slot that nobody reads pages
    definition: TRIED_SLOT
    labels: {slot: standby_1}
    series:
      slot_retained_bytes{slot=standby_1, type=physical}: 0 60x6 0 0
      slot_retained_bytes{slot=standby_2, type=physical}: 0x9
    expect: [{at: 5m, state: PENDING}, {from: 10m, to: 30m, state: FIRING}]
    fires: [10m]
    clears: [35m]
  - name: the other does not
    definition: TRIED_SLOT
    labels: {slot: standby_2}
    series: {"slot_retained_bytes{slot=standby_1, type=physical}": 60x9, 'slot_retained_bytes{slot="standby_2", type="physical"}': 0x9}
    fires: []
  - name: a slot that is gone is over the line no more
    definition: TRIED_SLOT
    labels: {slot: standby_1}
    series: {"slot_retained_bytes{slot=standby_1, type=physical}": 60x4 _x6}
    fires: [5m]
    clears: [25m]
  - name: what rests on it hears of the worst
    definition: TRIED_REST
    series: {"slot_retained_bytes{slot=standby_1, type=physical}": 0 60x6 0 0, "slot_retained_bytes{slot=standby_2, type=physical}": 0x9}
    fires: [10m]
    clears: [35m]
`

func TestDefinitionTest_TriesEachLabelSet(t *testing.T) {
	t.Parallel()
	i := testInvocation(t)
	i.stdin = storyOfSlots
	i.run(t, "definition", "test", "-").wants(t, exitDone, "ok    the slot that nobody reads pages  (TRIED_SLOT, slot=standby_1)", "ok    the other", "ok    a slot that is gone", "ok    what rests on it")
	for _, c := range []struct{ from, to, want string }{
		{"0 60x6 0 0", "0 40x6 0 0", "it fires at no time, expected 10m"},
		{"    labels: {slot: standby_1}\n", "", "labels: {slot: ...}"},
		{"labels: {slot: standby_1}", "labels: {database: shop}", "the definition alerts by slot"},
		{"definition: TRIED_REST", "definition: TRIED_REST\n    labels: {slot: a}", "leave labels out"},
		{"{slot=standby_1, type=physical}", "{slot=standby_1}", "the metric has the labels slot, type"},
		{"{slot=standby_1, type=physical}", "{slot:standby_1}", "has the labels"},
		{"slot_retained_bytes{slot=standby_1, type=physical}", "slot_retained_bytes", "the metric has the labels slot, type"},
	} {
		if i.stdin = strings.Replace(storyOfSlots, c.from, c.to, 1); i.stdin == storyOfSlots {
			t.Fatal(c.from)
		}
		i.run(t, "definition", "test", "-").wants(t, exitError, c.want)
	}
}

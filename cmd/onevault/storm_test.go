package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

func TestStormList_ShowsThoseThatAreOnAndTheOthersWhenAsked(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("storm", "list").wants(t, exitDone, "no storm is on")
	// More groups than the limit on one target.
	l.psql(`INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary('STORM||default'), 'STORM||default')`)
	l.psql(`INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
	        VALUES (util.hash_binary('STORM||default'), '\x', 'default', 'STORM', '{"groups": 1}')`)
	fired := time.Now().UTC().Truncate(time.Microsecond)
	l.fire("local", connections, "HIGH", 93, fired)
	l.fire("local", wraparound, "CRITICAL", 81, fired)
	storm, is, err := l.store.JoinStorm(t.Context(), "local", connections, "", fired)
	if err != nil || !is {
		t.Fatalf("no storm began: %v", err)
	}
	l.cli("storm", "list").wants(t, exitDone, "storm/target/local", "ON", "STORM", "GROUPS", "LIMIT")
	l.cli("storm", "list", "-o", "name").wants(t, exitDone, "storm/target/local")

	if err := l.store.EndStorm(t.Context(), storm.Key, storm.BeganAt.Add(10*time.Minute), 2, 7); err != nil {
		t.Fatal(err)
	}
	if text := l.cli("storm", "list").out; strings.Contains(text, "storm/") {
		t.Errorf("what is over is listed as on:\n%s", text)
	}
	l.cli("storm", "list", "--all").wants(t, exitDone, "storm/target/local", "OVER", "10m")
	var shown []vault.ListedStorm
	if err := json.Unmarshal([]byte(l.cli("storm", "list", "--all", "-o", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown) != 1 || shown[0].Groups != 2 || shown[0].Alerts == nil || *shown[0].Alerts != 7 || shown[0].Limit != 1 || shown[0].EndedAt == nil {
		t.Errorf("as JSON: %+v", shown)
	}
}

package activities

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/collect"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// collecting is a worker's collection of one target, which is the vault's own server.
func collecting(t *testing.T, address, target string) *Collection {
	t.Helper()
	store, err := vault.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	watched, err := collect.OpenTarget(target, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watched.Close)
	return &Collection{Vault: store, Targets: map[string]*collect.Target{target: watched}}
}

func (c *Collection) mustCollect(t *testing.T, target string) CollectHealthOutput {
	t.Helper()
	out, err := c.CollectHealth(t.Context(), CollectHealthInput{Target: target, Every: 10 * time.Second})
	if err != nil || out.Error != "" {
		t.Fatalf("%v, %s", err, out.Error)
	}
	return out
}

// The first collection measures all; the next ones what is due, and so does a worker that has just started.
func TestCollectHealth_EachQueryAtItsCadenceWhateverBecomesOfTheWorker(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	first := collecting(t, address, "local")
	moments := func(metric string) int {
		return ask[int](t, first.Vault, "SELECT count(DISTINCT measurement_timestamp)::integer FROM monitoring.system_health_metric_s WHERE metric_name = '"+metric+"'")[0]
	}
	all := first.mustCollect(t, "local").Samples
	if some := collecting(t, address, "local").mustCollect(t, "local").Samples; some >= all || some < 40 {
		t.Errorf("%d samples at first, and %d by a worker that started anew", all, some)
	}
	first.mustCollect(t, "local")
	for metric, want := range map[string]int{"total_connections": 3, "target_reachable": 3, "disk_usage_pct": 3, "locks_granted": 1, "table_xid_age": 1, "server_info": 1, "settings_fingerprint": 1} {
		if got := moments(metric); got != want {
			t.Errorf("%s was measured %d times, want %d", metric, got, want)
		}
	}
	// An hour later, as far as the vault can tell.
	if _, err := first.Vault.Pool().Exec(t.Context(), "UPDATE monitoring.health_query_run SET ran_at = ran_at - interval '1 hour' WHERE query_name = 'wraparound_tables'"); err != nil {
		t.Fatal(err)
	}
	first.mustCollect(t, "local")
	if got := moments("table_xid_age"); got != 2 {
		t.Errorf("an hour later it was measured %d times, want 2", got)
	}
	// Another target is another matter.
	collecting(t, address, "there").mustCollect(t, "there")
	if got := moments("table_xid_age"); got != 3 {
		t.Errorf("with another target it was measured %d times, want 3", got)
	}
}

// A target that does not answer was not measured: what was due stays due.
func TestCollectHealth_WhatATargetThatIsDownMissesIsMeasuredWhenItIsBack(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	c := collecting(t, address, "local")
	down, err := collect.OpenTarget("local", "postgres://nobody@127.0.0.1:1/nothing")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(down.Close)
	up := c.Targets["local"]
	c.Targets["local"] = down
	out, err := c.CollectHealth(t.Context(), CollectHealthInput{Target: "local", Every: time.Minute})
	if err != nil || out.Error == "" {
		t.Fatalf("%v, %q", err, out.Error)
	}
	if n := ask[int](t, c.Vault, "SELECT count(*)::integer FROM monitoring.health_query_run")[0]; n != 0 {
		t.Errorf("%d queries are said to have run", n)
	}
	c.Targets["local"] = up
	c.mustCollect(t, "local")
	if n := ask[int](t, c.Vault, "SELECT count(*)::integer FROM monitoring.system_health_metric_s WHERE metric_name = 'table_xid_age'")[0]; n == 0 {
		t.Error("what is measured once an hour is missing")
	}
}

func TestCollectHealth_MeasuresWhatPeopleAdded(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	c := collecting(t, address, "local")
	exec := func(sql string) {
		t.Helper()
		if _, err := c.Vault.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("SELECT monitoring.apply_metric('answers', 'Answers', 'count', 'PERFORMANCE', 'SELECT 42 AS answers', p_warning => 40)")
	exec("SELECT monitoring.apply_metric('elsewhere', 'Only there', 'count', 'PERFORMANCE', 'SELECT 1 AS elsewhere', p_targets => '{there}')")
	exec("SELECT monitoring.apply_metric('by_place', 'By place', 'count', 'PERFORMANCE', 'SELECT place, length(place) AS by_place FROM unnest(ARRAY[''here'', ''yonder'']) AS place', p_labels => '{place}')")
	exec(`SELECT monitoring.save_metric('broken', 'It', 'count', 'PERFORMANCE', 0, '{}', NULL, E'-- metric broken [count] PERFORMANCE: It\n-- each 5s\nSELECT 1 AS broken')`)
	c.mustCollect(t, "local")
	got := ask[string](t, c.Vault, `
		SELECT concat_ws(' ', metric_name, labels ->> 'place', status, trim_scale(metric_value), data_source) FROM monitoring.system_health_metric_s
		 WHERE metric_name IN ('answers', 'elsewhere', 'by_place', 'broken') ORDER BY 1`)
	want := []string{"answers WARNING 42 answers", "broken UNKNOWN broken", "by_place here NORMAL 4 by_place", "by_place yonder NORMAL 6 by_place"}
	if !slices.Equal(got, want) {
		t.Errorf("measured %q, want %q", got, want)
	}
	for _, sql := range []string{
		"SELECT error FROM monitoring.health_query_run WHERE query_name = 'broken'",
		"SELECT additional_context ->> 'error' FROM monitoring.system_health_metric_s WHERE metric_name = 'broken'",
	} {
		if problem := ask[string](t, c.Vault, sql); len(problem) != 1 || !strings.Contains(problem[0], `"each" is no header field`) {
			t.Errorf("of the one that is broken the vault says %q", problem)
		}
	}
	exec("SELECT monitoring.remove_metric('answers')")
	c.mustCollect(t, "local")
	if n := ask[int](t, c.Vault, "SELECT count(*)::integer FROM monitoring.system_health_metric_s WHERE metric_name = 'answers'")[0]; n != 1 {
		t.Errorf("removed, it was measured %d times", n)
	}
}

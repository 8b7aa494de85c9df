package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// metricFile writes a metric of somebody's own and returns the file's name.
func metricFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "own.sql")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const tablesMetric = "-- metric table_count [count] CAPACITY warning 5000: Tables of the database\n-- every 5m\n\nSELECT count(*) AS table_count FROM pg_class WHERE relkind = 'r'\n"

func TestMetric_AppliedListedShownAndRemoved(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	file := metricFile(t, tablesMetric)
	l.cli("metric", "lint", file).wants(t, exitDone, "table_count is a metric: Tables of the database")
	l.cli("metric", "list", "--own", "-o", "name").wants(t, exitDone)
	l.cli("metric", "apply", file, "--actor", "dana").wants(t, exitDone, "applied table_count", "all targets")
	l.cli("metric", "apply", file, "--actor", "dana").wants(t, exitDone, "table_count stands so already")
	if got := l.cli("metric", "list", "--own", "-o", "name").out; got != "table_count\n" {
		t.Errorf("own metrics: %q", got)
	}
	l.cli("metric", "show", "table_count").wants(t, exitDone, "Tables of the database", "every", "5m", "14-", "dana", "SELECT count(*) AS table_count")
	l.cli("metric", "remove", "table_count").wants(t, exitDone, "removed table_count")
	l.cli("metric", "remove", "table_count").wants(t, exitDone, "removed before")
	l.cli("metric", "remove", "uptime_s").wants(t, exitNotFound, "built in, and stays")
	l.cli("metric", "show", "table_count").wants(t, exitNotFound, "metric list")
	if got := l.cli("metric", "list", "--own", "-o", "name").out; got != "" {
		t.Errorf("own metrics after the removal: %q", got)
	}
}

func TestMetricList_ShowsHowEachStands(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.sql("SELECT monitoring.collect_system_health_metrics()")
	l.sql(`SELECT monitoring.record_collection('local', NULL, clock_timestamp(), 60, monitoring.measure('wraparound'), '[{"query": "standby", "left_out": "the server is no standby"}]')`)
	l.sql(`SELECT monitoring.record_health_samples('local', NULL, clock_timestamp(), 60,
		'[{"name": "connection_usage_pct", "category": "AVAILABILITY", "unit": "%", "value": 93.5, "warning": 75, "critical": 90, "low_is_bad": false, "source": "test"}]')`)
	l.cli("metric", "list", "metric=connection_usage_pct").wants(t, exitDone, "CRITICAL", "93.5%", "each time", "Client sessions in per cent")
	l.cli("metric", "list", "metric=database_xid_age", "-o", "wide").wants(t, exitDone, "database", "NORMAL", " series", "1h", "AVAILABILITY", "14-", "wraparound", "built in")
	l.cli("metric", "list", "metric=standby_receiving", "-o", "wide").wants(t, exitDone, "not here", "the server is no standby")
	l.cli("metric", "list", "metric=slot_invalid", "-o", "wide").wants(t, exitDone, "14-15, 16-16, 17-")
	l.cli("metric", "list", "status=CRITICAL", "-o", "name").wants(t, exitDone, "connection_usage_pct\n")
	var list []struct {
		Metric, Unit, PostgreSQL string
		Own                      bool
	}
	if err := json.Unmarshal([]byte(l.cli("metric", "list", "-o", "json").out), &list); err != nil || len(list) < 100 {
		t.Fatalf("%d metrics, %v", len(list), err)
	}
	for _, m := range list {
		if m.Unit == "" || m.Own {
			t.Errorf("%+v", m)
		}
	}
	l.cli("metric", "list", "name=x").wants(t, exitUsage, `there is no field "name"`)
	l.cli("metric", "show", "checkpoints_timed_per_h").wants(t, exitDone, "pg_stat_checkpointer", "14-16, 17-")
}

func TestMetricLint_TellsAllThatIsWrong(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	good := metricFile(t, tablesMetric)
	missing := metricFile(t, "-- metric orders [count] CAPACITY: Orders\nSELECT count(*) AS orders FROM shop.orders")
	l.cli("metric", "lint", good, missing).wants(t, exitError, `orders: the SELECT is refused: relation "shop.orders" does not exist`, "docs/metrics.md")
	l.cli("metric", "apply", good, missing).wants(t, exitError, `relation "shop.orders" does not exist`)
	if got := l.cli("metric", "list", "--own", "-o", "name").out; got != "" {
		t.Errorf("one of two was refused, but applied: %q", got)
	}
	l.cli("metric", "lint", "--header-only", missing).wants(t, exitDone, "orders is a metric", "not shown to a server")
	l.cli("metric", "apply", "--header-only", "--target", "pg-prod-3", missing).wants(t, exitDone, "applied orders: measured on pg-prod-3")
	bad := metricFile(t, "-- metric uptime_s [s] CAPACITY: It\nSELECT 1 AS uptime_s")
	l.cli("metric", "lint", bad, metricFile(t, "SELECT 1"), metricFile(t, tablesMetric), good).wants(t, exitError,
		"uptime_s is the name of", "choose another", "own.sql:1: the file names no metric", "metric table_count is in", "as well")
	l.cli("metric", "lint", filepath.Join(t.TempDir(), "nothing.sql")).wants(t, exitError, "nothing.sql: no such file")
	l.cli("metric", "lint").wants(t, exitUsage)
	down := invocation{url: "postgres://nobody@127.0.0.1:1/x"}.run(t, "metric", "lint", good)
	down.wants(t, exitDone, "table_count is a metric", "no server was asked", "does not answer")
	if strings.Contains(down.out, "is refused") {
		t.Error(down.out)
	}
}

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

// counters are those of pg_stat_statements on a server that nobody runs; they only grow.
type counters struct {
	life
	target  string
	entries map[int64]*[18]any // by queryid
	scanned int64              // rows of orders
}

func newCounters(l life, target string) *counters {
	return &counters{life: l, target: target, entries: map[int64]*[18]any{}}
}

var shopTexts = [][]any{
	{10, 5, 101, true, "SELECT id, total\n  FROM orders\n WHERE customer_email = $1"},
	{10, 5, 102, true, "UPDATE stock SET left_over = left_over - $1 WHERE article = $2"},
	{10, 5, 103, true, "SELECT customer, sum(total) FROM invoices GROUP BY customer ORDER BY sum(total) DESC"},
	{10, 6, 101, true, "SELECT id, total FROM orders WHERE customer_email = $1"},
}

const shopPlan = `{"Node Type": "Gather", "Total Cost": 4210.5, "Plan Rows": 1, "Plans": [
	{"Node Type": "Seq Scan", "Schema": "public", "Relation Name": "orders", "Total Cost": 3210.5, "Plan Rows": 1, "Filter": "(orders.customer_email = $1)"}]}`

// ran adds to the counters of a statement.
func (c *counters) ran(queryID, calls int64, totalMS float64, rows, hit, read, temp int64) {
	e := c.entries[queryID]
	if e == nil {
		e = &[18]any{10, 5, queryID, true, int64(0), 0.0, int64(0), int64(0), int64(0), 0, 0, int64(0), 0, 0, 0, 0, 0, nil}
		c.entries[queryID] = e
	}
	e[4], e[5], e[6] = e[4].(int64)+calls, e[5].(float64)+totalMS, e[6].(int64)+rows
	e[7], e[8], e[11] = e[7].(int64)+hit, e[8].(int64)+read, e[11].(int64)+temp
}

// sample records the counters as they stand.
func (c *counters) sample(at time.Time) {
	c.t.Helper()
	entries := []any{}
	for _, e := range c.entries {
		entries = append(entries, e)
	}
	document := map[string]any{
		"sampled_at": at, "stats_reset": now.AddDate(0, -3, 0), "evicted": 0, "readable": true, "work_mem_bytes": 4 << 20, "block_bytes": 8192,
		"database": 5, "databases": map[string]string{"5": "shop", "6": "copy"}, "roles": map[string]string{"10": "app"},
		"entries": entries, "tables": [][]int64{{77, c.scanned / 200000, c.scanned, 200000, 3280}},
	}
	answers := map[string]any{
		"texts":  shopTexts,
		"tables": json.RawMessage(`[{"oid": 77, "schema": "public", "name": "orders", "columns": ["id", "customer_email", "total"], "indexed": ["id"]}]`),
		"plans":  []any{[]any{10, 5, 101, true, json.RawMessage(shopPlan), nil}},
	}
	if _, err := c.store.RecordStatements(c.t.Context(), c.target, time.Hour, encoded(c.t, document), encoded(c.t, answers)); err != nil {
		c.t.Fatal(err)
	}
}

func encoded(t *testing.T, value any) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// selling is a vault with ten days of a shop's statements. The search of orders became three times as slow today.
func selling(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	c := newCounters(l, "local")
	c.ran(101, 1_000_000, 9e8, 1_000_000, 1, 1, 0) // months ago
	c.ran(102, 1, 1, 0, 1, 0, 0)
	c.ran(103, 1, 1, 1, 1, 0, 0)
	for hour := 10 * 24; hour >= 0; hour -= 4 {
		slower := 1.0
		if hour < 24 {
			slower = 3
		}
		c.ran(101, 400, 400*20*slower, 400, 1_312_000, 4000, 0)
		c.scanned += 400 * 200000
		c.ran(102, 50_000, 2500, 50_000, 150_000, 0, 0)
		if hour%24 == 0 {
			c.ran(103, 1, 1500, 300, 2000, 9000, 25_600)
		}
		c.sample(now.Add(-time.Duration(hour)*time.Hour - 8*time.Minute))
	}
	return l
}

func TestStatement_ListsByWhatIsAsked(t *testing.T) {
	t.Parallel()
	l := selling(t)
	for name, args := range map[string]string{
		"statement-list":       "statement list",
		"statement-list-mean":  "statement list --by mean --since 2d -o wide",
		"statement-list-io":    "statement list --by io",
		"statement-list-calls": "statement list --by calls --limit 1 -o name",
	} {
		got := l.cli(strings.Fields(args)...)
		got.wants(t, exitDone)
		golden(t, name, got.out)
	}
}

func TestStatement_ShowsHistoryAdviceAndPlan(t *testing.T) {
	t.Parallel()
	l := selling(t)
	got := l.cli("statement", "show", "101")
	got.wants(t, exitDone)
	golden(t, "statement-show", got.out)
	got = invocation{url: l.url, color: true}.run(t, "statement", "show", "103")
	got.wants(t, exitDone)
	golden(t, "statement-show-terminal", got.out)

	id := strings.Fields(l.cli("statement", "list", "-o", "name").out)[0]
	var shown vault.ShownStatement
	if err := json.Unmarshal([]byte(l.cli("statement", "show", strings.ToLower(id), "-o", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	if shown.QueryID != "101" || shown.Calls != 6*400 || len(shown.Days) != 11 || len(shown.Plan) == 0 || len(shown.Suggestions) != 1 || shown.Suggestions[0].Kind() != "MISSING_INDEX" {
		t.Errorf("shows %+v", shown)
	}
	l.cli("statement", "show", shown.HashKey, "-o", "name").wants(t, exitDone, id)
}

// What months have counted before the first sample is no cost of the last day.
func TestStatement_AFirstSampleIsLeftOut(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	c := newCounters(l, "local")
	c.ran(101, 1_000_000, 9e8, 1_000_000, 1, 1, 0)
	c.sample(now.Add(-time.Hour))
	l.cli("statement", "list").wants(t, exitDone, "no statement was sampled since 2026-05-03 03:18:00 UTC", "the first sample of a target is left out")
	l.cli("statement", "show", "101").wants(t, exitDone, "not among the top since", "last 60m ago", "SELECT id, total")
}

func TestStatement_AnIdThatMeansSeveralNeedsMore(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for _, target := range []string{"local", "pg-prod-3"} {
		c := newCounters(l, target)
		c.ran(101, 1, 1, 1, 1, 0, 0)
		c.sample(now.Add(-time.Hour))
		c.ran(101, 1, 1, 1, 1, 0, 0)
		c.sample(now)
	}
	l.cli("statement", "show", "101").wants(t, exitUsage, `"101" means several statements: S-`, " on local in shop by app", " on pg-prod-3 in shop by app", "Give the id of one.")
	l.cli("statement", "show", "101", "--target", "pg-prod-3").wants(t, exitDone, "on pg-prod-3, database shop, role app, queryid 101")
}

func TestStatement_BadInputIsNamed(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.cli("statement", "list", "--by", "size").wants(t, exitUsage, `--by "size" is unknown: use total, mean, io, calls`)
	l.cli("statement", "list", "--limit", "0").wants(t, exitUsage, "--limit 0 is out of range: use 1 to 1000")
	l.cli("statement", "list", "--since", "yesterday").wants(t, exitUsage, `"yesterday"`)
	l.cli("statement", "show", "S-00000000").wants(t, exitNotFound, `no statement "S-00000000" is known`, "onevault statement list")
	l.cli("statement", "show").wants(t, exitUsage, "accepts 1 arg")
}

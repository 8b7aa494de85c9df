package collect_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/collect"
)

const whole = `-- metric jobs_waiting [count] PERFORMANCE warning 100 critical most evidence jobs: Jobs: those that wait
-- metric jobs_per_h [1/h] PERFORMANCE rate over 30m low optional: Jobs done
-- by queue, place
-- every 90s
-- from jobs
-- on primary
-- scope database
-- requires table shop.jobs
-- since begun
-- rows 20
-- reason why

-- from here on these are comments of any kind
-- versions 14-16
SELECT 1;

-- versions 17-
SELECT 2
`

func TestParseQuery_ReadsAllOfAFile(t *testing.T) {
	t.Parallel()
	q, err := collect.ParseQuery("jobs.sql", whole)
	if err != nil {
		t.Fatal(err)
	}
	waiting := collect.Metric{
		Name: "jobs_waiting", Unit: "count", Category: "PERFORMANCE", Kind: collect.KindValue, Warning: "100", Critical: "most", Evidence: "jobs",
		Description: "Jobs: those that wait",
	}
	done := collect.Metric{
		Name: "jobs_per_h", Unit: "1/h", Category: "PERFORMANCE", Kind: collect.KindRate, Over: 30 * time.Minute, LowIsBad: true, Optional: true, Description: "Jobs done",
	}
	if !slices.Equal(q.Metrics, []collect.Metric{waiting, done}) {
		t.Errorf("metrics %+v", q.Metrics)
	}
	if !slices.Equal(q.By, []string{"queue", "place"}) || q.Every != 90*time.Second || q.From != "jobs" || q.On != "primary" || q.Scope != "database" ||
		q.Table != "shop.jobs" || q.Since != "begun" || q.Rows != 20 || q.Reason != "why" {
		t.Errorf("got %+v", q)
	}
	if !slices.Equal(q.Variants, []collect.Variant{{From: 14, To: 16, SQL: "SELECT 1"}, {From: 17, To: 999, SQL: "SELECT 2"}}) || q.Versions() != "14-16, 17-" {
		t.Errorf("variants %+v, %s", q.Variants, q.Versions())
	}
}

func TestParseQuery_NamesFileLineValueAndRemedy(t *testing.T) {
	t.Parallel()
	const line = "-- metric a_b [count] CAPACITY: It\n"
	for text, parts := range map[string][]string{
		"SELECT 1":                        {"m.sql:1:", "names no metric", "-- metric NAME"},
		line:                              {"SELECT is missing"},
		line + "\n-- nothing but words\n": {"SELECT is missing"},
		"-- metric a_b count CAPACITY: It\nSELECT 1":                  {"m.sql:1:", `"a_b count CAPACITY: It"`, "-- metric NAME [UNIT] CATEGORY: description"},
		"-- metric A [count] CAPACITY: It\nSELECT 1":                  {`called "A"`, "small letters"},
		"-- metric a_b [] CAPACITY: It\nSELECT 1":                     {"unit of a_b", `""`},
		"-- metric a_b [count] CAPACITY:\nSELECT 1":                   {"a_b has no description"},
		"-- metric a_b [count] SIZE: It\nSELECT 1":                    {`category of a_b is "SIZE"`, "PERFORMANCE, CAPACITY"},
		line + line + "SELECT 1":                                      {"m.sql:2:", "a_b is given twice"},
		line + "-- every 1m30\nSELECT 1":                              {"m.sql:2:", `every is "1m30"`, "60s"},
		line + "-- every 0s\nSELECT 1":                                {`every is "0s"`},
		line + "-- every 48h\nSELECT 1":                               {`every is "48h"`, "24h"},
		line + "-- each 60s\nSELECT 1":                                {`"each" is no header field`, "every"},
		line + "-- by a, a\nSELECT 1":                                 {`by names the column "a"`, "each once"},
		line + "-- by a;b\nSELECT 1":                                  {`"a;b"`},
		line + "-- by a, b, c, d, e, f\nSELECT 1":                     {"6 columns", "at most 5"},
		line + "-- rows 0\nSELECT 1":                                  {`rows is "0"`, "1 to 200"},
		line + "-- rows 5\nSELECT 1":                                  {"nothing tells the rows apart", "-- by"},
		line + "-- on both\nSELECT 1":                                 {`on is "both"`, "primary or standby"},
		line + "-- requires shop.jobs\nSELECT 1":                      {`"shop.jobs"`, "table SCHEMA.NAME"},
		line + "-- by a\n-- empty never\nSELECT 1":                    {"without labels only"},
		line + "-- versions 9\nSELECT 1":                              {"m.sql:2:", `versions is "9"`, "14-16"},
		line + "-- versions 16-14\nSELECT 1":                          {"16-14", "before the first"},
		line + "-- versions 14-\n-- versions 17-\nS":                  {"14-", "missing"},
		line + "-- versions 14-\nSELECT 1\n-- versions 16-\nSELECT 1": {"16- overlaps 14-"},
		line + "DELETE FROM a":                                        {`begins with "DELETE"`, "one SELECT"},
		"-- metric a_b [count] CAPACITY rate: It\nSELECT 1":           {"unit of the rate a_b", "/s, /min, /h or /d"},
		"-- metric a_b [1/s] CAPACITY rate over 2h: It\nSELECT 1":     {`"2h"`, "between 1s and 1h"},
		"-- metric a_b [%] CAPACITY share b: It\nSELECT 1":            {"share of COLUMN"},
		"-- metric a_b [%] CAPACITY warning: It\nSELECT 1":            {"warning of a_b", "a number, or the column"},
		"-- metric a_b [%] CAPACITY warning NaN: It\nSELECT 1":        {`"NaN"`},
		"-- metric a_b [%] CAPACITY warning 1e30: It\nSELECT 1":       {`"1e30"`},
		"-- metric a_b [%] CAPACITY bad 5: It\nSELECT 1":              {`"bad" is no option of a_b`, "warning N"},
		"-- metric a_b [%] CAPACITY evidence: It\nSELECT 1":           {"evidence of a_b"},
		line + "SELECT 1" + strings.Repeat(" ", 100_000):              {"100043 bytes", "up to 100000"},
	} {
		_, err := collect.ParseQuery("m.sql", text)
		if err == nil {
			t.Errorf("%.60q is accepted", text)
			continue
		}
		for _, part := range append(parts, "m.sql:") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.60q: %v; want it to say %q", text, err, part)
			}
		}
	}
}

func TestParseOwnQuery_RefusesNamesThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"total_connections", "sessions", "target_reachable", "statement_period_s", "capacity_unmeasured"} {
		_, err := collect.ParseOwnQuery("m.sql", "-- metric "+name+" [count] CAPACITY: It\nSELECT 1 AS "+name)
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "choose another") {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := collect.ParseOwnQuery("m.sql", "-- metric a_b [count] CAPACITY: It\n-- metric a_c [count] CAPACITY: It\nSELECT 1")
	if err == nil || !strings.Contains(err.Error(), "2 metrics") {
		t.Errorf("two metrics: %v", err)
	}
}

func TestStatement_OfAVersionWithoutASelectIsAnError(t *testing.T) {
	t.Parallel()
	q, err := collect.ParseQuery("m.sql", "-- metric a_b [count] CAPACITY: It\n-- versions 15-16\nSELECT 15 AS a_b\n-- versions 18-\nSELECT 18 AS a_b")
	if err != nil {
		t.Fatal(err)
	}
	for major, want := range map[int]string{15: "SELECT 15", 16: "SELECT 15", 18: "SELECT 18", 21: "SELECT 18", 14: "", 17: ""} {
		statement, err := q.Statement(major)
		if want == "" && (err == nil || !strings.Contains(err.Error(), "not supported") || !strings.Contains(err.Error(), "15-16, 18-")) {
			t.Errorf("%d: %v", major, err)
		}
		if want != "" && (err != nil || !strings.Contains(statement, want)) {
			t.Errorf("%d: %v, %s", major, err, statement)
		}
	}
}

func TestDue_EachAtItsOwnCadence(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	queries := []collect.Query{{Name: "each"}, {Name: "minute", Every: time.Minute}, {Name: "hour", Every: time.Hour}, {Name: "new", Every: time.Hour}}
	for ago, want := range map[time.Duration]string{
		10 * time.Second: "each new",
		53 * time.Second: "each new",
		54 * time.Second: "each minute new", // a tenth early is still the next one
		53 * time.Minute: "each minute new",
		time.Hour:        "each minute hour new",
		-time.Minute:     "each minute hour new", // of a clock that was set back
	} {
		at := now.Add(-ago)
		var got []string
		for _, q := range collect.Due(queries, map[string]time.Time{"each": at, "minute": at, "hour": at}, now) {
			got = append(got, q.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s ago: %q, want %q", ago, got, want)
		}
	}
}

package definitions_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"onevault/cmd/onevault/definitions"
	"onevault/vault"
)

var update = flag.Bool("update", false, "rewrite the published schema")

const whole = `# Our own rules.
version: 1
definitions:
  - &lag
    key: LAG
    name: Replication Lag
    category: PERFORMANCE
    severity: HIGH
    condition: replication_lag_s > threshold_value  # seconds
    threshold: 030.50
    operator: ">"
    every: 1m
    pending: 2h
    suppress: 0m
    auto_resolve: true
    escalate_after: 15m
    channels: [EMAIL, ONCALL]
  - <<: *lag
    key: LAG_CRITICAL
    severity: CRITICAL
    threshold: 300
`

func TestParse_ReadsCommentsAnchorsAndDefaults(t *testing.T) {
	t.Parallel()
	got, problems := definitions.Parse([]byte(whole))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	lag := vault.DefinitionSpec{
		Key: "LAG", Name: "Replication Lag", Category: "PERFORMANCE", Severity: "HIGH", Enabled: true, Source: "system_health",
		Condition: "replication_lag_s > threshold_value", Threshold: "30.5", Operator: ">", EveryMinutes: 1, LookbackMinutes: 10, PendingMinutes: 120,
		NoData: "NO_DATA", NoDataMinutes: 15, AutoResolve: true, EscalateMinutes: 15, Channels: []string{"EMAIL", "ONCALL"},
		FireLooks: 1, OfLooks: 1, FlapCount: 4, FlapMinutes: 30,
	}
	critical := lag
	critical.Key, critical.Severity, critical.Threshold = "LAG_CRITICAL", "CRITICAL", "300"
	for i, want := range []vault.DefinitionSpec{lag, critical} {
		if !reflect.DeepEqual(got[i].DefinitionSpec, want) {
			t.Errorf("read %+v\nwant %+v", got[i].DefinitionSpec, want)
		}
	}
	if got[1].Line != 18 {
		t.Errorf("the second begins in line %d", got[1].Line)
	}
}

func TestWrite_IsReadBackToTheSame(t *testing.T) {
	t.Parallel()
	specs := []vault.DefinitionSpec{
		{
			Key: "A", Name: "yes", Description: "two\nlines: # no comment", Category: "CAPACITY", Severity: "LOW", Source: "capacity", Condition: `a == "x"`,
			Clear: "a != 'x'", Threshold: "-0.5", Operator: "=", EveryMinutes: 1440, LookbackMinutes: 90, ClearMinutes: 61, NoData: "ALERT", NoDataMinutes: 0,
			Channels: []string{"on", "12"}, Runbook: "- look", RunbookURL: "https://example.com/#a",
			FireLooks: 3, OfLooks: 5, MinOpenMinutes: 10, ReopenMinutes: 15, FlapCount: 0, FlapMinutes: 60,
		},
		{Key: "B", Name: "b", Category: "SECURITY", Severity: "CRITICAL", Enabled: true, Source: "system_health", Condition: "x > 1", EveryMinutes: 5, LookbackMinutes: 10, SuppressMinutes: 60, NoData: "NO_DATA", NoDataMinutes: 15, FireLooks: 1, OfLooks: 1, FlapCount: 4, FlapMinutes: 30},
	}
	text, err := definitions.Write(specs)
	if err != nil {
		t.Fatal(err)
	}
	got, problems := definitions.Parse(text)
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, text)
	}
	for i := range specs {
		if !reflect.DeepEqual(got[i].DefinitionSpec, specs[i]) {
			t.Errorf("read %+v\nwant %+v\nfrom\n%s", got[i].DefinitionSpec, specs[i], text)
		}
	}
	if strings.Contains(string(text), "every: 5m") {
		t.Errorf("what has its default value is written:\n%s", text)
	}
}

func TestParse_SaysWhatIsWrongWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	one := func(lines string) string {
		return "version: 1\ndefinitions:\n  - key: D\n    name: N\n    category: PERFORMANCE\n    severity: HIGH\n    condition: x > 1\n" + lines
	}
	for text, want := range map[string]string{
		"":                                     "0 : the file is empty (begin with",
		"- a":                                  "1 : the file is a list, not a mapping",
		"a: [":                                 "this is no YAML",
		"version: 1\ndefinitions: []\n---\na":  "more than one document",
		"definitions: []":                      "1 version: missing (write `version: 1`)",
		"version: 2\ndefinitions: []":          `1 version: is "2" (write`,
		"version: 1":                           "1 definitions: missing, or not a list",
		"version: 1\ndefinition: []":           `2 definition: unknown field (did you mean "definitions"?)`,
		"version: 1\ndefinitions: [a]":         `2 : a definition is "a", not a mapping`,
		"version: 1\ndefinitions:\n  - key: D": "3 D.name: missing (write `name: Replication Lag`)",
		one("    treshold: 3"):                 `8 D.treshold: unknown field (did you mean "threshold"?)`,
		one("    qqqqqqqqqqqqqqq: 3"):          "8 D.qqqqqqqqqqqqqqq: unknown field (use one of key, name",
		one("    name: again"):                 "8 name: stands twice, first in line 4 (take one of them out)",
		one("    threshold: 30s"):              `8 D.threshold: is "30s" (write a decimal number, without a unit`,
		one("    threshold: 1e3"):              `is "1e3"`,
		one("    threshold: .nan"):             `is ".nan"`,
		one("    threshold: [1]"):              "8 D.threshold: is a list, not one value",
		one("    every: 5"):                    `8 D.every: is "5" (write whole minutes, hours or days, at least 1m`,
		one("    every: 0m"):                   `8 D.every: is "0m"`,
		one("    every: 30s"):                  `8 D.every: is "30s"`,
		one("    every: 999999999999999999d"):  "8 D.every: is",
		one("    pending: -1m"):                `8 D.pending: is "-1m"`,
		one("    enabled: yes"):                `8 D.enabled: is "yes" (write true or false)`,
		one("    no_data: alert"):              `8 D.no_data: is "alert" (write ALERT)`,
		one("    operator: '=>'"):              `8 D.operator: is "=>" (use one of >, <`,
		one("    channels: EMAIL"):             `8 D.channels: is "EMAIL" (write a list`,
		one("    channels: [EMAIL, EMAIL]"):    `holds "EMAIL" twice`,
		one("    runbook:"):                    "8 D.runbook: is empty (write a text, or leave the line out)",
		one("  - key: D\n    name: M\n    category: X\n    severity: LOW\n    condition: y > 1"): "8 D.key: is that of the definition in line 3, too",
		strings.Replace(one(""), "key: D", "key: a b", 1):                                        `3 a b.key: is "a b" (use at most 100 letters`,
		strings.Replace(one(""), "severity: HIGH", "severity: high", 1):                          `6 D.severity: is "high" (write HIGH)`,
	} {
		got, problems := definitions.Parse([]byte(text))
		if got != nil {
			t.Errorf("%q was read", text)
		}
		var said []string
		for _, p := range problems {
			said = append(said, fmt.Sprintf("%d %s: %s (%s)", p.Line, strings.Trim(p.Key+"."+p.Field, "."), p.Text, p.Remedy))
		}
		if all := strings.Join(said, "\n"); !strings.Contains(all, want) {
			t.Errorf("%q\n  said %s\n  want %s", text, all, want)
		}
	}
}

func FuzzParse_ReadsOrRefusesAndNeverPanics(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("version: 1\ndefinitions: [{key: A, <<: {name: B}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, problems := definitions.Parse(text)
		if len(problems) > 0 {
			return
		}
		specs := make([]vault.DefinitionSpec, len(got))
		for i, d := range got {
			specs[i] = d.DefinitionSpec
		}
		again, err := definitions.Write(specs)
		if err != nil {
			t.Fatal(err)
		}
		back, problems := definitions.Parse(again)
		if len(problems) > 0 || len(back) != len(got) {
			t.Fatalf("what was read cannot be read again: %v\n%s", problems, again)
		}
		for i := range back {
			if !reflect.DeepEqual(back[i].DefinitionSpec, got[i].DefinitionSpec) {
				t.Fatalf("read %+v, then %+v", got[i].DefinitionSpec, back[i].DefinitionSpec)
			}
		}
	})
}

func TestCompare_TellsWhatWouldBeWritten(t *testing.T) {
	t.Parallel()
	file, problems := definitions.Parse([]byte(whole))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	before := file[0].DefinitionSpec
	before.Threshold, before.Channels, before.EscalateMinutes = "20", nil, 0
	other, off := vault.DefinitionSpec{Key: "OTHER", Enabled: true}, vault.DefinitionSpec{Key: "OFF"}
	stands := []vault.DefinitionVersion{{DefinitionSpec: before, Open: 2}, {DefinitionSpec: other}, {DefinitionSpec: off}}
	for _, c := range []struct {
		prune bool
		want  string
	}{
		{false, "LAG changed 2 [{threshold 20 30.5} {escalate_after  15m} {channels  EMAIL, ONCALL}]; LAG_CRITICAL added 0 []; OFF absent 0 []; OTHER absent 0 []"},
		{true, "LAG changed 2 [{threshold 20 30.5} {escalate_after  15m} {channels  EMAIL, ONCALL}]; LAG_CRITICAL added 0 []; OFF absent 0 []; OTHER disabled 0 [{enabled true false}]"},
	} {
		var got []string
		for _, d := range definitions.Compare(file, stands, c.prune) {
			got = append(got, fmt.Sprint(d.Key, " ", d.Kind, " ", d.Open, " ", d.Changes))
		}
		if all := strings.Join(got, "; "); all != c.want {
			t.Errorf("got  %s\nwant %s", all, c.want)
		}
	}
}

func TestSchema_IsThePublishedOneAndNamesEveryField(t *testing.T) {
	t.Parallel()
	const published = "../../../docs/definitions.schema.json"
	got, err := definitions.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(published, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(published)
	if err != nil || string(want) != string(got) {
		t.Errorf("docs/definitions.schema.json is not what `onevault definition schema` prints (%v); run: go test ./cmd/onevault/definitions -update", err)
	}
	var schema struct {
		Properties struct {
			Definitions struct {
				Items struct {
					Properties map[string]any
					Required   []string
				}
			}
		}
	}
	if err := json.Unmarshal(got, &schema); err != nil {
		t.Fatal(err)
	}
	// Each property of the schema is a field of the file: given alone it is not unknown.
	for name := range schema.Properties.Definitions.Items.Properties {
		_, problems := definitions.Parse([]byte("version: 1\ndefinitions: [{" + name + ": 1}]"))
		for _, p := range problems {
			if p.Text == "unknown field" {
				t.Errorf("%s is in the schema and not in the file", name)
			}
		}
	}
	if n := len(schema.Properties.Definitions.Items.Properties); n != reflect.TypeFor[vault.DefinitionSpec]().NumField() {
		t.Errorf("the schema has %d fields, a definition %d", n, reflect.TypeFor[vault.DefinitionSpec]().NumField())
	}
	if got := fmt.Sprint(schema.Properties.Definitions.Items.Required); got != "[key name category severity condition]" {
		t.Errorf("required are %s", got)
	}
}

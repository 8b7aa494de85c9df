package collect

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWithoutConstants_KeepsNamesAndParameters(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"(customer_email = $1)":                                     "(customer_email = $1)",
		"((orders.status)::text = 'paid'::text)":                    "((orders.status)::text = ?::text)",
		"(note <> 'it''s ''quoted'''::text)":                        "(note <> ?::text)",
		`(note <> E'back\\slash \' quote'::text)`:                   "(note <> ?::text)",
		"(card = '4111111111111111'::bigint)":                       "(card = ?::bigint)",
		"(amount > 4111.50)":                                        "(amount > ?)",
		"(rate < 1e+20)":                                            "(rate < ?)",
		"(amount > '-5'::integer)":                                  "(amount > ?::integer)",
		`("Müller's 7 table"."x1 'y'" = 5)`:                         `("Müller's 7 table"."x1 'y'" = ?)`,
		"(t1.col2 = $12)":                                           "(t1.col2 = $12)",
		"(mask = B'1011'::\"bit\")":                                 "(mask = ?::\"bit\")",
		"(id = ANY ('{1,2,3}'::integer[]))":                         "(id = ANY (?::integer[]))",
		"(ensemble.essence = ex.bx)":                                "(ensemble.essence = ex.bx)",
		"(note = 'unfinished":                                       "(note = ?",
		"(straße = 'x'::text)":                                      "(straße = ?::text)",
		"((price)::numeric(10,2) = 3)":                              "((price)::numeric(?,?) = ?)",
		"(to_date(day, 'YYYY'::text) > '2026-01-01'::date)":         "(to_date(day, ?::text) > ?::date)",
		"((a || 'E'::text) = E'\\\\')":                              "((a || ?::text) = ?)",
		"(SubPlan 1)":                                               "(SubPlan ?)",
		"(md5((c)::text) = 'd41d8cd98f00b204e980'::text)":           "(md5((c)::text) = ?::text)",
		"((doc ->> 'token'::text) = 'hunter2 \"in\" quotes'::text)": "((doc ->> ?::text) = ?::text)",
	} {
		if got := withoutConstants(expression); got != want {
			t.Errorf("%s: got %s, want %s", expression, got, want)
		}
	}
}

func TestParsePlan_KeepsWhatIsNeededAndNothingElse(t *testing.T) {
	t.Parallel()
	node, err := parsePlan([]byte(`[{"Plan": {"Node Type": "Limit", "Total Cost": 5.5, "Plan Rows": 1, "Output": ["'hunter2'::text"], "Plans": [
		{"Node Type": "Seq Scan", "Parallel Aware": true, "Schema": "public", "Relation Name": "orders", "Alias": "o",
		 "Filter": "(o.note = 'hunter2'::text)", "Sort Key": ["o.id", "(o.note = 'hunter2'::text)"], "Function Call": "f('hunter2')"}]}}]`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(node)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "hunter2") {
		t.Errorf("the secret stands in %s", text)
	}
	for _, part := range []string{`"Node Type":"Seq Scan"`, `"Schema":"public"`, `"Filter":"(o.note = ?::text)"`, `"Total Cost":5.5`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is missing in %s", part, text)
		}
	}
}

func TestParsePlan_AUtilityStatementHasNone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`["Utility Statement"]`, `[]`, `[{}]`, `nonsense`} {
		if node, err := parsePlan([]byte(answer)); err == nil {
			t.Errorf("%s: got %+v", answer, node)
		}
	}
}

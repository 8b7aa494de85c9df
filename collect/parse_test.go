package collect

import (
	"strings"
	"testing"
)

func TestParseQuery_ReadsTheHeader(t *testing.T) {
	t.Parallel()
	q, err := parseQuery("example", "-- metric a: First of them\n-- metric b: Second: with a colon\n-- requires: auth.session_h\nSELECT 1\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []Metric{{"a", "First of them"}, {"b", "Second: with a colon"}}
	if len(q.Metrics) != 2 || q.Metrics[0] != want[0] || q.Metrics[1] != want[1] || q.Requires != "auth.session_h" || q.Name != "example" {
		t.Errorf("got %+v", q)
	}
}

func TestParseQuery_RefusesAHeaderThatSaysTooLittle(t *testing.T) {
	t.Parallel()
	for text, word := range map[string]string{
		"SELECT 1":                       "names no metric",
		"-- metric a\nSELECT 1":          "lacks a description",
		"-- requires: auth.x\nSELECT 1":  "names no metric",
		"-- metrics: a, b\nSELECT 1, 2 ": "names no metric",
	} {
		_, err := parseQuery("example", text)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "example") {
			t.Errorf("%q: got %v, want it to name the query and say %q", text, err, word)
		}
	}
}

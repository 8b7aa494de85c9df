package matcher_test

import (
	"strings"
	"testing"

	"onevault/cmd/onevault/matcher"
)

func TestMatch_AllMatchersMustHold(t *testing.T) {
	t.Parallel()
	fields := map[string]string{"severity": "CRITICAL", "target": "pg-prod-3", "acked_by": ""}
	for text, want := range map[string]bool{
		"":                                    true,
		"severity=CRITICAL":                   true,
		"severity=critical":                   true,
		"severity=CRIT":                       false,
		"severity!=LOW":                       true,
		"severity!=CRITICAL":                  false,
		"target=~prod":                        true,
		"target=~^PG-.*-[0-9]$":               true,
		"target=~^prod":                       false,
		"target!~prod":                        false,
		"target!~dev":                         true,
		"acked_by=":                           true,
		"acked_by!=":                          false,
		"severity=CRITICAL target=~prod":      true,
		"severity=CRITICAL target=~staging":   false,
		"SEVERITY=CRITICAL target=pg-prod-3":  true,
		"target=~a=b":                         false,
		"severity=~^(HIGH|CRITICAL)$":         true,
		"severity=HIGH severity=CRITICAL":     false,
		"target!=pg-prod-1 target!=pg-prod-2": true,
	} {
		set, err := matcher.Parse(strings.Fields(text), "severity", "target", "acked_by")
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := set.Match(func(name string) string { return fields[name] }); got != want {
			t.Errorf("%q matches: %v, want %v", text, got, want)
		}
	}
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"critical":         "field=value",
		"=x":               "field=value",
		"sevrity=CRITICAL": "use severity, target",
		"target=~(":        "missing closing )",
	} {
		if _, err := matcher.Parse([]string{text}, "severity", "target"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error = %v, want %q in it", text, err, want)
		}
	}
}

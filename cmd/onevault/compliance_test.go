package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onevault/vault"
)

func percent(value float64) *float64 { return &value }

// audited is a vault with three runs of three controls: one that is met, one that was lost ten days ago and
// is overdue, one that could not be tested.
func audited(t *testing.T) life {
	t.Helper()
	l := newLife(t)
	for day := 20; day >= 0; day -= 10 {
		status, score, evidence := "COMPLIANT", percent(100), map[string]any{"extra_superusers": 0}
		if day < 20 {
			status, score, evidence = "NON_COMPLIANT", percent(0), map[string]any{"extra_superusers": 2, "roles": []string{"boss", "chief"}}
		}
		results := []vault.ControlResult{
			{
				Control: "C08", Title: "Only the bootstrap role is a superuser", Asks: "No other role has SUPERUSER.", Category: "ACCESS_CONTROL", Severity: "CRITICAL",
				Remediation: "ALTER ROLE ... NOSUPERUSER", Source: "pg_roles", Status: status, Score: score, Evidence: evidence,
				Clauses: []vault.ControlClause{{Framework: "HIPAA", Clause: "164.308(a)(4)(i)", Text: "Information access management"}, {Framework: "PCI DSS", Clause: "7.2.2", Text: "Least privilege"}},
			},
			{
				Control: "C22", Title: "Log lines carry time, user, database and host", Asks: "Fields.", Category: "AUDIT_LOGGING", Severity: "MEDIUM",
				Remediation: "SET log_line_prefix", Status: "PARTIALLY_COMPLIANT", Score: percent(50), Evidence: map[string]any{"log_line_prefix": "%m "},
				Clauses: []vault.ControlClause{{Framework: "HIPAA", Clause: "164.312(b)", Text: "Audit controls"}},
			},
			{
				Control: "C19", Title: "The server's log is kept", Asks: "Logs are kept.", Category: "AUDIT_LOGGING", Severity: "CRITICAL",
				Remediation: "SET logging_collector", Status: "NOT_TESTED", Evidence: map[string]any{"reason": "the log goes to standard error"},
				Clauses: []vault.ControlClause{{Framework: "HIPAA", Clause: "164.312(b)", Text: "Audit controls"}},
			},
		}
		at := now.AddDate(0, 0, -day)
		if _, err := l.store.RecordCompliance(t.Context(), "local", at, "compliance/"+at.Format(time.DateOnly), results, true); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func TestCompliance_ListsShowsAndReports(t *testing.T) {
	t.Parallel()
	l := audited(t)
	for name, args := range map[string][]string{
		"compliance-list":   {"list"},
		"compliance-show":   {"show", "c08"},
		"compliance-report": {"report", "--framework", "hipaa"},
	} {
		got := invocation{url: l.url}.run(t, append([]string{"compliance"}, args...)...)
		got.wants(t, exitDone)
		golden(t, name, got.out)
	}
	got := invocation{url: l.url}.run(t, "compliance", "list", "status=NON_COMPLIANT", "--framework", "pci-dss", "-o", "json")
	got.wants(t, exitDone)
	var list []vault.ListedControl
	if err := json.Unmarshal([]byte(got.out), &list); err != nil || len(list) != 1 || list[0].Framework != "PCI DSS" || !list[0].Overdue || list[0].Deadline != "2026-05-01" {
		t.Errorf("%+v, %v", list, err)
	}
	invocation{url: l.url}.run(t, "compliance", "list", "--framework", "iso").wants(t, exitNotFound, "use one of: HIPAA, PCI DSS")
	invocation{url: l.url}.run(t, "compliance", "list", "colour=red").wants(t, exitUsage, "framework, control")
}

func TestCompliance_ReportIsAPageAsWell(t *testing.T) {
	t.Parallel()
	l := audited(t)
	file := filepath.Join(t.TempDir(), "hipaa.html")
	invocation{url: l.url}.run(t, "compliance", "report", "--framework", "hipaa", "--html", file).wants(t, exitDone, "wrote "+file, "164.312(b)")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"HIPAA 164.308(a)(4)(i)", "Information access management", "ALTER ROLE ... NOSUPERUSER", "boss", "2026-05-01 overdue", "the log goes to standard error",
		"@media print", "prefers-color-scheme: dark", "default-src 'none'",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(text), "<script") || strings.Contains(string(text), "src=") {
		t.Error("the page wants a network")
	}
	invocation{url: l.url}.run(t, "compliance", "report", "--framework", "hipaa", "--html", "-").wants(t, exitDone, "<!DOCTYPE html>")
	invocation{url: l.url}.run(t, "compliance", "report", "--framework", "hipaa", "--html", filepath.Join(t.TempDir(), "no", "where")).wants(t, exitError, "no such file")
}

func TestCompliance_FailsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	l := audited(t)
	for args, code := range map[string]int{
		"report --framework hipaa":                         exitDone,
		"report --framework hipaa --fail-on non_compliant": exitError,
		"report --framework PCI_DSS --fail-on CRITICAL":    exitError,
		"report --framework hipaa --fail-on sometimes":     exitUsage,
		"report": exitUsage,
		"report --framework hipaa --target elsewhere":        exitNotFound,
		"report --framework gdpr --fail-on CRITICAL -o json": exitNotFound,
		"run": exitError, // nobody carries it out
	} {
		invocation{url: l.url}.run(t, append([]string{"compliance"}, strings.Fields(args)...)...).wants(t, code)
	}
	invocation{url: l.url}.run(t, "compliance", "run").wants(t, exitError, "no answer", "TEMPORAL_ADDRESS")
}

func TestCompliance_BeforeTheFirstRunSaysHowToRun(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	invocation{url: l.url}.run(t, "compliance", "list").wants(t, exitDone, "onevault compliance run")
	invocation{url: l.url}.run(t, "compliance", "show", "C01").wants(t, exitDone, "TLS is enabled", "HIPAA 164.312(e)(1)", "NOT_TESTED", "onevault compliance run")
	invocation{url: l.url}.run(t, "compliance", "show", "C99").wants(t, exitNotFound, `no control "C99"`)
	invocation{url: l.url}.run(t, "compliance", "report", "--framework", "sox").wants(t, exitNotFound, "onevault compliance run")
}

func TestCompliance_LintsControlsOfOnesOwn(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	file := filepath.Join(t.TempDir(), "mine.sql")
	header := "-- id: MINE\n-- title: Mine\n-- category: X\n-- severity: LOW\n-- asks: x\n-- clause: ISO | 1 | x\n-- remediation: x\n"
	for sql, want := range map[string]string{"SELECT true, NULL, '{}'::jsonb": "MINE is a control: Mine", "SELECT nothing": `column "nothing" does not exist`, "": "the SELECT is missing"} {
		if err := os.WriteFile(file, []byte(header+sql), 0o600); err != nil {
			t.Fatal(err)
		}
		code := exitError
		if strings.Contains(want, "is a control") {
			code = exitDone
		}
		invocation{url: l.url}.run(t, "compliance", "lint", file).wants(t, code, want)
	}
	invocation{url: l.url}.run(t, "compliance", "lint", t.TempDir()).wants(t, exitNotFound, "no *.sql file")
}

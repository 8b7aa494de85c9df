package vault_test

import (
	"testing"
	"time"

	"onevault/vault"
)

func result(control, status, severity string, frameworks ...string) vault.ControlResult {
	r := vault.ControlResult{
		Control: control, Title: control, Asks: "x", Category: "ACCESS_CONTROL", Severity: severity, Remediation: "do it", Status: status,
		Evidence: map[string]any{"status": status},
	}
	if status != "NOT_TESTED" {
		score := map[string]float64{"COMPLIANT": 100, "PARTIALLY_COMPLIANT": 40, "NON_COMPLIANT": 0}[status]
		r.Score = &score
	}
	for _, f := range frameworks {
		r.Clauses = append(r.Clauses, vault.ControlClause{Framework: f, Clause: "1", Text: "one"}, vault.ControlClause{Framework: f, Clause: "2", Text: "two"})
	}
	return r
}

var firstRun = time.Date(2026, 3, 2, 3, 30, 0, 0, time.UTC)

// ran records a run so many days after the first.
func (f *fixture) ran(day int, whole bool, results ...vault.ControlResult) int {
	f.Helper()
	n, err := f.store.RecordCompliance(f.Context(), "local", firstRun.AddDate(0, 0, day), "run", results, whole)
	if err != nil {
		f.Fatal(err)
	}
	return n
}

func (f *fixture) standing(day int) []vault.ListedControl {
	f.Helper()
	list, err := f.store.Compliance(f.Context(), "local", firstRun.AddDate(0, 0, day))
	if err != nil {
		f.Fatal(err)
	}
	return list
}

func TestRecordCompliance_AVersionForEachRunAndFrameworkAndNoneForARetry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := result("C01", "COMPLIANT", "HIGH", "HIPAA", "GDPR")
	for i, want := range []struct{ day, written int }{{0, 2}, {0, 0}, {1, 2}, {0, 0}, {2, 2}} {
		// A retry measures again, and finds other counts.
		r.Evidence = map[string]any{"sessions": i}
		if got := f.ran(want.day, true, r); got != want.written {
			t.Errorf("run %d wrote %d versions, want %d", i, got, want.written)
		}
	}
	list := f.standing(2)
	if len(list) != 2 || len(list[0].Clauses) != 2 || list[0].Clauses[1].Text != "two" || !list[0].Since.Equal(firstRun) || !list[0].CheckedAt.Equal(firstRun.AddDate(0, 0, 2)) {
		t.Errorf("stand %+v", list)
	}
	history, err := f.store.ControlHistory(t.Context(), "local", "C01")
	if err != nil || len(history) != 1 || history[0].Runs != 3 {
		t.Errorf("history %+v, %v", history, err)
	}
}

func TestRecordCompliance_KeepsTheDeadlineOfTheFirstFinding(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, step := range []struct {
		day              int
		status, severity string
		deadline         string
		overdue          bool
	}{
		{0, "COMPLIANT", "HIGH", "", false},
		{1, "NON_COMPLIANT", "HIGH", "2026-04-02", false},
		{5, "PARTIALLY_COMPLIANT", "HIGH", "2026-04-02", false},
		{6, "NOT_TESTED", "HIGH", "2026-04-02", false}, // closes nothing
		{7, "NON_COMPLIANT", "LOW", "2026-04-02", false},
		{8, "NON_COMPLIANT", "CRITICAL", "2026-03-17", false}, // nearer
		{40, "NON_COMPLIANT", "HIGH", "2026-03-17", true},
		{41, "COMPLIANT", "HIGH", "", false},
		{42, "NON_COMPLIANT", "MEDIUM", "2026-07-12", false},
		{43, "NON_COMPLIANT", "LOW", "2026-07-12", false},
	} {
		f.ran(step.day, true, result("C01", step.status, step.severity, "SOX"))
		got := f.standing(step.day)[0]
		if got.Status != step.status || got.Deadline != step.deadline || got.Overdue != step.overdue || got.Required != (step.deadline != "") {
			t.Errorf("step %d: %+v, want deadline %q", i, got, step.deadline)
		}
	}
}

func TestRecordCompliance_WhatIsRunNoMoreStandsNoMore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	kept, gone := result("KEPT", "COMPLIANT", "LOW", "SOX"), result("GONE", "NON_COMPLIANT", "LOW", "SOX")
	f.ran(0, true, kept, gone)
	if n := f.ran(1, false, kept); n != 1 || len(f.standing(1)) != 2 {
		t.Errorf("a run of one framework wrote %d and left %+v", n, f.standing(1))
	}
	for day, want := range map[int]int{2: 2} {
		if n := f.ran(day, true, kept); n != want || len(f.standing(day)) != 1 {
			t.Errorf("a whole run wrote %d and left %+v", n, f.standing(day))
		}
	}
	if n := f.ran(3, true, kept); n != 1 {
		t.Errorf("it is retired once: %d", n)
	}
	f.ran(4, true, kept, gone)
	if got := f.standing(4); len(got) != 2 || got[0].Control != "GONE" || got[0].Deadline == "" {
		t.Errorf("it came back as %+v", got)
	}
}

// One control that five frameworks ask for is one thing to remedy.
func TestCompliance_ConditionsCountAControlOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.ran(0, true, result("C01", "NON_COMPLIANT", "CRITICAL", "SOX", "HIPAA", "GDPR"), result("C02", "NON_COMPLIANT", "LOW", "SOX"), result("C03", "NOT_TESTED", "LOW", "SOX"))
	var got string
	if err := f.store.Pool().QueryRow(t.Context(), "SELECT monitoring.condition_inputs('compliance', 'local', NULL, interval '1 hour', $1)::text", firstRun.AddDate(0, 0, 20)).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if want := `{"non_compliant_count": 2, "overdue_remediation_count": 1, "critical_non_compliant_count": 1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRecordCompliance_TheWorkersRoleIsEnough(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, address := f.loginAs("onevault_worker")
	f.store = f.open(address)
	if n := f.ran(0, true, result("C01", "NON_COMPLIANT", "LOW", "SOX")); n != 1 || len(f.standing(0)) != 1 {
		t.Errorf("%d were written, %+v", n, f.standing(0))
	}
	if n := f.ran(1, true); n != 1 {
		t.Errorf("%d were retired", n)
	}
}

package workflows_test

import (
	"context"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/workflows"
)

// auditor stands for the target and the vault.
type auditor struct {
	errs []error // of the attempts, in their order; then all is well
	seen []activities.CheckComplianceInput
}

func (a *auditor) CheckCompliance(_ context.Context, in activities.CheckComplianceInput) (activities.CheckComplianceOutput, error) {
	a.seen = append(a.seen, in)
	if n := len(a.seen); n <= len(a.errs) {
		return activities.CheckComplianceOutput{}, a.errs[n-1]
	}
	return activities.CheckComplianceOutput{Controls: 38}, nil
}

func TestCompliance_RetriesUnderTheMomentAndTheRunAtWhichItBegan(t *testing.T) {
	t.Parallel()
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.SetStartTime(began)
	a := &auditor{errs: []error{errVault, errVault}}
	env.RegisterActivity(a)
	env.ExecuteWorkflow(workflows.Compliance, workflows.ComplianceInput{Target: "local", Framework: "hipaa"})
	var out activities.CheckComplianceOutput
	if err := env.GetWorkflowResult(&out); err != nil || out.Controls != 38 {
		t.Errorf("got %+v, %v", out, err)
	}
	if len(a.seen) != 3 {
		t.Fatalf("%d attempts", len(a.seen))
	}
	for _, in := range a.seen {
		if in != a.seen[0] || !in.At.Equal(began) || in.Target != "local" || in.Framework != "hipaa" || in.Run == "" {
			t.Errorf("an attempt saw %+v", in)
		}
	}
}

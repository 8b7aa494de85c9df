package e2e_test

import (
	"testing"

	"onevault/workflows"
)

// The controls run when somebody asks, by the worker that also runs them each day.
func TestCompliance_RunsWhenItIsAskedFor(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	w.must(t, "compliance", "run")
	w.exportNewest(t, "compliance", workflows.ComplianceWorkflowName)
}

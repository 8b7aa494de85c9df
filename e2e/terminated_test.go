package e2e_test

import (
	"context"
	"testing"
	"time"

	"onevault/alert"
	"onevault/workflows"
)

func TestTerminatedWorkflowOfAnOpenAlert_IsStartedAgainAndTellsNobodyTwice(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	s := tell(t, w, "E2E_TERMINATED")
	s.define(rule{suppression: 60}, holds)
	opened := s.awaitState("OPEN")
	s.awaitTold("FIRED", 3)
	id := workflows.AlertWorkflowID("local", s.key, "")
	first, err := w.temporal.DescribeWorkflowExecution(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.temporal.TerminateWorkflow(t.Context(), id, "", "by the story"); err != nil {
		t.Fatal(err)
	}
	took := eventually(t, 2*time.Minute, "a new run of "+id, func(ctx context.Context) (bool, any, error) {
		now, err := w.temporal.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return false, nil, err
		}
		run := now.GetWorkflowExecutionInfo().GetExecution().GetRunId()
		return run != first.GetWorkflowExecutionInfo().GetExecution().GetRunId(), run, nil
	})
	t.Logf("started again after %s", took.Round(time.Millisecond))
	if took > 70*time.Second {
		t.Errorf("started again after %s, want about 40 s", took)
	}
	eventually(t, patience, "the new run carries the alert and has nothing on its way", func(ctx context.Context) (bool, any, error) {
		status, err := w.status(ctx, s.key)
		return err == nil && len(status.Alerts) == 1 && status.Alerts[0].Key == opened.Key && status.Alerts[0].Status == alert.StatusOpen &&
			status.Sending == 0 && status.Unrecorded == 0, status, err
	})
	w.must(t, "alert", "ack", opened.ID)
	w.must(t, "alert", "resolve", opened.ID)
	s.awaitTold("RESOLVED", 3)
	s.mustStates(opened.Key, "OPEN", "ACKNOWLEDGED", "RESOLVED")
	s.mustReceive(opened.ID, "FIRED", "RESOLVED")
}

package e2e_test

import (
	"context"
	"strings"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"

	"onevault/workflows"
)

// A fresh installation judges nothing yet, and says of each metric that it is being learned.
func TestAnomalies_OfAFreshInstallationAreBeingLearned(t *testing.T) {
	t.Parallel()
	w := sharedWorld(t)
	w.must(t, "schedule", "trigger", "collect")
	eventually(t, patience, "metrics that are being learned", func(ctx context.Context) (bool, any, error) {
		var learning, other, baselines int
		err := w.db.QueryRow(ctx, `
			SELECT count(DISTINCT metric_name) FILTER (WHERE anomaly_state = 'LEARNING' AND reason LIKE 'too little history: 0.0 of 7 days%'),
			       count(*) FILTER (WHERE anomaly_state NOT IN ('LEARNING', 'UNKNOWN')),
			       (SELECT count(*) FROM monitoring.anomaly_baseline_s WHERE baseline_state = 'LEARNING' AND load_end_date IS NULL)
			  FROM monitoring.anomaly_score_s`).Scan(&learning, &other, &baselines)
		return learning >= 3 && baselines >= 3 && other == 0, []int{learning, other, baselines}, err
	})
	listed := w.must(t, "anomaly", "list")
	if !strings.Contains(listed, "LEARNING") || strings.Contains(listed, "ANOMALOUS") {
		t.Error(listed)
	}
	t.Log(listed)
	w.must(t, "anomaly", "set", "total_connections", "--score", "6")

	eventually(t, patience, "a collection that ended", func(ctx context.Context) (bool, any, error) {
		found, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Query: "WorkflowType = '" + workflows.CollectWorkflowName + "' AND ExecutionStatus = 'Completed'",
		})
		if err != nil {
			return false, nil, err
		}
		for _, e := range found.GetExecutions() {
			if e.GetStatus() != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
				continue
			}
			var result workflows.CollectResult
			if err := w.temporal.GetWorkflow(ctx, e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()).Get(ctx, &result); err != nil {
				return false, nil, err
			}
			if result.Anomalies.Scored > 0 {
				w.exportRun(t, "collect-with-anomalies", e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId())
				return true, nil, nil
			}
		}
		return false, len(found.GetExecutions()), nil
	})
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// ComplianceInput names what one run of the controls looks at; a framework restricts it to its controls.
type ComplianceInput struct {
	Target    string `json:"target"`
	Framework string `json:"framework,omitempty"`
}

// Compliance runs the controls on a target once, and records what they found under the moment at which the
// run began, with its run id as the audit trail.
func Compliance(ctx workflow.Context, in ComplianceInput) (activities.CheckComplianceOutput, error) {
	var (
		collection *activities.Collection
		out        activities.CheckComplianceOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		// Some forty controls, each bounded by ten seconds.
		StartToCloseTimeout: 10 * time.Minute,
		// A target or a vault that is away for a while costs no day of evidence.
		ScheduleToCloseTimeout: 4 * time.Hour,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 5 * time.Second, MaximumInterval: 5 * time.Minute},
		Summary:                "run the compliance controls on " + in.Target,
	})
	info := workflow.GetInfo(ctx)
	err := workflow.ExecuteActivity(ctx, collection.CheckCompliance, activities.CheckComplianceInput{
		Target: in.Target, Framework: in.Framework, At: now(ctx), Run: info.WorkflowExecution.ID + "/" + info.WorkflowExecution.RunID,
	}).Get(ctx, &out)
	return out, err
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// ExamineWorkflowName is the workflow's type, as the Temporal UI shows it.
const ExamineWorkflowName = "Examine"

// ExamineTimeout bounds what `onevault doctor` waits for a worker's answer.
const ExamineTimeout = 25 * time.Second

// Examine has a worker look at what only it can see: `onevault doctor` starts it.
func Examine(ctx workflow.Context) (activities.ExamineOutput, error) {
	var (
		examinations *activities.Examinations
		out          activities.ExamineOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 20 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             "look at the channels from where the worker stands",
	})
	err := workflow.ExecuteActivity(ctx, examinations.Examine).Get(ctx, &out)
	return out, err
}

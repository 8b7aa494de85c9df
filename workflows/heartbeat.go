package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// HeartbeatWorkflowName is the workflow's type, as the Temporal UI shows it.
const HeartbeatWorkflowName = "Heartbeat"

// HeartbeatResult is handed from each run of the schedule to the next, so that it is known when the watcher heard
// from us last.
type HeartbeatResult struct {
	activities.BeatOutput
	LastSentAt time.Time `json:"last_sent_at,omitzero"`
}

// Heartbeat tells an outside watcher that alerting works, if it does. It is a schedule of its own, because then a
// beat proves all that alerting needs: Temporal starts what is due, a worker takes it, the vault answers, and its
// rows say that everything due was looked at. A loop in the worker would go on beating without Temporal; a step of
// evaluation would slow down evaluation, and be one per target.
func Heartbeat(ctx workflow.Context) (HeartbeatResult, error) {
	var (
		heartbeats *activities.Heartbeats
		result     HeartbeatResult
	)
	if workflow.HasLastCompletionResult(ctx) {
		var previous HeartbeatResult
		if err := workflow.GetLastCompletionResult(ctx, &previous); err != nil {
			workflow.GetLogger(ctx).Warn("result of the previous heartbeat is unreadable", "error", err)
		}
		result.LastSentAt = previous.LastSentAt
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1}, // the next beat is the retry
		Summary:             "tell the outside watcher that alerting works",
	})
	if err := workflow.ExecuteActivity(ctx, heartbeats.Beat).Get(ctx, &result.BeatOutput); err != nil {
		return result, err
	}
	if result.Sent {
		result.LastSentAt = result.At
	}
	return result, nil
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// CollectInput names what one run of the collect schedule measures.
type CollectInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every"`
}

// Collect measures a target once. A target that does not answer is recorded as such and is no failure
// of the run; a vault that takes no rows is.
func Collect(ctx workflow.Context, in CollectInput) (activities.CollectHealthOutput, error) {
	var (
		collection *activities.Collection
		out        activities.CollectHealthOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		// A collection that is older than its cadence is worth nothing: the next one comes.
		ScheduleToCloseTimeout: max(in.Every, 30*time.Second),
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 2},
		Summary:                "measure " + in.Target,
	})
	err := workflow.ExecuteActivity(ctx, collection.CollectHealth, activities.CollectHealthInput{Target: in.Target, Every: in.Every}).Get(ctx, &out)
	return out, err
}

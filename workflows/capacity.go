package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// CapacityInput names what one run of the capacity schedule measures.
type CapacityInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every"`
}

// Capacity measures once what can fill up on a target, and records it with its forecast under the moment at which the
// run began. A target that does not answer is said in the result; a vault that takes no rows fails the run.
func Capacity(ctx workflow.Context, in CapacityInput) (activities.CollectCapacityOutput, error) {
	var (
		collection *activities.Collection
		out        activities.CollectCapacityOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		// Sizes are asked of the file system, which takes its time where there are a million files.
		StartToCloseTimeout: 5 * time.Minute,
		// The vault may be away for a while: an hour without a measurement is a gap in the history.
		ScheduleToCloseTimeout: max(in.Every/2, 10*time.Minute),
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 5 * time.Second, MaximumInterval: time.Minute},
		Summary:                "measure what can fill up on " + in.Target,
	})
	err := workflow.ExecuteActivity(ctx, collection.CollectCapacity,
		activities.CollectCapacityInput{Target: in.Target, At: now(ctx), Every: in.Every}).Get(ctx, &out)
	return out, err
}

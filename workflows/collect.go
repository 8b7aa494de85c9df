package workflows

import (
	"errors"
	"fmt"
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

// CollectResult is what one run measured. The fields of the health of a target stand on their own level,
// as runs of earlier versions ended with them.
type CollectResult struct {
	activities.CollectHealthOutput
	Performance activities.CollectPerformanceOutput `json:"performance"`
	Anomalies   activities.ScoreAnomaliesOutput     `json:"anomalies,omitzero"`
}

// changePerformance is the change that added the statements to the health, changeAnomalies the one that had what was
// measured judged.
const (
	changePerformance = "collect-performance"
	changeAnomalies   = "collect-anomalies"
)

// Collect measures a target once: its health, and then its statements; last, what was measured is judged. A target that does not answer is
// recorded as such and is no failure of the run; a vault that takes no rows is. Either is measured
// whatever became of the other.
func Collect(ctx workflow.Context, in CollectInput) (CollectResult, error) {
	var (
		collection *activities.Collection
		result     CollectResult
	)
	options := workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second,
		// A collection that is older than its cadence is worth nothing: the next one comes.
		ScheduleToCloseTimeout: max(in.Every, 30*time.Second),
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 2},
		Summary:                "measure " + in.Target,
	}
	ctx = workflow.WithActivityOptions(ctx, options)
	health := workflow.ExecuteActivity(ctx, collection.CollectHealth, activities.CollectHealthInput{Target: in.Target, Every: in.Every}).
		Get(ctx, &result.CollectHealthOutput)
	if workflow.GetVersion(ctx, changePerformance, workflow.DefaultVersion, 1) == workflow.DefaultVersion || temporal.IsCanceledError(health) {
		return result, health
	}
	performance := workflow.ExecuteActivity(ctx, collection.CollectPerformance, activities.CollectPerformanceInput{Target: in.Target, Every: in.Every}).
		Get(ctx, &result.Performance)
	measured := health
	switch {
	case performance != nil && health == nil:
		measured = fmt.Errorf("collect performance: %w", performance)
	case performance != nil:
		measured = errors.Join(health, performance)
	}
	if workflow.GetVersion(ctx, changeAnomalies, workflow.DefaultVersion, 1) == workflow.DefaultVersion || temporal.IsCanceledError(performance) {
		return result, measured
	}
	options.Summary = "judge what was measured on " + in.Target
	judged := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), collection.ScoreAnomalies,
		activities.ScoreAnomaliesInput{Target: in.Target, At: now(ctx)}).Get(ctx, &result.Anomalies)
	switch {
	case judged == nil:
		return result, measured
	case measured == nil:
		return result, fmt.Errorf("score anomalies: %w", judged)
	}
	return result, errors.Join(measured, judged)
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// SecurityInput names what one run of the security schedule looks at.
type SecurityInput struct {
	Target string `json:"target"`
}

// Security looks for security events once. Looking again finds the same events, so it may be retried.
func Security(ctx workflow.Context, in SecurityInput) (activities.DetectSecurityEventsOutput, error) {
	var (
		security *activities.Security
		out      activities.DetectSecurityEventsOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout:    5 * time.Minute,  // some twenty checks, each bounded by seconds, and a log of any size in pieces
		ScheduleToCloseTimeout: 10 * time.Minute, // the next run comes
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 5 * time.Second, MaximumAttempts: 5},
		Summary:                "look for security events on " + in.Target,
	})
	err := workflow.ExecuteActivity(ctx, security.DetectSecurityEvents, activities.DetectSecurityEventsInput{Target: in.Target}).Get(ctx, &out)
	return out, err
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// tries are what was tried of one message. What a circuit refused was not tried: it is no attempt, and since when it is
// so decides when the message is given up.
type tries struct {
	made         int
	refusedSince time.Time // zero: it was never refused
}

// note counts an attempt that came back.
func (t *tries) note(ctx workflow.Context, out activities.SendNotificationOutput) {
	if !out.Refused {
		t.made++
		return
	}
	t.refusedSince = orNow(ctx, t.refusedSince)
}

func orNow(ctx workflow.Context, since time.Time) time.Time {
	if since.IsZero() {
		return now(ctx)
	}
	return since
}

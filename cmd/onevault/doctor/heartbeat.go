package doctor

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	enumspb "go.temporal.io/api/enums/v1"

	"onevault/worker"
	"onevault/workflows"
)

// checkHeartbeat looks at how the last beats of the dead man's switch went.
func checkHeartbeat(ctx context.Context, c client.Client, now time.Time) Finding {
	const check = "heartbeat"
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var missing *serviceerror.NotFound
	found, err := c.ScheduleClient().GetHandle(ctx, worker.HeartbeatSchedule).Describe(ctx)
	switch {
	case errors.As(err, &missing):
		return ok(check, "no outside watcher is told that alerting works; ONEVAULT_HEARTBEAT_URL names one, see docs/ledger.md")
	case err != nil:
		return warn(check, "see Temporal's own health", "%s", err)
	}
	if schedule := judgeSchedule(now, worker.HeartbeatSchedule, found); schedule.Status != OK {
		schedule.Check = check
		return schedule
	}
	for i := len(found.Info.RecentActions) - 1; i >= 0; i-- {
		started := found.Info.RecentActions[i].StartWorkflowResult
		if started == nil {
			continue
		}
		run, err := c.DescribeWorkflowExecution(ctx, started.WorkflowID, started.FirstExecutionRunID)
		if errors.As(err, &missing) {
			continue
		}
		if err != nil {
			return warn(check, "see Temporal's own health", "%s", err)
		}
		if run.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			continue
		}
		var result workflows.HeartbeatResult
		err = c.GetWorkflow(ctx, started.WorkflowID, started.FirstExecutionRunID).Get(ctx, &result)
		return judgeHeartbeat(now, result, err)
	}
	return ok(check, "no beat has ended yet")
}

func judgeHeartbeat(now time.Time, result workflows.HeartbeatResult, err error) Finding {
	const check = "heartbeat"
	last := "it never heard from us"
	if !result.LastSentAt.IsZero() {
		last = "it heard from us " + age(now, result.LastSentAt)
	}
	switch {
	case err != nil:
		return fail(check, "see the workflow heartbeat in the Temporal UI", "the outside watcher was not told at the last beat: %s", err)
	case len(result.Withheld) > 0:
		return fail(check, "mend what it says; the watcher is told again by itself", "the outside watcher is not told, because alerting does not work (%s): %s", last, strings.Join(result.Withheld, "; "))
	case !result.Sent:
		return fail(check, "correct ONEVAULT_HEARTBEAT_URL on the workers, or see the watcher's own status", "the outside watcher does not take it (%s): %s", last, result.Problem)
	}
	return ok(check, "the outside watcher is told; %s", last)
}

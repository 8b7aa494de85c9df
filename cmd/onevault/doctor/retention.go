package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"onevault/vault"
	"onevault/workflows"
)

// overdueAfter leaves a nightly run that failed one more night.
const overdueAfter = 48 * time.Hour

func checkDiscipline(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	disabled, err := store.DisabledTriggers(ctx)
	if err != nil {
		return nil, err
	}
	return []Finding{judgeDiscipline(disabled)}, nil
}

func judgeDiscipline(disabled []string) Finding {
	if len(disabled) > 0 {
		return fail("triggers", "as the owner of the table: ALTER TABLE monitoring.<table> ENABLE TRIGGER ALL",
			"switched off, so that nothing keeps these tables' history: %s", several(disabled))
	}
	return ok("triggers", "all are on: the database itself keeps the history")
}

func checkRetention(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	overdue, err := store.Overdue(ctx, overdueAfter)
	if err != nil {
		return nil, err
	}
	return []Finding{judgeRetention(overdue)}, nil
}

func judgeRetention(overdue []vault.Overdue) Finding {
	const check = "retention"
	if len(overdue) == 0 {
		return ok(check, "nothing is kept for longer than its setting says")
	}
	tables := make([]string, len(overdue))
	for i, o := range overdue {
		tables[i] = fmt.Sprintf("%s (%d parts, %d days late)", o.Table, o.Parts, int(o.By.Hours()/24))
	}
	return warn(check, "`onevault schedule trigger retain`; its result in the Temporal UI (workflow retain) says what keeps them, often ONEVAULT_ARCHIVE_DIR",
		"due to leave the vault and still there: %s", several(tables))
}

// checkRetain looks at what the last run of the retain schedule that ended says of itself: it ends well
// even where it could not do all.
func checkRetain(ctx context.Context, c client.Client) []Finding {
	const (
		check = "schedule retain"
		id    = "retain"
	)
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var missing *serviceerror.NotFound
	found, err := c.ScheduleClient().GetHandle(ctx, id).Describe(ctx)
	switch {
	case errors.As(err, &missing):
		return []Finding{warn(check, "start a worker, which creates it", "it does not exist: nothing leaves the vault")}
	case err != nil:
		return []Finding{warn(check, "see Temporal's own health", "%s", err)}
	case found.Schedule.State != nil && found.Schedule.State.Paused:
		return []Finding{warn(check, "onevault schedule resume "+id, "it is paused: %s", found.Schedule.State.Note)}
	}
	// Newest first.
	for i := len(found.Info.RecentActions) - 1; i >= 0; i-- {
		started := found.Info.RecentActions[i].StartWorkflowResult
		if started == nil {
			continue
		}
		run, err := c.DescribeWorkflowExecution(ctx, started.WorkflowID, started.FirstExecutionRunID)
		if errors.As(err, &missing) {
			continue // the namespace keeps it no more
		}
		if err != nil {
			return []Finding{warn(check, "see Temporal's own health", "%s", err)}
		}
		status := run.GetWorkflowExecutionInfo().GetStatus()
		if status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
			continue
		}
		var result workflows.RetainResult
		err = c.GetWorkflow(ctx, started.WorkflowID, started.FirstExecutionRunID).Get(ctx, &result)
		return []Finding{judgeRetain(result, err)}
	}
	return []Finding{ok(check, "no run of it has ended yet")}
}

func judgeRetain(result workflows.RetainResult, err error) Finding {
	const (
		check  = "schedule retain"
		remedy = "see the message and the workflow retain in the Temporal UI; then `onevault schedule trigger retain`"
	)
	if err != nil {
		return warn(check, remedy, "its last run failed: %s", err)
	}
	if len(result.Problems) > 0 {
		problems := make([]string, len(result.Problems))
		for i, p := range result.Problems {
			problems[i] = p.What + " (" + p.Error + ")"
		}
		return warn(check, remedy, "its last run could not: %s", strings.TrimSpace(several(problems)))
	}
	return ok(check, "its last run ended well")
}

package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// RetainInput is empty: what is kept how long stands in the vault.
type RetainInput struct{}

// RetainResult says what one run of the retain schedule did. A table that failed does not stop the others.
type RetainResult struct {
	Partitions int             `json:"partitions"` // made ahead
	Hours      int64           `json:"hours"`      // rolled up
	Left       []RetainedTable `json:"left,omitempty"`
	Queued     int64           `json:"queued"` // done rows of queues that were deleted
	Problems   []RetainProblem `json:"problems,omitempty"`
}

// RetainedTable counts what left one table.
type RetainedTable struct {
	Table string `json:"table"`
	Parts int    `json:"parts"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"` // of the archives
}

// RetainProblem is what could not be done, and is tried again by the next run.
type RetainProblem struct {
	What  string `json:"what"`
	Error string `json:"error"`
}

// archiveTries is how often rows are archived again that changed before they were dropped. Rows that old
// change when somebody restores or corrects them, not all the time.
const archiveTries = 3

// Retain makes partitions ahead, rolls samples up to hours, and has leave what is older than its setting
// says: archived, read back, and dropped, one part after the other. Any step may be killed and repeated.
func Retain(ctx workflow.Context, _ RetainInput) (RetainResult, error) {
	run := &retainRun{failed: map[string]bool{}}
	var prepared activities.PrepareRetentionOutput
	err := run.execute(ctx, "make partitions ahead", run.activities.PrepareRetention, activities.PrepareRetentionInput{}, &prepared)
	if err != nil {
		return run.result, err // without the vault there is nothing to do
	}
	run.result.Partitions = prepared.Partitions
	if err := run.rollUp(ctx, prepared.Hours); err != nil {
		return run.result, err
	}
	if err := run.leave(ctx); err != nil {
		return run.result, err
	}
	var purged activities.PurgeQueuesOutput
	err = run.execute(ctx, "empty the queues", run.activities.PurgeQueues, activities.PurgeQueuesInput{}, &purged)
	run.result.Queued = purged.Rows
	return run.result, run.problem("queues", err)
}

type retainRun struct {
	activities *activities.Retention
	result     RetainResult
	failed     map[string]bool // tables that are left for the next run; never iterated
}

func (r *retainRun) execute(ctx workflow.Context, what string, do, in, out any) error {
	workflow.SetCurrentDetails(ctx, what)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Hour,
		HeartbeatTimeout:    10 * time.Second, // how long the death of a worker goes unnoticed
		RetryPolicy: &temporal.RetryPolicy{
			// About forty minutes: a vault that restarts, a backup that reads what is to be dropped.
			InitialInterval: 2 * time.Second, MaximumInterval: 5 * time.Minute, MaximumAttempts: 14,
		},
		Summary: what,
	})
	return workflow.ExecuteActivity(ctx, do, in).Get(ctx, out)
}

// problem keeps an error for the result; only the end of the workflow itself is one of the run.
func (r *retainRun) problem(what string, err error) error {
	if err == nil || temporal.IsCanceledError(err) {
		return err
	}
	r.result.Problems = append(r.result.Problems, RetainProblem{What: what, Error: rootMessage(err)})
	return nil
}

func (r *retainRun) rollUp(ctx workflow.Context, due []activities.RetainedHours) error {
	for _, hours := range due {
		if r.failed[hours.Table] {
			continue
		}
		what := fmt.Sprintf("roll up %s of the week from %s", hours.Table, hours.From.Format(time.DateOnly))
		var rolled activities.RollUpOutput
		err := r.execute(ctx, what, r.activities.RollUp, activities.RollUpInput{Hours: hours}, &rolled)
		r.result.Hours += rolled.Written
		r.failed[hours.Table] = err != nil
		if err := r.problem(what, err); err != nil {
			return err
		}
	}
	return nil
}

// leave has every expired part leave. Of a table that fails the later parts stay as well: what is left of
// it has no gap then.
func (r *retainRun) leave(ctx workflow.Context) error {
	var plan activities.PlanRetentionOutput
	err := r.execute(ctx, "look for what has expired", r.activities.PlanRetention, activities.PlanRetentionInput{}, &plan)
	if err != nil {
		return r.problem("plan", err)
	}
	for i, part := range plan.Parts {
		if r.failed[part.Table] {
			continue
		}
		left, err := r.leaveOne(ctx, part, fmt.Sprintf("%s (%d of %d)", part.Label(), i+1, len(plan.Parts)))
		if err == nil {
			r.count(part, left)
		}
		r.failed[part.Table] = err != nil
		if err := r.problem(part.Label(), err); err != nil {
			return err
		}
	}
	return nil
}

func (r *retainRun) leaveOne(ctx workflow.Context, part activities.RetainedPart, label string) (activities.ArchivePartOutput, error) {
	if part.Empty {
		return activities.ArchivePartOutput{}, r.execute(ctx, "drop empty "+label, r.activities.DropPart, activities.DropPartInput{Part: part}, nil)
	}
	for try := 1; ; try++ {
		var archived activities.ArchivePartOutput
		if err := r.execute(ctx, "archive "+label, r.activities.ArchivePart, activities.ArchivePartInput{Part: part}, &archived); err != nil {
			return archived, err
		}
		err := r.execute(ctx, "drop "+label, r.activities.DropPart, activities.DropPartInput{Part: part, Name: archived.Name}, nil)
		if err == nil || !rowsChanged(err) || try == archiveTries {
			return archived, err
		}
	}
}

func rowsChanged(err error) bool {
	var failure *temporal.ApplicationError
	return errors.As(err, &failure) && failure.Type() == activities.ErrorRowsChanged
}

func (r *retainRun) count(part activities.RetainedPart, left activities.ArchivePartOutput) {
	n := len(r.result.Left)
	if n == 0 || r.result.Left[n-1].Table != part.Table { // the plan is in the order of the tables
		r.result.Left = append(r.result.Left, RetainedTable{Table: part.Table})
		n++
	}
	table := &r.result.Left[n-1]
	table.Parts++
	table.Rows += left.Rows
	table.Bytes += left.Bytes
}

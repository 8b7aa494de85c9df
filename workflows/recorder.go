package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// recorder brings an alert's history into the vault, complete and in order, without ever holding up a
// page: a local activity with a budget of a second first, and when the vault does not answer, a normal
// activity that waits for it. The workflow's own history is durable in the meantime.
type recorder struct {
	changes  []activities.Change
	entries  []activities.LedgerEntry
	accepted int  // how many items were ever given
	written  int  // how many of them the vault holds
	late     bool // the vault did not answer within the budget
	refused  int  // items that the vault will never take
	// unwrittenEntries counts the ledger's entries among what the vault does not hold yet.
	unwrittenEntries int
	adopt            func(workflow.Context, activities.ChangeResult)
}

// maxBatch bounds one write, far below the size limit of a payload.
const maxBatch = 500

func (r *recorder) change(c activities.Change) {
	r.changes = append(r.changes, c)
	r.accepted++
}

func (r *recorder) ledger(entries ...activities.LedgerEntry) {
	r.entries = append(r.entries, entries...)
	r.accepted += len(entries)
	r.unwrittenEntries += len(entries)
}

// unwritten counts what the vault does not hold yet.
func (r *recorder) unwritten() int { return r.accepted - r.written }

// settle waits until the vault holds everything given so far, or until it proved too slow.
func (r *recorder) settle(ctx workflow.Context) error {
	mark := r.accepted
	return workflow.Await(ctx, func() bool { return r.written >= mark || r.late })
}

// run writes until the workflow ends.
func (r *recorder) run(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return len(r.changes)+len(r.entries) > 0 }); err != nil {
			return // cancelled: what is unwritten stands in the workflow's history
		}
		batch := r.take()
		out, err := r.write(ctx, batch)
		r.late = false
		r.written += len(batch.Changes) + len(batch.Entries)
		r.unwrittenEntries -= len(batch.Entries)
		if err != nil {
			r.refused += len(batch.Changes) + len(batch.Entries)
			workflow.GetLogger(ctx).Error("the vault refused history", "error", err,
				"changes", len(batch.Changes), "ledger_entries", len(batch.Entries))
			continue
		}
		for _, result := range out.Results {
			r.adopt(ctx, result)
		}
	}
}

// take cuts the next batch. Changes go first: a ledger entry refers to an alert that must be there.
func (r *recorder) take() activities.RecordHistoryInput {
	batch := activities.RecordHistoryInput{}
	n := min(len(r.changes), maxBatch)
	batch.Changes, r.changes = r.changes[:n:n], r.changes[n:]
	if len(r.changes) == 0 {
		n = min(len(r.entries), maxBatch)
		batch.Entries, r.entries = r.entries[:n:n], r.entries[n:]
	}
	return batch
}

func (r *recorder) write(ctx workflow.Context, batch activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
	var (
		alerts *activities.Alerts
		out    activities.RecordHistoryOutput
	)
	quick := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "record in the vault",
	})
	err := workflow.ExecuteLocalActivity(quick, alerts.RecordHistory, batch).Get(ctx, &out)
	if err == nil || isRefused(err) {
		return out, err
	}
	r.late = true
	patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 1.5, MaximumInterval: 3 * time.Second,
			NonRetryableErrorTypes: []string{activities.ErrorVaultRefused},
		},
		Summary: "record in the vault when it is back",
	})
	for {
		out = activities.RecordHistoryOutput{}
		err = workflow.ExecuteActivity(patient, alerts.RecordHistory, batch).Get(ctx, &out)
		// Retries have no end of their own; whatever else ends them is no reason to lose history.
		if err == nil || isRefused(err) || temporal.IsCanceledError(err) {
			return out, err
		}
	}
}

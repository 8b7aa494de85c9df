package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
)

// DigestWorkflowName is the workflow's type, as the Temporal UI shows it.
const DigestWorkflowName = "Digest"

// DigestResult says what became of the digests of one run.
type DigestResult struct {
	Sent   int `json:"sent"`
	Failed int `json:"failed"`
	Told   int `json:"told"` // messages that were gathered
}

// Digest gathers what is over the limit of a channel for one of its recipients, and tells it in one message when the
// limit has room again, or when the first of it has waited long enough. It ends when nothing is gathered.
func Digest(ctx workflow.Context, in activities.DigestInput) (DigestResult, error) {
	d := &digestRun{in: in, recorder: &recorder{adopt: func(workflow.Context, activities.ChangeResult) {}}, brought: workflow.GetSignalChannel(ctx, activities.SignalGather)}
	workflow.Go(ctx, d.recorder.run)
	var result DigestResult
	for {
		d.receive()
		if len(d.in.Parts) == 0 {
			if err := d.recorder.settleWhole(ctx); err != nil {
				return result, err
			}
			if d.brought.Len() == 0 {
				return result, nil
			}
			continue
		}
		if err := d.wait(ctx); err != nil {
			return result, err
		}
		d.receive()
		if err := d.send(ctx, &result); err != nil {
			return result, err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			if err := d.recorder.settleWhole(ctx); err != nil {
				return result, err
			}
			d.receive()
			return result, workflow.NewContinueAsNewError(ctx, DigestWorkflowName, d.in)
		}
	}
}

type digestRun struct {
	in       activities.DigestInput
	recorder *recorder
	brought  workflow.ReceiveChannel
}

// receive takes what was brought, each event of each alert once.
func (d *digestRun) receive() {
	known := map[string]bool{}
	for _, part := range d.in.Parts {
		for _, a := range part.Alerts {
			known[a.Key+"/"+part.Event] = true
		}
	}
	for {
		var part activities.DigestPart
		if !d.brought.ReceiveAsync(&part) {
			return
		}
		fresh := part.Alerts[:0:0]
		for _, a := range part.Alerts {
			if !known[a.Key+"/"+part.Event] {
				known[a.Key+"/"+part.Event] = true
				fresh = append(fresh, a)
			}
		}
		if len(fresh) > 0 {
			part.Alerts = fresh
			d.in.Parts = append(d.in.Parts, part)
		}
	}
}

// wait lets more come until the limit has room, or the time is over. A vault that does not answer says nothing of room.
func (d *digestRun) wait(ctx workflow.Context) error {
	var (
		notifications *activities.Notifications
		room          activities.FindRoomOutput
		until         = now(ctx).Add(d.in.Within)
	)
	ask := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: time.Second, ScheduleToCloseTimeout: 3 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, MaximumAttempts: 3}, Summary: "when there is room",
	})
	err := workflow.ExecuteLocalActivity(ask, notifications.FindRoom, activities.FindRoomInput{Channel: d.in.Channel.Key, Recipient: d.in.Recipient}).Get(ctx, &room)
	switch {
	case temporal.IsCanceledError(err):
		return err
	case err == nil && room.At.Before(until):
		until = room.At
	}
	if !until.After(now(ctx)) {
		return nil
	}
	return workflow.NewTimerWithOptions(ctx, until.Sub(now(ctx)), workflow.TimerOptions{Summary: "gather until there is room"}).Get(ctx, nil)
}

// send tells what is gathered, as often as the channel tries, and has nothing left of it.
func (d *digestRun) send(ctx workflow.Context, result *DigestResult) error {
	parts := d.in.Parts
	id := workflow.GetInfo(ctx).WorkflowExecution.ID
	in := activities.SendDigestInput{
		Channel: d.in.Channel, Recipient: d.in.Recipient, WorkflowID: id, Parts: parts,
		Key: fmt.Sprintf("%s/%d", id, now(ctx).UnixMicro()),
	}
	out, err := d.attempts(ctx, in)
	if err != nil {
		return err
	}
	d.in.Parts = nil
	result.Told += len(parts)
	if out.Receipt.Class == activities.Accepted {
		result.Sent++
	} else {
		result.Failed++
	}
	return nil
}

func (d *digestRun) attempts(ctx workflow.Context, in activities.SendDigestInput) (activities.SendNotificationOutput, error) {
	var (
		notifications *activities.Notifications
		tries         tries
		deaths        int
	)
	send := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute, HeartbeatTimeout: 5 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: "digest to " + in.Channel.Key,
	})
	for {
		var out activities.SendNotificationOutput
		err := workflow.ExecuteActivity(send, notifications.SendDigest, in).Get(ctx, &out)
		if err != nil {
			deaths++
		}
		switch {
		case temporal.IsCanceledError(err):
			return out, err
		case err != nil && in.Uncertain: // another worker died, or the answer before was uncertain: it may have arrived
			out = activities.SendNotificationOutput{Final: true, Receipt: activities.Receipt{Class: activities.Uncertain}}
			d.recorder.ledger(unknownOf(ctx, in, died(deaths, "digest", err))...)
			return out, nil
		case err != nil:
			in.Uncertain = true
			continue
		}
		d.recorder.ledger(out.Entries...)
		if out.Final {
			return out, nil
		}
		in.Uncertain = in.Uncertain || out.Receipt.Class == activities.Uncertain
		in.PossibleDuplicate = in.PossibleDuplicate || out.MayHaveArrived
		if err := workflow.NewTimerWithOptions(ctx, pause(in.Channel, out.Receipt), workflow.TimerOptions{Summary: "retry " + in.Channel.Key}).Get(ctx, nil); err != nil {
			return out, err
		}
		tries.note(ctx, out)
		in.Attempt, in.RefusedSince = tries.made, tries.refusedSince
	}
}

// unknownOf closes the ledger of a digest whose outcome nobody knows.
func unknownOf(ctx workflow.Context, in activities.SendDigestInput, reason string) []activities.LedgerEntry {
	var entries []activities.LedgerEntry
	for _, part := range in.Parts {
		for _, a := range part.Alerts {
			entries = append(entries, activities.LedgerEntry{
				AlertKey: a.Key, ChannelKey: in.Channel.Key, ChannelType: in.Channel.Type, Recipient: in.Recipient, Event: part.Event,
				DeliveryKey: in.Key, Status: "FAILED", Attempt: in.Attempt, At: now(ctx), Class: string(activities.Uncertain), Reason: reason, PossibleDuplicate: true,
			})
		}
	}
	return entries
}

// settleWhole waits until the vault holds everything: who ends keeps nothing that another could write.
func (r *recorder) settleWhole(ctx workflow.Context) error {
	return workflow.Await(ctx, func() bool { return r.unwritten() == 0 })
}

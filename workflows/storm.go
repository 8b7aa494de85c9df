package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// StormWorkflowName is the workflow's type, as the Temporal UI shows it.
const StormWorkflowName = "Storm"

// StormWorkflowID is the id of the workflow that tells people of a storm.
func StormWorkflowID(s alert.Storm) string {
	id := "storm/target/" + s.Name
	if s.Kind == alert.StormDefinition {
		id = "storm/definition/" + s.Name
	}
	if s.Tenant != "" {
		id += "/" + s.Tenant[:min(12, len(s.Tenant))]
	}
	return id
}

// StormResult is what stands when a storm has ended.
type StormResult struct {
	Alerts    int `json:"alerts"` // that it told of
	Delivered int `json:"delivered"`
	Failed    int `json:"failed"`
}

// Storm tells people in one message what many groups would tell them in many. It owns no alert: each group's workflow
// keeps the state, the escalation and the commands of its own, hands over what it would have told, and hears whom the
// storm told.
func Storm(ctx workflow.Context, in activities.StormInput) (StormResult, error) {
	run := &stormRun{id: workflow.GetInfo(ctx).WorkflowExecution.ID, state: in.State, recorder: &recorder{}}
	if run.state == nil {
		run.state = alert.NewStormState(in.Storm)
	}
	run.recorder.adopt = func(workflow.Context, activities.ChangeResult) {} // a storm records no change of an alert
	workflow.Go(ctx, run.recorder.run)
	workflow.Go(ctx, run.receive)
	return run.run(ctx)
}

// stormRun is one run of the workflow. Its coroutines share it; only one of them runs at a time.
type stormRun struct {
	id       string
	state    *alert.StormState
	recorder *recorder
	changes  int  // that were heard, so that who waits looks again
	busy     int  // deliveries, reports and records under way
	ended    bool // the vault was told
	result   StormResult
}

// receive hears the groups.
func (r *stormRun) receive(ctx workflow.Context) {
	handovers := workflow.GetSignalChannel(ctx, alert.SignalHandover)
	members := workflow.GetSignalChannel(ctx, alert.SignalMembers)
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(handovers, func(c workflow.ReceiveChannel, _ bool) {
		var h alert.Handover
		c.Receive(ctx, &h)
		r.state.Take(h, now(ctx))
	})
	selector.AddReceive(members, func(c workflow.ReceiveChannel, _ bool) {
		var news alert.Members
		c.Receive(ctx, &news)
		r.state.Hear(news)
	})
	for ctx.Err() == nil {
		selector.Select(ctx)
		r.changes++
	}
}

func (r *stormRun) run(ctx workflow.Context) (StormResult, error) {
	for {
		due := r.state.Due()
		switch {
		case !due.IsZero() && !due.After(now(ctx)):
			messages, taken := r.state.Next(now(ctx))
			r.tell(ctx, messages, taken)
			continue
		case r.busy == 0 && r.state.Over() && (!r.ended || len(r.state.Groups) > 0):
			r.end(ctx)
			continue
		case r.idle(ctx) && r.ended && len(r.state.Pending) == 0 && len(r.state.Groups) == 0:
			r.result.Alerts = r.state.Ever
			return r.result, nil
		case r.idle(ctx) && workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			return r.result, workflow.NewContinueAsNewError(ctx, StormWorkflowName, activities.StormInput{Storm: r.state.Storm, State: r.state})
		}
		r.show(ctx)
		heard, busy, unwritten := r.changes, r.busy, r.recorder.unwritten()
		moved := func() bool {
			return r.changes != heard || r.busy != busy || r.recorder.unwritten() != unwritten
		}
		if err := awaitUntil(ctx, due, "tell of the storm", moved); err != nil {
			return r.result, err
		}
	}
}

// awaitUntil waits for a condition, until a moment where there is one.
func awaitUntil(ctx workflow.Context, due time.Time, summary string, condition func() bool) error {
	if due.IsZero() {
		return workflow.Await(ctx, condition)
	}
	_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: due.Sub(now(ctx)), TimerOptions: workflow.TimerOptions{Summary: summary},
	}, condition)
	return err
}

// idle: nothing is on its way in or out, so that ending now loses nothing.
func (r *stormRun) idle(ctx workflow.Context) bool {
	return r.busy == 0 && r.recorder.unwritten() == 0 &&
		workflow.GetSignalChannel(ctx, alert.SignalHandover).Len() == 0 && workflow.GetSignalChannel(ctx, alert.SignalMembers).Len() == 0
}

// tell sends messages and then tells the groups whose alerts were handed over what became of them.
func (r *stormRun) tell(ctx workflow.Context, messages []alert.StormMessage, taken []alert.Handover) {
	r.busy++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.busy-- }()
		told := r.deliver(ctx, messages)
		for _, h := range taken {
			r.report(ctx, h.Members.Group, alert.StormReport{Storm: r.id, Handover: h.ID, Told: toldOfHandover(h, messages, told)})
		}
	})
}

// toldOfHandover says which of the messages told whom of the alerts of a handover.
func toldOfHandover(h alert.Handover, messages []alert.StormMessage, told []activities.Class) []alert.StormTold {
	mine := make(map[string]bool, len(h.Members.Alerts))
	for _, m := range h.Members.Alerts {
		mine[m.Key] = true
	}
	var list []alert.StormTold
	for i, m := range messages {
		if told[i] != activities.Accepted && told[i] != activities.Uncertain {
			continue
		}
		entry := alert.StormTold{Recipient: m.To, Accepted: told[i] == activities.Accepted}
		for _, a := range m.Alerts {
			if mine[a.Key] {
				entry.Alerts = append(entry.Alerts, a.Key)
			}
		}
		if len(entry.Alerts) > 0 {
			list = append(list, entry)
		}
	}
	return list
}

// end tells of what is over, and gives what is left back to its groups.
func (r *stormRun) end(ctx workflow.Context) {
	in := activities.EndStormInput{Key: r.state.Storm.Key, At: now(ctx), Groups: r.state.Peak, Alerts: r.state.Ever}
	messages := r.state.End()
	groups := r.state.Release()
	if !r.ended {
		r.ended = true
		r.busy++
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer func() { r.busy-- }()
			r.recordEnd(ctx, in)
		})
	}
	r.busy++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.busy-- }()
		for _, group := range groups {
			r.report(ctx, group, alert.StormReport{Storm: r.id, Over: true})
		}
		r.deliver(ctx, messages)
	})
}

func (r *stormRun) recordEnd(ctx workflow.Context, in activities.EndStormInput) {
	var storms *activities.Storms
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
			NonRetryableErrorTypes: []string{activities.ErrorVaultRefused},
		},
		Summary: "the storm is over",
	})
	if err := workflow.ExecuteActivity(ctx, storms.EndStorm, in).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Error("the end of a storm is not recorded", "error", err) // the next group that joins finds it ended here
	}
}

// report tells a group's workflow. One that is gone needs to know nothing.
func (r *stormRun) report(ctx workflow.Context, group string, report alert.StormReport) {
	err := workflow.SignalExternalWorkflow(ctx, group, "", alert.SignalStorm, report).Get(ctx, nil)
	if err != nil && !isGone(err) {
		workflow.GetLogger(ctx).Warn("a group did not hear from its storm", "group", group, "error", err)
	}
}

// isGone reports that a workflow which was signalled does not run.
func isGone(err error) bool {
	var unknown *temporal.UnknownExternalWorkflowExecutionError
	return errors.As(err, &unknown)
}

// deliver sends messages, each in a coroutine of its own, and returns what is known of each in the end.
func (r *stormRun) deliver(ctx workflow.Context, messages []alert.StormMessage) []activities.Class {
	classes := make([]activities.Class, len(messages))
	wait := workflow.NewWaitGroup(ctx)
	for i, m := range messages {
		wait.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer wait.Done()
			d := &stormDelivery{stormRun: r, StormMessage: m, at: now(ctx)}
			classes[i] = d.attempts(ctx)
			if classes[i] == activities.Accepted {
				r.result.Delivered++
			} else if classes[i] != "" {
				r.result.Failed++
			}
		})
	}
	wait.Wait(ctx)
	return classes
}

// stormDelivery is one message of a storm on its way to one recipient.
type stormDelivery struct {
	*stormRun
	alert.StormMessage
	at time.Time
}

// attempts sends until the message is accepted, hopeless, out of attempts, or not needed any more, and returns what
// is known of it; empty: nothing was sent.
func (d *stormDelivery) attempts(ctx workflow.Context) activities.Class {
	var (
		last                      activities.SendNotificationOutput
		uncertain, mayHaveArrived bool
		tries                     tries
		deaths                    int
	)
	for {
		if !d.state.IsDue(d.StormMessage) {
			return d.withdraw(ctx, tries.made, last.Receipt, uncertain)
		}
		out, err := d.send(ctx, tries, uncertain, mayHaveArrived)
		if err != nil {
			deaths++
		}
		switch {
		case temporal.IsCanceledError(err):
			return d.withdraw(ctx, tries.made, last.Receipt, uncertain)
		case err != nil && uncertain:
			d.state.Told(d.StormMessage) // perhaps it was told
			d.ledger(ctx, tries.made, "FAILED", activities.Receipt{Class: activities.Uncertain}, died(deaths, "message", err))
			return activities.Uncertain
		case err != nil: // the worker died in the attempt: once more, flagged
			uncertain = true
			continue
		}
		last = out
		d.recorder.ledger(out.Entries...)
		if out.Receipt.Class == activities.Accepted || out.Receipt.Class == activities.Uncertain {
			d.state.Told(d.StormMessage)
		}
		if out.Final {
			return out.Receipt.Class
		}
		uncertain = uncertain || out.Receipt.Class == activities.Uncertain
		mayHaveArrived = mayHaveArrived || out.MayHaveArrived
		if err := workflow.NewTimerWithOptions(ctx, pause(d.Channel, out.Receipt), workflow.TimerOptions{Summary: "retry " + d.Channel.Key}).Get(ctx, nil); err != nil {
			return d.withdraw(ctx, tries.made, last.Receipt, uncertain)
		}
		tries.note(ctx, out)
	}
}

func (d *stormDelivery) send(ctx workflow.Context, tries tries, uncertain, mayHaveArrived bool) (activities.SendNotificationOutput, error) {
	var (
		notifications *activities.Notifications
		out           activities.SendNotificationOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 40 * time.Second,
		HeartbeatTimeout:    5 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1}, // retries are decided here, by what was proved
		Summary:             "storm to " + d.Channel.Key,
		Priority:            temporal.Priority{PriorityKey: 5 - d.Summary.Definitions[d.Summary.Of[0]].Severity.Rank()},
	})
	err := workflow.ExecuteActivity(ctx, notifications.SendNotification, activities.SendNotificationInput{
		Channel: d.Channel, Recipient: d.To.Address, Event: d.Events[d.Alerts[0].Key], Events: d.Events,
		Attempt: tries.made, RefusedSince: tries.refusedSince,
		Uncertain: uncertain, PossibleDuplicate: mayHaveArrived, LedgerLater: d.recorder.late || d.recorder.unwrittenEntries > 0,
		Message: activities.Message{
			Key: d.Key, Event: d.Event, Definition: stormDefinition(d.Summary), Target: stormTarget(d.Summary), WorkflowID: d.id,
			Alerts: d.Alerts, At: d.at, Storm: &d.Summary,
		},
	}).Get(ctx, &out)
	return out, err
}

// stormDefinition is what stands for the many definitions of a storm, for channels that look for one: the storm of
// one definition is that definition, any other has the severity of the worst.
func stormDefinition(s alert.StormSummary) alert.Definition {
	worst := s.Definitions[s.Of[0]]
	if s.Kind == alert.StormDefinition {
		return worst
	}
	return alert.Definition{Key: "STORM", Name: "Storm of alerts", Category: "STORM", Severity: worst.Severity}
}

func stormTarget(s alert.StormSummary) string {
	if s.Kind == alert.StormTarget {
		return s.Name
	}
	return ""
}

// withdraw closes the ledger of a message that is not needed any more. One that was never begun has none to close.
func (d *stormDelivery) withdraw(ctx workflow.Context, attempt int, last activities.Receipt, uncertain bool) activities.Class {
	switch {
	case uncertain:
		d.state.Told(d.StormMessage)
		d.ledger(ctx, attempt, "FAILED", activities.Receipt{Class: activities.Uncertain}, "an attempt ended without an answer, and the alerts were answered before another; the message may have arrived")
		return activities.Uncertain
	case last.Class == "":
		return ""
	}
	d.ledger(ctx, attempt, "SUPPRESSED", last, "the alerts were answered before another attempt; the last one said: "+last.Reason)
	return last.Class
}

func (d *stormDelivery) ledger(ctx workflow.Context, attempt int, status string, receipt activities.Receipt, reason string) {
	for _, a := range d.Alerts {
		d.recorder.ledger(activities.LedgerEntry{
			AlertKey: a.Key, ChannelKey: d.Channel.Key, ChannelType: d.Channel.Type, Recipient: d.To.Address, Event: d.Events[a.Key],
			DeliveryKey: d.Key, Status: status, Attempt: attempt, At: now(ctx), Class: string(receipt.Class), Reason: reason,
			PossibleDuplicate: receipt.Class == activities.Uncertain,
		})
	}
}

// show keeps what the Temporal UI says about the storm true.
func (r *stormRun) show(ctx workflow.Context) {
	s := r.state.Summary()
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("**Storm** on **%s** since %s: %d alerts, %d of them open, %d of those not acknowledged. %d messages went out.",
		s.Name, s.BeganAt.UTC().Format("2006-01-02 15:04:05 UTC"), s.Alerts, s.Open, s.Unanswered, r.state.Messages))
}

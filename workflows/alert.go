package workflows

import (
	"encoding/json"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// AlertResult is what stands when a group has ended.
type AlertResult struct {
	Alerts    []alert.Alert `json:"alerts"`
	Delivered int           `json:"delivered"` // messages that a provider accepted
	Failed    int           `json:"failed"`    // messages that no attempt delivered
}

// Alert carries the alerts of one definition on one target from their firing until all are resolved:
// tells people, escalates while nobody answers, hears acknowledgements and resolutions from anywhere,
// and has everything recorded. A channel or a vault that fails never fails it.
func Alert(ctx workflow.Context, in activities.AlertGroupInput) (AlertResult, error) {
	run := newAlertRun(ctx, in)
	if err := run.setup(ctx); err != nil {
		return AlertResult{}, err
	}
	return run.run(ctx)
}

// alertRun is one run of the workflow. Its coroutines share it; only one of them runs at a time.
type alertRun struct {
	id       string
	group    *alert.Group
	recorder *recorder
	sending  []*delivery // under way, in the order of their beginning
	announce int         // messages being prepared, whose deliveries have not begun
	shown    string      // state and wait as last set in the search attributes
	mutes    mutes
	storms   storms
	people   people
}

func newAlertRun(ctx workflow.Context, in activities.AlertGroupInput) *alertRun {
	run := &alertRun{id: workflow.GetInfo(ctx).WorkflowExecution.ID, group: in.State, recorder: &recorder{}}
	if run.group == nil {
		run.group = &alert.Group{Target: in.Target, Tenant: in.Tenant, Definition: alert.Definition{Key: in.DefinitionKey}}
	}
	run.recorder.adopt = run.adopt
	return run
}

func (r *alertRun) setup(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, alert.QueryStatus,
		func() (alert.GroupStatus, error) { return r.status(), nil },
		workflow.QueryHandlerOptions{Description: "The alerts of the group and what it waits for"}); err != nil {
		return err
	}
	if err := r.handleUpdate(ctx, alert.UpdateAcknowledge, r.acknowledge); err != nil {
		return err
	}
	if err := r.handleUpdate(ctx, alert.UpdateResolve, r.resolve); err != nil {
		return err
	}
	if err := r.handleAnswers(ctx); err != nil {
		return err
	}
	workflow.Go(ctx, r.recorder.run)
	workflow.Go(ctx, r.receiveTransitions)
	workflow.Go(ctx, func(ctx workflow.Context) { r.receiveSignals(ctx, alert.SignalAcknowledge, r.acknowledge) })
	workflow.Go(ctx, func(ctx workflow.Context) { r.receiveSignals(ctx, alert.SignalResolve, r.resolve) })
	workflow.Go(ctx, r.escalate)
	workflow.Go(ctx, r.followMutes)
	workflow.Go(ctx, r.follow)
	workflow.Go(ctx, r.hearStorms)
	workflow.Go(ctx, r.followStorms)
	workflow.Go(ctx, r.followHours)
	return nil
}

// run waits until the group has ended, or until its history has grown so long that it must begin anew.
func (r *alertRun) run(ctx workflow.Context) (AlertResult, error) {
	err := workflow.Await(ctx, func() bool {
		return r.quiet(ctx) && (!r.unfinished() || workflow.GetInfo(ctx).GetContinueAsNewSuggested())
	})
	if err != nil {
		return AlertResult{}, err
	}
	if r.unfinished() {
		r.group.Trim()
		return AlertResult{}, workflow.NewContinueAsNewError(ctx, AlertWorkflowName, activities.AlertGroupInput{
			Target: r.group.Target, Tenant: r.group.Tenant, DefinitionKey: r.group.Definition.Key, State: r.group,
		})
	}
	result := AlertResult{Delivered: r.group.Delivered, Failed: r.group.Failed}
	for _, t := range r.group.Alerts {
		result.Alerts = append(result.Alerts, t.Alert)
	}
	return result, nil
}

// quiet: nothing is on its way in or out, so that ending now loses nothing.
func (r *alertRun) quiet(ctx workflow.Context) bool {
	return r.announce == 0 && len(r.sending) == 0 && r.people.receipts == 0 && r.recorder.unwritten() == 0 &&
		workflow.AllHandlersFinished(ctx) &&
		workflow.GetSignalChannel(ctx, alert.SignalTransitions).Len() == 0 &&
		workflow.GetSignalChannel(ctx, alert.SignalAcknowledge).Len() == 0 &&
		workflow.GetSignalChannel(ctx, alert.SignalResolve).Len() == 0 &&
		r.quietWithStorms(ctx) && len(r.group.Alerts) > 0
}

// ---------------------------------------------------------------- facts from outside

func (r *alertRun) receiveTransitions(ctx workflow.Context) {
	channel := workflow.GetSignalChannel(ctx, alert.SignalTransitions)
	for {
		var first alert.Transitions
		if !channel.Receive(ctx, &first) {
			return
		}
		items := first.Items
		for {
			var next alert.Transitions // a fresh one: decoding into a used one would alias its slices
			if !channel.ReceiveAsync(&next) {
				break
			}
			items = append(items, next.Items...)
		}
		r.apply(ctx, items)
	}
}

// request is somebody's wish that everybody be told of an alert again; its event is a part of the
// messages' keys, so that each request is told once.
type request struct {
	of    *alert.Tracked
	event string
}

// apply takes a whole batch before anybody is told: what fired and was answered meanwhile pages nobody.
func (r *alertRun) apply(ctx workflow.Context, items []alert.Transition) {
	var fired, reopened, ended, raised []*alert.Tracked
	unanswered := map[string][]*alert.Tracked{} // by the ledger's word
	var again []request
	mutes := false
	alert.Complete(items)
	for _, item := range items {
		if !r.group.Fresh(item.Seq) {
			continue
		}
		switch item.Kind {
		case alert.TransitionFired:
			if t := r.group.Reopen(item, now(ctx)); t != nil {
				r.stopPaging() // what still tells of its end
				reopened = append(reopened, t)
			} else if t := r.group.Fire(item, now(ctx)); t != nil {
				r.recordOpening(t, item)
				fired = append(fired, t)
			}
		case alert.TransitionNotify:
			if t := r.group.Find(item.Alert.Key); t != nil && t.Active() {
				t.Requests++
				again = append(again, request{of: t, event: t.Request(t.Requests)})
			}
		case alert.TransitionMutes:
			mutes = true
		case alert.TransitionAcknowledged:
			if t := r.group.Find(item.Alert.Key); t != nil {
				r.acknowledgeOne(t, item.Actor, item.Via, item.Notes, item.At, item.Until, item.Recorded)
			}
		case alert.TransitionResolved:
			if t := r.group.Find(item.Alert.Key); t != nil && r.resolveOne(t, item.Actor, item.Via, item.Notes, item.At, item.FalsePositive, item.Recorded) {
				ended = append(ended, t)
			}
		case alert.TransitionUnacknowledged:
			if t := r.group.Find(item.Alert.Key); t != nil && r.takeBack(ctx, t, item.Actor, item.Via, item.Notes, item.At, item.Recorded) {
				unanswered[unansweredAt(item.At)] = append(unanswered[unansweredAt(item.At)], t)
			}
		case alert.TransitionSnoozed:
			if t := r.group.Find(item.Alert.Key); t != nil {
				r.snoozeOne(t, item.Actor, item.Via, item.Notes, item.At, item.Until, item.Recorded)
			}
		case alert.TransitionEscalated:
			if t := r.group.Find(item.Alert.Key); t != nil && r.raiseOne(ctx, t, item.Level, item.Actor, item.Via, item.Notes, item.At, item.Recorded) {
				raised = append(raised, t)
			}
		}
	}
	r.tellOpenings(ctx, append(fired, reopened...))
	for _, asked := range again {
		r.tellTo(ctx, alert.EventFired, asked.event, []*alert.Tracked{asked.of}, func() []string { return r.group.Hearers })
	}
	for _, event := range workflow.DeterministicKeys(unanswered) {
		r.tellLevels(ctx, alert.EventUnanswered, event, unanswered[event])
	}
	r.tellRaised(ctx, raised)
	r.tellResolved(ctx, slices.DeleteFunc(ended, func(t *alert.Tracked) bool { return t.Active() }))
	if mutes {
		r.reconsiderSoon(ctx)
	}
	r.show(ctx)
}

func (r *alertRun) recordOpening(t *alert.Tracked, item alert.Transition) {
	if item.Recorded {
		return
	}
	details, err := json.Marshal(map[string]string{"condition": r.group.Definition.Condition, "reason": item.Notes})
	if err != nil {
		details = nil // two strings always marshal; without details the row still tells what happened
	}
	r.recorder.change(activities.Change{
		AlertKey: t.Key, DefinitionKey: r.group.Definition.Key, Target: t.Target, Change: string(alert.StatusOpen), At: t.TriggeredAt,
		Via: item.Via, Value: t.Value, Severity: r.group.Definition.Severity, Details: details,
	})
}

// adopt follows the vault where somebody was faster than the workflow, for instance in psql.
func (r *alertRun) adopt(ctx workflow.Context, result activities.ChangeResult) {
	t := r.group.Find(result.AlertKey)
	if t == nil || result.Changed {
		return
	}
	switch result.Status {
	case alert.StatusAcknowledged:
		if r.group.AcknowledgeUntil(t, result.Actor, "", result.At, result.Until) {
			r.stopPaging()
		}
	case alert.StatusResolved:
		if r.group.Resolve(t, result.Actor, "", result.At) {
			r.stopPaging()
			r.tellResolved(ctx, []*alert.Tracked{t})
		}
	case alert.StatusOpen, alert.StatusEscalated, alert.StatusSuppressed:
		// The vault lags behind or refused a repetition: the workflow's state stands.
	}
	r.show(ctx)
}

// ---------------------------------------------------------------- changes

// acknowledgeOne takes an alert until a moment; zero: until its end.
func (r *alertRun) acknowledgeOne(t *alert.Tracked, actor, via, notes string, at, until time.Time, recorded bool) bool {
	if !r.group.AcknowledgeUntil(t, actor, notes, at, until) {
		return false
	}
	t.AnsweredVia = via
	if !recorded {
		change := r.changeOf(t, alert.StatusAcknowledged, actor, via, notes, at)
		change.Until = until
		r.recorder.change(change)
	}
	r.stopPaging()
	return true
}

// resolveOne ends an alert; the caller tells people, in one message for all that ended together.
func (r *alertRun) resolveOne(t *alert.Tracked, actor, via, notes string, at time.Time, falsePositive, recorded bool) bool {
	if !r.group.Resolve(t, actor, notes, at) {
		return false
	}
	t.AnsweredVia = via
	t.FalsePositive = falsePositive
	if !recorded {
		change := r.changeOf(t, alert.StatusResolved, actor, via, notes, at)
		change.FalsePositive = falsePositive
		r.recorder.change(change)
	}
	r.stopPaging()
	return true
}

func (r *alertRun) changeOf(t *alert.Tracked, status alert.Status, actor, via, notes string, at time.Time) activities.Change {
	return activities.Change{
		AlertKey: t.Key, DefinitionKey: r.group.Definition.Key, Target: t.Target, Change: string(status), At: at,
		Actor: actor, Via: via, Notes: notes, Level: t.Level,
	}
}

// escalate raises alerts that nobody answered, and wakes those whose answer is over, as long as the workflow lives.
func (r *alertRun) escalate(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return !r.group.Next().IsZero() }); err != nil {
			return
		}
		deadline := r.group.Next()
		changed, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      deadline.Sub(now(ctx)),
			TimerOptions: workflow.TimerOptions{Summary: "escalate unless acknowledged"},
		}, func() bool { return !r.group.Next().Equal(deadline) })
		if err != nil {
			return
		}
		if !changed {
			r.raise(ctx)
		}
	}
}

// raise does what is due by itself.
func (r *alertRun) raise(ctx workflow.Context) {
	r.reconsider(ctx) // what began to be muted by time alone does not escalate
	raised := r.group.Escalate(now(ctx))
	for _, t := range raised {
		r.recorder.change(r.changeOf(t, alert.StatusEscalated, "escalation timer", "workflow", "", now(ctx)))
	}
	r.tellRaised(ctx, raised)
	r.repeat(ctx)
	r.wake(ctx)
	r.show(ctx)
}

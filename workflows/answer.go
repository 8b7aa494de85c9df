package workflows

import (
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// What people do with an alert beside acknowledging and resolving it, and what follows by itself when an
// acknowledgement or a snooze is over.

// actorTimer stands as who took an acknowledgement back when its time was over.
const (
	actorTimer = "acknowledgement timer"
	viaExpired = "acknowledgement expired"
)

func (r *alertRun) handleAnswers(ctx workflow.Context) error {
	for _, answer := range []struct {
		name   string
		handle commandFunc
	}{
		{alert.UpdateUnacknowledge, r.unacknowledge},
		{alert.UpdateSnooze, r.snooze},
		{alert.UpdateEscalate, r.raiseNow},
		{alert.UpdateFalsePositive, r.falsePositive},
		{alert.UpdateSilence, r.silence},
	} {
		if err := r.handleUpdate(ctx, answer.name, answer.handle); err != nil {
			return err
		}
	}
	return nil
}

func (r *alertRun) unacknowledge(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	var back []*alert.Tracked
	return r.command(ctx, alert.UpdateUnacknowledge, c, func(t *alert.Tracked, at time.Time) bool {
		changed := r.takeBack(ctx, t, c.Actor, c.Via, c.Notes, at, false)
		if changed {
			back = append(back, t)
		}
		return changed
	}, func(at time.Time) { r.tellUnanswered(ctx, back, at) })
}

func (r *alertRun) snooze(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	return r.command(ctx, alert.UpdateSnooze, c, func(t *alert.Tracked, at time.Time) bool {
		return r.snoozeOne(t, c.Actor, c.Via, c.Notes, at, at.Add(time.Duration(c.Minutes)*time.Minute), false)
	}, nil)
}

func (r *alertRun) raiseNow(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	var raised []*alert.Tracked
	return r.command(ctx, alert.UpdateEscalate, c, func(t *alert.Tracked, at time.Time) bool {
		changed := r.raiseOne(ctx, t, 0, c.Actor, c.Via, c.Notes, at, false)
		if changed {
			raised = append(raised, t)
		}
		return changed
	}, func(time.Time) { r.tellRaised(ctx, raised) })
}

func (r *alertRun) falsePositive(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	var ended []*alert.Tracked
	return r.command(ctx, alert.UpdateFalsePositive, c, func(t *alert.Tracked, at time.Time) bool {
		changed := r.resolveOne(t, c.Actor, c.Via, c.Notes, at, true, false)
		if changed {
			ended = append(ended, t)
		}
		return changed
	}, func(time.Time) { r.tellResolved(ctx, ended) })
}

// ---------------------------------------------------------------- changes

func (r *alertRun) takeBack(ctx workflow.Context, t *alert.Tracked, actor, via, notes string, at time.Time, recorded bool) bool {
	if !r.group.Unacknowledge(t, notes, now(ctx)) { // the next level counts from when this workflow heard of it
		return false
	}
	if !recorded {
		r.recorder.change(r.takenBack(t, actor, via, notes, at, false))
	}
	return true
}

func (r *alertRun) takenBack(t *alert.Tracked, actor, via, notes string, at time.Time, expired bool) activities.Change {
	change := r.changeOf(t, alert.StatusOpen, actor, via, notes, at)
	change.Change, change.Expired = string(alert.TransitionUnacknowledged), expired
	return change
}

func (r *alertRun) snoozeOne(t *alert.Tracked, actor, via, notes string, at, until time.Time, recorded bool) bool {
	if !r.group.Snooze(t, notes, until) {
		return false
	}
	if !recorded {
		change := r.changeOf(t, t.Status, actor, via, notes, at)
		change.Change, change.Until = "SNOOZED", until
		r.recorder.change(change)
	}
	r.stopPaging()
	return true
}

// raiseOne escalates an alert by somebody's wish. One that was acknowledged is taken back first: whoever has
// it asks for others.
func (r *alertRun) raiseOne(ctx workflow.Context, t *alert.Tracked, level int, actor, via, notes string, at time.Time, recorded bool) bool {
	r.takeBack(ctx, t, actor, via, notes, at, recorded)
	if !r.group.Raise(t, level, notes, now(ctx)) {
		return false
	}
	if !recorded {
		r.recorder.change(r.changeOf(t, alert.StatusEscalated, actor, via, notes, at))
	}
	return true
}

// wake lets alerts page again whose acknowledgement or snooze is over.
func (r *alertRun) wake(ctx workflow.Context) {
	byDue := map[string][]*alert.Tracked{}
	for _, w := range r.group.Wake(now(ctx)) {
		if w.Expired {
			r.recorder.change(r.takenBack(w.Tracked, actorTimer, viaExpired, w.Notes, now(ctx), true))
		}
		event := unansweredAt(w.Due)
		byDue[event] = append(byDue[event], w.Tracked)
	}
	for _, event := range workflow.DeterministicKeys(byDue) {
		r.tellLevels(ctx, alert.EventUnanswered, event, byDue[event])
	}
}

// repeat pages levels once more whose policy asks for it.
func (r *alertRun) repeat(ctx workflow.Context) {
	stamp := stampOf(now(ctx))
	for _, of := range byLevel(r.group.Repeat(now(ctx))) {
		event := alert.EventEscalated
		if of[0].Level == 0 {
			event = alert.EventFired
		}
		r.tell(ctx, event, "REPEATED:"+strconv.Itoa(of[0].Level)+":"+stamp, of)
	}
}

// ---------------------------------------------------------------- messages

func (r *alertRun) tellUnanswered(ctx workflow.Context, alerts []*alert.Tracked, at time.Time) {
	r.tellLevels(ctx, alert.EventUnanswered, unansweredAt(at), alerts)
}

// unansweredAt is the ledger's word for it. The moment makes it another message than the one before, also for
// a workflow that was lost and knows nothing of that.
func unansweredAt(at time.Time) string {
	return string(alert.EventUnanswered) + ":" + stampOf(at)
}

func stampOf(at time.Time) string { return at.UTC().Format("20060102T150405.000000") }

func (r *alertRun) tellRaised(ctx workflow.Context, alerts []*alert.Tracked) {
	for _, of := range byLevel(alerts) {
		r.tell(ctx, alert.EventEscalated, "ESCALATED:"+strconv.Itoa(of[0].Level), of)
	}
}

// tellLevels tells of alerts in one message, or with a policy in one for each level, which may page others: a
// group may hold alerts of several ages.
func (r *alertRun) tellLevels(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked) {
	if r.group.Definition.Policy == nil && len(alerts) > 0 {
		r.tell(ctx, event, ledgerEvent, alerts)
		return
	}
	for _, of := range byLevel(alerts) {
		r.tell(ctx, event, ledgerEvent, of)
	}
}

func byLevel(alerts []*alert.Tracked) [][]*alert.Tracked {
	levels := map[int][]*alert.Tracked{}
	for _, t := range alerts {
		levels[t.Level] = append(levels[t.Level], t)
	}
	sorted := make([][]*alert.Tracked, 0, len(levels))
	for _, level := range workflow.DeterministicKeys(levels) {
		sorted = append(sorted, levels[level])
	}
	return sorted
}

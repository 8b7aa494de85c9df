package workflows

import (
	"encoding/json"
	"time"

	"go.temporal.io/sdk/workflow"

	"onevault/alert"
)

// commandFunc carries out a command that was found to be in order.
type commandFunc func(workflow.Context, alert.Command) (alert.CommandResult, error)

// handleUpdate offers a command as an update: it answers, and is refused before it enters the history.
func (r *alertRun) handleUpdate(ctx workflow.Context, name string, handle commandFunc) error {
	return workflow.SetUpdateHandlerWithOptions(ctx, name, handle, workflow.UpdateHandlerOptions{
		Description: name + " alerts of the group: {actor, notes, minutes, critical, alerts: short ids, empty for all}",
		Validator: func(_ workflow.Context, c alert.Command) error {
			if _, err := r.group.Check(name, c); err != nil {
				return refuse(err)
			}
			return nil
		},
	})
}

func (r *alertRun) acknowledge(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	return r.command(ctx, alert.UpdateAcknowledge, c, func(t *alert.Tracked, at time.Time) bool {
		var until time.Time
		if c.Minutes > 0 {
			until = at.Add(time.Duration(c.Minutes) * time.Minute)
		}
		return r.acknowledgeOne(t, c.Actor, c.Via, c.Notes, at, until, false)
	}, nil)
}

func (r *alertRun) resolve(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	var ended []*alert.Tracked
	result, err := r.command(ctx, alert.UpdateResolve, c, func(t *alert.Tracked, at time.Time) bool {
		changed := r.resolveOne(t, c.Actor, c.Via, c.Notes, at, false, false)
		if changed {
			ended = append(ended, t)
		}
		return changed
	}, nil)
	r.tellResolved(ctx, ended)
	return result, err
}

// command applies a change to what the command means, waits until the vault holds it (or proved too
// slow), and answers with what stands then: somebody may have been faster in psql. then, where given, follows
// the changes and is not waited for.
func (r *alertRun) command(ctx workflow.Context, name string, c alert.Command, change func(*alert.Tracked, time.Time) bool,
	then func(at time.Time),
) (alert.CommandResult, error) {
	selected, err := r.group.Check(name, c)
	if err != nil {
		return alert.CommandResult{}, refuse(err)
	}
	at := now(ctx)
	changed := make([]bool, len(selected))
	cancelled := make([]int, len(selected))
	for i, t := range selected {
		if !t.NextEscalation.IsZero() {
			cancelled[i] = t.Level + 1
		}
		changed[i] = change(t, at)
	}
	if then != nil {
		then(at)
	}
	r.show(ctx)
	if err := r.recorder.settle(ctx); err != nil {
		return alert.CommandResult{}, err
	}
	result := alert.CommandResult{}
	for i, t := range selected {
		outcome := alert.CommandOutcome{ShortID: t.ShortID, Status: t.Status, Changed: changed[i], Level: t.Level}
		switch t.Status {
		case alert.StatusAcknowledged:
			outcome.Actor, outcome.At, outcome.Until = t.AcknowledgedBy, t.AcknowledgedAt, t.AcknowledgedUntil
		case alert.StatusResolved:
			outcome.Actor, outcome.At = t.ResolvedBy, t.ResolvedAt
		case alert.StatusOpen, alert.StatusEscalated, alert.StatusSuppressed:
			outcome.Until = t.SnoozedUntil
			if changed[i] {
				outcome.Actor, outcome.At = c.Actor, at
			}
		}
		if changed[i] {
			outcome.CancelledLevel = cancelled[i]
		}
		result.Alerts = append(result.Alerts, outcome)
	}
	return result, nil
}

// receiveSignals takes commands from `temporal workflow signal`. Nobody vouches for their sender, and
// nobody waits for an answer: one that cannot be carried out is logged.
func (r *alertRun) receiveSignals(ctx workflow.Context, name string, handle commandFunc) {
	channel := workflow.GetSignalChannel(ctx, name)
	for {
		var signal signalled
		if !channel.Receive(ctx, &signal) {
			return
		}
		command := signal.Command
		if command.Actor == "" {
			command.Actor = "signal"
		}
		command.Via = "signal (unverified)"
		workflow.Go(ctx, func(ctx workflow.Context) {
			if _, err := handle(ctx, command); err != nil {
				workflow.GetLogger(ctx).Warn("signal not carried out", "signal", name, "actor", command.Actor, "error", err)
			}
		})
	}
}

// signalled is a command as people type it: an object, or just the name of who acts, or nothing.
type signalled struct {
	alert.Command
}

// UnmarshalJSON accepts {"actor": "dana", ...} and "dana".
func (s *signalled) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &s.Actor) == nil {
		return nil
	}
	return json.Unmarshal(data, &s.Command)
}

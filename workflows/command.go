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
		Description: name + " alerts of the group: {actor, notes, alerts: short ids, empty for all}",
		Validator: func(_ workflow.Context, c alert.Command) error {
			if _, err := r.group.Select(c); err != nil {
				return refuse(err)
			}
			return nil
		},
	})
}

func (r *alertRun) acknowledge(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	return r.command(ctx, c, func(t *alert.Tracked, at time.Time) bool {
		return r.acknowledgeOne(t, c.Actor, c.Via, c.Notes, at, false)
	})
}

func (r *alertRun) resolve(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	var ended []*alert.Tracked
	result, err := r.command(ctx, c, func(t *alert.Tracked, at time.Time) bool {
		changed := r.resolveOne(t, c.Actor, c.Via, c.Notes, at, false)
		if changed {
			ended = append(ended, t)
		}
		return changed
	})
	r.tellResolved(ctx, ended)
	return result, err
}

// command applies a change to what the command means, waits until the vault holds it (or proved too
// slow), and answers with what stands then: somebody may have been faster in psql.
func (r *alertRun) command(ctx workflow.Context, c alert.Command, change func(*alert.Tracked, time.Time) bool) (alert.CommandResult, error) {
	selected, err := r.group.Select(c)
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
	r.show(ctx)
	if err := r.recorder.settle(ctx); err != nil {
		return alert.CommandResult{}, err
	}
	result := alert.CommandResult{}
	for i, t := range selected {
		outcome := alert.CommandOutcome{ShortID: t.ShortID, Status: t.Status, Changed: changed[i]}
		outcome.Actor, outcome.At = t.AcknowledgedBy, t.AcknowledgedAt
		if t.Status == alert.StatusResolved {
			outcome.Actor, outcome.At = t.ResolvedBy, t.ResolvedAt
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

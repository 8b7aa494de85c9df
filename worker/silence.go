package worker

import (
	"context"

	"onevault/vault"
	"onevault/workflows"
)

// relaySilences tells the workflows of silences that something changed, and starts those that are lacking.
func (r *relay) relaySilences(ctx context.Context, outbox *vault.Outbox, adopting bool) error {
	news, err := outbox.UnrelayedSilences(ctx)
	if err != nil {
		return err
	}
	for _, n := range news {
		if err := r.silences.BringSilence(ctx, workflows.SilenceWorkflowID(n.ID), n.ID); err != nil {
			return err
		}
		if err := outbox.MarkRelayed(ctx, n.Seq, outcomeOf(true)); err != nil {
			return err
		}
	}
	if !adopting {
		return nil
	}
	active, err := outbox.ActiveSilences(ctx)
	if err != nil {
		return err
	}
	for _, n := range active {
		running, err := r.isRunning(ctx, workflows.SilenceWorkflowID(n.ID))
		if err != nil {
			return err
		}
		if running {
			continue
		}
		if err := r.silences.BringSilence(ctx, workflows.SilenceWorkflowID(n.ID), n.ID); err != nil {
			return err
		}
		r.log.Warn("workflow of a silence was gone and is started again", "workflow_id", workflows.SilenceWorkflowID(n.ID))
	}
	return nil
}

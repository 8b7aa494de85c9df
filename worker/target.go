package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"

	"onevault/vault"
)

// targetsEvery is how often the vault is asked for the list of targets: a new one is watched that soon.
const targetsEvery = 2 * time.Second

// followTargets keeps the schedules and the connections of the targets what the vault's list says, until the
// context ends. While the vault is down everything stays as it is. Each worker does it: doing it twice
// changes nothing.
func (p *parts) followTargets(ctx context.Context) {
	applied := map[string]vault.Target{}
	said := "" // a problem is logged once
	for {
		err := p.applyTargets(ctx, applied)
		if ctx.Err() != nil {
			return
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		if problem != said && problem != "" {
			p.log.Warn("targets not followed, trying on", "error", problem)
		}
		said = problem
		select {
		case <-ctx.Done():
			return
		case <-time.After(targetsEvery):
		}
	}
}

// applyTargets brings about what changed since it was applied. One target's failure does not keep the others.
func (p *parts) applyTargets(ctx context.Context, applied map[string]vault.Target) error {
	list, err := p.registry.Refresh(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, t := range list {
		before, known := applied[t.Name]
		if known && before.Version.Equal(t.Version) {
			continue
		}
		if err := p.applyTarget(ctx, t, known); err != nil {
			errs = append(errs, fmt.Errorf("target %s: %w", t.Name, err))
			continue
		}
		applied[t.Name] = t
		if known || t.State != vault.TargetRemoved {
			p.log.Info("target applied", "target", t.Name, "state", t.State)
		}
	}
	return errors.Join(errs...)
}

// applyTarget makes, changes, pauses or deletes the schedules of a target. One that changed while this worker
// ran is measured at once, so that whoever changed it sees what came of it.
func (p *parts) applyTarget(ctx context.Context, t vault.Target, changed bool) error {
	for _, options := range p.schedulesOf(t.Name, t.CollectEvery) {
		handle := p.temporal.ScheduleClient().GetHandle(ctx, options.ID)
		if t.State == vault.TargetRemoved {
			if err := withoutNotFound(handle.Delete(ctx)); err != nil {
				return fmt.Errorf("delete schedule %s: %w", options.ID, err)
			}
			continue
		}
		if t.State == vault.TargetDisabled {
			options.Paused, options.Note, options.TriggerImmediately = true, disabledNote, false
		}
		if err := p.putSchedule(ctx, options); err != nil {
			return fmt.Errorf("put schedule %s: %w", options.ID, err)
		}
	}
	if changed && t.State == vault.TargetEnabled {
		return p.collectNow(ctx, t.Name)
	}
	return nil
}

// collectNow measures a target once, unless somebody paused that.
func (p *parts) collectNow(ctx context.Context, target string) error {
	id := scheduleID("collect", target)
	handle := p.temporal.ScheduleClient().GetHandle(ctx, id)
	found, err := handle.Describe(ctx)
	if err == nil && !found.Schedule.State.Paused {
		err = handle.Trigger(ctx, client.ScheduleTriggerOptions{})
	}
	if err = withoutNotFound(err); err != nil {
		return fmt.Errorf("trigger schedule %s: %w", id, err)
	}
	return nil
}

// withoutNotFound: what is not there needs no change; another worker was faster.
func withoutNotFound(err error) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return nil
	}
	return err
}

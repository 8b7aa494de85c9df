package worker

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"onevault/workflows"
)

// securityEvery is the guide's cadence.
const securityEvery = 15 * time.Minute

const (
	// capacityEvery is finer than its forecast by days needs, because a disk fills in hours when it must.
	capacityEvery = time.Hour
	// capacityOffset keeps it from the full hour, when everybody's jobs run.
	capacityOffset = 160 * time.Second
)

// schedules are what the guide's cron jobs have become: those of the vault's own server, and those of the vault.
func (p *parts) schedules() []client.ScheduleOptions {
	return append(append(p.schedulesOf(localTarget, 0), p.heartbeatSchedule()...),
		// When the night's reports and backups are usually not yet, or no longer, at work.
		p.daily("retain", client.ScheduleCalendarSpec{Hour: at(2), Minute: at(30)}, "UTC", workflows.RetainWorkflowName,
			workflows.RetainInput{}, "roll up, archive and drop what is older than its setting says"),
		p.daily("report", client.ScheduleCalendarSpec{Hour: at(6)}, p.config.Timezone, workflows.ReportWorkflowName,
			workflows.ReportInput{Timezone: p.config.Timezone}, "make the daily report and mail it to whoever asks for it"),
	)
}

// schedulesOf are the schedules of one target. collectEvery 0: as the worker's setting says.
func (p *parts) schedulesOf(target string, collectEvery time.Duration) []client.ScheduleOptions {
	if collectEvery == 0 {
		collectEvery = p.config.CollectEvery
	}
	evaluateEvery := p.config.EvaluateEvery
	if evaluateEvery == 0 {
		evaluateEvery = finestFrequency
	}
	collectOffset, capacityAt, compliance := time.Duration(0), capacityOffset, client.ScheduleCalendarSpec{Hour: at(3), Minute: at(30)}
	if target != localTarget {
		collectOffset, capacityAt = spread(target, collectEvery), spread(target, capacityEvery)
		// After retention, and before the report that tells what changed.
		minute := int(spread(target, 2*time.Hour) / time.Minute)
		compliance = client.ScheduleCalendarSpec{Hour: at(3 + (30+minute)/60), Minute: at((30 + minute) % 60), Second: at(int(spread(target, time.Minute) / time.Second))}
	}
	// Evaluation follows collection closely, so that what was measured is judged at once.
	evaluateOffset := (collectOffset + min(evaluateEvery/5, 15*time.Second)) % evaluateEvery
	collection := p.every(scheduleID("collect", target), collectEvery, collectOffset, workflows.CollectWorkflowName,
		workflows.CollectInput{Target: target, Every: collectEvery}, "measure "+target+" and record it")
	collection.TriggerImmediately = target != localTarget // on its creation: whether it works is seen at once
	security := p.every(scheduleID("security", target), securityEvery, spread(target, securityEvery), workflows.SecurityWorkflowName,
		workflows.SecurityInput{Target: target}, "look for security events on "+target)
	security.TriggerImmediately = true // on its creation: nothing found and nobody looked differ
	capacity := p.every(scheduleID("capacity", target), capacityEvery, capacityAt, workflows.CapacityWorkflowName,
		workflows.CapacityInput{Target: target, Every: capacityEvery}, "measure what can fill up on "+target+", and forecast when it will be full")
	capacity.TriggerImmediately = true // on its creation: the history begins at once
	return []client.ScheduleOptions{
		collection,
		p.every(scheduleID("evaluate", target), evaluateEvery, evaluateOffset, workflows.EvaluateWorkflowName,
			workflows.EvaluateInput{Target: target, Every: p.config.EvaluateEvery}, "evaluate the alert definitions that are due on "+target),
		security,
		capacity,
		p.daily(scheduleID("compliance", target), compliance, "UTC", workflows.ComplianceWorkflowName,
			workflows.ComplianceInput{Target: target}, "run the compliance controls on "+target+" and record what they found"),
	}
}

// scheduleID: those of local keep the bare name of what they do.
func scheduleID(kind, target string) string {
	if target == localTarget {
		return kind
	}
	return kind + "/" + target
}

// spread is a moment within a period that follows from the target's name: the same at each start and in each
// worker, and another for each target, so that fifty do not begin in the same second. That of local is 0.
func spread(target string, period time.Duration) time.Duration {
	if target == localTarget {
		return 0
	}
	sum := sha256.Sum256([]byte(period.String() + "/" + strings.ToLower(target)))
	return time.Duration(binary.BigEndian.Uint32(sum[:4])) * time.Second % period.Truncate(time.Second)
}

// at is one value of a calendar's field.
func at(value int) []client.ScheduleRange { return []client.ScheduleRange{{Start: value}} }

// every is a schedule of short rounds. What was missed while no worker ran is not caught up: it would
// measure the past.
func (p *parts) every(id string, every, offset time.Duration, workflowName string, input any, summary string) client.ScheduleOptions {
	spec := client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every, Offset: offset}}}
	return p.schedule(id, spec, max(10*every, 5*time.Minute), max(every, 10*time.Second), workflowName, input, summary)
}

// daily is a schedule of one long piece of work a day. One that was missed is caught up within half a day.
func (p *parts) daily(id string, at client.ScheduleCalendarSpec, timezone, workflowName string, input any, summary string) client.ScheduleOptions {
	spec := client.ScheduleSpec{Calendars: []client.ScheduleCalendarSpec{at}, TimeZoneName: timezone}
	return p.schedule(id, spec, 20*time.Hour, 12*time.Hour, workflowName, input, summary)
}

// schedule starts a workflow by its spec, one in flight.
func (p *parts) schedule(id string, spec client.ScheduleSpec, timeout, catchup time.Duration, workflowName string, input any, summary string) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID:   id,
		Spec: spec,
		Action: &client.ScheduleWorkflowAction{
			ID: id, Workflow: workflowName, Args: []any{input}, TaskQueue: p.config.TaskQueue, StaticSummary: summary,
			WorkflowExecutionTimeout: timeout,
		},
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: catchup,
	}
}

// reconcileSchedules creates the schedules or brings them up to date; one that somebody paused stays so.
func (p *parts) reconcileSchedules(ctx context.Context) error {
	for _, options := range p.schedules() {
		err := p.insist(ctx, "schedule "+options.ID, func(ctx context.Context) error { return p.putSchedule(ctx, options) })
		if err != nil {
			return fmt.Errorf("reconcile schedule %s: %w", options.ID, err)
		}
	}
	return nil
}

func (p *parts) putSchedule(ctx context.Context, options client.ScheduleOptions) error {
	_, err := p.temporal.ScheduleClient().Create(ctx, options)
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return p.temporal.ScheduleClient().GetHandle(ctx, options.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Spec = &options.Spec
			schedule.Action = options.Action
			schedule.Policy = &client.SchedulePolicies{Overlap: options.Overlap, CatchupWindow: options.CatchupWindow}
			schedule.State = pauseAsTarget(schedule.State, options.Paused)
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
}

// disabledNote marks a schedule that is paused because its target is disabled, and not because somebody paused it.
const disabledNote = "the target is disabled"

// pauseAsTarget pauses the schedule of a target that was disabled, and resumes it when the target is enabled
// again. What a person paused stays paused.
func pauseAsTarget(state *client.ScheduleState, disabled bool) *client.ScheduleState {
	if state == nil {
		state = &client.ScheduleState{}
	}
	switch {
	case disabled && !state.Paused:
		state.Paused, state.Note = true, disabledNote
	case !disabled && state.Paused && state.Note == disabledNote:
		state.Paused, state.Note = false, ""
	}
	return state
}

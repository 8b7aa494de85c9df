package worker

import (
	"context"
	"errors"
	"fmt"
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

// schedules are what the guide's cron jobs have become.
func (p *parts) schedules() []client.ScheduleOptions {
	evaluateEvery := p.config.EvaluateEvery
	if evaluateEvery == 0 {
		evaluateEvery = finestFrequency
	}
	// Evaluation follows collection closely, so that what was measured is judged at once.
	offset := min(evaluateEvery/5, 15*time.Second)
	security := p.every("security", securityEvery, 0, workflows.SecurityWorkflowName,
		workflows.SecurityInput{Target: localTarget}, "look for security events")
	security.TriggerImmediately = true // on its creation: nothing found and nobody looked differ
	capacity := p.every("capacity", capacityEvery, capacityOffset, workflows.CapacityWorkflowName,
		workflows.CapacityInput{Target: localTarget, Every: capacityEvery}, "measure what can fill up, and forecast when it will be full")
	capacity.TriggerImmediately = true // on its creation: the history begins at once
	return []client.ScheduleOptions{
		p.every("collect", p.config.CollectEvery, 0, workflows.CollectWorkflowName,
			workflows.CollectInput{Target: localTarget, Every: p.config.CollectEvery}, "measure the target and record it"),
		p.every("evaluate", evaluateEvery, offset, workflows.EvaluateWorkflowName,
			workflows.EvaluateInput{Target: localTarget, Every: p.config.EvaluateEvery}, "evaluate the alert definitions that are due"),
		security,
		capacity,
		// When the night's reports and backups are usually not yet, or no longer, at work.
		p.daily("retain", client.ScheduleCalendarSpec{Hour: at(2), Minute: at(30)}, "UTC", workflows.RetainWorkflowName,
			workflows.RetainInput{}, "roll up, archive and drop what is older than its setting says"),
		// After retention, and before the report that tells what changed.
		p.daily("compliance", client.ScheduleCalendarSpec{Hour: at(3), Minute: at(30)}, "UTC", workflows.ComplianceWorkflowName,
			workflows.ComplianceInput{Target: localTarget}, "run the compliance controls and record what they found"),
		p.daily("report", client.ScheduleCalendarSpec{Hour: at(6)}, p.config.Timezone, workflows.ReportWorkflowName,
			workflows.ReportInput{Timezone: p.config.Timezone}, "make the daily report and mail it to whoever asks for it"),
	}
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
		err := p.insist(ctx, "schedule "+options.ID, func(ctx context.Context) error {
			_, err := p.temporal.ScheduleClient().Create(ctx, options)
			if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
				return err
			}
			return p.updateSchedule(ctx, options)
		})
		if err != nil {
			return fmt.Errorf("reconcile schedule %s: %w", options.ID, err)
		}
	}
	return nil
}

func (p *parts) updateSchedule(ctx context.Context, options client.ScheduleOptions) error {
	return p.temporal.ScheduleClient().GetHandle(ctx, options.ID).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			schedule := in.Description.Schedule
			schedule.Spec = &options.Spec
			schedule.Action = options.Action
			schedule.Policy = &client.SchedulePolicies{Overlap: options.Overlap, CatchupWindow: options.CatchupWindow}
			return &client.ScheduleUpdate{Schedule: &schedule}, nil
		},
	})
}

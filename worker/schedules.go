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

// schedules are what the guide's cron jobs have become.
func (p *parts) schedules() []client.ScheduleOptions {
	evaluateEvery := p.config.EvaluateEvery
	if evaluateEvery == 0 {
		evaluateEvery = finestFrequency
	}
	// Evaluation follows collection closely, so that what was measured is judged at once.
	offset := min(evaluateEvery/5, 15*time.Second)
	return []client.ScheduleOptions{
		p.schedule("collect", p.config.CollectEvery, 0, workflows.CollectWorkflowName,
			workflows.CollectInput{Target: localTarget, Every: p.config.CollectEvery}, "measure the target and record it"),
		p.schedule("evaluate", evaluateEvery, offset, workflows.EvaluateWorkflowName,
			workflows.EvaluateInput{Target: localTarget, Every: p.config.EvaluateEvery}, "evaluate the alert definitions that are due"),
	}
}

func (p *parts) schedule(id string, every, offset time.Duration, workflowName string, input any, summary string) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID:   id,
		Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every, Offset: offset}}},
		Action: &client.ScheduleWorkflowAction{
			ID: id, Workflow: workflowName, Args: []any{input}, TaskQueue: p.config.TaskQueue, StaticSummary: summary,
			WorkflowExecutionTimeout: max(10*every, 5*time.Minute),
		},
		// One in flight; what was missed while no worker ran is not caught up: it would measure the past.
		Overlap:       enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		CatchupWindow: max(every, 10*time.Second),
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

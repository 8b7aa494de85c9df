package worker

import (
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/workflows"
)

func TestSchedules_FollowTheConfiguredCadence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config            Config
		collect, evaluate time.Duration
		offset            time.Duration // of the evaluation behind the collection
	}{
		"defaults":    {Config{}, 5 * time.Minute, time.Minute, 12 * time.Second},
		"development": {Config{CollectEvery: 10 * time.Second, EvaluateEvery: 10 * time.Second}, 10 * time.Second, 10 * time.Second, 2 * time.Second},
		"slow":        {Config{CollectEvery: time.Hour, EvaluateEvery: time.Hour}, time.Hour, time.Hour, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &parts{config: c.config.withDefaults()}
			byID := map[string]client.ScheduleOptions{}
			for _, options := range p.schedules() {
				byID[options.ID] = options
			}
			wantCadence(t, byID["collect"], c.collect, 0)
			wantCadence(t, byID["evaluate"], c.evaluate, c.offset)
			wantCadence(t, byID["security"], 15*time.Minute, 0)
			wantCadence(t, byID["capacity"], time.Hour, 160*time.Second)
		})
	}
}

func wantCadence(t *testing.T, options client.ScheduleOptions, every, offset time.Duration) {
	t.Helper()
	if len(options.Spec.Intervals) != 1 {
		t.Fatalf("schedule %q has %d intervals", options.ID, len(options.Spec.Intervals))
	}
	if got := options.Spec.Intervals[0]; got.Every != every || got.Offset != offset {
		t.Errorf("schedule %q runs every %s with offset %s, want %s and %s", options.ID, got.Every, got.Offset, every, offset)
	}
	// Never two at once, and never a measurement of the past.
	if options.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_SKIP || options.CatchupWindow > max(every, 10*time.Second) {
		t.Errorf("schedule %q: overlap %s, catch-up window %s", options.ID, options.Overlap, options.CatchupWindow)
	}
}

func TestSchedules_StartTheWorkflowsOnTheQueueOfTheWorker(t *testing.T) {
	t.Parallel()
	p := &parts{config: Config{TaskQueue: "mine"}.withDefaults()}
	want := map[string]string{"report": workflows.ReportWorkflowName, "retain": workflows.RetainWorkflowName, "security": workflows.SecurityWorkflowName, "capacity": workflows.CapacityWorkflowName, "compliance": workflows.ComplianceWorkflowName, "collect": workflows.CollectWorkflowName, "evaluate": workflows.EvaluateWorkflowName}
	for _, options := range p.schedules() {
		action, ok := options.Action.(*client.ScheduleWorkflowAction)
		if !ok {
			t.Fatalf("schedule %q starts no workflow", options.ID)
		}
		if action.Workflow != want[options.ID] || action.TaskQueue != "mine" || action.ID != options.ID {
			t.Errorf("schedule %q starts %v as %q on %q", options.ID, action.Workflow, action.ID, action.TaskQueue)
		}
	}
}

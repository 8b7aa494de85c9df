package worker

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
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

func TestSchedulesOf_OtherTargetsHaveIDsOfTheirOwnAndTheirOwnCadence(t *testing.T) {
	t.Parallel()
	p := &parts{config: Config{}.withDefaults()}
	var ids []string
	for _, options := range p.schedulesOf("pg-prod.3", 30*time.Second) {
		ids = append(ids, options.ID)
		if options.ID == "collect/pg-prod.3" && (options.Spec.Intervals[0].Every != 30*time.Second || !options.TriggerImmediately) {
			t.Errorf("%+v", options)
		}
		if options.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_SKIP {
			t.Errorf("%s may run twice at once", options.ID)
		}
		if arguments := fmt.Sprint(options.Action.(*client.ScheduleWorkflowAction).Args); !strings.Contains(arguments, "{pg-prod.3 ") && !strings.Contains(arguments, "{pg-prod.3}") {
			t.Errorf("%s is told %s", options.ID, arguments)
		}
	}
	slices.Sort(ids)
	if want := []string{"capacity/pg-prod.3", "collect/pg-prod.3", "compliance/pg-prod.3", "evaluate/pg-prod.3", "security/pg-prod.3"}; !slices.Equal(ids, want) {
		t.Errorf("%q, want %q", ids, want)
	}
}

func TestSchedulesOf_FiftyTargetsDoNotStartInTheSameSecond(t *testing.T) {
	t.Parallel()
	p := &parts{config: Config{}.withDefaults()}
	starts := map[string]map[time.Duration]int{}
	for i := range 50 {
		name := fmt.Sprintf("pg-%d", i)
		offsets := map[string]time.Duration{}
		for j, options := range p.schedulesOf(name, 0) {
			if again := p.schedulesOf(name, 0)[j]; !reflect.DeepEqual(options.Spec, again.Spec) {
				t.Errorf("%s: %+v at one start, %+v at another", options.ID, options.Spec, again.Spec)
			}
			kind, _, _ := strings.Cut(options.ID, "/")
			offset := startOf(t, options)
			offsets[kind] = offset
			if starts[kind] == nil {
				starts[kind] = map[time.Duration]int{}
			}
			starts[kind][offset]++
		}
		// What was measured is judged soon after.
		if behind := (offsets["evaluate"] - offsets["collect"] + 10*time.Minute) % time.Minute; behind != 12*time.Second {
			t.Errorf("%s: evaluated %s after its collection", name, behind)
		}
	}
	for kind, offsets := range starts {
		least := 35 // of 50, in the 300 seconds of a collection; a minute has fewer
		if kind == "evaluate" {
			least = 25
		}
		if len(offsets) < least {
			t.Errorf("%s: 50 targets start at %d moments", kind, len(offsets))
		}
	}
}

// startOf is when a schedule starts within its period; a daily one must lie between retention and the report.
func startOf(t *testing.T, options client.ScheduleOptions) time.Duration {
	t.Helper()
	if len(options.Spec.Intervals) == 1 {
		interval := options.Spec.Intervals[0]
		if interval.Offset < 0 || interval.Offset >= interval.Every {
			t.Errorf("%s: offset %s of %s", options.ID, interval.Offset, interval.Every)
		}
		return interval.Offset
	}
	day := options.Spec.Calendars[0]
	at := time.Duration(day.Hour[0].Start)*time.Hour + time.Duration(day.Minute[0].Start)*time.Minute + time.Duration(day.Second[0].Start)*time.Second
	if at < 3*time.Hour+30*time.Minute || at >= 5*time.Hour+31*time.Minute || day.Minute[0].Start > 59 {
		t.Errorf("%s at %s", options.ID, at)
	}
	return at
}

func TestPauseAsTarget_LeavesPausedWhatSomebodyPaused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state    client.ScheduleState
		disabled bool
		want     client.ScheduleState
	}{
		"running, enabled":             {client.ScheduleState{}, false, client.ScheduleState{}},
		"running, disabled":            {client.ScheduleState{}, true, client.ScheduleState{Paused: true, Note: disabledNote}},
		"paused for that, enabled":     {client.ScheduleState{Paused: true, Note: disabledNote}, false, client.ScheduleState{}},
		"paused by somebody, disabled": {client.ScheduleState{Paused: true, Note: "lunch"}, true, client.ScheduleState{Paused: true, Note: "lunch"}},
		"paused by somebody, enabled":  {client.ScheduleState{Paused: true, Note: "lunch"}, false, client.ScheduleState{Paused: true, Note: "lunch"}},
	} {
		if got := pauseAsTarget(&c.state, c.disabled); *got != c.want {
			t.Errorf("%s: %+v, want %+v", name, *got, c.want)
		}
	}
}

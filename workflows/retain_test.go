package workflows_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	tlog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/workflows"
)

// attic stands for the activities of retention; the names of its methods are theirs.
type attic struct {
	t     *testing.T
	env   *testsuite.TestWorkflowEnvironment
	hours []activities.RetainedHours
	parts []activities.RetainedPart
	did   []string

	// What goes wrong; nil: nothing.
	onRollUp  func(activities.RetainedHours) error
	onArchive func(activities.RetainedPart) error
	onDrop    func(activities.RetainedPart) error
}

func (a *attic) PrepareRetention(context.Context, activities.PrepareRetentionInput) (activities.PrepareRetentionOutput, error) {
	a.did = append(a.did, "prepare")
	return activities.PrepareRetentionOutput{Partitions: 7, Hours: a.hours}, nil
}

func (a *attic) RollUp(_ context.Context, in activities.RollUpInput) (activities.RollUpOutput, error) {
	a.did = append(a.did, "roll up "+in.Hours.Table)
	if a.onRollUp != nil {
		if err := a.onRollUp(in.Hours); err != nil {
			return activities.RollUpOutput{}, err
		}
	}
	return activities.RollUpOutput{Written: 168}, nil
}

func (a *attic) PlanRetention(context.Context, activities.PlanRetentionInput) (activities.PlanRetentionOutput, error) {
	a.did = append(a.did, "plan")
	return activities.PlanRetentionOutput{Parts: a.parts}, nil
}

func (a *attic) ArchivePart(_ context.Context, in activities.ArchivePartInput) (activities.ArchivePartOutput, error) {
	a.did = append(a.did, "archive "+in.Part.Label())
	if a.onArchive != nil {
		if err := a.onArchive(in.Part); err != nil {
			return activities.ArchivePartOutput{}, err
		}
	}
	return activities.ArchivePartOutput{Name: in.Part.Table + "/" + in.Part.Partition, Rows: 100, Bytes: 1000}, nil
}

func (a *attic) DropPart(_ context.Context, in activities.DropPartInput) (activities.DropPartOutput, error) {
	a.did = append(a.did, strings.TrimSpace("drop "+in.Part.Label()+" "+in.Name))
	if a.onDrop != nil {
		if err := a.onDrop(in.Part); err != nil {
			return activities.DropPartOutput{}, err
		}
	}
	return activities.DropPartOutput{Rows: 100}, nil
}

func (a *attic) PurgeQueues(context.Context, activities.PurgeQueuesInput) (activities.PurgeQueuesOutput, error) {
	a.did = append(a.did, "queues")
	return activities.PurgeQueuesOutput{Rows: 5}, nil
}

func newAttic(t *testing.T) *attic {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(tlog.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	a := &attic{t: t, env: newEnvironment(&suite)}
	a.env.RegisterWorkflowWithOptions(workflows.Retain, workflow.RegisterOptions{Name: workflows.RetainWorkflowName})
	a.env.RegisterActivity(a)
	a.env.SetTestTimeout(20 * time.Second)
	return a
}

func (a *attic) run() workflows.RetainResult {
	a.t.Helper()
	a.env.ExecuteWorkflow(workflows.RetainWorkflowName, workflows.RetainInput{})
	if err := a.env.GetWorkflowError(); err != nil {
		a.t.Fatal(err)
	}
	var result workflows.RetainResult
	if err := a.env.GetWorkflowResult(&result); err != nil {
		a.t.Fatal(err)
	}
	return result
}

func (a *attic) wantDone(want ...string) {
	a.t.Helper()
	if !slices.Equal(a.did, want) {
		a.t.Errorf("did\n  %s\nwant\n  %s", strings.Join(a.did, "\n  "), strings.Join(want, "\n  "))
	}
}

func week(table, name string) activities.RetainedPart {
	return activities.RetainedPart{Table: table, Partition: name, Archive: true}
}

func refused() error {
	return temporal.NewNonRetryableApplicationError("the disk is full", activities.ErrorVaultRefused, nil)
}

func TestRetainWorkflow_RollsUpThenArchivesThenDrops(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.hours = []activities.RetainedHours{{Table: "health"}}
	empty := week("capacity", "capacity_p1")
	empty.Empty = true
	a.parts = []activities.RetainedPart{
		empty, week("health", "health_p1"), week("health", "health_p2"),
		{Table: "alerts", From: time.Date(2019, 4, 1, 0, 0, 0, 0, time.UTC), Archive: true},
	}
	result := a.run()
	a.wantDone("prepare", "roll up health", "plan", "drop capacity_p1",
		"archive health_p1", "drop health_p1 health/health_p1", "archive health_p2", "drop health_p2 health/health_p2",
		"archive alerts of 2019-04", "drop alerts of 2019-04 alerts/", "queues")
	want := []workflows.RetainedTable{{Table: "capacity", Parts: 1}, {Table: "health", Parts: 2, Rows: 200, Bytes: 2000}, {Table: "alerts", Parts: 1, Rows: 100, Bytes: 1000}}
	if !slices.Equal(result.Left, want) || result.Partitions != 7 || result.Hours != 168 || result.Queued != 5 || len(result.Problems) != 0 {
		t.Errorf("the result is %+v", result)
	}
}

func TestRetainWorkflow_ATableThatFailsStopsNoOther(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.hours = []activities.RetainedHours{{Table: "performance"}, {Table: "performance"}}
	a.parts = []activities.RetainedPart{week("capacity", "c1"), week("health", "h1"), week("health", "h2"), week("performance", "p1")}
	a.onRollUp = func(activities.RetainedHours) error { return refused() }
	a.onArchive = func(p activities.RetainedPart) error {
		if p.Table == "health" {
			return refused()
		}
		return nil
	}
	result := a.run()
	a.wantDone("prepare", "roll up performance", "plan", "archive c1", "drop c1 capacity/c1", "archive h1", "queues")
	if len(result.Problems) != 2 || result.Problems[1] != (workflows.RetainProblem{What: "h1", Error: "the disk is full"}) {
		t.Errorf("the problems are %+v", result.Problems)
	}
}

func TestRetainWorkflow_ArchivesAgainWhatChanged(t *testing.T) {
	t.Parallel()
	for changes, problems := range map[int]int{1: 0, 2: 0, 3: 1, 9: 1} {
		a := newAttic(t)
		a.parts = []activities.RetainedPart{week("health", "h1")}
		drops := 0
		a.onDrop = func(activities.RetainedPart) error {
			if drops++; drops <= changes {
				return temporal.NewNonRetryableApplicationError("17 rows, not 16", activities.ErrorRowsChanged, nil)
			}
			return nil
		}
		if result := a.run(); len(result.Problems) != problems || drops != min(changes+1, 3) {
			t.Errorf("rows that changed %d times were dropped in %d tries, with problems %v", changes, drops, result.Problems)
		}
	}
}

func TestRetainWorkflow_TriesAgainWhatMayPass(t *testing.T) {
	t.Parallel()
	a := newAttic(t)
	a.parts = []activities.RetainedPart{week("health", "h1")}
	tries := 0
	a.onDrop = func(activities.RetainedPart) error {
		if tries++; tries < 10 {
			return temporal.NewApplicationError("in use by a long transaction", "")
		}
		return nil
	}
	if result := a.run(); len(result.Problems) != 0 || tries != 10 {
		t.Errorf("%d tries, problems %v", tries, result.Problems)
	}
}

package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/workflows"
)

func TestHeartbeat_RemembersWhenTheWatcherHeardLast(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)
	var previous *workflows.HeartbeatResult
	for i, c := range []struct {
		out  activities.BeatOutput
		err  error
		want time.Time
	}{
		{activities.BeatOutput{Problem: "HTTP 404", At: at}, nil, time.Time{}},
		{activities.BeatOutput{Sent: true, At: at.Add(time.Minute)}, nil, at.Add(time.Minute)},
		{activities.BeatOutput{Withheld: []string{"evaluation stands still"}, At: at.Add(2 * time.Minute)}, nil, at.Add(time.Minute)},
		{activities.BeatOutput{}, errors.New("no worker"), at.Add(time.Minute)},
		{activities.BeatOutput{Sent: true, At: at.Add(5 * time.Minute)}, nil, at.Add(5 * time.Minute)},
	} {
		env := new(testsuite.WorkflowTestSuite).NewTestWorkflowEnvironment()
		beat := func(context.Context) (activities.BeatOutput, error) { return c.out, c.err }
		env.RegisterActivityWithOptions(beat, activity.RegisterOptions{Name: "Beat"})
		if previous != nil {
			env.SetLastCompletionResult(previous)
		}
		env.ExecuteWorkflow(workflows.Heartbeat)
		if c.err != nil { // a run that failed leaves the result of the one before
			if env.GetWorkflowError() == nil {
				t.Errorf("beat %d: no error", i)
			}
			continue
		}
		var got workflows.HeartbeatResult
		if err := env.GetWorkflowResult(&got); err != nil {
			t.Fatal(err)
		}
		if !got.LastSentAt.Equal(c.want) || got.Sent != c.out.Sent {
			t.Errorf("beat %d: %+v, want last sent at %s", i, got, c.want)
		}
		previous = &got
	}
}

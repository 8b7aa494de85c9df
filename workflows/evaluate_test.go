package workflows_test

import (
	"context"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// engine stands for the vault's evaluation and for the alerts' workflows.
type engine struct {
	err      error
	bringErr error
	brought  []activities.BringTransitionsInput
}

var fallback = activities.Fallback{
	Enabled:    true,
	Definition: alert.Definition{Key: activities.VaultUnreachableKey, Name: "Vault Unreachable", Severity: alert.SeverityCritical},
	Channels:   emailSlack,
}

func (e *engine) EvaluateAlerts(context.Context, activities.EvaluateAlertsInput) (activities.EvaluateAlertsOutput, error) {
	if e.err != nil {
		return activities.EvaluateAlertsOutput{}, e.err
	}
	return activities.EvaluateAlertsOutput{Evaluated: 3, Results: map[string]int{"FALSE": 3}, Fallback: fallback}, nil
}

func (e *engine) BringTransitions(_ context.Context, in activities.BringTransitionsInput) (activities.BringTransitionsOutput, error) {
	if e.bringErr != nil {
		return activities.BringTransitionsOutput{}, e.bringErr
	}
	e.brought = append(e.brought, in)
	return activities.BringTransitionsOutput{Delivered: true}, nil
}

// evaluate runs the workflow once, after a run that ended with previous (nil: the first run ever).
func evaluate(t *testing.T, e *engine, previous *workflows.EvaluateResult, at time.Time) (workflows.EvaluateResult, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.SetStartTime(at)
	env.RegisterActivity(e)
	if previous != nil {
		env.SetLastCompletionResult(*previous)
	}
	env.ExecuteWorkflow(workflows.Evaluate, workflows.EvaluateInput{Target: "local"})
	var result workflows.EvaluateResult
	if err := env.GetWorkflowError(); err != nil {
		return result, err
	}
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

func TestEvaluate_HandsTheChannelsToTheNextRun(t *testing.T) {
	t.Parallel()
	e := &engine{}
	result, err := evaluate(t, e, nil, began)
	if err != nil || len(result.Fallback.Channels) != 2 || result.Evaluated != 3 || len(e.brought) != 0 {
		t.Errorf("ended with %+v, %v, brought %d", result, err, len(e.brought))
	}
}

func TestEvaluate_PagesThroughTheChannelsLastKnownWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	e := &engine{}
	good, err := evaluate(t, e, nil, began)
	if err != nil {
		t.Fatal(err)
	}
	e.err = temporal.NewApplicationError("connection refused", activities.ErrorVaultUnreachable)
	down, err := evaluate(t, e, &good, began.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	still, err := evaluate(t, e, &down, began.Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}

	if len(e.brought) != 2 {
		t.Fatalf("brought %d times, want once per run", len(e.brought))
	}
	first, second := e.brought[0].Transitions.Items[0], e.brought[1].Transitions.Items[0]
	if first.Kind != alert.TransitionFired || first.Recorded || len(first.Channels) != 2 || first.Notes != "connection refused" {
		t.Errorf("brought %+v", first)
	}
	if first.Alert.Key != second.Alert.Key || !still.DownSince.Equal(down.DownSince) {
		t.Errorf("one outage became two alerts: %s and %s", first.Alert.Key, second.Alert.Key)
	}
	if e.brought[0].WorkflowID != "alert/local/VAULT_UNREACHABLE" {
		t.Errorf("workflow id %s", e.brought[0].WorkflowID)
	}

	e.err = nil
	back, err := evaluate(t, e, &still, began.Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	end := e.brought[2].Transitions.Items[0]
	if end.Kind != alert.TransitionResolved || end.Alert.Key != first.Alert.Key || !back.DownSince.IsZero() {
		t.Errorf("the end of the outage was brought as %+v, then %+v", end, back)
	}
}

func TestEvaluate_SaysAgainThatTheVaultIsBackUntilItIsHeard(t *testing.T) {
	t.Parallel()
	e := &engine{bringErr: temporal.NewNonRetryableApplicationError("no", "Unavailable", nil)}
	previous := workflows.EvaluateResult{Fallback: fallback, DownSince: began}
	result, err := evaluate(t, e, &previous, began.Add(time.Minute))
	if err != nil || !result.DownSince.Equal(began) || result.Problem == "" {
		t.Errorf("ended with %+v, %v", result, err)
	}
}

func TestEvaluate_DisabledDefinitionPagesNobody(t *testing.T) {
	t.Parallel()
	disabled := fallback
	disabled.Enabled = false
	e := &engine{err: temporal.NewApplicationError("connection refused", activities.ErrorVaultUnreachable)}
	result, err := evaluate(t, e, &workflows.EvaluateResult{Fallback: disabled}, began)
	if err != nil || len(e.brought) != 0 || result.DownSince.IsZero() || result.Problem == "" {
		t.Errorf("ended with %+v, %v, brought %d", result, err, len(e.brought))
	}
}

// A vault that is down is paged of once, by the evaluation of its own server.
func TestEvaluate_OfAnotherTargetPagesNobodyAboutTheVault(t *testing.T) {
	t.Parallel()
	e := &engine{err: temporal.NewNonRetryableApplicationError("no connection", activities.ErrorVaultUnreachable, nil)}
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.RegisterActivity(e)
	// Even with a fallback that an earlier run left.
	env.SetLastCompletionResult(workflows.EvaluateResult{Fallback: fallback})
	env.ExecuteWorkflow(workflows.Evaluate, workflows.EvaluateInput{Target: "shop"})
	var result workflows.EvaluateResult
	if err := env.GetWorkflowResult(&result); err != nil || result.Problem != "no connection" || len(e.brought) != 0 {
		t.Errorf("%+v, %v, brought %d", result, err, len(e.brought))
	}
}

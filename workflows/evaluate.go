package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// EvaluateInput says what one run of the evaluate schedule looks at.
type EvaluateInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every,omitempty"` // overrides the definitions' own frequencies
}

// EvaluateResult is handed from each run of the schedule to the next: it is how a page can go out
// through the channels last known while the vault is down, and after a restart of the worker.
type EvaluateResult struct {
	Evaluated int                 `json:"evaluated"`
	Results   map[string]int      `json:"results,omitempty"`
	Decisions map[string]int      `json:"decisions,omitempty"`
	Fallback  activities.Fallback `json:"fallback"`
	// DownSince is when the vault was first found unusable; zero while it works.
	DownSince time.Time `json:"down_since,omitzero"`
	Problem   string    `json:"problem,omitempty"`
}

// Evaluate looks at the definitions that are due. What fires goes through the vault's outbox to the
// alerts' workflows. When the vault cannot be used, the alert VAULT_UNREACHABLE is brought to its
// workflow directly; it ends with the first evaluation that works again. That is the business of the
// evaluation of local, the vault's own server, and of no other: people are paged once.
func Evaluate(ctx workflow.Context, in EvaluateInput) (EvaluateResult, error) {
	var previous EvaluateResult
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &previous); err != nil {
			workflow.GetLogger(ctx).Warn("result of the previous evaluation is unreadable", "error", err)
			previous = EvaluateResult{}
		}
	}
	out, err := evaluateOnce(ctx, in)
	if err != nil {
		return vaultDown(ctx, in, previous, err)
	}
	result := EvaluateResult{Evaluated: out.Evaluated, Results: out.Results, Decisions: out.Decisions, Fallback: out.Fallback}
	if !previous.DownSince.IsZero() {
		if err := bring(ctx, in.Target, vaultBack(in.Target, previous, now(ctx))); err != nil {
			// Said again by the next run, until the workflow heard it.
			result.DownSince, result.Problem = previous.DownSince, "the alert could not be told that the vault is back: "+err.Error()
		}
	}
	return result, nil
}

func evaluateOnce(ctx workflow.Context, in EvaluateInput) (activities.EvaluateAlertsOutput, error) {
	var (
		alerts *activities.Alerts
		out    activities.EvaluateAlertsOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 15 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 2},
		Summary:             "evaluate what is due on " + in.Target,
	})
	err := workflow.ExecuteActivity(ctx, alerts.EvaluateAlerts, activities.EvaluateAlertsInput{Target: in.Target, Every: in.Every}).Get(ctx, &out)
	return out, err
}

// vaultDown brings the alert that the vault itself cannot raise. Bringing it again at every run does
// nothing, since its key is the moment at which the outage was first seen.
func vaultDown(ctx workflow.Context, in EvaluateInput, previous EvaluateResult, cause error) (EvaluateResult, error) {
	if temporal.IsCanceledError(cause) {
		return EvaluateResult{}, cause
	}
	if in.Target != activities.LocalTarget {
		return EvaluateResult{Problem: rootMessage(cause)}, nil
	}
	result := EvaluateResult{Fallback: previous.Fallback, DownSince: previous.DownSince, Problem: rootMessage(cause)}
	if result.DownSince.IsZero() {
		result.DownSince = now(ctx)
	}
	workflow.GetLogger(ctx).Error("vault unusable, nothing is evaluated", "since", result.DownSince, "error", result.Problem)
	if !result.Fallback.Enabled {
		return result, nil
	}
	value := 1.0
	key := alert.Key(in.Target, activities.VaultUnreachableKey, result.DownSince)
	fired := alert.Transition{
		Kind: alert.TransitionFired, At: result.DownSince, Via: "worker", Notes: result.Problem,
		Alert: alert.Alert{
			Key: key, ShortID: alert.ShortID(key), Target: in.Target, Status: alert.StatusOpen, Value: &value, TriggeredAt: result.DownSince,
		},
		Definition: &result.Fallback.Definition, Channels: result.Fallback.Channels, Named: result.Fallback.Named,
	}
	return result, bring(ctx, in.Target, fired)
}

func vaultBack(target string, previous EvaluateResult, at time.Time) alert.Transition {
	return alert.Transition{
		Kind: alert.TransitionResolved, At: at, Actor: alert.ActorCondition, Via: "worker", Notes: "the vault answers again",
		Alert: alert.Alert{Key: alert.Key(target, activities.VaultUnreachableKey, previous.DownSince)},
	}
}

func bring(ctx workflow.Context, target string, transition alert.Transition) error {
	var alerts *activities.Alerts
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, MaximumAttempts: 5},
		Summary:             string(transition.Kind) + " " + activities.VaultUnreachableKey,
	})
	return workflow.ExecuteActivity(ctx, alerts.BringTransitions, activities.BringTransitionsInput{
		WorkflowID: AlertWorkflowID(target, activities.VaultUnreachableKey, ""), Target: target, Definition: activities.VaultUnreachableKey,
		Transitions: alert.Transitions{Items: []alert.Transition{transition}},
	}).Get(ctx, nil)
}

// rootMessage is what went wrong, without the layers of an activity's error around it.
func rootMessage(err error) string {
	var appErr *temporal.ApplicationError
	if errors.As(err, &appErr) {
		return appErr.Message()
	}
	return err.Error()
}

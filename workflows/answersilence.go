package workflows

import (
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// errorNoSilence says why an alert was not silenced, and what would have worked.
const errorNoSilence = "the vault, which keeps silences, does not answer; snooze works without it"

// silence keeps people from being told of what the definition fires on the target for a time, these alerts and those
// to come. It is the vault that keeps it, as it does every silence: people find, extend and end it there.
func (r *alertRun) silence(ctx workflow.Context, c alert.Command) (alert.CommandResult, error) {
	selected, err := r.group.Check(alert.UpdateSilence, c)
	if err != nil {
		return alert.CommandResult{}, refuse(err)
	}
	at := now(ctx)
	until := at.Add(time.Duration(c.Minutes) * time.Minute)
	cancelled := make([]int, len(selected))
	for i, t := range selected {
		if !t.NextEscalation.IsZero() {
			cancelled[i] = t.Level + 1
		}
	}
	made, err := r.makeSilence(ctx, c, until)
	if err != nil {
		return alert.CommandResult{}, err
	}
	r.reconsider(ctx)
	result := alert.CommandResult{Silence: made}
	for i, t := range selected {
		outcome := alert.CommandOutcome{ShortID: t.ShortID, Status: t.Status, Changed: true, Actor: c.Actor, At: at, Until: until, Level: t.Level}
		if t.NextEscalation.IsZero() {
			outcome.CancelledLevel = cancelled[i]
		}
		result.Alerts = append(result.Alerts, outcome)
	}
	return result, nil
}

// makeSilence has the vault keep a silence over the group, and returns its short id. An attempt that is repeated
// makes no second one.
func (r *alertRun) makeSilence(ctx workflow.Context, c alert.Command, until time.Time) (string, error) {
	matchers := []string{"definition=" + r.group.Definition.Key, "target=" + r.group.Target}
	if r.group.Tenant != "" {
		matchers = append(matchers, "tenant="+r.group.Tenant)
	}
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 3 * time.Second, ScheduleToCloseTimeout: 10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond},
		Summary:     "silence until " + until.UTC().Format("2006-01-02 15:04 UTC"),
	})
	var (
		alerts *activities.Alerts
		out    activities.AddSilenceOutput
	)
	err := workflow.ExecuteActivity(ctx, alerts.AddSilence, activities.AddSilenceInput{
		Matchers: matchers, EndsAt: until, Comment: c.Notes, Critical: c.Critical, By: c.Actor, Via: c.Via,
		Request: workflow.GetInfo(ctx).OriginalRunID + "/" + workflow.GetCurrentUpdateInfo(ctx).ID,
	}).Get(ctx, &out)
	var refused *temporal.ApplicationError
	switch {
	case isRefused(err) && errors.As(err, &refused):
		return "", temporal.NewApplicationError(refused.Message(), ErrorUsage)
	case temporal.IsCanceledError(err):
		return "", err
	case err != nil:
		workflow.GetLogger(ctx).Warn("not silenced", "actor", c.Actor, "error", err)
		return "", temporal.NewApplicationError(errorNoSilence, activities.ErrorVaultUnreachable)
	}
	return out.ID, nil
}

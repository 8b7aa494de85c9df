package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// press stands for the vault and the mail servers of a report. Its methods bear the activities' names.
type press struct {
	mu       sync.Mutex
	builds   []activities.BuildReportInput
	sent     []activities.SendReportInput
	recorded []activities.RecordReportOutcomeInput
	channels []alert.Channel

	onBuild  func(n int) error
	onSend   func(in activities.SendReportInput, n int) (activities.SendReportOutput, error)
	onRecord func(n int) error
}

func (p *press) BuildReport(_ context.Context, in activities.BuildReportInput) (activities.BuildReportOutput, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.builds = append(p.builds, in)
	if p.onBuild != nil {
		if err := p.onBuild(len(p.builds)); err != nil {
			return activities.BuildReportOutput{}, err
		}
	}
	return activities.BuildReportOutput{Date: "2026-03-01", Missed: []string{"Notifications delivered"}, Channels: p.channels}, nil
}

func (p *press) SendReport(_ context.Context, in activities.SendReportInput) (activities.SendReportOutput, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, in)
	if p.onSend == nil {
		return mailed(activities.Accepted, true), nil
	}
	return p.onSend(in, len(p.sent))
}

func (p *press) RecordReportOutcome(_ context.Context, in activities.RecordReportOutcomeInput) (activities.RecordReportOutcomeOutput, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded = append(p.recorded, in)
	if p.onRecord != nil {
		return activities.RecordReportOutcomeOutput{}, p.onRecord(len(p.recorded))
	}
	return activities.RecordReportOutcomeOutput{}, nil
}

func mailed(class activities.Class, final bool) activities.SendReportOutput {
	return activities.SendReportOutput{Receipt: activities.Receipt{Class: class, Reason: "said " + string(class)}, Final: final}
}

// publish runs the workflow and returns its result, and how long it took.
func (p *press) publish(t *testing.T) (workflows.ReportResult, time.Duration, error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := newEnvironment(&suite)
	env.SetStartTime(began)
	env.RegisterActivity(p)
	env.SetTestTimeout(20 * time.Second)
	env.ExecuteWorkflow(workflows.Report, workflows.ReportInput{Timezone: "Europe/Berlin"})
	var result workflows.ReportResult
	if err := env.GetWorkflowError(); err != nil {
		return result, env.Now().Sub(began), err
	}
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	return result, env.Now().Sub(began), nil
}

func mailTo(recipients ...string) []alert.Channel {
	return []alert.Channel{{Key: "MAIL", Type: "EMAIL", Recipients: recipients, RetryAttempts: 2, RetryDelay: time.Minute}}
}

func TestReport_IsMadeOfTheMomentOfItsBeginningAlsoWhenTheVaultComesLate(t *testing.T) {
	t.Parallel()
	p := &press{onBuild: func(n int) error {
		if n < 9 {
			return errVault
		}
		return nil
	}}
	result, took, err := p.publish(t)
	if err != nil || result.Date != "2026-03-01" || len(p.builds) != 9 || took < 5*time.Minute {
		t.Fatalf("ended with %+v, %v after %d builds and %s", result, err, len(p.builds), took)
	}
	for _, in := range p.builds {
		if !in.At.Equal(began) || in.Timezone != "Europe/Berlin" {
			t.Errorf("asked for %+v", in)
		}
	}
}

func TestReport_WithoutAnybodyWhoAsksIsMadeAllTheSame(t *testing.T) {
	t.Parallel()
	p := &press{}
	result, _, err := p.publish(t)
	if err != nil || len(p.builds) != 1 || len(p.sent) != 0 || !slices.Equal(result.Missed, []string{"Notifications delivered"}) {
		t.Errorf("ended with %+v, %v", result, err)
	}
}

func TestReport_OneRecipientThatFailsCostsNobodyElseTheirs(t *testing.T) {
	t.Parallel()
	p := &press{channels: mailTo("a@example.com", "b@example.com", "c@example.com")}
	p.onSend = func(in activities.SendReportInput, _ int) (activities.SendReportOutput, error) {
		switch in.Delivery.Recipient {
		case "a@example.com":
			return mailed(activities.Misconfigured, true), nil
		case "b@example.com":
			out := mailed(activities.Accepted, true)
			out.Already = true
			return out, nil
		}
		return mailed(activities.Accepted, true), nil
	}
	result, _, err := p.publish(t)
	if err != nil || result.Delivered != 1 || result.Already != 1 || !slices.Equal(result.Failed, []string{"MAIL to a@example.com: said CONFIG"}) {
		t.Errorf("ended with %+v, %v", result, err)
	}
}

func TestReport_RetriesByWhatWasProved(t *testing.T) {
	t.Parallel()
	p := &press{channels: mailTo("a@example.com")}
	p.onSend = func(_ activities.SendReportInput, n int) (activities.SendReportOutput, error) {
		switch n {
		case 1: // the vault was away: nothing was sent, and it is no attempt
			return activities.SendReportOutput{}, errVault
		case 2:
			return mailed(activities.Transient, false), nil
		case 3: // the worker died
			return activities.SendReportOutput{}, temporal.NewHeartbeatTimeoutError()
		}
		return mailed(activities.Accepted, true), nil
	}
	result, took, err := p.publish(t)
	if err != nil || result.Delivered != 1 || len(result.Failed) != 0 {
		t.Fatalf("ended with %+v, %v", result, err)
	}
	var attempts []string
	keys := map[string]bool{}
	for _, in := range p.sent {
		attempts = append(attempts, fmt.Sprint(in.Attempt))
		keys[in.Delivery.Attempt] = true
	}
	if !slices.Equal(attempts, []string{"0", "0", "1", "1"}) || len(keys) != 4 {
		t.Errorf("attempts %v under %d keys", attempts, len(keys))
	}
	if took < 2*time.Minute || took > 10*time.Minute {
		t.Errorf("it took %s: a minute for the vault, a minute between the attempts", took)
	}
}

func TestReport_WritesAnOutcomeThatTheVaultDidNotTakeUntilItDoes(t *testing.T) {
	t.Parallel()
	p := &press{channels: mailTo("a@example.com"), onRecord: func(n int) error {
		if n < 5 {
			return errVault
		}
		return nil
	}}
	p.onSend = func(activities.SendReportInput, int) (activities.SendReportOutput, error) {
		out := mailed(activities.Accepted, true)
		out.Unrecorded = &activities.ReportOutcome{Status: "DELIVERED", Class: "ACCEPTED"}
		return out, nil
	}
	result, _, err := p.publish(t)
	if err != nil || result.Delivered != 1 || len(p.sent) != 1 || len(p.recorded) != 5 || p.recorded[4].Delivery != p.sent[0].Delivery || p.recorded[4].Outcome.Status != "DELIVERED" {
		t.Errorf("ended with %+v, %v; recorded %+v", result, err, p.recorded)
	}
}

func TestReport_ASettingThatCannotWorkFailsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	p := &press{onBuild: func(int) error {
		return temporal.NewNonRetryableApplicationError("no time zone", activities.ErrorSettings, nil)
	}}
	if _, _, err := p.publish(t); err == nil || len(p.builds) != 1 {
		t.Errorf("ended with %v after %d builds", err, len(p.builds))
	}
}

// A history holds 51,200 events; an attempt with its pause is about ten.
func TestReport_WaitsForTheVaultInFewAttempts(t *testing.T) {
	t.Parallel()
	p := &press{channels: mailTo("a@example.com"), onSend: func(activities.SendReportInput, int) (activities.SendReportOutput, error) {
		return activities.SendReportOutput{}, errVault
	}}
	result, took, err := p.publish(t)
	if err != nil || len(result.Failed) != 1 || took < 12*time.Hour || took > 13*time.Hour {
		t.Fatalf("ended with %+v, %v after %s", result, err, took)
	}
	if len(p.sent) > 60 {
		t.Errorf("%d attempts in half a day", len(p.sent))
	}
}

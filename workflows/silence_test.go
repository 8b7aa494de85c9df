package workflows_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// silenceWorld stands for the vault that holds a silence, and for the channels.
type silenceWorld struct {
	env     *testsuite.TestWorkflowEnvironment
	lasts   time.Duration // from the start
	ended   bool
	waiting bool // alerts wait for its end
	sends   []activities.SendNotificationOutput
	sent    []string // when, and to whom
}

func (w *silenceWorld) ReadSilence(context.Context, activities.SilenceInput) (activities.ReadSilenceOutput, error) {
	return activities.ReadSilenceOutput{StartsAt: began, EndsAt: began.Add(w.lasts), Over: w.ended}, nil
}

func (w *silenceWorld) PrepareReminder(context.Context, activities.SilenceInput) (activities.PrepareReminderOutput, error) {
	if !w.waiting {
		return activities.PrepareReminderOutput{}, nil
	}
	return activities.PrepareReminderOutput{Reminders: []activities.Reminder{{Channel: emailOnly[0], Event: "SILENCE_ENDING:S-7F3K"}}}, nil
}

func (w *silenceWorld) SendNotification(_ context.Context, in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
	w.sent = append(w.sent, w.env.Now().Sub(began).Truncate(time.Minute).String()+" "+in.Recipient)
	if len(w.sends) > 0 {
		out := w.sends[0]
		w.sends = w.sends[1:]
		return out, nil
	}
	return accepted(), nil
}

func newSilence(lasts time.Duration) *silenceWorld {
	var suite testsuite.WorkflowTestSuite
	w := &silenceWorld{env: newEnvironment(&suite), lasts: lasts, waiting: true}
	w.env.SetStartTime(began)
	w.env.RegisterWorkflowWithOptions(workflows.Silence, workflow.RegisterOptions{Name: workflows.SilenceWorkflowName})
	w.env.RegisterActivity(w)
	return w
}

// at changes the silence, which its workflow hears.
func (w *silenceWorld) at(d time.Duration, change func()) {
	w.env.RegisterDelayedCallback(func() {
		change()
		w.env.SignalWorkflow(alert.SignalSilence, nil)
	}, d)
}

func (w *silenceWorld) run(t *testing.T) (result workflows.SilenceResult, took time.Duration) {
	t.Helper()
	w.env.ExecuteWorkflow(workflows.SilenceWorkflowName, activities.SilenceInput{ID: "S-7F3K"})
	if err := w.env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	if err := w.env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	return result, w.env.Now().Sub(began).Truncate(time.Minute)
}

func TestSilence_RemindsAQuarterOfAnHourBeforeItsEndAndEndsWithIt(t *testing.T) {
	t.Parallel()
	w := newSilence(2 * time.Hour)
	result, took := w.run(t)
	if !slices.Equal(w.sent, []string{"1h45m0s ops@example.com"}) || result.Delivered != 1 || took != 2*time.Hour {
		t.Errorf("sent %v, ended after %s with %+v", w.sent, took, result)
	}
}

func TestSilence_OneThatIsExtendedRemindsOfItsNewEnd(t *testing.T) {
	t.Parallel()
	w := newSilence(2 * time.Hour)
	w.at(time.Hour, func() { w.lasts = 5 * time.Hour })
	w.at(4*time.Hour+50*time.Minute, func() { w.lasts = 5*time.Hour + 5*time.Minute }) // chosen in the last quarter of an hour
	result, took := w.run(t)
	if !slices.Equal(w.sent, []string{"4h45m0s ops@example.com"}) || result.Reminded != 1 || took != 5*time.Hour+5*time.Minute {
		t.Errorf("sent %v, ended after %s with %+v", w.sent, took, result)
	}
}

func TestSilence_NobodyIsRemindedOfAShortOneOfOneThatEndedAndWhereNothingWaits(t *testing.T) {
	t.Parallel()
	short := newSilence(30 * time.Minute)
	ended := newSilence(2 * time.Hour)
	ended.at(time.Hour, func() { ended.ended = true })
	idle := newSilence(2 * time.Hour)
	idle.waiting = false
	for name, w := range map[string]*silenceWorld{"short": short, "ended": ended, "nothing waits": idle} {
		result, took := w.run(t)
		if len(w.sent) > 0 || result.Reminded != 0 {
			t.Errorf("%s: sent %v, %+v", name, w.sent, result)
		}
		if name == "ended" && took != time.Hour {
			t.Errorf("it ended after %s", took)
		}
	}
}

func TestSilence_AReminderIsTriedAgainAndItsFailureIsSaid(t *testing.T) {
	t.Parallel()
	w := newSilence(2 * time.Hour)
	w.sends = []activities.SendNotificationOutput{failed(activities.Transient, time.Minute, false), failed(activities.Transient, 0, true)}
	result, _ := w.run(t)
	if len(w.sent) != 2 || result.Delivered != 0 || !slices.Equal(result.Failed, []string{"EMAIL to ops@example.com: refused"}) {
		t.Errorf("sent %v, %+v", w.sent, result)
	}
}

package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// SilenceWorkflowName is the workflow's type, as the Temporal UI shows it.
const SilenceWorkflowName = "Silence"

// SilenceWorkflowID is the id of the workflow that reminds people before a silence ends.
func SilenceWorkflowID(shortID string) string { return "silence/" + shortID }

// remindBefore is how long before its end people are reminded of a silence; one that lasts no longer than twice
// that is remembered without.
const remindBefore = 15 * time.Minute

// SilenceResult says how often people were reminded, and how it went.
type SilenceResult struct {
	Reminded  int      `json:"reminded"`
	Delivered int      `json:"delivered"`
	Failed    []string `json:"failed,omitempty"` // channel, recipient and why
}

// Silence waits with a silence for its end and reminds people before it, each end once. It mutes nothing and tells
// nobody of an alert: the alerts' own workflows do, whether this one runs or not.
func Silence(ctx workflow.Context, in activities.SilenceInput) (SilenceResult, error) {
	var (
		silences *activities.Silences
		result   SilenceResult
		end      time.Time // that is known
		remind   bool      // of it
		changed  = workflow.GetSignalChannel(ctx, alert.SignalSilence)
	)
	read := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second, RetryPolicy: &patient, Summary: "read the silence",
	})
	for {
		for changed.ReceiveAsync(nil) {
			continue // what happened stands in the vault, however often it was said
		}
		var s activities.ReadSilenceOutput
		if err := workflow.ExecuteActivity(read, silences.ReadSilence, in).Get(ctx, &s); err != nil {
			return result, err
		}
		if s.Over || !s.EndsAt.After(now(ctx)) {
			return result, nil
		}
		due := s.EndsAt.Add(-remindBefore)
		if !s.EndsAt.Equal(end) {
			// An end that was chosen within its last quarter of an hour needs no reminder.
			end, remind = s.EndsAt, due.After(now(ctx)) && s.EndsAt.Sub(s.StartsAt) > 2*remindBefore
		}
		if remind && !due.After(now(ctx)) {
			remind = false
			if err := remindOfEnd(ctx, in, &result); err != nil {
				return result, err
			}
			continue
		}
		wait, why := s.EndsAt, "until the silence ends"
		if remind {
			wait, why = due, "remind before the silence ends"
		}
		if _, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: wait.Sub(now(ctx)), TimerOptions: workflow.TimerOptions{Summary: why},
		}, func() bool { return changed.Len() > 0 }); err != nil {
			return result, err
		}
	}
}

// remindOfEnd tells every channel once. A vault that is down until the end, or a channel that fails, is no reason to
// fail: people are told of the alerts themselves a quarter of an hour later.
func remindOfEnd(ctx workflow.Context, in activities.SilenceInput, result *SilenceResult) error {
	var (
		silences *activities.Silences
		out      activities.PrepareReminderOutput
	)
	prepare := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second, ScheduleToCloseTimeout: remindBefore - time.Minute, RetryPolicy: &patient,
		Summary: "who is to be reminded",
	})
	if err := workflow.ExecuteActivity(prepare, silences.PrepareReminder, in).Get(ctx, &out); err != nil {
		if temporal.IsCanceledError(err) {
			return err
		}
		result.Failed = append(result.Failed, rootMessage(err))
		return nil
	}
	if len(out.Reminders) == 0 {
		return nil
	}
	result.Reminded++
	wait := workflow.NewWaitGroup(ctx)
	for _, r := range out.Reminders {
		for _, recipient := range r.Channel.Recipients {
			wait.Add(1)
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer wait.Done()
				if why := sendReminder(ctx, r, recipient); why != "" {
					result.Failed = append(result.Failed, r.Channel.Key+" to "+recipient+": "+why)
					return
				}
				result.Delivered++
			})
		}
	}
	wait.Wait(ctx)
	return ctx.Err()
}

// sendReminder attempts until the message is accepted, hopeless or out of attempts, and returns why it failed. What
// the vault could not take is left out of the ledger: it is no alert that somebody missed.
func sendReminder(ctx workflow.Context, r activities.Reminder, recipient string) string {
	var notifications *activities.Notifications
	send := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 40 * time.Second, HeartbeatTimeout: 5 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}, Summary: "reminder to " + r.Channel.Key,
	})
	var (
		uncertain, mayHaveArrived bool
		tries                     tries
	)
	for {
		var out activities.SendNotificationOutput
		err := workflow.ExecuteActivity(send, notifications.SendNotification, activities.SendNotificationInput{
			Channel: r.Channel, Recipient: recipient, Message: r.Message, Event: r.Event,
			Attempt: tries.made, RefusedSince: tries.refusedSince, Uncertain: uncertain, PossibleDuplicate: mayHaveArrived,
		}).Get(ctx, &out)
		switch {
		case temporal.IsCanceledError(err):
			return "cancelled"
		case err != nil && uncertain:
			return cause(err)
		case err != nil: // the worker died in the attempt: once more, flagged
			uncertain = true
			continue
		case out.Final && out.Receipt.Class == activities.Accepted:
			return ""
		case out.Final:
			return out.Receipt.Reason
		}
		uncertain = uncertain || out.Receipt.Class == activities.Uncertain
		mayHaveArrived = mayHaveArrived || out.MayHaveArrived
		if workflow.Sleep(ctx, pause(r.Channel, out.Receipt)) != nil {
			return "cancelled before another attempt"
		}
		tries.note(ctx, out)
	}
}

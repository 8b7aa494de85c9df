package workflows

import (
	"errors"
	"strconv"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// ReportInput says in which time zone the report's days begin.
type ReportInput struct {
	Timezone string `json:"timezone,omitempty"` // empty: UTC
}

// ReportResult says what was reported, and to how many.
type ReportResult struct {
	Date      string   `json:"date"`
	Missed    []string `json:"missed,omitempty"` // goals
	Delivered int      `json:"delivered"`
	Already   int      `json:"already,omitempty"` // an earlier run had delivered it
	Failed    []string `json:"failed,omitempty"`  // channel, recipient and why
}

// patient is how a report waits for the vault: it is no page, and half a day late it is still worth reading.
var patient = temporal.RetryPolicy{InitialInterval: 2 * time.Second, BackoffCoefficient: 2, MaximumInterval: 2 * time.Minute}

// patience bounds making and mailing together, and half of it the last word of the ledger: in all less
// than the 20 hours that the schedule gives a run.
const patience = 12 * time.Hour

// Report makes the daily report of the moment at which it began, records it, and mails it to the channels
// that ask for it. A channel that fails does not fail the run.
func Report(ctx workflow.Context, in ReportInput) (ReportResult, error) {
	var (
		reports *activities.Reports
		built   activities.BuildReportOutput
		begun   = workflow.Now(ctx) // making it may have to wait as mailing may
	)
	build := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 2 * time.Minute, ScheduleToCloseTimeout: patience, RetryPolicy: &patient,
		Summary: "make the report",
	})
	err := workflow.ExecuteActivity(build, reports.BuildReport, activities.BuildReportInput{At: now(ctx), Timezone: in.Timezone}).Get(ctx, &built)
	if err != nil {
		return ReportResult{}, err
	}
	result := ReportResult{Date: built.Date, Missed: built.Missed}
	wait := workflow.NewWaitGroup(ctx)
	for _, channel := range built.Channels {
		for _, recipient := range channel.Recipients {
			wait.Add(1)
			workflow.Go(ctx, func(ctx workflow.Context) {
				defer wait.Done()
				mailReport(ctx, begun, &result, channel, recipient)
			})
		}
	}
	wait.Wait(ctx)
	return result, ctx.Err()
}

// mailReport attempts until the mail is accepted, hopeless or out of attempts. The ledger decides whether
// there is anything to send, so an attempt that died with its worker is simply made again.
func mailReport(ctx workflow.Context, begun time.Time, result *ReportResult, channel alert.Channel, recipient string) {
	deaths, wait := 0, time.Minute
	fail := func(why string) {
		result.Failed = append(result.Failed, channel.Key+" to "+recipient+": "+why)
	}
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	for attempt, try := 0, 0; ; try++ {
		delivery := activities.ReportDelivery{
			Date: result.Date, Channel: channel.Key, Recipient: recipient, Attempt: run + "/" + strconv.Itoa(try),
		}
		out, err := sendReport(ctx, activities.SendReportInput{Channel: channel, Delivery: delivery, Attempt: attempt})
		switch {
		case temporal.IsCanceledError(err):
			fail("cancelled")
			return
		case isUnreachable(err) && workflow.Now(ctx).Sub(begun) < patience:
			// Nothing was sent: without the ledger's word nothing is. Half a day of minutes, for each of
			// many recipients, would be more than a history may hold.
			if workflow.Sleep(ctx, wait) != nil {
				fail("cancelled")
				return
			}
			wait = min(2*wait, 15*time.Minute)
			continue
		case isDeath(err) && deaths < 3:
			deaths++
			continue
		case err != nil:
			fail(rootMessage(err))
			return
		}
		if out.Unrecorded != nil {
			if err := recordOutcome(ctx, delivery, *out.Unrecorded); err != nil {
				fail("its outcome could not be recorded: " + rootMessage(err))
				return
			}
		}
		if out.Final {
			count(result, out, fail)
			return
		}
		attempt++
		if err := workflow.NewTimerWithOptions(ctx, pause(channel, out.Receipt), workflow.TimerOptions{Summary: "retry " + channel.Key}).Get(ctx, nil); err != nil {
			fail("cancelled before another attempt; the last one said: " + out.Receipt.Reason)
			return
		}
	}
}

func count(result *ReportResult, out activities.SendReportOutput, fail func(string)) {
	switch {
	case out.Receipt.Class != activities.Accepted:
		fail(out.Receipt.Reason)
	case out.Already:
		result.Already++
	default:
		result.Delivered++
	}
}

func sendReport(ctx workflow.Context, in activities.SendReportInput) (activities.SendReportOutput, error) {
	var (
		reports *activities.Reports
		out     activities.SendReportOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		HeartbeatTimeout:    5 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1}, // retries are decided here, by what was proved
		Summary:             "mail the report to " + in.Channel.Key,
	})
	err := workflow.ExecuteActivity(ctx, reports.SendReport, in).Get(ctx, &out)
	return out, err
}

func recordOutcome(ctx workflow.Context, delivery activities.ReportDelivery, outcome activities.ReportOutcome) error {
	var reports *activities.Reports
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 20 * time.Second, ScheduleToCloseTimeout: patience / 2, RetryPolicy: &patient,
		Summary: "record how the mail ended",
	})
	return workflow.ExecuteActivity(ctx, reports.RecordReportOutcome, activities.RecordReportOutcomeInput{Delivery: delivery, Outcome: outcome}).Get(ctx, nil)
}

// isUnreachable: the vault could not be used, and nothing was done.
func isUnreachable(err error) bool {
	var appErr *temporal.ApplicationError
	return errors.As(err, &appErr) && appErr.Type() == activities.ErrorVaultUnreachable
}

// isDeath: the activity ended without a word, as with its worker.
func isDeath(err error) bool {
	var timeout *temporal.TimeoutError
	return asTimeout(err, &timeout)
}

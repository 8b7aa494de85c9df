package workflows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

func clientOptions(id string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: id, TaskQueue: workflows.DefaultTaskQueue}
}

func TestAlert_AcknowledgedBeforeEscalationPagesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	w.bring(0, fired("K1"))
	acked := w.update(5*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Notes: "looking", Via: "cli:dana@host"})
	w.bring(time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	result := w.run()

	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	w.expectEvents("SLACK", "FIRED", "RESOLVED")
	w.expectRecorded("NOTIFIED", "ACKNOWLEDGED", "NOTIFIED")
	if acked.err != nil || len(acked.result.Alerts) != 1 {
		t.Fatalf("acknowledgement answered %+v, %v", acked.result, acked.err)
	}
	if got := acked.result.Alerts[0]; !got.Changed || got.Actor != "dana" || got.CancelledLevel != 1 || got.Status != alert.StatusAcknowledged {
		t.Errorf("acknowledgement answered %+v", got)
	}
	if result.Delivered != 4 || result.Failed != 0 {
		t.Errorf("delivered %d, failed %d; want 4 and 0", result.Delivered, result.Failed)
	}
}

func TestAlert_EscalatesWhenUnacknowledgedUntilSomebodyAnswers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	w.update(40*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.update(3*time.Hour, alert.UpdateResolve, alert.Command{Actor: "dana", Notes: "pool restarted"})
	result := w.run()

	w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "ESCALATED:2", "RESOLVED")
	if at := w.sent[1].at.Round(time.Second); at != 15*time.Minute {
		t.Errorf("level 1 was told after %s, want 15m", at)
	}
	if at := w.sent[2].at.Round(time.Second); at != 30*time.Minute {
		t.Errorf("level 2 was told after %s, want 30m", at)
	}
	w.expectRecorded("NOTIFIED", "ESCALATED", "NOTIFIED", "ESCALATED", "NOTIFIED", "ACKNOWLEDGED", "RESOLVED", "NOTIFIED")
	if got := result.Alerts[0]; got.Level != 2 || got.Status != alert.StatusResolved || got.ResolvedBy != "dana" || got.AcknowledgedBy != "dana" {
		t.Errorf("ended as %+v", got)
	}
}

func TestAlert_WhoPerhapsHeardOfItBeforeItWasAcknowledgedHearsOfItsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		switch {
		case in.Event != "FIRED":
			return accepted(), nil
		case !in.Uncertain: // the worker ends in the first attempt, and nobody knows what became of it
			return activities.SendNotificationOutput{}, temporal.NewHeartbeatTimeoutError()
		}
		return failed(activities.Transient, time.Minute, false), nil
	}
	w.bring(0, fired("K1"))
	w.bring(30*time.Second, ended(alert.TransitionAcknowledged, "K1", "dana"))
	w.bring(2*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()

	w.expectEvents("EMAIL", "FIRED", "FIRED", "RESOLVED")
	if len(w.ledger) == 0 || !strings.Contains(w.ledger[0].Reason, "the message may have arrived") {
		t.Errorf("the ledger does not say that nobody knows: %+v", w.ledger)
	}
}

func TestAlert_ClearedConditionTellsExactlyThoseWhoWereTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Channel.Key == "SLACK" {
			return failed(activities.Misconfigured, 0, true), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	// A channel that hears the definition only later was never told of this alert.
	w.after(time.Minute, func() {
		w.channels = append(slices.Clone(emailSlack), alert.Channel{Key: "WEBHOOK", Type: "WEBHOOK", Recipients: []string{"https://example.com"}})
	})
	w.bring(2*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	result := w.run()

	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	w.expectEvents("SLACK", "FIRED")
	w.expectEvents("WEBHOOK")
	if result.Failed != 1 {
		t.Errorf("failed %d, want 1", result.Failed)
	}
}

func TestAlert_SecondFiringOfTheSameAlertTellsNobodyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	again := fired("K1")
	again.Seq++ // as by a relay that lost its memory
	w.bring(0, fired("K1"))
	w.bring(time.Minute, fired("K1"))
	w.bring(2*time.Minute, again)
	w.update(5*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
}

func TestAlert_AnsweredInPsqlBeforeItsWorkflowHeardOfItPagesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"), ended(alert.TransitionAcknowledged, "K1", "dana"))
	w.bring(time.Hour, ended(alert.TransitionResolved, "K1", "dana"))
	w.run()
	w.expectEvents("EMAIL")
	w.expectRecorded()
}

func TestAlert_PsqlAcknowledgementStopsTheEscalation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	w.bring(14*time.Minute, ended(alert.TransitionAcknowledged, "K1", "dana"))
	w.bring(5*time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	w.expectRecorded("NOTIFIED", "NOTIFIED")
}

func TestAlert_AcknowledgementAtTheMomentOfTheTimerEndsAsOneOfTheTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	acked := w.update(15*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.update(2*time.Hour, alert.UpdateResolve, alert.Command{Actor: "dana"})
	result := w.run()
	if acked.err != nil {
		t.Fatal(acked.err)
	}
	if got := result.Alerts[0]; got.AcknowledgedBy != "dana" || got.Level > 1 {
		t.Errorf("ended as %+v", got)
	}
	if escalations := len(w.events("EMAIL")) - 2; escalations > 1 {
		t.Errorf("escalated %d times after the acknowledgement", escalations)
	}
}

func TestAlert_VaultFasterThanTheWorkflowWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onRecord = func(in activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		if len(in.Changes) > 0 && in.Changes[0].Change == "ESCALATED" {
			return activities.RecordHistoryOutput{Results: []activities.ChangeResult{{
				AlertKey: "K1", Status: alert.StatusAcknowledged, Actor: "dana", At: began.Add(14 * time.Minute), Message: "was acknowledged",
			}}}, nil
		}
		return activities.RecordHistoryOutput{}, nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Hour, alert.UpdateResolve, alert.Command{Actor: "dana"})
	result := w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED") // nobody is paged for a level that the vault refused
	if got := result.Alerts[0].AcknowledgedBy; got != "dana" {
		t.Errorf("acknowledged by %q, want dana", got)
	}
}

func TestAlert_VaultDownNeverStopsAPageAndEverythingIsRecordedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	down := true
	w.onRecord = func(activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		if down {
			return activities.RecordHistoryOutput{}, errVault
		}
		return activities.RecordHistoryOutput{}, nil
	}
	w.onList = func() error {
		if down {
			return errVault
		}
		return nil
	}
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		out := accepted()
		out.Entries = []activities.LedgerEntry{{AlertKey: "K1", Event: in.Event, Status: "PENDING"}, {AlertKey: "K1", Event: in.Event, Status: "DELIVERED"}}
		return out, nil
	}
	opening := fired("K1")
	opening.Seq, opening.Recorded, opening.Channels = 0, false, emailOnly
	w.bring(0, opening)
	acked := w.update(10*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.after(20*time.Minute, func() { w.mu.Lock(); down = false; w.mu.Unlock() })
	w.bring(21*time.Minute, alert.Transition{Kind: alert.TransitionResolved, Alert: alert.Alert{Key: "K1"}, Actor: "condition cleared", At: began.Add(21 * time.Minute)})
	w.run()

	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	if w.sent[0].at > 3*time.Second {
		t.Errorf("the page waited %s for the vault", w.sent[0].at)
	}
	if acked.err != nil || !acked.result.Alerts[0].Changed {
		t.Errorf("acknowledgement while the vault is down: %+v, %v", acked.result, acked.err)
	}
	if got := strings.Join(w.recorded(), " "); got != "OPEN NOTIFIED ACKNOWLEDGED RESOLVED NOTIFIED" {
		t.Errorf("the vault holds %q", got)
	}
	if len(w.ledger) != 4 {
		t.Errorf("the ledger holds %d entries, want 4", len(w.ledger))
	}
}

func TestAlert_MessageInTheMomentTheVaultIsBackDoesNotOvertakeTheLedgerThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	down := true
	w.onRecord = func(activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		if down {
			return activities.RecordHistoryOutput{}, errVault
		}
		return activities.RecordHistoryOutput{}, nil
	}
	w.onList = func() error {
		if down {
			return errVault
		}
		return nil
	}
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		out := accepted()
		entry := activities.LedgerEntry{AlertKey: "K1", Event: in.Event, Status: "DELIVERED"}
		if down || in.LedgerLater {
			out.Entries = []activities.LedgerEntry{entry}
		} else {
			w.ledger = append(w.ledger, entry) // as the activity does
		}
		return out, nil
	}
	opening := fired("K1")
	opening.Seq, opening.Recorded, opening.Channels = 0, false, emailOnly
	w.bring(0, opening)
	// The vault is back, and what waits for it will try again within three seconds.
	back := 10 * time.Minute
	w.after(back, func() { w.mu.Lock(); down = false; w.mu.Unlock() })
	w.bring(back+time.Millisecond, alert.Transition{Kind: alert.TransitionResolved, Alert: alert.Alert{Key: "K1"}, Actor: "condition cleared", At: began.Add(back)})
	w.run()

	var got []string
	for _, entry := range w.ledger {
		got = append(got, entry.Event)
	}
	if want := []string{"FIRED", "RESOLVED"}; !slices.Equal(got, want) {
		t.Errorf("the ledger was written in the order %v, want %v", got, want)
	}
}

func TestAlert_RetriesAsTheProviderAsksAndThenGivesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		switch in.Attempt {
		case 0:
			return failed(activities.NotSent, 7*time.Second, false), nil
		case 1:
			return failed(activities.Transient, 0, false), nil
		}
		return failed(activities.Transient, 0, true), nil
	}
	definition := connections
	definition.EscalationEnabled = false
	opening := fired("K1")
	opening.Definition = &definition
	w.bring(0, opening)
	w.bring(time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	result := w.run()

	w.expectEvents("EMAIL", "FIRED", "FIRED", "FIRED") // and no notice of the end to somebody who never heard of the beginning
	if gap := (w.sent[1].at - w.sent[0].at).Round(time.Second); gap != 7*time.Second {
		t.Errorf("second attempt after %s, want the provider's 7s", gap)
	}
	if gap := (w.sent[2].at - w.sent[1].at).Round(time.Second); gap != time.Minute {
		t.Errorf("third attempt after %s, want the channel's 1m", gap)
	}
	if result.Failed != 1 {
		t.Errorf("failed %d, want 1", result.Failed)
	}
	keys := map[string]bool{}
	for _, m := range w.sent {
		keys[m.Message.Key] = true
	}
	if len(keys) != 1 {
		t.Errorf("attempts carried %d keys, want one", len(keys))
	}
}

func TestAlert_RetryOfWhatMayHaveArrivedIsFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "FIRED" && in.Attempt == 0 {
			out := failed(activities.Transient, time.Second, false)
			out.MayHaveArrived = in.Channel.Key == "SLACK"
			return out, nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	for _, m := range w.sent {
		want := m.Channel.Key == "SLACK" && m.Event == "FIRED" && m.Attempt == 1
		if m.PossibleDuplicate != want || m.Uncertain {
			t.Errorf("%s attempt %d to %s: flagged %t, want %t", m.Event, m.Attempt, m.Channel.Key, m.PossibleDuplicate, want)
		}
	}
}

func TestAlert_AnswerStopsARetryThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return failed(activities.Transient, 10*time.Minute, false), nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.update(time.Hour, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED")
	if len(w.ledger) != 1 || w.ledger[0].Status != "SUPPRESSED" {
		t.Errorf("the ledger ends with %+v, want SUPPRESSED", w.ledger)
	}
}

func TestAlert_WorkerThatDiedWhileSendingSendsOnceMoreFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "FIRED" && !in.Uncertain {
			return activities.SendNotificationOutput{}, errors.New("worker is gone")
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "FIRED", "RESOLVED")
	if !w.sent[1].Uncertain || w.sent[1].Attempt != 0 {
		t.Errorf("second try was %+v, want attempt 0, flagged uncertain", w.sent[1])
	}
}

func TestAlert_WorkerThatDiesTwiceLeavesAnUncertainDeliveryNotASilentOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "FIRED" {
			return activities.SendNotificationOutput{}, errors.New("worker is gone")
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "FIRED", "RESOLVED") // it may have been told, so it is told of the end
	if len(w.ledger) != 1 || w.ledger[0].Status != "FAILED" || w.ledger[0].Class != string(activities.Uncertain) || !w.ledger[0].PossibleDuplicate {
		t.Errorf("the ledger holds %+v, want one FAILED, UNCERTAIN", w.ledger)
	}
}

func TestAlert_OneMessagePerChannelForABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	var items, ends []alert.Transition
	for i := range 50 {
		item := fired("K" + strings.Repeat("x", i+1))
		item.Seq = int64(i + 1)
		items = append(items, item)
		ends = append(ends, ended(alert.TransitionResolved, item.Alert.Key, "condition cleared"))
	}
	w.bring(0, items...)
	acked := w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.bring(time.Hour, ends...)
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	w.expectEvents("SLACK", "FIRED", "RESOLVED")
	if n := len(w.sent[0].Message.Alerts); n != 50 {
		t.Errorf("the message tells of %d alerts, want 50", n)
	}
	if len(acked.result.Alerts) != 50 {
		t.Errorf("one command acknowledged %d alerts, want 50", len(acked.result.Alerts))
	}
}

func TestAlert_CommandsAreRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"), fired("K22"))
	nobody := w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{})
	unknown := w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{"A-ZZZZ"}})
	w.update(2*time.Minute, alert.UpdateResolve, alert.Command{Actor: "eve", Alerts: []string{"K1"}})
	late := w.update(3*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{alert.ShortID("K1")}})
	w.update(4*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "eve", Alerts: []string{"K22"}})
	twice := w.update(5*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{"K22"}})
	w.update(6*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()

	for name, c := range map[string]struct {
		err  error
		kind string
		says string
	}{
		"nobody":  {nobody.err, workflows.ErrorUsage, "who acts"},
		"unknown": {unknown.err, workflows.ErrorNotFound, "A-ZZZZ"},
		"late":    {late.err, workflows.ErrorConflict, "resolved by eve"},
	} {
		var appErr *temporal.ApplicationError
		if !errors.As(c.err, &appErr) || appErr.Type() != c.kind || !strings.Contains(appErr.Error(), c.says) {
			t.Errorf("%s: refused with %v, want %s saying %q", name, c.err, c.kind, c.says)
		}
	}
	if twice.err != nil || twice.result.Alerts[0].Changed || twice.result.Alerts[0].Actor != "eve" {
		t.Errorf("acknowledging twice answered %+v, %v; want eve, unchanged", twice.result, twice.err)
	}
}

func TestAlert_SignalsAreCarriedOutAndRecordedAsUnverified(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]any{
		"object": map[string]string{"actor": "dana", "notes": "by hand"}, "name": "dana", "nothing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emailOnly)
			w.bring(0, fired("K1"))
			w.after(time.Minute, func() { w.env.SignalWorkflow(alert.SignalAcknowledge, payload) })
			w.after(time.Hour, func() { w.env.SignalWorkflow(alert.SignalResolve, payload) })
			result := w.run()
			w.expectEvents("EMAIL", "FIRED", "RESOLVED")
			for _, c := range w.changes {
				if c.Change != "NOTIFIED" && c.Via != "signal (unverified)" {
					t.Errorf("%s was recorded via %q", c.Change, c.Via)
				}
			}
			want := "dana"
			if payload == nil {
				want = "signal"
			}
			if got := result.Alerts[0].AcknowledgedBy; got != want {
				t.Errorf("acknowledged by %q, want %q", got, want)
			}
		})
	}
}

func TestAlert_RequestTellsEverybodyAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	w.bring(time.Minute, alert.Transition{Seq: 7, Kind: alert.TransitionNotify, Alert: alert.Alert{Key: "K1"}, At: began, Recorded: true})
	w.update(5*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "REQUESTED:1", "RESOLVED")
}

// While no worker runs, requests pile up and come in one batch: each is a message of its own, with a key
// of its own.
func TestAlert_RequestsOfOneBatchAreToldOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	request := alert.Transition{Kind: alert.TransitionNotify, Alert: alert.Alert{Key: "K1"}, At: began, Recorded: true}
	batch := []alert.Transition{request, request, request}
	for i := range batch {
		batch[i].Seq = int64(7 + i)
	}
	w.bring(time.Minute, batch...)
	w.update(5*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	got := w.events("EMAIL")
	slices.Sort(got) // they are under way at once
	if want := []string{"FIRED", "REQUESTED:1", "REQUESTED:2", "REQUESTED:3", "RESOLVED"}; !slices.Equal(got, want) {
		t.Errorf("EMAIL was told %v, want %v", got, want)
	}
}

func TestAlert_RefusedHistoryIsCountedAndHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onRecord = func(activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		return activities.RecordHistoryOutput{}, temporal.NewNonRetryableApplicationError("bad row", activities.ErrorVaultRefused, nil)
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
}

func TestAlert_DetailsReadWithoutJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	var details string
	w.after(20*time.Minute, func() {
		value, err := w.env.QueryWorkflow("__temporal_workflow_metadata")
		if err != nil {
			t.Error(err)
			return
		}
		var metadata sdkpb.WorkflowMetadata
		if err := value.Get(&metadata); err != nil {
			t.Error(err)
		}
		details = metadata.GetCurrentDetails()
	})
	w.update(25*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	for _, want := range []string{
		"**High Connection Count** on **local**, ESCALATED. Waits for acknowledgement.",
		"Escalates at 2026-03-01 03:30:00 UTC unless acknowledged.",
		"**" + alert.ShortID("K1") + "** ESCALATED since 2026-03-01 03:00:00 UTC, value 91, level 1, 1 told",
	} {
		if !strings.Contains(details, want) {
			t.Errorf("details lack %q:\n%s", want, details)
		}
	}
}

func TestAlert_StatusQueryAnswersWhatAPersonAsksFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	var status alert.GroupStatus
	w.after(time.Minute, func() {
		value, err := w.env.QueryWorkflow(alert.QueryStatus)
		if err != nil {
			t.Error(err)
			return
		}
		if err := value.Get(&status); err != nil {
			t.Error(err)
		}
	})
	w.update(5*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	if status.WaitsFor != "acknowledgement" || len(status.Alerts) != 1 || !status.NextEscalation.Equal(began.Add(15*time.Minute)) {
		t.Errorf("status was %+v", status)
	}
}

func TestAlert_BeginsAnewBeforeItsHistoryGrowsLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	w.after(time.Minute, func() { w.env.SetContinueAsNewSuggested(true) })
	w.update(30*time.Second, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.env.ExecuteWorkflow(workflows.AlertWorkflowName, activities.AlertGroupInput{Target: "local", DefinitionKey: connections.Key})

	var anew *workflow.ContinueAsNewError
	if err := w.env.GetWorkflowError(); !errors.As(err, &anew) {
		t.Fatalf("ended with %v, want to be continued as new", err)
	}
	var next activities.AlertGroupInput
	if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &next); err != nil {
		t.Fatal(err)
	}
	kept := next.State.Find("K1")
	if kept == nil || kept.AcknowledgedBy != "dana" || len(kept.Told) != 1 || next.State.Channels["EMAIL"].Key != "EMAIL" || next.State.Delivered != 1 {
		t.Errorf("carried over %+v", next.State)
	}
}

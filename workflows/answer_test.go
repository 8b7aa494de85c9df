package workflows_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

func TestAnswer_AcknowledgementThatExpiresPagesAgainFromItsLevel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	// Level 1 comes after 15 minutes; then dana takes it for an hour, and forgets it.
	acked := w.update(20*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Minutes: 60})
	w.update(90*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "eve"})
	w.bring(5*time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()

	events := w.events("EMAIL")
	if len(events) != 4 || events[1] != "ESCALATED:1" || !strings.HasPrefix(events[2], "UNANSWERED:") || events[3] != "RESOLVED" {
		t.Fatalf("told %v", events)
	}
	if at := w.sent[2].at.Round(time.Second); at != 80*time.Minute {
		t.Errorf("paged again after %s, want 1h20m", at)
	}
	if got := w.sent[2].Message.Alerts[0]; got.Level != 1 || got.Status != alert.StatusOpen || !strings.Contains(got.Notes, "dana") {
		t.Errorf("paged again as %+v", got)
	}
	if got := acked.result.Alerts[0]; acked.err != nil || !got.Until.Equal(began.Add(80*time.Minute)) {
		t.Errorf("answered %+v, %v", got, acked.err)
	}
	w.expectRecorded("NOTIFIED", "ESCALATED", "NOTIFIED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "NOTIFIED", "ACKNOWLEDGED", "NOTIFIED")
	reopened := w.changes[4]
	if !reopened.Expired || reopened.Via != "acknowledgement expired" || reopened.Actor == "" {
		t.Errorf("recorded %+v", reopened)
	}
	if !w.changes[3].Until.Equal(began.Add(80 * time.Minute)) {
		t.Errorf("recorded %+v", w.changes[3])
	}
}

func TestAnswer_AcknowledgementThatIsRenewedInPsqlIsNotEndedByTheOldClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	longer, refused := began.Add(3*time.Hour), false
	w.onRecord = func(in activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		if !refused && len(in.Changes) > 0 && in.Changes[0].Change == "UNACKNOWLEDGED" {
			refused = true
			return activities.RecordHistoryOutput{Results: []activities.ChangeResult{{
				AlertKey: "K1", Status: alert.StatusAcknowledged, Actor: "eve", At: began.Add(55 * time.Minute), Until: longer,
			}}}, nil
		}
		return activities.RecordHistoryOutput{}, nil
	}
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Minutes: 60})
	w.bring(3*time.Hour+5*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	events := w.events("EMAIL")
	if len(events) != 3 || !strings.HasPrefix(events[1], "UNANSWERED:") {
		t.Fatalf("told %v", events)
	}
	if got := w.sent[1]; got.at.Round(time.Second) != 3*time.Hour || !strings.Contains(got.Message.Alerts[0].Notes, "eve") {
		t.Errorf("paged again after %s as %+v, want it when eve's longer acknowledgement ends", got.at, got.Message.Alerts[0])
	}
}

func TestAnswer_TakenBackPagesAtOnceAndEscalatesFromThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	back := w.update(10*time.Minute, alert.UpdateUnacknowledge, alert.Command{Actor: "dana", Notes: "cannot reach it"})
	again := w.update(11*time.Minute, alert.UpdateUnacknowledge, alert.Command{Actor: "eve"})
	w.update(30*time.Minute, alert.UpdateResolve, alert.Command{Actor: "eve"})
	w.run()
	events := w.events("EMAIL")
	if len(events) != 4 || !strings.HasPrefix(events[1], "UNANSWERED:") || events[2] != "ESCALATED:1" {
		t.Fatalf("told %v", events)
	}
	if at := w.sent[2].at.Round(time.Second); at != 25*time.Minute {
		t.Errorf("escalated after %s, want fifteen minutes after it was taken back", at)
	}
	if got := back.result.Alerts[0]; back.err != nil || !got.Changed || got.Actor != "dana" || got.Status != alert.StatusOpen {
		t.Errorf("answered %+v, %v", got, back.err)
	}
	if again.err != nil || again.result.Alerts[0].Changed {
		t.Errorf("taken back twice: %+v, %v", again.result, again.err)
	}
}

func TestAnswer_SnoozedIsQuietThenPagesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	snoozed := w.update(10*time.Minute, alert.UpdateSnooze, alert.Command{Actor: "dana", Minutes: 60, Notes: "deploying"})
	w.bring(80*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	events := w.events("EMAIL")
	if len(events) != 3 || !strings.HasPrefix(events[1], "UNANSWERED:") || events[2] != "RESOLVED" {
		t.Fatalf("told %v", events)
	}
	if at := w.sent[1].at.Round(time.Second); at != 70*time.Minute {
		t.Errorf("paged again after %s, want 1h10m", at)
	}
	if got := snoozed.result.Alerts[0]; snoozed.err != nil || !got.Changed || !got.Until.Equal(began.Add(70*time.Minute)) || got.CancelledLevel != 1 {
		t.Errorf("answered %+v, %v", got, snoozed.err)
	}
	w.expectRecorded("NOTIFIED", "SNOOZED", "NOTIFIED", "NOTIFIED")
}

func TestAnswer_PendingMessagesAreCancelledByASnooze(t *testing.T) {
	t.Parallel()
	// The snooze is over before the next attempt of the first message: that must not come on top.
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "FIRED" {
			return failed(activities.Transient, 10*time.Minute, false), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.update(5*time.Minute, alert.UpdateSnooze, alert.Command{Actor: "dana", Minutes: 2, Notes: "deploying"})
	w.bring(15*time.Minute, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	events := w.events("EMAIL")
	if len(events) != 3 || events[0] != "FIRED" || !strings.HasPrefix(events[1], "UNANSWERED:") || w.sent[1].at.Round(time.Second) != 7*time.Minute {
		t.Errorf("told %v, the second after %s", events, w.sent[1].at)
	}
}

func TestAnswer_EscalatedByHandGoesUpAtOnceAlsoWhenSomebodyHasIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	first := w.update(time.Minute, alert.UpdateEscalate, alert.Command{Actor: "dana", Notes: "need the owner"})
	w.update(5*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "eve"})
	w.update(6*time.Minute, alert.UpdateEscalate, alert.Command{Actor: "eve"})
	w.update(10*time.Minute, alert.UpdateResolve, alert.Command{Actor: "eve"})
	w.run()
	w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "ESCALATED:2", "RESOLVED")
	w.expectRecorded("NOTIFIED", "ESCALATED", "NOTIFIED", "ACKNOWLEDGED", "UNACKNOWLEDGED", "ESCALATED", "NOTIFIED", "RESOLVED", "NOTIFIED")
	if got := first.result.Alerts[0]; first.err != nil || got.Level != 1 || got.Status != alert.StatusEscalated || got.Actor != "dana" {
		t.Errorf("answered %+v, %v", got, first.err)
	}
}

func TestAnswer_FalsePositiveEndsItAndSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	unsaid := w.update(time.Minute, alert.UpdateFalsePositive, alert.Command{Actor: "dana"})
	w.update(2*time.Minute, alert.UpdateFalsePositive, alert.Command{Actor: "dana", Notes: "a backup runs"})
	result := w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED")
	if unsaid.err == nil || !strings.Contains(unsaid.err.Error(), "notes is empty") {
		t.Errorf("without a reason: %v", unsaid.err)
	}
	if got := result.Alerts[0]; !got.FalsePositive || got.Notes != "a backup runs" {
		t.Errorf("ended as %+v", got)
	}
	at := slices.IndexFunc(w.changes, func(c activities.Change) bool { return c.Change == "RESOLVED" })
	if at < 0 || !w.changes[at].FalsePositive {
		t.Errorf("recorded %+v", w.changes)
	}
}

func TestAnswer_FromPsqlTakesEffect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"))
	snoozed := ended(alert.TransitionSnoozed, "K1", "dana")
	snoozed.Until = began.Add(time.Hour)
	acked := ended(alert.TransitionAcknowledged, "K1", "eve")
	acked.Until = began.Add(3 * time.Hour)
	back := ended(alert.TransitionUnacknowledged, "K1", "eve")
	raised := ended(alert.TransitionEscalated, "K1", "eve")
	raised.Level = 1
	w.bring(5*time.Minute, snoozed) // until an hour: told again then
	w.bring(70*time.Minute, acked)
	w.bring(80*time.Minute, back) // told again
	w.bring(81*time.Minute, raised)
	w.bring(90*time.Minute, ended(alert.TransitionResolved, "K1", "eve"))
	w.run()
	var words []string
	for _, event := range w.events("EMAIL") {
		word, _, _ := strings.Cut(event, ":")
		words = append(words, word)
	}
	if want := []string{"FIRED", "UNANSWERED", "UNANSWERED", "ESCALATED", "RESOLVED"}; !slices.Equal(words, want) {
		t.Errorf("told %v, want %v", words, want)
	}
	if got := w.recorded(); slices.ContainsFunc(got, func(c string) bool { return c != "NOTIFIED" }) {
		t.Errorf("the workflow recorded %v, though the vault holds it", got)
	}
}

// ---------------------------------------------------------------- with a policy

var (
	threeChannels = []alert.Channel{
		{Key: "TEAM", Type: "SLACK", Recipients: []string{"#team"}, RetryAttempts: 2, RetryDelay: time.Minute},
		{Key: "PAGER", Type: "EMAIL", Recipients: []string{"oncall@example.com"}, RetryAttempts: 2, RetryDelay: time.Minute},
		{Key: "BOSS", Type: "EMAIL", Recipients: []string{"boss@example.com"}, RetryAttempts: 2, RetryDelay: time.Minute},
	}
	upTheLadder = alert.Policy{Key: "LADDER", RepeatTimes: 1, RepeatEveryMinutes: 60, Levels: []alert.Level{
		{Channels: []string{"TEAM"}}, {AfterMinutes: 10, Channels: []string{"PAGER"}, Repeat: 2, EveryMinutes: 5}, {AfterMinutes: 30, Channels: []string{"BOSS"}},
	}}
)

// firedUnder is a firing whose definition follows a policy; the vault may be down from then on.
func firedUnder(p alert.Policy) alert.Transition {
	f := fired("K1")
	d := connections
	d.Policy = &p
	f.Definition, f.Channels, f.Named = &d, threeChannels[:1], threeChannels
	return f
}

func (w *world) expectPages(want ...string) {
	w.t.Helper()
	var got []string
	for _, m := range w.sent {
		word, rest, _ := strings.Cut(m.Event, ":")
		level, _, _ := strings.Cut(rest, ":")
		if word == "UNANSWERED" || level == "" {
			level = "-"
		}
		got = append(got, m.at.Round(time.Minute).String()+" "+word+" "+level+" "+m.Channel.Key)
	}
	// Of messages that go out together, which is sent first is left to chance.
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		w.t.Errorf("told\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestPolicy_PagesItsLevelsInTheirTimeAlsoWhileTheVaultIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.onList = func() error { return errVault }
	w.onRecord = func(activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
		if w.env.Now().Sub(began) < 4*time.Hour {
			return activities.RecordHistoryOutput{}, errVault
		}
		return activities.RecordHistoryOutput{}, nil
	}
	w.bring(0, firedUnder(upTheLadder))
	w.bring(5*time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	w.expectPages("0s FIRED - TEAM", "10m0s ESCALATED 1 PAGER", "15m0s REPEATED 1 PAGER", "20m0s REPEATED 1 PAGER", "30m0s ESCALATED 2 BOSS",
		"1h30m0s ESCALATED 3 TEAM", "1h40m0s ESCALATED 4 PAGER", "1h45m0s REPEATED 4 PAGER", "1h50m0s REPEATED 4 PAGER", "2h0m0s ESCALATED 5 BOSS",
		"5h0m0s RESOLVED - TEAM", "5h0m0s RESOLVED - PAGER", "5h0m0s RESOLVED - BOSS")
}

func TestPolicy_NothingIsPagedAfterTheAcknowledgement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.onList = func() error { return errVault }
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Channel.Key == "PAGER" {
			return failed(activities.Transient, 4*time.Minute, false), nil // each would be tried again
		}
		return accepted(), nil
	}
	w.bring(0, firedUnder(upTheLadder))
	acked := w.update(16*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.bring(5*time.Hour, ended(alert.TransitionResolved, "K1", "condition cleared"))
	w.run()
	w.expectPages("0s FIRED - TEAM", "10m0s ESCALATED 1 PAGER", "14m0s ESCALATED 1 PAGER", "15m0s REPEATED 1 PAGER", "5h0m0s RESOLVED - TEAM")
	if got := acked.result.Alerts[0]; acked.err != nil || got.CancelledLevel != 2 {
		t.Errorf("answered %+v, %v", got, acked.err)
	}
	withdrawn := 0
	for _, entry := range w.ledger {
		if entry.Status == "SUPPRESSED" {
			withdrawn++
		}
	}
	if withdrawn != 2 {
		t.Errorf("%d pending messages were withdrawn in the ledger, want 2", withdrawn)
	}
}

func TestPolicy_PagesAgainAtTheLevelWhereItStoodAndByHandAtTheNext(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.onList = func() error { return errVault }
	w.bring(0, firedUnder(upTheLadder))
	w.update(12*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Minutes: 60})
	w.update(75*time.Minute, alert.UpdateEscalate, alert.Command{Actor: "dana"})
	w.update(80*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	w.expectPages("0s FIRED - TEAM", "10m0s ESCALATED 1 PAGER", "1h12m0s UNANSWERED - PAGER", "1h15m0s ESCALATED 2 BOSS",
		"1h20m0s RESOLVED - TEAM", "1h20m0s RESOLVED - PAGER", "1h20m0s RESOLVED - BOSS")
}

func TestPolicy_BeyondItsLastLevelNobodyIsLeftToEscalateTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.onList = func() error { return errVault }
	w.bring(0, firedUnder(alert.Policy{Key: "SHORT", Levels: []alert.Level{{}, {AfterMinutes: 10}}}))
	beyond := w.update(11*time.Minute, alert.UpdateEscalate, alert.Command{Actor: "dana"})
	w.update(20*time.Minute, alert.UpdateResolve, alert.Command{Actor: "dana"})
	w.run()
	if beyond.err == nil || !strings.Contains(beyond.err.Error(), "level 1 of SHORT, and nobody further is named") {
		t.Errorf("answered %+v, %v", beyond.result, beyond.err)
	}
	w.expectPages("0s FIRED - TEAM", "10m0s ESCALATED 1 TEAM", "20m0s RESOLVED - TEAM")
}

package workflows_test

import (
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

// opened is the fact that an alert which had cleared fired again, for the nth time.
func opened(key string, n int, at time.Duration) alert.Transition {
	t := fired(key)
	t.Seq += int64(n)
	t.At = began.Add(at)
	t.Alert.Reopened, t.Alert.ReopenedAt = n, t.At
	return t
}

// flapping is an opening with which an alert came and went once too often.
func flapping(t alert.Transition) alert.Transition {
	t.Alert.Flapping = &alert.Flapping{Since: t.At, Reason: "opened 4 times within 30 minutes"}
	return t
}

func cleared(key string) alert.Transition {
	return ended(alert.TransitionResolved, key, alert.ActorCondition)
}

func TestAlert_ThatFiresAgainIsToldOnceForEachOpeningAndEachEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"), fired("K22")) // the second keeps the workflow running
	w.bring(time.Minute, cleared("K1"))
	w.bring(2*time.Minute, opened("K1", 1, 2*time.Minute))
	w.bring(3*time.Minute, opened("K1", 1, 2*time.Minute)) // relayed twice
	w.bring(4*time.Minute, cleared("K1"))
	w.bring(5*time.Minute, opened("K1", 2, 5*time.Minute))
	w.bring(6*time.Minute, cleared("K1"), cleared("K22"))
	result := w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED", "REOPENED:1", "RESOLVED:1", "REOPENED:2", "RESOLVED:2", "RESOLVED")
	if len(result.Alerts) != 2 || result.Alerts[0].Reopened != 2 {
		t.Errorf("ended as %+v", result.Alerts)
	}
	keys := map[string]bool{}
	for _, m := range w.sent {
		if keys[m.Message.Key] {
			t.Errorf("two messages have the key %s", m.Message.Key)
		}
		keys[m.Message.Key] = true
	}
}

func TestAlert_ThatFiresAgainAfterItsWorkflowEndedIsToldAsOpenedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, opened("K1", 3, 0))
	w.bring(time.Minute, cleared("K1"))
	w.run()
	w.expectEvents("EMAIL", "REOPENED:3", "RESOLVED:3")
	if m := w.sent[0].Message; m.Event != alert.EventReopened || m.Alerts[0].Reopened != 3 {
		t.Errorf("the message is %+v", m)
	}
}

func TestAlert_ThatClearedAndFiredAgainWhileNobodyRelayedIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"), cleared("K1"), opened("K1", 1, 0), cleared("K1"), opened("K1", 2, 0))
	w.bring(time.Hour, cleared("K1"))
	w.run()
	// Nobody answered: a quarter of an hour, and each after it.
	w.expectEvents("EMAIL", "REOPENED:2", "ESCALATED:1", "ESCALATED:2", "ESCALATED:3", "RESOLVED:2")
}

func TestAlert_ThatFiresAgainMustBeAnsweredAnewAndCountsItsLevelsOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, fired("K1"), fired("K22"))
	w.update(time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{"K22"}})
	w.update(16*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{"K1"}})
	w.bring(20*time.Minute, cleared("K1"))
	w.bring(30*time.Minute, opened("K1", 1, 30*time.Minute))
	w.bring(50*time.Minute, cleared("K1"), cleared("K22"))
	result := w.run()
	w.expectEvents("EMAIL", "FIRED", "ESCALATED:1", "RESOLVED", "REOPENED:1", "ESCALATED:2", "RESOLVED:1", "RESOLVED")
	if got := result.Alerts[0]; got.Level != 2 || got.AcknowledgedBy != "" {
		t.Errorf("ended as %+v", got)
	}
}

func TestAlert_AnEndThatCouldNotBeToldBeforeItOpenedAgainIsNotToldAnyMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "RESOLVED" {
			return failed(activities.Transient, 10*time.Minute, false), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("K1"))
	w.bring(time.Minute, cleared("K1"))
	w.bring(2*time.Minute, opened("K1", 1, 2*time.Minute))
	w.bring(13*time.Minute, cleared("K1"))
	w.run()
	w.expectEvents("EMAIL", "FIRED", "RESOLVED", "REOPENED:1", "RESOLVED:1")
	if last := w.ledger[len(w.ledger)-1]; last.Event != "RESOLVED" || last.Status != "SUPPRESSED" || last.Reason != "the alert had opened again before another attempt; the last one said: refused" {
		t.Errorf("the ledger ends with %+v", last)
	}
}

func TestAlert_FlappingIsOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailSlack)
	w.bring(0, fired("K1"), fired("K22"))
	w.bring(time.Minute, cleared("K1"))
	w.bring(2*time.Minute, opened("K1", 1, 2*time.Minute))
	w.bring(3*time.Minute, cleared("K1"))
	w.bring(4*time.Minute, flapping(opened("K1", 2, 4*time.Minute)))
	w.update(5*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana"})
	w.bring(3*time.Hour, cleared("K1"), cleared("K22"))
	w.run()
	for _, channel := range []string{"EMAIL", "SLACK"} {
		w.expectEvents(channel, "FIRED", "RESOLVED", "REOPENED:1", "RESOLVED:1", "FLAPPING:2", "RESOLVED:2", "RESOLVED")
	}
}

func TestAlert_ANewAlertThatFlapsIsToldAsFlapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.bring(0, flapping(fired("K1")))
	w.bring(time.Minute, cleared("K1"))
	w.run()
	w.expectEvents("EMAIL", "FLAPPING", "RESOLVED")
}

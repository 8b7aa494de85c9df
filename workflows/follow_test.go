package workflows_test

import (
	"slices"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

var pagerToo = append(slices.Clone(emailOnly), alert.Channel{
	Key: "PAGER", Type: "PAGERDUTY", Recipients: []string{"PAGER"}, RetryAttempts: 2, RetryDelay: time.Minute,
	Follows: []alert.Event{alert.EventAcknowledged},
})

func TestAlert_AnAcknowledgementIsToldToWhoFollowsAndToNobodyElse(t *testing.T) {
	t.Parallel()
	for name, acknowledge := range map[string]func(*world){
		"by command": func(w *world) {
			w.update(2*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Via: "cli"})
		},
		"in psql": func(w *world) { w.bring(2*time.Minute, ended(alert.TransitionAcknowledged, "A", "dana")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, pagerToo)
			w.bring(0, fired("A"))
			acknowledge(w)
			w.bring(5*time.Minute, ended(alert.TransitionResolved, "A", alert.ActorCondition))
			w.run()
			w.expectEvents("PAGER", "FIRED", "ACKNOWLEDGED", "RESOLVED")
			w.expectEvents("EMAIL", "FIRED", "RESOLVED")
			i := slices.IndexFunc(w.sent, func(s sentMessage) bool { return s.Event == "ACKNOWLEDGED" })
			if m := w.sent[i].Message; m.Event != alert.EventAcknowledged || m.Key != "A/ACKNOWLEDGED" || m.Alerts[0].AcknowledgedBy != "dana" {
				t.Errorf("told %+v", m)
			}
		})
	}
}

func TestAlert_WhoWasNotToldOfAnAlertIsNotToldOfItsAcknowledgement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pagerToo)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Channel.Key == "PAGER" {
			return failed(activities.Misconfigured, 0, true), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("A"))
	w.update(2*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Via: "cli"})
	w.bring(5*time.Minute, ended(alert.TransitionResolved, "A", alert.ActorCondition))
	w.run()
	w.expectEvents("PAGER", "FIRED")
}

func TestAlert_AnAcknowledgementOfAnOldOpeningIsNotRepeatedToWhoFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, pagerToo)
	failures := 0
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Event == "ACKNOWLEDGED" {
			failures++
			return failed(activities.Transient, 0, false), nil
		}
		return accepted(), nil
	}
	w.bring(0, fired("A"))
	w.update(2*time.Minute, alert.UpdateAcknowledge, alert.Command{Actor: "dana", Via: "cli"})
	// Before the acknowledgement could be told once more, the alert is over: then its end is told instead.
	w.bring(2*time.Minute+30*time.Second, ended(alert.TransitionResolved, "A", alert.ActorCondition))
	w.run()
	w.expectEvents("PAGER", "FIRED", "ACKNOWLEDGED", "RESOLVED")
	if failures != 1 {
		t.Errorf("the acknowledgement was sent %d times", failures)
	}
}

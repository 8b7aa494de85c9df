package notify

import (
	"testing"

	"onevault/alert"
)

func TestPagerDuty_AnAnswerThatCameFromThereIsNotSentBack(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Event = alert.EventAcknowledged
	told, _ := page1(t, m)
	if len(told) != 1 {
		t.Fatalf("an acknowledgement from elsewhere: %+v", told)
	}
	m.Alerts[0].AnsweredVia = PagerDutyVia("ANOTHER", "PLH1HKV") + " (verified)"
	if events, _ := page1(t, m); len(events) != 1 {
		t.Errorf("one from another service: %+v, want it told to this one", events)
	}
}

func TestWithoutEcho_LeavesOutWhatThisChannelTold(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Alerts[0].AnsweredVia = PagerDutyVia("PAGER", "PLH1HKV") + " (verified)"
	for event, left := range map[alert.Event]int{alert.EventAcknowledged: 0, alert.EventResolved: 0, alert.EventFired: 1, alert.EventEscalated: 1} {
		m.Event = event
		if got := withoutEcho("PAGER", m); len(got.Alerts) != left || len(m.Alerts) != 1 {
			t.Errorf("%s: %d alerts are told, want %d", event, len(got.Alerts), left)
		}
	}
	m.Event = alert.EventAcknowledged
	if got := withoutEcho("PAGE", m); len(got.Alerts) != 1 {
		t.Error("a channel whose key begins alike is not told")
	}
}

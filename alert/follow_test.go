package alert_test

import (
	"testing"
	"time"

	"onevault/alert"
)

func TestUnfollowed_NamesAnAcknowledgementOncePerOpening(t *testing.T) {
	t.Parallel()
	pager := alert.Recipient{Channel: "PAGER", Address: "PAGER"}
	tracked := &alert.Tracked{Alert: alert.Alert{Key: "A", Status: alert.StatusOpen}, Told: []alert.Recipient{{Channel: "MAIL", Address: "x"}, pager}}
	g := &alert.Group{
		Channels: map[string]alert.Channel{"MAIL": {Key: "MAIL"}, "PAGER": {Key: "PAGER", Follows: []alert.Event{alert.EventAcknowledged}}},
		Alerts:   []*alert.Tracked{tracked},
	}
	expect := func(when string, want int) {
		t.Helper()
		if got := len(g.Unfollowed()); got != want {
			t.Errorf("%s: %d alerts, want %d", when, got, want)
		}
	}
	expect("nobody acknowledged it", 0)
	tracked.Status = alert.StatusAcknowledged
	expect("acknowledged", 1)
	tracked.MarkFollowed()
	expect("told", 0)
	tracked.Reopened, tracked.Status = 1, alert.StatusOpen
	expect("opened again", 0)
	tracked.Status = alert.StatusAcknowledged
	expect("acknowledged again", 1)
	if got := tracked.Acknowledgement(); got != "ACKNOWLEDGED:1" {
		t.Errorf("the ledger's word is %s", got)
	}
	tracked.MarkFollowed()
	g.Unacknowledge(tracked, "", time.Time{})
	expect("taken back", 0)
	g.Acknowledge(tracked, "dana", "", time.Time{})
	expect("acknowledged once more", 1)
	if got := tracked.Acknowledgement(); got != "ACKNOWLEDGED:1:AGAIN:1" {
		t.Errorf("the ledger's word is %s, by which it was told before", got)
	}
	tracked.Told = tracked.Told[:1]
	expect("only a channel that does not follow was told", 0)
	tracked.Told, tracked.Status = []alert.Recipient{pager}, alert.StatusResolved
	expect("over", 0)
}

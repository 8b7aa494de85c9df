package workflows_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/activities"
	"onevault/alert"
)

func (w *world) FindReceipt(_ context.Context, in activities.FindReceiptInput) (activities.FindReceiptOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return activities.FindReceiptOutput{Confirmed: slices.Contains(w.confirmed, in.Recipient)}, nil
}

// The tests begin on 1 March 2026 at 03:00 UTC, a Sunday; in Berlin it is 04:00.
var (
	dana = alert.Contact{
		Key: "dana", Name: "Dana", Zone: "Europe/Berlin", Order: []string{"SMS", "EMAIL"},
		Addresses: map[string]string{"SMS": "+491", "EMAIL": "dana@example.com"},
	}
	robin   = alert.Contact{Key: "robin", Name: "Robin", Zone: "UTC", Addresses: map[string]string{"EMAIL": "robin@example.com"}}
	standBy = []alert.Channel{{Key: "MAIL", Type: "EMAIL"}, {Key: "TEXT", Type: "SMS"}}
	owners  = []alert.Channel{{Key: "OWNERS", Type: "EMAIL", Recipients: []string{"owner@example.com"}}}
)

func quiet(p alert.Contact, from, until string) alert.Contact {
	p.QuietFrom, p.QuietUntil = from, until
	return p
}

// texting is a channel that sends text messages to contacts, and nobody else.
func texting(people ...alert.Contact) []alert.Channel {
	c := alert.Channel{Key: "TEXT", Type: "SMS", RetryDelay: time.Minute, Contacts: people, StandBy: standBy, Owners: owners}
	c.Join()
	return []alert.Channel{c}
}

// told lists what was sent: recipient, event and minute.
func (w *world) told() (list []string) {
	for _, m := range w.sent {
		list = append(list, m.Recipient+" "+m.Event[:min(len(m.Event), 8)]+" "+m.at.Truncate(time.Minute).String())
	}
	return list
}

func (w *world) expectTold(want ...string) {
	w.t.Helper()
	if got := w.told(); !slices.Equal(got, want) {
		w.t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func (w *world) noteTo(recipient string) string {
	for _, m := range w.sent {
		if m.Recipient == recipient {
			return m.Message.Note
		}
	}
	return ""
}

// failing has every attempt at these recipients fail for good.
func (w *world) failing(recipients ...string) {
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if slices.Contains(recipients, in.Recipient) {
			return failed(activities.Class("PERMANENT"), 0, true), nil
		}
		return accepted(), nil
	}
}

func TestHours_WhatComesInQuietHoursIsToldOnceWhenTheyEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, texting(quiet(dana, "22:00", "07:00"), robinByText()))
	w.bring(0, fired("a"))
	w.bring(61*time.Minute, fired("bb"))
	w.bring(time.Hour+time.Minute, ended(alert.TransitionAcknowledged, "a", "robin"))
	w.bring(time.Hour+2*time.Minute, fired("ccc"))
	w.bring(7*time.Hour, ended(alert.TransitionResolved, "a", "robin"), ended(alert.TransitionResolved, "bb", "robin"), ended(alert.TransitionResolved, "ccc", "robin"))
	w.run()
	var toDana []string
	for _, line := range w.told() {
		if strings.HasPrefix(line, "+491 ") {
			toDana = append(toDana, line)
		}
	}
	if len(toDana) < 2 || toDana[0] != "+491 HELD:202 3h0m0s" {
		t.Errorf("Dana was told %q of %q, first at 07:00 in Berlin", toDana, w.told())
	}
	for _, m := range w.sent {
		if strings.HasPrefix(m.Event, "HELD:") && (len(m.Message.Alerts) != 2 || m.Message.Note == "") {
			t.Errorf("the held message tells of %d alerts, note %q: b and c in one are right", len(m.Message.Alerts), m.Message.Note)
		}
	}
	reasons := w.suppressed()
	if len(reasons) == 0 || reasons[0] != "FIRED TEXT: quiet hours of dana, 22:00 to 07:00 Europe/Berlin; told at 2026-03-01 06:00 UTC if it is still true" {
		t.Errorf("the ledger says %q", reasons)
	}
}

func robinByText() alert.Contact {
	p := robin
	p.Addresses = map[string]string{"SMS": "+492", "EMAIL": "robin@example.com"}
	return p
}

func TestHours_WhatIsCriticalRingsAtAnyHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t, texting(quiet(dana, "22:00", "07:00")))
	item := fired("a")
	critical := *item.Definition
	critical.Severity, critical.EscalationEnabled = alert.SeverityCritical, false
	item.Definition = &critical
	w.bring(0, item)
	w.bring(time.Hour, ended(alert.TransitionResolved, "a", "robin"))
	w.run()
	w.expectTold("+491 FIRED 0s", "+491 RESOLVED 1h0m0s")
}

func TestHours_AnEndIsToldInTheMorningToWhoWasToldOfTheBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, texting(quiet(dana, "05:00", "07:00"))) // in Berlin, where it is 04:00
	item := fired("a")
	definition := *item.Definition
	definition.EscalationEnabled = false
	item.Definition = &definition
	w.bring(0, item)
	w.bring(90*time.Minute, ended(alert.TransitionResolved, "a", "robin"))
	w.run()
	w.expectTold("+491 FIRED 0s", "+491 RESOLVED 3h0m0s")
}

func TestHours_OutsideThoseOfAChannelItIsHeldOrPassedOver(t *testing.T) {
	t.Parallel()
	for outside, want := range map[string][]string{
		alert.OutsideHold: {"EMAIL HELD:202 5h0m0s", "EMAIL RESOLVED 6h0m0s"},
		alert.OutsideSkip: nil,
	} {
		channel := emailOnly[0]
		channel.Restrictions = &alert.Restrictions{Timezone: "UTC", Windows: []alert.Window{{From: "08:00", To: "18:00"}}, Outside: outside}
		w := newWorld(t, []alert.Channel{channel})
		item := fired("a")
		definition := *item.Definition
		definition.EscalationEnabled = false
		item.Definition = &definition
		w.bring(0, item)
		w.bring(6*time.Hour, ended(alert.TransitionResolved, "a", "robin"))
		w.run()
		var got []string
		for _, line := range w.told() {
			got = append(got, strings.Replace(line, "ops@example.com", "EMAIL", 1))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: told %q, want %q", outside, got, want)
		}
		if reasons := w.suppressed(); len(reasons) == 0 || !strings.Contains(reasons[0], "outside the hours of EMAIL") {
			t.Errorf("%s: the ledger says %q", outside, reasons)
		}
	}
}

func TestOnward_WhatOneChannelCannotDeliverGoesToTheNextPlaceAndThenToTheNextContact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failing []string
		want    []string
		note    string // to the last
	}{
		{[]string{"+491"}, []string{"+491", "dana@example.com"}, "This could not be delivered by SMS (TEXT)."},
		{[]string{"+491", "dana@example.com"}, []string{"+491", "dana@example.com", "robin@example.com"}, "This could not be delivered by SMS (TEXT) to Dana."},
		{[]string{"+491", "dana@example.com", "robin@example.com"}, []string{"+491", "dana@example.com", "robin@example.com", "owner@example.com"}, "Nobody else was told: Dana (TEXT) could not be reached, and no other place is left. The last reason: refused"},
		{[]string{"+491", "dana@example.com", "robin@example.com", "owner@example.com"}, []string{"+491", "dana@example.com", "robin@example.com", "owner@example.com"}, ""},
	} {
		w := newWorld(t, texting(dana, robin))
		w.failing(c.failing...)
		w.bring(0, fired("a"))
		w.bring(time.Minute, ended(alert.TransitionResolved, "a", "kim"))
		w.run()
		var told []string
		for _, m := range w.sent {
			if m.Event == "FIRED" {
				told = append(told, m.Recipient)
			}
		}
		last := c.want[len(c.want)-1]
		if !slices.Equal(told, c.want) || c.note != "" && w.noteTo(last) != c.note {
			t.Errorf("with %v failing, told were %v, the last with the note %q", c.failing, told, w.noteTo(last))
		}
		if c.note != "" && w.sent[len(w.sent)-1].Recipient != last {
			t.Errorf("the end was told to %s, not to %s who was told of the beginning", w.sent[len(w.sent)-1].Recipient, last)
		}
		for i, m := range w.sent {
			// The owners and the end of an alert have nobody behind them; nor has the last contact.
			if want := m.Event == "FIRED" && m.Recipient != "robin@example.com" && m.Recipient != "owner@example.com"; m.NextInLine != want {
				t.Errorf("message %d, %s to %s, says that somebody is next in line: %t", i, m.Event, m.Recipient, m.NextInLine)
			}
		}
	}
}

func TestOnward_NobodyIsToldForSomebodyWhoseColleagueHeardIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, texting(dana, robinByText()))
	w.failing("+491", "dana@example.com")
	w.bring(0, fired("a"))
	w.bring(time.Minute, ended(alert.TransitionAcknowledged, "a", "robin"))
	w.bring(2*time.Minute, ended(alert.TransitionResolved, "a", "robin"))
	w.run()
	for _, m := range w.sent {
		if m.Channel.Key == "OWNERS" || m.Recipient == "robin@example.com" {
			t.Errorf("%s was told, although Robin had the text message", m.Recipient)
		}
	}
}

func TestOnward_WithoutAReceiptItGoesOnAndWithOneItDoesNot(t *testing.T) {
	t.Parallel()
	for _, confirmed := range [][]string{nil, {"+491"}} {
		channels := texting(dana)
		channels[0].ConfirmWithin = 5 * time.Minute
		w := newWorld(t, channels)
		w.confirmed = confirmed
		w.bring(0, fired("a"))
		w.bring(10*time.Minute, ended(alert.TransitionResolved, "a", "robin"))
		w.run()
		want := []string{"+491 FIRED 0s", "+491 RESOLVED 10m0s"}
		if confirmed == nil {
			want = []string{"+491 FIRED 0s", "dana@example.com FIRED 5m0s", "+491 RESOLVED 10m0s", "dana@example.com RESOLVED 10m0s"}
			if note := w.noteTo("dana@example.com"); note != "This was sent by SMS (TEXT), and no receipt came." {
				t.Errorf("the note is %q", note)
			}
		}
		w.expectTold(want...)
	}
}

func TestOnward_AnAnswerEndsTheWaitForAReceipt(t *testing.T) {
	t.Parallel()
	channels := texting(dana)
	channels[0].ConfirmWithin = 5 * time.Minute
	w := newWorld(t, channels)
	w.bring(0, fired("a"))
	w.bring(2*time.Minute, ended(alert.TransitionAcknowledged, "a", "dana"))
	w.bring(10*time.Minute, ended(alert.TransitionResolved, "a", "dana"))
	w.run()
	w.expectTold("+491 FIRED 0s", "+491 RESOLVED 10m0s")
}

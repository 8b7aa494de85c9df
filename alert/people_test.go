package alert_test

import (
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func quietChannel(zone, from, until string) alert.Channel {
	return alert.Channel{Key: "TEXT", Type: "SMS", Recipients: []string{"+491", "+499"}, Contacts: []alert.Contact{{
		Key: "dana", Zone: zone, QuietFrom: from, QuietUntil: until, Addresses: map[string]string{"SMS": "+491"},
	}}}
}

func TestHoldOf_QuietHoursGoByTheContactsClock(t *testing.T) {
	t.Parallel()
	berlin := quietChannel("Europe/Berlin", "22:00", "07:00")
	for _, c := range []struct{ now, until string }{
		{"2026-01-15T20:59:59Z", ""}, // 21:59:59 in Berlin
		{"2026-01-15T21:00:00Z", "2026-01-16T06:00:00Z"},
		{"2026-01-16T05:59:59Z", "2026-01-16T06:00:00Z"},
		{"2026-01-16T06:00:00Z", ""},
		{"2026-07-15T20:00:00Z", "2026-07-16T05:00:00Z"}, // summer
		{"2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"}, // the night that is an hour shorter
		{"2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"}, // and the one that is longer
		{"2026-10-25T05:30:00Z", "2026-10-25T06:00:00Z"},
	} {
		hold, err := berlin.HoldOf("+491", alert.SeverityHigh, at(t, c.now))
		switch {
		case err != nil:
			t.Fatal(err)
		case hold == nil && c.until != "" || hold != nil && (c.until == "" || !hold.Until.Equal(at(t, c.until))):
			t.Errorf("at %s: %+v, want until %q", c.now, hold, c.until)
		}
	}
	night := at(t, "2026-01-16T03:00:00Z")
	if hold, err := berlin.HoldOf("+491", alert.SeverityCritical, night); hold != nil || err != nil {
		t.Errorf("what is CRITICAL is held: %+v, %v", hold, err)
	}
	if hold, err := berlin.HoldOf("+499", alert.SeverityHigh, night); hold != nil || err != nil {
		t.Errorf("a recipient who is no contact has no quiet hours: %+v, %v", hold, err)
	}
	if _, err := quietChannel("Nowhere/None", "22:00", "07:00").HoldOf("+491", alert.SeverityHigh, night); err == nil {
		t.Error("a time zone that there is not is no error")
	}
}

func TestHoldOf_TheHoursOfAChannel(t *testing.T) {
	t.Parallel()
	office := alert.Restrictions{Timezone: "Europe/Berlin", Windows: []alert.Window{{Days: []string{"Mon", "Tue", "Wed", "Thu", "Fri"}, From: "08:00", To: "18:00"}}}
	night := alert.Restrictions{Windows: []alert.Window{{Days: []string{"Fri"}, From: "22:00", To: "06:00"}}}
	always := alert.Restrictions{Windows: []alert.Window{{From: "00:00", To: "24:00"}}}
	skip := office
	skip.Outside = alert.OutsideSkip
	strict := office
	strict.AppliesToCritical = true
	for _, c := range []struct {
		name     string
		hours    alert.Restrictions
		severity alert.Severity
		now      string
		want     string // until; "told", "never"
	}{
		{"in office hours", office, alert.SeverityHigh, "2026-01-16T07:00:00Z", "told"},
		{"on a Friday evening until Monday", office, alert.SeverityHigh, "2026-01-16T17:00:00Z", "2026-01-19T07:00:00Z"},
		{"over the change of clocks", office, alert.SeverityHigh, "2026-03-27T17:00:00Z", "2026-03-30T06:00:00Z"},
		{"skipped", skip, alert.SeverityHigh, "2026-01-16T17:00:00Z", "never"},
		{"critical", office, alert.SeverityCritical, "2026-01-16T17:00:00Z", "told"},
		{"critical, where they hold for that too", strict, alert.SeverityCritical, "2026-01-16T17:00:00Z", "2026-01-19T07:00:00Z"},
		{"past midnight, by the day of its beginning", night, alert.SeverityHigh, "2026-01-17T05:59:00Z", "told"},
		{"the morning before", night, alert.SeverityHigh, "2026-01-16T05:59:00Z", "2026-01-16T22:00:00Z"},
		{"always", always, alert.SeverityHigh, "2026-01-16T23:59:59Z", "told"},
	} {
		channel := alert.Channel{Key: "MAIL", Type: "EMAIL", Recipients: []string{"ops@example.com"}, Restrictions: &c.hours}
		hold, err := channel.HoldOf("ops@example.com", c.severity, at(t, c.now))
		got := "told"
		switch {
		case err != nil:
			got = err.Error()
		case hold != nil && hold.Until.IsZero():
			got = "never"
		case hold != nil:
			got = hold.Until.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestHoldOf_QuietHoursInTheHoursOfAChannelHoldLonger(t *testing.T) {
	t.Parallel()
	channel := quietChannel("UTC", "20:00", "09:00")
	channel.Restrictions = &alert.Restrictions{Windows: []alert.Window{{From: "08:00", To: "18:00"}}}
	hold, err := channel.HoldOf("+491", alert.SeverityHigh, at(t, "2026-01-16T19:00:00Z"))
	if err != nil || hold == nil || !hold.Until.Equal(at(t, "2026-01-17T09:00:00Z")) || !strings.HasPrefix(hold.Reason, "outside the hours of TEXT") {
		t.Errorf("%+v, %v", hold, err)
	}
	channel.Contacts[0].QuietFrom, channel.Contacts[0].QuietUntil = "07:00", "19:00"
	hold, err = channel.HoldOf("+491", alert.SeverityHigh, at(t, "2026-01-16T06:00:00Z"))
	if err != nil || hold == nil || hold.Reason == "" {
		t.Errorf("hours that never meet do not end: %+v, %v", hold, err)
	}
}

func TestPlaces_GoByTheOrderOfTheContactAndNameNoneTwice(t *testing.T) {
	t.Parallel()
	dana := alert.Contact{Key: "dana", Addresses: map[string]string{"SMS": "+491", "VOICE": "+491", "EMAIL": "Dana@example.com"}}
	channel := alert.Channel{Key: "MAIL", Type: "EMAIL", Recipients: []string{"ops@example.com", "dana@EXAMPLE.com"}, Contacts: []alert.Contact{dana}, StandBy: []alert.Channel{
		{Key: "CALL", Type: "VOICE"}, {Key: "MAIL", Type: "EMAIL"}, {Key: "SLACK", Type: "SLACK"}, {Key: "TEXT", Type: "SMS"}, {Key: "TEXT2", Type: "SMS"},
	}}
	keys := func(p alert.Contact) string {
		var list []string
		for _, place := range channel.Places(p) {
			list = append(list, place.Channel)
		}
		return strings.Join(list, " ")
	}
	if got := keys(dana); got != "TEXT TEXT2 CALL MAIL" {
		t.Errorf("places are %s", got)
	}
	dana.Order = []string{"EMAIL", "VOICE"}
	if got := keys(dana); got != "MAIL CALL" {
		t.Errorf("in the contact's own order they are %s", got)
	}
	channel.Join()
	if len(channel.Recipients) != 2 {
		t.Errorf("recipients are %v", channel.Recipients)
	}
	if lean := channel.For("dana@example.com"); len(lean.StandBy) != 0 || len(lean.Contacts) != 1 || len(lean.Contacts[0].Addresses) != 1 {
		t.Errorf("an attempt carries %+v", lean)
	}
}

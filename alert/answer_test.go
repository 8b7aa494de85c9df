package alert

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestAnswer_AcknowledgementForATimeEndsAndPagesFromItsLevel(t *testing.T) {
	t.Parallel()
	g := groupOf("a")
	a := g.Find("a")
	g.Escalate(dawn.Add(10 * time.Minute))
	until := dawn.Add(2 * time.Hour)
	if !g.AcknowledgeUntil(a, "dana", "", dawn.Add(15*time.Minute), until) || a.Asks() || !g.Next().Equal(until) {
		t.Fatalf("acknowledged: %+v, next %s", a, g.Next())
	}
	if woken := g.Wake(until.Add(-time.Microsecond)); len(woken) != 0 {
		t.Fatalf("woken too early: %+v", woken)
	}
	woken := g.Wake(until)
	if len(woken) != 1 || !woken[0].Expired || a.Status != StatusOpen || a.Level != 1 || !a.Asks() || a.AcknowledgedBy != "" {
		t.Fatalf("woken %+v", a)
	}
	if !strings.Contains(a.Notes, "dana") {
		t.Errorf("notes %q do not say whose acknowledgement it was", a.Notes)
	}
	if raised := g.Escalate(until.Add(10 * time.Minute)); len(raised) != 1 || a.Level != 2 {
		t.Errorf("after the expiry it stands at level %d, want 2", a.Level)
	}
}

func TestAnswer_OfTwoAcknowledgementsTheLongerHolds(t *testing.T) {
	t.Parallel()
	hour := func(n int) time.Time {
		if n == 0 {
			return time.Time{}
		}
		return dawn.Add(time.Duration(n) * time.Hour)
	}
	for _, c := range []struct {
		first, second int // hours; 0: until the end
		want          bool
	}{{1, 2, true}, {2, 1, false}, {1, 1, false}, {1, 0, true}, {0, 1, false}, {0, 0, false}} {
		g := groupOf("a")
		a := g.Find("a")
		g.AcknowledgeUntil(a, "dana", "", dawn, hour(c.first))
		if got := g.AcknowledgeUntil(a, "eve", "", dawn, hour(c.second)); got != c.want {
			t.Errorf("%d h, then %d h: changed %t, want %t", c.first, c.second, got, c.want)
		}
		want := map[bool]string{true: "eve", false: "dana"}[c.want]
		if a.AcknowledgedBy != want {
			t.Errorf("%d h, then %d h: %s has it, want %s", c.first, c.second, a.AcknowledgedBy, want)
		}
	}
}

func TestAnswer_SnoozeIsQuietForItsTimeAndGoesOnFromThere(t *testing.T) {
	t.Parallel()
	g := groupOf("a")
	a := g.Find("a")
	until := dawn.Add(30 * time.Minute)
	if !g.Snooze(a, "deploying", until) || a.Asks() || !g.Snoozed() {
		t.Fatalf("snoozed: %+v", a)
	}
	if raised := g.Escalate(dawn.Add(29 * time.Minute)); len(raised) != 0 {
		t.Fatal("a snoozed alert escalated")
	}
	if woken := g.Wake(until); len(woken) != 1 || woken[0].Expired || !a.Asks() || a.Status != StatusOpen {
		t.Fatalf("woken %+v", a)
	}
	if next := g.Next(); !next.Equal(until.Add(10 * time.Minute)) {
		t.Errorf("escalates at %s, want ten minutes after the snooze", next)
	}
	g.Snooze(a, "again", until.Add(time.Hour))
	if !g.Acknowledge(a, "dana", "", until) || !g.Next().IsZero() {
		t.Errorf("acknowledged while snoozed: next %s", g.Next())
	}
}

func TestAnswer_CheckSaysWhyNot(t *testing.T) {
	t.Parallel()
	g := groupOf("open", "taken", "over")
	g.Acknowledge(g.Find("taken"), "eve", "", dawn)
	g.Resolve(g.Find("over"), "eve", "", dawn)
	for _, c := range []struct {
		name, alert string
		minutes     int
		notes       string
		want        error
		says        string
	}{
		{UpdateAcknowledge, "open", 0, "", nil, ""},
		{UpdateAcknowledge, "open", 120, "", nil, ""},
		{UpdateAcknowledge, "open", -1, "", ErrIncomplete, "-1"},
		{UpdateAcknowledge, "open", MaxMinutes + 1, "", ErrIncomplete, "43200"},
		{UpdateUnacknowledge, "taken", 0, "", nil, ""},
		{UpdateUnacknowledge, "over", 0, "", ErrOver, "eve"},
		{UpdateSnooze, "open", 30, "deploying", nil, ""},
		{UpdateSnooze, "open", 0, "deploying", ErrIncomplete, "minutes"},
		{UpdateSnooze, "open", 30, " ", ErrIncomplete, "notes"},
		{UpdateSnooze, "taken", 30, "deploying", ErrState, "eve"},
		{UpdateEscalate, "open", 0, "", nil, ""},
		{UpdateEscalate, "taken", 0, "", nil, ""},
		{UpdateEscalate, "over", 0, "", ErrOver, "eve"},
		{UpdateFalsePositive, "open", 0, "", ErrIncomplete, "notes"},
		{UpdateFalsePositive, "open", 0, "a test", nil, ""},
	} {
		_, err := g.Check(c.name, Command{Actor: "dana", Alerts: []string{c.alert}, Minutes: c.minutes, Notes: c.notes})
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s of %s: %v, want %v that says %q", c.name, c.alert, err, c.want, c.says)
		}
	}
}

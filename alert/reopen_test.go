package alert

import (
	"testing"
	"time"
)

func reopening(key string, n int, status Status) Transition {
	return Transition{Kind: TransitionFired, Alert: Alert{Key: key, Status: status, Reopened: n, ReopenedAt: dawn.Add(time.Hour)}}
}

func TestGroup_ReopensEachOpeningOnceAndOnlyWhatItKnows(t *testing.T) {
	t.Parallel()
	g := groupOf("a", "b")
	a := g.Find("a")
	g.Escalate(dawn.Add(10 * time.Minute))
	g.Resolve(a, ActorCondition, "", dawn.Add(20*time.Minute))
	at := dawn.Add(time.Hour)
	for _, c := range []struct {
		name string
		t    Transition
		want bool
	}{
		{"an alert of which the group never heard", reopening("c", 1, StatusOpen), false},
		{"its first opening, heard again", reopening("a", 0, StatusOpen), false},
		{"its second opening", reopening("a", 1, StatusOpen), true},
		{"the second, heard again", reopening("a", 1, StatusOpen), false},
		{"the fourth, where the third was lost", reopening("a", 3, StatusOpen), true},
		{"the third, which comes late", reopening("a", 2, StatusOpen), false},
	} {
		if got := g.Reopen(c.t, at) != nil; got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
	if a.Status != StatusOpen || a.Level != 1 || !a.NextEscalation.Equal(at.Add(10*time.Minute)) || a.ResolvedBy != "" {
		t.Errorf("it goes on as %+v", a)
	}
	if g.Reopen(reopening("a", 4, StatusAcknowledged), at); !a.NextEscalation.IsZero() {
		t.Error("what was answered before the group heard of it escalates")
	}
}

func TestAlert_EachOpeningAndEachEndHasItsOwnWord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a               Alert
		event           Event
		opening, ending string
	}{
		{Alert{}, EventFired, "FIRED", "RESOLVED"},
		{Alert{Reopened: 1}, EventReopened, "REOPENED:1", "RESOLVED:1"},
		{Alert{Reopened: 12}, EventReopened, "REOPENED:12", "RESOLVED:12"},
		{Alert{Flapping: &Flapping{}}, EventFlapping, "FLAPPING", "RESOLVED"},
		{Alert{Reopened: 3, Flapping: &Flapping{}}, EventFlapping, "FLAPPING:3", "RESOLVED:3"},
	} {
		event, opening := c.a.Opening()
		if event != c.event || opening != c.opening || c.a.Ending() != c.ending {
			t.Errorf("%+v: %s %s %s", c.a, event, opening, c.a.Ending())
		}
	}
	if got := (Alert{}).Request(2) + " " + (Alert{Reopened: 1}).Request(2); got != "REQUESTED:2 REQUESTED:1:2" {
		t.Errorf("requests are called %s", got)
	}
}

package alert

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

var dawn = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func groupOf(keys ...string) *Group {
	g := &Group{}
	definition := Definition{Key: "D", EscalationEnabled: true, EscalationDelay: 10 * time.Minute}
	for i, key := range keys {
		at := dawn.Add(time.Duration(i) * time.Minute)
		g.Fire(Transition{
			Kind: TransitionFired, Definition: &definition,
			Alert: Alert{Key: key, ShortID: ShortID(key), Status: StatusOpen, TriggeredAt: at},
		}, at)
	}
	return g
}

func TestGroup_EscalatesOnlyWhatNobodyAnswered(t *testing.T) {
	t.Parallel()
	g := groupOf("a", "b", "c")
	g.Acknowledge(g.Find("a"), "dana", "", dawn)
	if got := g.NextEscalation(); !got.Equal(dawn.Add(11 * time.Minute)) {
		t.Fatalf("next escalation %s, want that of b", got)
	}
	raised := g.Escalate(dawn.Add(11 * time.Minute))
	if len(raised) != 1 || raised[0].Key != "b" || raised[0].Level != 1 || raised[0].Status != StatusEscalated {
		t.Fatalf("raised %+v, want b alone", raised)
	}
	if got := g.NextEscalation(); !got.Equal(dawn.Add(12 * time.Minute)) {
		t.Errorf("next escalation %s, want that of c", got)
	}
	g.Resolve(g.Find("b"), "dana", "", dawn)
	g.Resolve(g.Find("c"), "dana", "", dawn)
	if !g.NextEscalation().IsZero() || !g.Active() || g.Status() != StatusAcknowledged {
		t.Errorf("after the end of b and c: next %s, active %t, status %s", g.NextEscalation(), g.Active(), g.Status())
	}
}

func TestGroup_EveryChangeHappensOnce(t *testing.T) {
	t.Parallel()
	g := groupOf("a")
	a := g.Find("a")
	steps := []struct {
		name string
		do   func() bool
		want bool
	}{
		{"acknowledge", func() bool { return g.Acknowledge(a, "dana", "", dawn) }, true},
		{"acknowledge again", func() bool { return g.Acknowledge(a, "eve", "", dawn) }, false},
		{"escalate", func() bool { return len(g.Escalate(dawn.Add(time.Hour))) > 0 }, false},
		{"resolve", func() bool { return g.Resolve(a, "dana", "", dawn) }, true},
		{"resolve again", func() bool { return g.Resolve(a, "eve", "", dawn) }, false},
		{"acknowledge after the end", func() bool { return g.Acknowledge(a, "eve", "", dawn) }, false},
	}
	for _, s := range steps {
		if got := s.do(); got != s.want {
			t.Errorf("%s: %t, want %t", s.name, got, s.want)
		}
	}
	if a.AcknowledgedBy != "dana" || a.ResolvedBy != "dana" {
		t.Errorf("who was first is forgotten: %+v", a.Alert)
	}
}

func TestGroup_OpenAlertsKeepTheVersionTheyBeganWith(t *testing.T) {
	t.Parallel()
	g := groupOf("a")
	newer := Definition{Key: "D", Name: "newer"}
	fire := func(key string) {
		g.Fire(Transition{Definition: &newer, Alert: Alert{Key: key, Status: StatusOpen}}, dawn)
	}
	fire("b")
	if g.Definition.Name == "newer" {
		t.Error("an open alert changed its definition")
	}
	g.Resolve(g.Find("a"), "dana", "", dawn)
	g.Resolve(g.Find("b"), "dana", "", dawn)
	fire("c")
	if g.Definition.Name != "newer" {
		t.Error("a new alert did not get the new version")
	}
}

func TestGroup_RecognisesOutboxRowsThatComeAgainInAnyOrder(t *testing.T) {
	t.Parallel()
	g := &Group{}
	for _, step := range []struct {
		seq  int64
		want bool
	}{{6, true}, {5, true}, {6, false}, {5, false}, {0, true}, {0, true}, {7, true}} {
		if got := g.Fresh(step.seq); got != step.want {
			t.Errorf("row %d fresh: %t, want %t", step.seq, got, step.want)
		}
	}
	for i := range int64(3 * MaxSeen) {
		g.Fresh(100 + i)
	}
	if len(g.Seen) > MaxSeen {
		t.Errorf("remembers %d rows", len(g.Seen))
	}
}

func TestGroup_SelectRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	g := groupOf("a", "b")
	g.Resolve(g.Find("a"), "eve", "", dawn)
	for name, c := range map[string]struct {
		command Command
		want    error
		count   int
	}{
		"nobody":       {Command{}, ErrNoActor, 0},
		"all active":   {Command{Actor: "dana"}, nil, 1},
		"by short id":  {Command{Actor: "dana", Alerts: []string{ShortID("b")}}, nil, 1},
		"one is over":  {Command{Actor: "dana", Alerts: []string{"a", "b"}}, nil, 2},
		"all are over": {Command{Actor: "dana", Alerts: []string{"a"}}, ErrOver, 0},
		"unknown":      {Command{Actor: "dana", Alerts: []string{"A-ZZZZ"}}, ErrUnknownAlert, 0},
	} {
		selected, err := g.Select(c.command)
		if !errors.Is(err, c.want) || len(selected) != c.count {
			t.Errorf("%s: %d alerts, %v; want %d, %v", name, len(selected), err, c.count, c.want)
		}
	}
}

func TestGroup_TrimKeepsTheActiveAndTheLatest(t *testing.T) {
	t.Parallel()
	g := &Group{}
	for i := range 3 * keepEnded {
		key := fmt.Sprint(i)
		g.Fire(Transition{Alert: Alert{Key: key, Status: StatusOpen}}, dawn)
		if i > 0 {
			g.Resolve(g.Find(key), "dana", "", dawn)
		}
	}
	g.Trim()
	if len(g.Alerts) != keepEnded+1 || g.Alerts[0].Key != "0" || g.Find(fmt.Sprint(3*keepEnded-1)) == nil {
		t.Errorf("kept %d alerts, the first is %s", len(g.Alerts), g.Alerts[0].Key)
	}
}

func TestWorstFirst(t *testing.T) {
	t.Parallel()
	list := WorstFirst([]*Tracked{
		{Alert: Alert{Key: "young", TriggeredAt: dawn.Add(time.Hour)}},
		{Alert: Alert{Key: "old", TriggeredAt: dawn}},
		{Alert: Alert{Key: "raised", TriggeredAt: dawn.Add(2 * time.Hour), Level: 1}},
	})
	if got := list[0].Key + " " + list[1].Key + " " + list[2].Key; got != "raised old young" {
		t.Errorf("order %s", got)
	}
}

func TestKeyAndShortIDAreStable(t *testing.T) {
	t.Parallel()
	key := Key("local", "VAULT_UNREACHABLE", time.Date(2026, 11, 23, 12, 16, 53, 59791000, time.UTC))
	if want := "ALERT||LOCAL||VAULT_UNREACHABLE||SYSTEM||20261123T121653059791"; key != want {
		t.Errorf("key %s, want %s", key, want)
	}
	if got := ShortID(key); len(got) != 6 || got != ShortID(key) {
		t.Errorf("short id %s", got)
	}
}

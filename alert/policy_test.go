package alert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var oncall = Policy{
	Key: "ONCALL", RepeatTimes: 1, RepeatEveryMinutes: 30,
	Levels: []Level{{Channels: []string{"SLACK"}}, {AfterMinutes: 10, Channels: []string{"PAGER", "BOSS"}, Repeat: 2, EveryMinutes: 4}, {AfterMinutes: 25}},
}

func channelsOf(keys ...string) []Channel {
	var list []Channel
	for _, key := range keys {
		list = append(list, Channel{Key: key, Type: map[string]string{"TEAM": "SLACK"}[key]})
	}
	return list
}

func TestRoute_FollowsThePolicyRoundForRound(t *testing.T) {
	t.Parallel()
	pages := Route(Definition{Key: "D", Policy: &oncall}, channelsOf("TEAM", "MAIL"), channelsOf("TEAM", "PAGER", "BOSS"), dawn, 100)
	var told []string
	for _, p := range pages {
		told = append(told, fmt.Sprintf("%d+%d %s %s", p.Level, p.Repeat, p.At.Sub(dawn), strings.Join(p.Channels, ",")))
	}
	want := []string{
		"0+0 0s TEAM", "1+0 10m0s PAGER,BOSS", "1+1 14m0s PAGER,BOSS", "1+2 18m0s PAGER,BOSS", "2+0 25m0s TEAM,MAIL",
		"3+0 55m0s TEAM", "4+0 1h5m0s PAGER,BOSS", "4+1 1h9m0s PAGER,BOSS", "4+2 1h13m0s PAGER,BOSS", "5+0 1h20m0s TEAM,MAIL",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func TestRoute_WithoutAPolicyTellsEverybodyAgain(t *testing.T) {
	t.Parallel()
	pages := Route(Definition{EscalationEnabled: true, EscalationDelay: 15 * time.Minute}, channelsOf("MAIL"), nil, dawn, 3)
	if len(pages) != 3 || pages[2].Level != 2 || !pages[2].At.Equal(dawn.Add(30*time.Minute)) || !slices.Equal(pages[2].Channels, []string{"MAIL"}) {
		t.Errorf("told %+v", pages)
	}
}

func TestPolicy_LevelWhoseChannelsAreGonePagesEverybody(t *testing.T) {
	t.Parallel()
	pages := Route(Definition{Policy: &oncall}, channelsOf("MAIL"), nil, dawn, 2)
	for _, p := range pages {
		if !slices.Equal(p.Channels, []string{"MAIL"}) {
			t.Errorf("level %d pages %v", p.Level, p.Channels)
		}
	}
}

func TestPolicy_EscalatingBeyondItsEndIsRefused(t *testing.T) {
	t.Parallel()
	g := &Group{}
	g.Fire(Transition{Definition: &Definition{Key: "D", Policy: &oncall}, Alert: Alert{Key: "a", ShortID: "A-1", Status: StatusOpen}}, dawn)
	a := g.Find("a")
	for level := 1; level <= 5; level++ {
		if _, err := g.Check(UpdateEscalate, Command{Actor: "dana"}); err != nil || !g.Raise(a, 0, "", dawn) || a.Level != level {
			t.Fatalf("level %d: %+v, %v", level, a, err)
		}
	}
	_, err := g.Check(UpdateEscalate, Command{Actor: "dana"})
	if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "level 2 of ONCALL, round 2") {
		t.Errorf("beyond the end: %v", err)
	}
	if !a.NextEscalation.IsZero() {
		t.Errorf("it escalates at %s", a.NextEscalation)
	}
}

func TestPolicy_RaisedByHandTheRestFollowsInItsTime(t *testing.T) {
	t.Parallel()
	g := &Group{}
	g.Fire(Transition{Definition: &Definition{Key: "D", Policy: &oncall}, Alert: Alert{Key: "a", Status: StatusOpen}}, dawn)
	a := g.Find("a")
	at := dawn.Add(time.Minute)
	g.Raise(a, 0, "", at)
	if !a.NextRepeat.Equal(at.Add(4*time.Minute)) || !a.NextEscalation.Equal(at.Add(15*time.Minute)) {
		t.Errorf("repeats at %s, escalates at %s", a.NextRepeat, a.NextEscalation)
	}
	g.Acknowledge(a, "dana", "", at)
	if !g.Next().IsZero() || len(g.Repeat(at.Add(time.Hour))) != 0 {
		t.Error("something comes after the acknowledgement")
	}
}

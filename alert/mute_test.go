package alert

import (
	"strings"
	"testing"
	"time"
)

func TestMute_StopsEscalationAndItsDelayCountsFromTheEnd(t *testing.T) {
	t.Parallel()
	g := groupOf("a", "b")
	a, b := g.Find("a"), g.Find("b")
	g.Mute(a, Mute{Kind: MuteSilence, Until: dawn.Add(time.Hour)})
	if raised := g.Escalate(dawn.Add(30 * time.Minute)); len(raised) != 1 || raised[0] != b {
		t.Errorf("raised %v, want b alone", raised)
	}
	if a.Pages() || !b.Pages() || !g.Pages() {
		t.Error("a is muted and b pages")
	}
	g.Unmute(a, dawn.Add(time.Hour))
	if want := dawn.Add(70 * time.Minute); !a.NextEscalation.Equal(want) || !a.Pages() {
		t.Errorf("escalates at %s, want %s", a.NextEscalation, want)
	}
	g.Mute(a, Mute{})
	g.Acknowledge(a, "dana", "", dawn)
	if g.Unmute(a, dawn); !a.NextEscalation.IsZero() {
		t.Error("what was acknowledged under a mute escalates after it")
	}
}

func TestMute_OwesTheFirstMessageAlone(t *testing.T) {
	t.Parallel()
	a := &Tracked{}
	a.Owe(EventFired, "FIRED")
	a.Owe(EventEscalated, "ESCALATED:1")
	if *a.Owed != (Owed{EventFired, "FIRED"}) {
		t.Errorf("owed is %+v", a.Owed)
	}
}

func TestGroup_NextUnmuteIsTheFirstEndAndALookAgainWhereThereIsNone(t *testing.T) {
	t.Parallel()
	g := groupOf("a", "b", "c")
	if !g.NextUnmute(dawn, time.Minute).IsZero() {
		t.Error("nothing is muted, and something ends")
	}
	g.Mute(g.Find("a"), Mute{Until: dawn.Add(2 * time.Hour)})
	g.Mute(g.Find("b"), Mute{Until: dawn.Add(time.Hour)})
	if got := g.NextUnmute(dawn, time.Minute); !got.Equal(dawn.Add(time.Hour)) {
		t.Errorf("the first ends at %s", got)
	}
	g.Mute(g.Find("c"), Mute{Kind: MuteInhibition})
	if got := g.NextUnmute(dawn, time.Minute); !got.Equal(dawn.Add(time.Minute)) {
		t.Errorf("without an end of its own it is asked for at %s", got)
	}
	for _, key := range []string{"a", "b", "c"} {
		g.Resolve(g.Find(key), "dana", "", dawn)
	}
	if !g.NextUnmute(dawn, time.Minute).IsZero() || len(g.Asking()) != 0 {
		t.Error("all are resolved, and a mute is waited for")
	}
}

func TestMute_SaysItsReasonAsTheLedgerKeepsIt(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Mute{
		"silenced until 2026-03-01 03:00:00 UTC by dana (S-7F3K): CHG-812":              {MuteSilence, "S-7F3K", dawn, "dana", "CHG-812"},
		"maintenance sundays until 2026-03-01 03:00:00 UTC, planned by dana: patching":  {MuteMaintenance, "sundays", dawn, "dana", "patching"},
		"inhibited by A-7F3K (TARGET_DOWN): TARGET_UNREACHABLE on pg-1 says it already": {MuteInhibition, "TARGET_DOWN", time.Time{}, "A-7F3K", "TARGET_UNREACHABLE on pg-1 says it already"},
	} {
		if got := m.Reason(); !strings.EqualFold(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

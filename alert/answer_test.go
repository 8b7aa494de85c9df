package alert

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// legal is what monitoring.alert_transition_allowed says; a test of package vault holds the two together.
var legal = map[Status][]Status{
	StatusOpen:         {StatusAcknowledged, StatusEscalated, StatusResolved},
	StatusEscalated:    {StatusEscalated, StatusAcknowledged, StatusResolved},
	StatusAcknowledged: {StatusOpen, StatusResolved},
}

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

// Random lives: whatever people do in whatever order, and whenever the state is written out and read again as
// when a worker dies, the rules hold.
func TestGroup_RandomLivesKeepTheRules(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2000) {
		life := &randomLife{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 5)), now: dawn, quiet: map[string]time.Time{}, last: map[string]Status{}}
		life.group = &Group{}
		for range 60 {
			life.step()
		}
		life.end()
		if t.Failed() {
			return
		}
	}
}

type randomLife struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand
	group *Group
	now   time.Time
	fired int
	quiet map[string]time.Time // until when nobody may be paged for an alert; far away: until its end
	last  map[string]Status
}

var never = dawn.AddDate(100, 0, 0)

func (l *randomLife) failf(format string, args ...any) {
	l.t.Helper()
	l.t.Errorf("seed %d, %s: %s", l.seed, l.now.Sub(dawn), fmt.Sprintf(format, args...))
}

// judge compares each alert with how it stood before the step.
func (l *randomLife) judge(what string) {
	for _, a := range l.group.Alerts {
		before, known := l.last[a.Key]
		if known && before != a.Status && !slices.Contains(legal[before], a.Status) {
			l.failf("%s: %s became %s", what, before, a.Status)
		}
		l.last[a.Key] = a.Status
		if a.Asks() && l.now.Before(l.quiet[a.Key]) {
			l.failf("%s: %s pages, though somebody answered it until %s", what, a.Key, l.quiet[a.Key].Sub(dawn))
		}
		if a.Status == StatusAcknowledged && a.AcknowledgedBy == "" {
			l.failf("%s: %s is acknowledged by nobody", what, a.Key)
		}
		if a.Asks() && (l.group.Definition.EscalationEnabled || l.group.Definition.Policy != nil) && a.NextEscalation.IsZero() && l.group.raisable(a) == nil {
			l.failf("%s: %s asks for somebody and will never be raised", what, a.Key)
		}
	}
}

// until lets time pass: what is due by itself happens at its moment.
func (l *randomLife) until(at time.Time) {
	for {
		next := l.group.Next()
		if next.IsZero() || next.After(at) {
			break
		}
		if next.Before(l.now) {
			next = l.now
		}
		l.now = next
		raised, repeated, woken := l.group.Escalate(l.now), l.group.Repeat(l.now), l.group.Wake(l.now)
		if len(raised)+len(repeated)+len(woken) == 0 {
			l.failf("nothing happens at the moment at which something was to")
			return
		}
		l.judge("time")
	}
	l.now = at
}

func (l *randomLife) step() {
	l.until(l.now.Add(time.Duration(l.rand.IntN(20*60)) * time.Second))
	if l.fired == 0 || l.rand.IntN(12) == 0 {
		l.fire()
		return
	}
	a := l.group.Alerts[l.rand.IntN(len(l.group.Alerts))]
	until := l.now.Add(time.Duration(1+l.rand.IntN(90)) * time.Minute)
	what := ""
	switch l.rand.IntN(9) {
	case 0:
		what = "acknowledge"
		if l.group.Acknowledge(a, "dana", "", l.now) {
			l.quiet[a.Key] = never
		}
	case 1:
		what = "acknowledge for a time"
		if l.group.AcknowledgeUntil(a, "dana", "", l.now, until) {
			l.quiet[a.Key] = until
		}
	case 2:
		what = "unacknowledge"
		if l.group.Unacknowledge(a, "", l.now) {
			l.quiet[a.Key] = time.Time{}
		}
	case 3:
		what = "snooze"
		if l.group.Snooze(a, "", until) {
			l.quiet[a.Key] = until
		}
	case 4:
		what = "escalate"
		if l.group.raisable(a) == nil && l.group.Raise(a, 0, "", l.now) {
			l.quiet[a.Key] = time.Time{}
		}
	case 5, 6:
		what = "resolve"
		if l.group.Resolve(a, "dana", "", l.now) {
			l.quiet[a.Key] = never
		}
	case 7:
		what = "crash"
		l.crash()
	case 8:
		what = "fires again"
		l.fire()
	}
	l.judge(what)
}

func (l *randomLife) fire() {
	l.fired++
	key := fmt.Sprintf("alert %d", l.fired)
	definition := Definition{Key: "D", EscalationEnabled: l.rand.IntN(4) > 0, EscalationDelay: 10 * time.Minute}
	if l.rand.IntN(2) == 0 {
		definition.Policy = &Policy{
			Key: "ONCALL", Levels: []Level{{}, {AfterMinutes: 5, Repeat: 2, EveryMinutes: 3}, {AfterMinutes: 20}},
			RepeatTimes: l.rand.IntN(3), RepeatEveryMinutes: 30,
		}
	}
	l.group.Fire(Transition{Definition: &definition, Alert: Alert{Key: key, ShortID: ShortID(key), Status: StatusOpen, TriggeredAt: l.now}}, l.now)
	l.judge("fire")
}

// crash carries the state to another run, as continue-as-new and a replay do.
func (l *randomLife) crash() {
	text, err := json.Marshal(l.group)
	if err != nil {
		l.t.Fatal(err)
	}
	l.group = &Group{}
	if err := json.Unmarshal(text, l.group); err != nil {
		l.t.Fatal(err)
	}
	l.group.Trim()
}

// end: no alert is without an end, and a group whose alerts are over has nothing left to do.
func (l *randomLife) end() {
	for _, a := range l.group.Alerts {
		l.group.Resolve(a, ActorCondition, "", l.now)
	}
	l.judge("end")
	for _, a := range l.group.Alerts {
		if p := l.group.Definition.Policy; p != nil && a.Level > (p.RepeatTimes+1)*len(p.Levels)-1 && len(l.group.Alerts) == 1 {
			l.failf("%s reached level %d of a policy that ends before", a.Key, a.Level)
		}
	}
	if l.group.Active() || !l.group.Next().IsZero() {
		l.failf("all are resolved: active %t, next %s", l.group.Active(), l.group.Next())
	}
}

package alert

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// guard is which change of status the vault allows, as a test of package vault reads it from the database.
type guard struct {
	Allowed   map[Status][]Status `json:"allowed"`
	Reopening map[Status][]Status `json:"reopening"` // by the evaluation alone
}

func readGuard(t *testing.T) guard {
	t.Helper()
	text, err := os.ReadFile("testdata/transitions.json")
	if err != nil {
		t.Fatal(err)
	}
	var g guard
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// Random lives: whatever happens in whatever order, and whenever the state is written out and read again as when a
// worker dies, the rules hold.
func TestGroup_RandomLivesKeepTheRules(t *testing.T) {
	t.Parallel()
	guard := readGuard(t)
	done := map[string]int{}
	for seed := range uint64(1000) {
		life := &randomLife{
			t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 5)), now: dawn, guard: guard, done: done,
			quiet: map[string]time.Time{}, last: map[string]Alert{}, group: &Group{},
		}
		for range 60 {
			life.step()
		}
		life.end()
		if t.Failed() {
			return
		}
	}
	for _, what := range []string{
		"fire", "fires again", "flaps", "acknowledge", "acknowledge for a time", "unacknowledge", "snooze", "escalate", "resolve",
		"false positive", "clear", "mute", "unmute", "raised", "repeated", "expired", "woken", "expired under a mute", "crash",
	} {
		if done[what] < 50 {
			t.Errorf("%q happened %d times in all: the lives do not try it", what, done[what])
		}
	}
}

type randomLife struct {
	t     *testing.T
	seed  uint64
	rand  *rand.Rand
	guard guard
	group *Group
	now   time.Time
	fired int
	quiet map[string]time.Time // until when nobody may be paged for an alert; far away: until its end
	last  map[string]Alert
	done  map[string]int // what took effect, over all lives
}

var never = dawn.AddDate(100, 0, 0)

func (l *randomLife) failf(format string, args ...any) {
	l.t.Helper()
	l.t.Errorf("seed %d, %s: %s", l.seed, l.now.Sub(dawn), fmt.Sprintf(format, args...))
}

// judge compares each alert with how it stood before the step.
func (l *randomLife) judge(what string) {
	l.t.Helper()
	for _, a := range l.group.Alerts {
		before, known := l.last[a.Key]
		l.last[a.Key] = a.Alert
		legal := l.guard.Allowed[before.Status]
		if what == "fires again" || what == "flaps" {
			legal = append(slices.Clone(legal), l.guard.Reopening[before.Status]...)
		}
		switch {
		case known && before.Status != a.Status && !slices.Contains(legal, a.Status):
			l.failf("%s: %s became %s", what, before.Status, a.Status)
		case known && a.Level < before.Level:
			l.failf("%s: %s fell from level %d to %d", what, a.Key, before.Level, a.Level)
		case a.Asks() && l.now.Before(l.quiet[a.Key]):
			l.failf("%s: %s pages, though somebody answered it until %s", what, a.Key, l.quiet[a.Key].Sub(dawn))
		case a.Status == StatusAcknowledged && a.AcknowledgedBy == "":
			l.failf("%s: %s is acknowledged by nobody", what, a.Key)
		case a.Status == StatusResolved && a.ResolvedBy == "":
			l.failf("%s: %s was ended by nobody", what, a.Key)
		case !a.Pages() && (!a.NextEscalation.IsZero() || !a.NextRepeat.IsZero()):
			l.failf("%s: %s is %s, muted %t, and is to be paged by itself", what, a.Key, a.Status, a.Mute != nil)
		case a.Pages() && l.escalates() && a.NextEscalation.IsZero() && l.group.raisable(a) == nil:
			l.failf("%s: %s asks for somebody and will never be raised", what, a.Key)
		}
	}
}

func (l *randomLife) escalates() bool {
	return l.group.Definition.EscalationEnabled || l.group.Definition.Policy != nil
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
		for _, paged := range slices.Concat(raised, repeated) {
			if !paged.Pages() {
				l.failf("%s pages by itself, though it is %s and muted %t", paged.Key, paged.Status, paged.Mute != nil)
			}
		}
		l.done["raised"] += len(raised)
		l.done["repeated"] += len(repeated)
		for _, w := range woken {
			switch {
			case w.Expired && w.Mute != nil:
				l.done["expired under a mute"]++
			case w.Expired:
				l.done["expired"]++
			default:
				l.done["woken"]++
			}
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
	latest := l.group.Alerts[max(0, len(l.group.Alerts)-4):]
	a := latest[l.rand.IntN(len(latest))]
	what, happened := l.act(a)
	if happened {
		l.done[what]++
	}
	l.judge(what)
}

// act does one thing with an alert, and notes until when nobody may be paged for it.
func (l *randomLife) act(a *Tracked) (what string, happened bool) {
	until := l.now.Add(time.Duration(1+l.rand.IntN(90)) * time.Minute)
	quiet := func(happened bool, until time.Time) bool {
		if happened {
			l.quiet[a.Key] = until
		}
		return happened
	}
	switch l.rand.IntN(15) {
	case 0:
		return "acknowledge", quiet(l.group.Acknowledge(a, "dana", "", l.now), never)
	case 1, 2:
		return "acknowledge for a time", quiet(l.group.AcknowledgeUntil(a, "dana", "", l.now, until), until)
	case 3:
		return "unacknowledge", quiet(l.group.Unacknowledge(a, "", l.now), time.Time{})
	case 4:
		return "snooze", quiet(l.group.Snooze(a, "", until), until)
	case 5:
		if _, err := l.group.Check(UpdateEscalate, Command{Actor: "dana", Alerts: []string{a.Key}}); err != nil {
			return "escalate", false
		}
		l.quiet[a.Key] = time.Time{} // as the workflow does: whoever has it asks for others
		l.group.Unacknowledge(a, "", l.now)
		l.judge("unacknowledge")
		raised := l.group.Raise(a, 0, "", l.now)
		if !raised {
			l.failf("%s may be raised, and is not", a.Key)
		}
		return "escalate", raised
	case 6:
		return "resolve", quiet(l.group.Resolve(a, "dana", "", l.now), never)
	case 7:
		happened := quiet(l.group.Resolve(a, "dana", "a test", l.now), never)
		a.FalsePositive = a.FalsePositive || happened
		return "false positive", happened
	case 8, 9:
		return "clear", quiet(l.group.Resolve(a, ActorCondition, "", l.now), never)
	case 10, 13:
		return l.fireAgain(a)
	case 11:
		if a.Mute != nil {
			l.group.Unmute(a, l.now)
			return "unmute", true
		}
		l.group.Mute(a, Mute{Kind: MuteSilence, ID: "S-7F3K", Until: until, By: "dana"})
		return "mute", true
	case 12:
		l.crash()
		return "crash", true
	}
	l.fire()
	return "fire", true
}

// fireAgain has the evaluation continue an alert that had cleared, and says so twice, as a relay may.
func (l *randomLife) fireAgain(a *Tracked) (what string, happened bool) {
	what = "fires again"
	if a.Active() {
		// The news of its end is lost, and by now somebody has it.
		opening := Alert{Key: a.Key, ShortID: a.ShortID, Status: StatusAcknowledged, AcknowledgedBy: "eve", Level: a.Level, Reopened: a.Reopened + 1}
		l.quiet[a.Key] = never
		return what, l.group.Reopen(Transition{Kind: TransitionFired, Alert: opening}, l.now) == a
	}
	if a.Status != StatusResolved || a.ResolvedBy != ActorCondition {
		return what, false // what a person ended the vault does not open again
	}
	opening := Transition{Kind: TransitionFired, Alert: Alert{
		Key: a.Key, ShortID: a.ShortID, Status: StatusOpen, Level: a.Level, TriggeredAt: a.TriggeredAt, Reopened: a.Reopened + 1, ReopenedAt: l.now,
	}}
	if opening.Alert.Reopened > 1 {
		what, opening.Alert.Flapping = "flaps", &Flapping{Since: l.now, Reason: "opened twice"}
	}
	l.quiet[a.Key] = time.Time{}
	if l.group.Reopen(opening, l.now) != a || l.group.Reopen(opening, l.now) != nil {
		l.failf("%s is not opened again exactly once", a.Key)
	}
	if !a.Asks() || a.AcknowledgedBy != "" || a.FalsePositive {
		l.failf("%s fired again and remembers an answer: %+v", a.Key, a.Alert)
	}
	return what, true
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
	l.done["fire"]++
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
	if l.group.Active() || l.group.Pages() || !l.group.Next().IsZero() || !l.group.NextUnmute(l.now, time.Minute).IsZero() {
		l.failf("all are resolved: active %t, pages %t, next %s, next look at what mutes it %s",
			l.group.Active(), l.group.Pages(), l.group.Next(), l.group.NextUnmute(l.now, time.Minute))
	}
}

package workflows_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// Random lives of a group: alerts fire, clear and fire again, people answer through the workflow and in psql, mutes come
// and go, providers and the vault fail, and the workflow begins anew with its state, in any order. Nobody is paged
// while somebody has the alert or wants quiet, no message goes out twice, every change is legal, and all comes to an end.
func TestAlert_RandomLivesPageNobodyAfterAnAnswerAndComeToAnEnd(t *testing.T) {
	t.Parallel()
	guard := readGuard(t)
	const lives = 24
	seen := make(chan map[string]int, lives)
	t.Run("lives", func(t *testing.T) {
		for seed := range uint64(lives) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				l := newLife(t, seed, guard)
				l.plan()
				l.live()
				seen <- l.happened
			})
		}
	})
	close(seen)
	total := map[string]int{}
	for happened := range seen {
		for what, n := range happened {
			total[what] += n
		}
	}
	for _, what := range []string{
		"FIRED", "REOPENED", "ESCALATED", "UNANSWERED", "RESOLVED", "acknowledge", "unacknowledge", "snooze", "escalate", "resolve", "false-positive",
		"psql", "mute", "retried", "began anew", "vault down",
	} {
		if total[what] == 0 {
			t.Errorf("%q happened in no life: they do not try it", what)
		}
	}
}

// guard is which change of status the vault allows; a test of package vault holds the file to the database.
type guard struct {
	Allowed, Reopening map[alert.Status][]alert.Status
}

func readGuard(t *testing.T) guard {
	t.Helper()
	text, err := os.ReadFile("../alert/testdata/transitions.json")
	if err != nil {
		t.Fatal(err)
	}
	var g guard
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// happening is something that shall happen at a moment since the beginning of the life.
type happening struct {
	at   time.Duration
	do   func()
	done bool
}

// stood is an alert as the vault holds it.
type stood struct {
	status   alert.Status
	by       string
	reopened int
	level    int
}

type life struct {
	*world
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	guard    guard
	policy   *alert.Policy
	events   []*happening
	vault    map[string]*stood
	quiet    map[string]time.Time // until when nobody may be paged for an alert
	muted    map[string]time.Time
	outage   [2]time.Duration // of the vault; equal: it has none
	received map[string]bool  // messages that a provider accepted, by key, channel and recipient
	happened map[string]int
	seq      int64
	// state guards the maps: activities run beside what happens. It is taken after the world's own lock.
	state sync.Mutex
}

var lifeEnds = 12 * time.Hour

// anchor is an alert that somebody has from the first minute to the end, so that the workflow lives as long as the life.
const anchor = "ANCHOR"

func newLife(t *testing.T, seed uint64, g guard) *life {
	t.Helper()
	l := &life{
		t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 7)), guard: g, vault: map[string]*stood{}, quiet: map[string]time.Time{},
		muted: map[string]time.Time{}, received: map[string]bool{}, happened: map[string]int{},
	}
	if seed%2 == 0 {
		l.policy = &upTheLadder
	}
	if seed%3 == 0 {
		from := time.Duration(l.rand.IntN(600)) * time.Minute
		l.outage = [2]time.Duration{from, from + time.Duration(5+l.rand.IntN(60))*time.Minute}
	}
	return l
}

func (l *life) since() time.Duration { return l.env.Now().Sub(began) }
func (l *life) down() bool           { return l.outage[0] <= l.since() && l.since() < l.outage[1] }
func (l *life) hasOutage() bool      { return l.outage[0] < l.outage[1] }

func (l *life) failf(format string, args ...any) {
	l.t.Errorf("seed %d, %s: %s", l.seed, l.since(), fmt.Sprintf(format, args...))
}

// at plans something for a second of its own, so that the order of things is that of their times.
func (l *life) at(minute int, do func()) {
	second := time.Duration(7+len(l.events)%40) * time.Second
	l.events = append(l.events, &happening{at: time.Duration(minute)*time.Minute + second, do: do})
}

func (l *life) plan() {
	l.at(0, func() { l.fire(anchor) })
	l.at(1, l.commandOf(alert.UpdateAcknowledge, alert.Command{Actor: "dana", Alerts: []string{anchor}}))
	keys := []string{"K1", "K2", "K3"}
	for i, key := range keys {
		l.at(2+100*i, func() { l.fire(key) })
	}
	for range 40 {
		key, minute := keys[l.rand.IntN(len(keys))], 3+l.rand.IntN(700)
		c := alert.Command{Actor: "dana", Notes: "why", Alerts: []string{key}}
		lasting := c
		lasting.Minutes = 1 + l.rand.IntN(120)
		l.at(minute, []func(){
			l.commandOf(alert.UpdateAcknowledge, c), l.commandOf(alert.UpdateAcknowledge, lasting), l.commandOf(alert.UpdateAcknowledge, lasting),
			l.commandOf(alert.UpdateUnacknowledge, c), l.commandOf(alert.UpdateSnooze, lasting), l.commandOf(alert.UpdateEscalate, c),
			l.commandOf(alert.UpdateResolve, c), l.commandOf(alert.UpdateFalsePositive, c),
			func() { l.inPsql(key, alert.TransitionAcknowledged, "eve") },
			func() { l.inPsql(key, alert.TransitionResolved, alert.ActorCondition) },
			func() { l.inPsql(key, alert.TransitionResolved, alert.ActorCondition) },
			func() { l.fireAgain(key) }, func() { l.fireAgain(key) }, func() { l.fireAgain(key) },
			func() { l.mute(key, time.Duration(lasting.Minutes)*time.Minute) },
			l.beginAnew,
		}[l.rand.IntN(16)])
	}
	l.events = append(l.events, &happening{at: lifeEnds, do: func() {
		for _, key := range append(keys, anchor) {
			l.inPsql(key, alert.TransitionResolved, alert.ActorCondition)
		}
	}})
}

// live runs the workflow, and where it begins anew its next run, until it has ended.
func (l *life) live() {
	input := activities.AlertGroupInput{Target: "local", DefinitionKey: connections.Key}
	start := began
	for {
		l.world = newWorld(l.t, threeChannels[:1])
		l.env.SetStartTime(start)
		l.onList = func() error { return errVault } // who hears it is known from its firing
		l.onRecord, l.onSend, l.onMutes = l.record, l.send, l.mutes
		for _, e := range l.events {
			if !e.done {
				l.after(max(e.at-start.Sub(began), 0), func() {
					l.state.Lock()
					defer l.state.Unlock()
					e.done = true
					e.do()
				})
			}
		}
		l.env.ExecuteWorkflow(workflows.AlertWorkflowName, input)
		var anew *workflow.ContinueAsNewError
		err := l.env.GetWorkflowError()
		if !errors.As(err, &anew) {
			l.finish(err)
			return
		}
		input = activities.AlertGroupInput{}
		if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &input); err != nil {
			l.t.Fatal(err)
		}
		l.happened["began anew"]++
		start = l.env.Now()
	}
}

func (l *life) finish(err error) {
	if err != nil || !l.env.IsWorkflowCompleted() {
		l.t.Fatalf("seed %d: the workflow has no end: %v", l.seed, err)
	}
	var result workflows.AlertResult
	if err := l.env.GetWorkflowResult(&result); err != nil {
		l.t.Fatal(err)
	}
	for _, a := range result.Alerts {
		if a.Status != alert.StatusResolved || l.vault[a.Key].status != alert.StatusResolved {
			l.failf("%s ends as %s, in the vault as %s", a.Key, a.Status, l.vault[a.Key].status)
		}
	}
}

// ---------------------------------------------------------------- what happens

func (l *life) tell(item alert.Transition) {
	l.seq++
	item.Seq, item.At, item.Recorded = l.seq, l.env.Now(), true
	l.env.SignalWorkflow(alert.SignalTransitions, alert.Transitions{Items: []alert.Transition{item}})
}

func (l *life) firing(key string) alert.Transition {
	d := connections
	d.Policy = l.policy
	f := fired(key)
	f.Definition, f.Channels, f.Named = &d, threeChannels[:1], threeChannels
	return f
}

// fire opens an alert; a vault that is down has nothing to tell.
func (l *life) fire(key string) {
	l.vault[key] = &stood{status: alert.StatusOpen}
	l.tell(l.firing(key))
}

func (l *life) fireAgain(key string) {
	v := l.vault[key]
	if v == nil || l.down() || v.status != alert.StatusResolved || v.by != alert.ActorCondition {
		return
	}
	v.status, v.reopened = alert.StatusOpen, v.reopened+1
	delete(l.quiet, key)
	f := l.firing(key)
	f.Alert.Reopened, f.Alert.ReopenedAt, f.Alert.Level = v.reopened, l.env.Now(), v.level
	l.tell(f)
}

// inPsql changes an alert in the vault, which tells the workflow.
func (l *life) inPsql(key string, kind alert.TransitionKind, actor string) {
	status := map[alert.TransitionKind]alert.Status{alert.TransitionAcknowledged: alert.StatusAcknowledged, alert.TransitionResolved: alert.StatusResolved}[kind]
	v := l.vault[key]
	if v == nil || l.down() || !slices.Contains(l.guard.Allowed[v.status], status) {
		return
	}
	v.status, v.by = status, actor
	l.tell(alert.Transition{Kind: kind, Alert: alert.Alert{Key: key}, Actor: actor, Via: "psql:" + actor})
	l.happened["psql"]++
	l.after(time.Millisecond, func() {
		l.state.Lock()
		defer l.state.Unlock()
		l.quiet[key] = began.Add(2 * lifeEnds)
	})
}

func (l *life) mute(key string, lasts time.Duration) {
	l.muted[key] = l.env.Now().Add(lasts)
	l.happened["mute"]++
	l.tell(mutesChanged(key))
}

func (l *life) beginAnew() { l.env.SetContinueAsNewSuggested(true) }

// commandOf sends a command, and notes from its answer until when nobody may be paged.
func (l *life) commandOf(name string, c alert.Command) func() {
	key := c.Alerts[0]
	return func() {
		if name == alert.UpdateUnacknowledge || name == alert.UpdateEscalate {
			delete(l.quiet, key) // it may page before it answers
		}
		l.env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(error) {},
			OnComplete: func(answer any, err error) {
				result, ok := answer.(alert.CommandResult)
				if err != nil || !ok || len(result.Alerts) != 1 {
					return
				}
				l.state.Lock()
				defer l.state.Unlock()
				o := result.Alerts[0]
				if o.Changed {
					l.happened[name]++
				}
				switch {
				case o.Status == alert.StatusResolved, o.Status == alert.StatusAcknowledged && o.Until.IsZero():
					l.quiet[key] = began.Add(2 * lifeEnds)
				case o.Status == alert.StatusAcknowledged, name == alert.UpdateSnooze && o.Changed:
					l.quiet[key] = o.Until
				}
			},
		}, c)
	}
}

// ---------------------------------------------------------------- the world

func (l *life) mutes(key string) (*alert.Mute, error) {
	l.state.Lock()
	defer l.state.Unlock()
	until, muted := l.muted[key]
	if l.down() || !muted || !l.env.Now().Before(until) {
		return nil, nil
	}
	return &alert.Mute{Kind: alert.MuteSilence, ID: "S-7F3K", Until: until, By: "dana", Comment: "CHG-812"}, nil
}

// record is the vault's guard: what is not legal changes nothing, and the answer says what stands.
func (l *life) record(in activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
	l.state.Lock()
	defer l.state.Unlock()
	if l.down() {
		l.happened["vault down"]++
		return activities.RecordHistoryOutput{}, errVault
	}
	var out activities.RecordHistoryOutput
	for _, c := range in.Changes {
		v := l.vault[c.AlertKey]
		status, known := map[string]alert.Status{
			"ACKNOWLEDGED": alert.StatusAcknowledged, "UNACKNOWLEDGED": alert.StatusOpen, "ESCALATED": alert.StatusEscalated, "RESOLVED": alert.StatusResolved,
		}[c.Change]
		if !known {
			continue
		}
		legal := slices.Contains(l.guard.Allowed[v.status], status) && (status != alert.StatusEscalated || c.Level > v.level)
		renewed := status == alert.StatusAcknowledged && v.status == status
		// Only where the vault was down may somebody in psql have been faster than what waits to be written.
		if !legal && !renewed && !l.hasOutage() {
			l.failf("%s is %s at level %d, and the workflow writes %s at level %d", c.AlertKey, v.status, v.level, c.Change, c.Level)
		}
		if legal {
			v.status, v.by, v.level = status, c.Actor, max(v.level, c.Level)
		}
		out.Results = append(out.Results, activities.ChangeResult{AlertKey: c.AlertKey, Changed: legal || renewed, Status: v.status, Actor: v.by, At: c.At})
	}
	return out, nil
}

func (l *life) send(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
	l.state.Lock()
	defer l.state.Unlock()
	l.happened[string(in.Message.Event)]++
	message := in.Message.Key + " to " + in.Channel.Key + " " + in.Recipient
	if l.received[message] {
		l.failf("%s was accepted before", message)
	}
	if in.Message.Event != alert.EventResolved && !slices.ContainsFunc(in.Message.Alerts, l.mayPage) {
		l.failf("%s pages for %+v, which somebody answered", message, in.Message.Alerts)
	}
	if l.rand.IntN(4) == 0 {
		l.happened["retried"]++
		return failed(activities.Transient, time.Duration(1+l.rand.IntN(6))*time.Minute, false), nil
	}
	l.received[message] = true
	return accepted(), nil
}

func (l *life) mayPage(a alert.Alert) bool { return !l.env.Now().Before(l.quiet[a.Key]) }

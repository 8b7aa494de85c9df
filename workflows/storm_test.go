package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// sky is many groups on one target, with the storm that they may belong to: all of them real workflows.
type sky struct {
	*world
	limit int // groups; beyond it there is a storm
	fired map[string]bool
}

// toGroup brings transitions to the workflow of a definition, which runs or is started.
type toGroup struct {
	Definition string           `json:"definition"`
	Item       alert.Transition `json:"item"`
}

func newSky(t *testing.T, channels []alert.Channel, limit int) *sky {
	t.Helper()
	s := &sky{world: newWorld(t, channels), limit: limit, fired: map[string]bool{}}
	s.env.RegisterWorkflowWithOptions(workflows.Storm, workflow.RegisterOptions{Name: workflows.StormWorkflowName})
	s.env.RegisterWorkflowWithOptions(temporalServer, workflow.RegisterOptions{Name: "Server"})
	s.onStorm = func(activities.JoinStormInput) (*alert.Storm, error) {
		if len(s.fired) <= s.limit {
			return nil, nil
		}
		return &alert.Storm{Key: "STORM||TARGET||LOCAL", Kind: alert.StormTarget, Name: "local", BeganAt: began, Limit: s.limit}, nil
	}
	s.onBring = func(in activities.BringToStormInput) error {
		s.env.SignalWorkflow("bring", in)
		return nil
	}
	return s
}

// temporalServer stands for what starts workflows or signals those that run.
func temporalServer(ctx workflow.Context) error {
	running := map[string]workflow.ChildWorkflowFuture{}
	bring := func(id, kind, signal string, in, payload any) {
		child := running[id]
		if child == nil || child.IsReady() {
			child = workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: id}), kind, in)
			if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
				panic(err)
			}
			running[id] = child
		}
		if err := child.SignalChildWorkflow(ctx, signal, payload).Get(ctx, nil); err != nil {
			panic(err)
		}
	}
	over := false
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(workflow.GetSignalChannel(ctx, "group"), func(c workflow.ReceiveChannel, _ bool) {
		var g toGroup
		c.Receive(ctx, &g)
		bring(workflows.AlertWorkflowID("local", g.Definition, ""), workflows.AlertWorkflowName, alert.SignalTransitions,
			activities.AlertGroupInput{Target: "local", DefinitionKey: g.Definition}, alert.Transitions{Items: []alert.Transition{g.Item}})
	})
	selector.AddReceive(workflow.GetSignalChannel(ctx, "bring"), func(c workflow.ReceiveChannel, _ bool) {
		var in activities.BringToStormInput
		c.Receive(ctx, &in)
		bring(in.WorkflowID, workflows.StormWorkflowName, alert.SignalHandover, activities.StormInput{Storm: in.Storm}, in.Handover)
	})
	selector.AddReceive(workflow.GetSignalChannel(ctx, "over"), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, nil)
		over = true
	})
	for !over {
		selector.Select(ctx)
	}
	var errs []error
	for _, id := range workflow.DeterministicKeys(running) {
		errs = append(errs, running[id].Get(ctx, nil))
	}
	return errors.Join(errs...)
}

func definition(i int) string { return fmt.Sprintf("D%02d", i) }

// fire has one alert of each of some definitions fire at a moment.
func (s *sky) fire(at time.Duration, from, to int, severity alert.Severity) {
	s.after(at, func() {
		s.mu.Lock()
		for i := from; i < to; i++ {
			s.fired[definition(i)] = true
		}
		s.mu.Unlock()
		for i := from; i < to; i++ {
			item := fired(definition(i))
			item.At, item.Alert.TriggeredAt = s.env.Now(), s.env.Now()
			d := connections
			d.Key, d.Name, d.Severity = definition(i), "Definition "+definition(i), severity
			item.Definition = &d
			s.env.SignalWorkflow("group", toGroup{definition(i), item})
		}
	})
}

func (s *sky) end(at time.Duration, kind alert.TransitionKind, from, to int) {
	s.after(at, func() {
		for i := from; i < to; i++ {
			s.env.SignalWorkflow("group", toGroup{definition(i), ended(kind, definition(i), "dana")})
		}
	})
}

func (s *sky) runUntil(over time.Duration) {
	s.t.Helper()
	s.after(over, func() { s.env.SignalWorkflow("over", nil) })
	s.env.ExecuteWorkflow("Server")
	if !s.env.IsWorkflowCompleted() {
		s.t.Fatal("not all workflows completed")
	}
	if err := s.env.GetWorkflowError(); err != nil {
		s.t.Fatal(err)
	}
}

// told lists what a channel was told: event, number of alerts, and in which minute.
func (s *sky) told(channel string) []string {
	var list []string
	for _, m := range s.sent {
		if m.Channel.Key == channel {
			list = append(list, fmt.Sprintf("%s %d at %s", m.Message.Event, len(m.Message.Alerts), m.at.Truncate(time.Minute)))
		}
	}
	return list
}

func (s *sky) expectTold(channel string, want ...string) {
	s.t.Helper()
	if got := s.told(channel); !slices.Equal(got, want) {
		s.t.Errorf("%s was told %q,\nwant %q", channel, got, want)
	}
}

func TestStorm_FortyGroupsAtOnceAreOneMessagePerChannelWithTheWorstFirst(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailSlack, 10)
	s.fire(0, 0, 39, alert.SeverityHigh)
	s.fire(0, 39, 40, alert.SeverityCritical)
	s.end(5*time.Minute, alert.TransitionResolved, 0, 40)
	s.runUntil(10 * time.Minute)
	s.expectTold("EMAIL", "FIRED 40 at 0s", "RESOLVED 40 at 5m0s")
	s.expectTold("SLACK", "FIRED 40 at 0s", "RESOLVED 40 at 5m0s")
	first := s.sent[0]
	if first.Message.Alerts[0].Key != definition(39) || first.Message.Definition.Severity != alert.SeverityCritical {
		t.Errorf("the first of them is %s, of severity %s", first.Message.Alerts[0].Key, first.Message.Definition.Severity)
	}
	if sum := first.Message.Storm; sum == nil || sum.Alerts != 40 || sum.Open != 40 || sum.Unanswered != 40 || len(sum.Definitions) != 40 {
		t.Errorf("it says %+v", first.Message.Storm)
	}
	if first.Events[definition(3)] != "FIRED" {
		t.Errorf("the ledger is to say %q", first.Events[definition(3)])
	}
	if len(s.endedStorms) != 1 || s.endedStorms[0].Groups != 40 || s.endedStorms[0].Alerts != 40 {
		t.Errorf("the vault was told of the ends %+v", s.endedStorms)
	}
	notified := slices.DeleteFunc(s.recorded(), func(change string) bool { return change != "NOTIFIED" })
	if len(notified) != 40 {
		t.Errorf("%d alerts are recorded as told, want 40", len(notified))
	}
}

func TestStorm_TenGroupsAreTenMessages(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 10)
	s.fire(0, 0, 10, alert.SeverityHigh)
	s.end(5*time.Minute, alert.TransitionResolved, 0, 10)
	s.runUntil(10 * time.Minute)
	if got := s.told("EMAIL"); len(got) != 20 || len(s.brought) != 0 {
		t.Errorf("%d messages and %d to a storm, want 20 and none: %q", len(got), len(s.brought), got)
	}
}

func TestStorm_WhatJoinsLaterIsToldTogetherAndACriticalOneAtOnce(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 3)
	s.fire(0, 0, 5, alert.SeverityHigh)
	s.fire(3*time.Minute, 5, 7, alert.SeverityHigh)
	s.fire(12*time.Minute, 7, 8, alert.SeverityHigh)
	s.fire(14*time.Minute, 8, 9, alert.SeverityCritical)
	s.end(14*time.Minute+30*time.Second, alert.TransitionResolved, 0, 9)
	s.runUntil(30 * time.Minute)
	s.expectTold("EMAIL", "FIRED 5 at 0s", "FIRED 2 at 10m0s", "FIRED 2 at 14m0s", "RESOLVED 9 at 14m0s")
}

func TestStorm_WaitsForThoseThatFiredAtTheSameTimeAndOwesWhoComesLate(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 3)
	ask := s.onStorm
	s.onStorm = func(in activities.JoinStormInput) (*alert.Storm, error) {
		storm, err := ask(in)
		if storm != nil {
			storm.AtOnce = 8
		}
		return storm, err
	}
	s.fire(0, 0, 5, alert.SeverityHigh)
	s.fire(6*time.Second, 5, 8, alert.SeverityHigh) // the eighth group is here
	s.after(time.Minute, func() {
		late := fired(definition(8)) // at the beginning
		d := connections
		d.Key = definition(8)
		late.Definition = &d
		s.env.SignalWorkflow("group", toGroup{definition(8), late})
	})
	s.end(5*time.Minute, alert.TransitionResolved, 0, 9)
	s.runUntil(30 * time.Minute)
	s.expectTold("EMAIL", "FIRED 8 at 0s", "FIRED 1 at 1m0s", "RESOLVED 9 at 5m0s")
}

func TestStorm_EscalationIsOneMessageAboutThoseThatNobodyAcknowledged(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 3)
	s.fire(0, 0, 8, alert.SeverityHigh)
	s.end(5*time.Minute, alert.TransitionAcknowledged, 0, 6)
	s.end(20*time.Minute, alert.TransitionResolved, 0, 8)
	s.runUntil(40 * time.Minute)
	s.expectTold("EMAIL", "FIRED 8 at 0s", "ESCALATED 2 at 15m0s", "RESOLVED 8 at 20m0s")
	if sum := s.sent[1].Message.Storm; sum.Open != 8 || sum.Unanswered != 2 {
		t.Errorf("of %d open alerts %d are unanswered, want 2 of 8", sum.Open, sum.Unanswered)
	}
	if event := s.sent[1].Events[definition(7)]; event != "ESCALATED:1" {
		t.Errorf("the ledger is to say %q", event)
	}
}

func TestStorm_WhatRemainsWhenItEndsIsToldOneByOneAgain(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 4)
	s.fire(0, 0, 6, alert.SeverityHigh)
	s.after(4*time.Minute, func() {
		s.mu.Lock()
		s.fired = map[string]bool{}
		s.mu.Unlock()
	})
	s.end(5*time.Minute, alert.TransitionResolved, 0, 5)
	s.end(20*time.Minute, alert.TransitionResolved, 5, 6)
	s.runUntil(40 * time.Minute)
	s.expectTold("EMAIL", "FIRED 6 at 0s", "RESOLVED 5 at 5m0s", "ESCALATED 1 at 15m0s", "RESOLVED 1 at 20m0s")
	if sum := s.sent[1].Message.Storm; !sum.Over || sum.Open != 1 {
		t.Errorf("its end says %+v", sum)
	}
	if s.sent[2].Message.Storm != nil || s.sent[3].Message.Storm != nil {
		t.Error("what came after the storm is told by the storm")
	}
}

func TestStorm_WhatIsAnsweredWhileItGathersIsToldToNobody(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailOnly, 2)
	s.fire(0, 0, 4, alert.SeverityHigh)
	s.end(time.Second, alert.TransitionAcknowledged, 0, 1)
	s.end(time.Second, alert.TransitionResolved, 1, 2)
	s.end(5*time.Minute, alert.TransitionResolved, 0, 1)
	s.end(5*time.Minute, alert.TransitionResolved, 2, 4)
	s.runUntil(10 * time.Minute)
	s.expectTold("EMAIL", "FIRED 2 at 0s", "RESOLVED 2 at 5m0s")
}

func TestStorm_AChannelOfSingleMessagesIsToldByTheGroups(t *testing.T) {
	t.Parallel()
	tickets := alert.Channel{Key: "TICKETS", Type: "WEBHOOK", Recipients: []string{"t"}, PerAlert: true}
	s := newSky(t, append(slices.Clone(emailOnly), tickets), 2)
	s.fire(0, 0, 4, alert.SeverityHigh)
	s.end(5*time.Minute, alert.TransitionResolved, 0, 4)
	s.runUntil(10 * time.Minute)
	s.expectTold("EMAIL", "FIRED 4 at 0s", "RESOLVED 4 at 5m0s")
	if got := s.told("TICKETS"); len(got) != 8 || strings.Contains(strings.Join(got, " "), " 4 ") {
		t.Errorf("the tickets are %q, want eight of one alert", got)
	}
}

func TestStorm_WhenNobodySaysWhetherThereIsOnePeopleAreToldOneByOne(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*sky){
		"the vault is away": func(s *sky) {
			s.onStorm = func(activities.JoinStormInput) (*alert.Storm, error) { return nil, errVault }
		},
		"the storm is not reached": func(s *sky) {
			s.onBring = func(activities.BringToStormInput) error { return errors.New("not reached") }
		},
	} {
		s := newSky(t, emailOnly, 2)
		fail(s)
		s.fire(0, 0, 4, alert.SeverityHigh)
		s.end(5*time.Minute, alert.TransitionResolved, 0, 4)
		s.runUntil(10 * time.Minute)
		if got := s.told("EMAIL"); len(got) != 8 {
			t.Errorf("%s: %q, want eight messages", name, got)
		}
	}
}

func TestStorm_ADyingWorkerLeavesOneFlaggedAttemptAndAFailingChannelIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := newSky(t, emailSlack, 2)
	attempts := 0
	s.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		if in.Channel.Key == "EMAIL" && in.Message.Event == alert.EventFired {
			if attempts++; attempts == 1 {
				return activities.SendNotificationOutput{}, errors.New("the worker is gone")
			}
			if attempts == 2 && !in.Uncertain {
				t.Error("the attempt after a death is not flagged")
			}
		}
		if in.Channel.Key == "SLACK" && in.Attempt == 0 && in.Message.Event == alert.EventFired {
			return failed(activities.Transient, 0, false), nil
		}
		return accepted(), nil
	}
	s.fire(0, 0, 4, alert.SeverityHigh)
	s.end(5*time.Minute, alert.TransitionResolved, 0, 4)
	s.runUntil(10 * time.Minute)
	s.expectTold("EMAIL", "FIRED 4 at 0s", "FIRED 4 at 0s", "RESOLVED 4 at 5m0s")
	s.expectTold("SLACK", "FIRED 4 at 0s", "FIRED 4 at 1m0s", "RESOLVED 4 at 5m0s")
}

package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/workflows"
)

// digestWorld stands for the vault and the channel of a digest.
type digestWorld struct {
	t        *testing.T
	env      *testsuite.TestWorkflowEnvironment
	room     time.Time
	roomErr  error
	outcomes []func() (activities.SendNotificationOutput, error) // of the next attempts; then all go well
	sent     []string
	keys     []string
	inputs   []activities.SendDigestInput
	ledger   []activities.LedgerEntry
}

func (w *digestWorld) FindRoom(context.Context, activities.FindRoomInput) (activities.FindRoomOutput, error) {
	return activities.FindRoomOutput{At: w.room}, w.roomErr
}

func (w *digestWorld) SendDigest(_ context.Context, in activities.SendDigestInput) (activities.SendNotificationOutput, error) {
	text := w.env.Now().Sub(began).Round(time.Second).String()
	for _, part := range in.Parts {
		for _, a := range part.Alerts {
			text += " " + a.Key + "/" + part.Event
		}
	}
	if in.Uncertain || in.PossibleDuplicate {
		text += " ?"
	}
	w.sent, w.keys, w.inputs = append(w.sent, text), append(w.keys, in.Key), append(w.inputs, in)
	if len(w.outcomes) > 0 {
		next := w.outcomes[0]
		w.outcomes = w.outcomes[1:]
		return next()
	}
	return accepted(), nil
}

func (w *digestWorld) RecordHistory(_ context.Context, in activities.RecordHistoryInput) (activities.RecordHistoryOutput, error) {
	w.ledger = append(w.ledger, in.Entries...)
	return activities.RecordHistoryOutput{}, nil
}

func newDigest(t *testing.T) *digestWorld {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &digestWorld{t: t, env: newEnvironment(&suite)}
	w.env.SetStartTime(began)
	w.env.RegisterWorkflowWithOptions(workflows.Digest, workflow.RegisterOptions{Name: workflows.DigestWorkflowName})
	w.env.RegisterActivity(w)
	return w
}

// at brings the event of an alert to the digest.
func (w *digestWorld) at(d time.Duration, event string, keys ...string) {
	part := activities.DigestPart{Event: event, Definition: connections, Target: "local"}
	for _, key := range keys {
		part.Alerts = append(part.Alerts, alert.Alert{Key: key})
	}
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(activities.SignalGather, part) }, d)
}

func (w *digestWorld) run() workflows.DigestResult {
	w.t.Helper()
	w.env.ExecuteWorkflow(workflows.DigestWorkflowName, activities.DigestInput{Channel: emailOnly[0], Recipient: "ops@example.com", Within: 15 * time.Minute})
	if err := w.env.GetWorkflowError(); err != nil {
		w.t.Fatal(err)
	}
	var result workflows.DigestResult
	if err := w.env.GetWorkflowResult(&result); err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *digestWorld) wantSent(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.sent, want) {
		w.t.Errorf("sent %q, want %q", w.sent, want)
	}
}

func TestDigest_GathersUntilThereIsRoomAndTellsEachEventOnce(t *testing.T) {
	t.Parallel()
	w := newDigest(t)
	w.room = began.Add(5 * time.Minute)
	w.at(0, "FIRED", "A", "B")
	w.at(time.Minute, "FIRED", "A") // a worker died before it knew that it had brought it
	w.at(2*time.Minute, "RESOLVED", "A")
	if result := w.run(); result != (workflows.DigestResult{Sent: 1, Told: 2}) {
		t.Errorf("result %+v", result)
	}
	w.wantSent("5m0s A/FIRED B/FIRED A/RESOLVED")
}

func TestDigest_WaitsNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*digestWorld){
		"no room":           func(w *digestWorld) { w.room = began.Add(50 * time.Minute) },
		"the vault is away": func(w *digestWorld) { w.roomErr = errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newDigest(t)
			prepare(w)
			w.at(0, "FIRED", "A")
			w.run()
			w.wantSent("15m0s A/FIRED")
		})
	}
}

func TestDigest_WhatComesWhileOneIsSentIsInTheNext(t *testing.T) {
	t.Parallel()
	w := newDigest(t)
	w.outcomes = append(w.outcomes, func() (activities.SendNotificationOutput, error) {
		return failed(activities.Transient, 0, false), nil
	})
	w.at(0, "FIRED", "A")
	w.at(30*time.Second, "FIRED", "B") // between two attempts
	if result := w.run(); result != (workflows.DigestResult{Sent: 2, Told: 2}) {
		t.Errorf("result %+v", result)
	}
	w.wantSent("0s A/FIRED", "1m0s A/FIRED", "1m0s B/FIRED")
	if w.keys[0] != w.keys[1] || w.keys[1] == w.keys[2] {
		t.Errorf("keys %q: attempts at one digest have one, and two digests have two", w.keys)
	}
}

func TestDigest_AWorkerThatDiesTwiceLeavesItUncertainInTheLedger(t *testing.T) {
	t.Parallel()
	w := newDigest(t)
	for range 2 {
		w.outcomes = append(w.outcomes, func() (activities.SendNotificationOutput, error) {
			return activities.SendNotificationOutput{}, errors.New("the worker died")
		})
	}
	w.at(0, "FIRED", "A", "B")
	if result := w.run(); result != (workflows.DigestResult{Failed: 1, Told: 1}) {
		t.Errorf("result %+v", result)
	}
	w.wantSent("0s A/FIRED B/FIRED", "0s A/FIRED B/FIRED ?")
	var story []string
	for _, e := range w.ledger {
		story = append(story, fmt.Sprintf("%s %s %s %t %t", e.AlertKey, e.Status, e.Class, e.PossibleDuplicate, e.DeliveryKey == w.keys[0]))
	}
	if want := []string{"A FAILED UNCERTAIN true true", "B FAILED UNCERTAIN true true"}; !slices.Equal(story, want) {
		t.Errorf("ledger %q", story)
	}
}

func TestAlert_WhoHearsByDigestIsToldOfTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emailOnly)
	w.onSend = func(in activities.SendNotificationInput) (activities.SendNotificationOutput, error) {
		return activities.SendNotificationOutput{Final: true, Digested: true, Receipt: activities.Receipt{Class: activities.NotSent}}, nil
	}
	w.bring(0, fired("A"))
	w.bring(time.Minute, ended(alert.TransitionResolved, "A", "condition cleared"))
	result := w.run()
	if result.Delivered != 0 || result.Failed != 0 || len(w.sent) != 2 || w.sent[1].Event != "RESOLVED" {
		t.Errorf("result %+v, sent %d", result, len(w.sent))
	}
}

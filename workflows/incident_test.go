package workflows_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
	"onevault/incident"
	"onevault/workflows"
)

// incidentWorld is a vault with one incident, as its workflow sees it: what is recorded changes it by the
// rules, psql and the alerts change it beside the workflow. Time is skipped.
type incidentWorld struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment

	mu       sync.Mutex
	vault    incident.Incident
	recorded []incident.Change
	reads    int
	down     bool
	takes    int           // writes until it goes down again; 0: no such end
	refuses  incident.Kind // changes that the vault will never take
}

// RecordIncident stands for the activity of that name.
func (w *incidentWorld) RecordIncident(_ context.Context, in activities.RecordIncidentInput) (activities.RecordIncidentOutput, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return activities.RecordIncidentOutput{}, errVault
	}
	if in.HashKey != "aa" {
		w.t.Errorf("asked for the incident %q", in.HashKey)
	}
	out := activities.RecordIncidentOutput{}
	if in.Change == nil {
		w.reads++
	} else {
		if in.Change.Kind == w.refuses {
			return out, temporal.NewNonRetryableApplicationError("value too long", activities.ErrorVaultRefused, nil)
		}
		if w.takes > 0 {
			w.takes--
			w.down = w.takes == 0
		}
		if out.Changed = w.vault.Apply(*in.Change); out.Changed {
			w.recorded = append(w.recorded, *in.Change)
		}
	}
	out.Incident = w.vault
	return out, nil
}

func newIncidentWorld(t *testing.T) *incidentWorld {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	w := &incidentWorld{t: t, env: newEnvironment(&suite), vault: incident.Incident{
		ID: "I-7F3K", HashKey: "aa", WorkflowID: "incident/I-7F3K", Title: "Primary is slow", Status: incident.StatusOpen,
		Severity: alert.SeverityHigh, Priority: "P2", CreatedAt: began, CreatedBy: "dana", Alerts: 2, ActiveAlerts: 2,
	}}
	w.env.SetStartTime(began)
	w.env.SetStartWorkflowOptions(clientOptions(w.vault.WorkflowID))
	w.env.RegisterWorkflowWithOptions(workflows.Incident, workflow.RegisterOptions{Name: workflows.IncidentWorkflowName})
	w.env.RegisterActivity(w)
	w.env.SetTestTimeout(20 * time.Second)
	return w
}

func (w *incidentWorld) run() incident.Incident {
	w.t.Helper()
	w.env.ExecuteWorkflow(workflows.IncidentWorkflowName, activities.IncidentInput{State: w.vault})
	if !w.env.IsWorkflowCompleted() {
		w.t.Fatal("workflow did not complete")
	}
	if err := w.env.GetWorkflowError(); err != nil {
		w.t.Fatalf("workflow failed: %v", err)
	}
	var result workflows.IncidentResult
	if err := w.env.GetWorkflowResult(&result); err != nil {
		w.t.Fatal(err)
	}
	return result.Incident
}

// beside changes the vault without the workflow, which hears of it by a fact.
func (w *incidentWorld) beside(d time.Duration, change func(*incident.Incident)) {
	w.env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		change(&w.vault)
		w.mu.Unlock()
		w.env.SignalWorkflow(incident.SignalFacts, incident.Facts{Items: []incident.Fact{{Seq: int64(d), Kind: "CHANGED"}}})
	}, d)
}

func (w *incidentWorld) psql(d time.Duration, c incident.Change) {
	c.At = began.Add(d)
	w.beside(d, func(i *incident.Incident) { i.Apply(c) })
}

// alertEnds has one of the alerts resolved.
func (w *incidentWorld) alertEnds(d time.Duration) {
	w.beside(d, func(i *incident.Incident) { i.ActiveAlerts--; i.LastAlertResolvedAt = began.Add(d) })
}

type incidentAnswer struct {
	incident.Answer
	err error
}

func (w *incidentWorld) update(d time.Duration, name string, c incident.Command) *incidentAnswer {
	a := &incidentAnswer{err: errors.New("the update was never answered")}
	w.env.RegisterDelayedCallback(func() {
		w.env.UpdateWorkflow(name, "", &testsuite.TestUpdateCallback{
			OnAccept: func() {},
			OnReject: func(err error) { a.err = err },
			OnComplete: func(result any, err error) {
				a.err = err
				if r, ok := result.(incident.Answer); ok {
					a.Answer = r
				}
			},
		}, c)
	}, d)
	return a
}

func (w *incidentWorld) close(d time.Duration) {
	w.update(d, incident.UpdateResolve, incident.Command{Actor: "dana"})
	w.update(d+time.Second, incident.UpdateClose, incident.Command{Actor: "dana"})
}

func (w *incidentWorld) standing() incident.Standing {
	w.t.Helper()
	value, err := w.env.QueryWorkflow(incident.QueryStatus)
	if err != nil {
		w.t.Fatal(err)
	}
	var s incident.Standing
	if err := value.Get(&s); err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *incidentWorld) expect(want ...string) {
	w.t.Helper()
	var got []string
	for _, c := range w.recorded {
		got = append(got, string(c.Kind)+" "+c.Actor+" "+c.At.Sub(began).Round(time.Second).String())
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("recorded\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestIncident_LimitsPassWhileNobodyActs(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	var before, late, later incident.Standing
	w.env.RegisterDelayedCallback(func() { before = w.standing() }, 29*time.Minute)
	w.env.RegisterDelayedCallback(func() { late = w.standing() }, 31*time.Minute)
	taken := w.update(time.Hour, incident.UpdateTake, incident.Command{Actor: "erin"})
	w.env.RegisterDelayedCallback(func() { later = w.standing() }, 5*time.Hour)
	w.close(6 * time.Hour)
	ended := w.run()

	w.expect("LIMIT response limit passed 30m0s", "INVESTIGATING erin 1h0m0s", "LIMIT resolution limit passed 4h0m0s",
		"RESOLVED dana 6h0m0s", "CLOSED dana 6h0m1s")
	if before.SLA != incident.OnTrack || before.Next != incident.ActorResponse || before.WaitsFor != "response" {
		t.Errorf("before the limit: %+v", before)
	}
	if late.SLA != incident.OverdueResponse || !late.Incident.SLABreach || late.Next != incident.ActorResolution {
		t.Errorf("after the limit of the response: %+v", late)
	}
	if later.SLA != incident.OverdueResolution || later.WaitsFor != "resolution" || !later.NextAt.IsZero() {
		t.Errorf("after the limit of the resolution: %+v", later)
	}
	if taken.err != nil || !taken.Changed || taken.Incident.FirstResponseBy != "erin" {
		t.Errorf("take answered %+v", taken)
	}
	if !ended.SLABreach || ended.ResolvedBy != "dana" || ended.Status != incident.StatusClosed {
		t.Errorf("ended as %+v", ended)
	}
}

func TestIncident_NoLimitPassesForWhoIsInTime(t *testing.T) {
	t.Parallel()
	for name, respond := range map[string]func(*incidentWorld){
		"note": func(w *incidentWorld) {
			w.update(29*time.Minute, incident.UpdateNote, incident.Command{Actor: "erin", Text: "on it"})
		},
		"assign": func(w *incidentWorld) {
			w.update(29*time.Minute, incident.UpdateAssign, incident.Command{Actor: "erin", Text: "frank"})
		},
		"psql": func(w *incidentWorld) { w.psql(29*time.Minute, incident.Change{Kind: incident.Taken, Actor: "erin"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newIncidentWorld(t)
			respond(w)
			w.close(3*time.Hour + 59*time.Minute)
			ended := w.run()
			if ended.SLABreach || ended.FirstResponseBy != "erin" || !ended.FirstResponseAt.Equal(began.Add(29*time.Minute)) {
				t.Errorf("ended as %+v", ended)
			}
			for _, c := range w.recorded {
				if c.Kind == incident.Limit {
					t.Errorf("a limit passed: %+v", c)
				}
			}
		})
	}
}

func TestIncident_AnAnsweredAlertIsTheFirstResponseAndTheLastEndedOneTheResolution(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.beside(10*time.Minute, func(i *incident.Incident) {
		i.AlertAcknowledgedAt, i.AlertAcknowledgedBy, i.AcknowledgedAlert = began.Add(9*time.Minute), "erin", "A-9XYZ"
	})
	w.alertEnds(20 * time.Minute)
	var between incident.Standing
	w.env.RegisterDelayedCallback(func() { between = w.standing() }, 25*time.Minute)
	w.alertEnds(30 * time.Minute)
	w.update(time.Hour, incident.UpdateClose, incident.Command{Actor: "dana", Text: "a long transaction"})
	ended := w.run()

	w.expect("INVESTIGATING erin 9m0s", "RESOLVED all alerts resolved 30m0s", "CLOSED dana 1h0m0s")
	if between.Incident.Status != incident.StatusInvestigating || between.Incident.ActiveAlerts != 1 {
		t.Errorf("with one alert left: %+v", between.Incident)
	}
	if via := w.recorded[0].Via; via != "alert A-9XYZ" {
		t.Errorf("the first response came via %q", via)
	}
	if ended.ResolvedBy != incident.ActorAlerts || ended.ClosedBy != "dana" {
		t.Errorf("ended as %+v", ended)
	}
}

func TestIncident_OfAlertsThatHadEndedBeforeItsWorkflowRanIsResolvedAtOnce(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.vault.ActiveAlerts, w.vault.LastAlertResolvedAt = 0, began.Add(-time.Minute)
	w.update(time.Minute, incident.UpdateClose, incident.Command{Actor: "dana"})
	w.run()
	// Not before it began: the resolution took no time.
	w.expect("RESOLVED all alerts resolved 0s", "CLOSED dana 1m0s")
}

func TestIncident_ReopenedIsNotResolvedByWhatEndedBefore(t *testing.T) {
	t.Parallel()
	for name, reopen := range map[string]func(*incidentWorld) *incidentAnswer{
		"update": func(w *incidentWorld) *incidentAnswer {
			return w.update(20*time.Minute, incident.UpdateReopen, incident.Command{Actor: "erin", Text: "it is back"})
		},
		"psql": func(w *incidentWorld) *incidentAnswer {
			w.psql(20*time.Minute, incident.Change{Kind: incident.Reopened, Actor: "erin"})
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newIncidentWorld(t)
			w.vault.Alerts, w.vault.ActiveAlerts = 1, 1
			w.alertEnds(10 * time.Minute)
			answered := reopen(w)
			var reopened incident.Standing
			w.beside(30*time.Minute, func(*incident.Incident) {}) // news of nothing
			w.env.RegisterDelayedCallback(func() { reopened = w.standing() }, 40*time.Minute)
			w.beside(50*time.Minute, func(i *incident.Incident) { i.Alerts, i.ActiveAlerts = 2, 1 }) // one more joins
			w.alertEnds(time.Hour)
			w.update(2*time.Hour, incident.UpdateClose, incident.Command{Actor: "dana"})
			ended := w.run()
			if answered != nil && (answered.err != nil || !answered.Changed) {
				t.Errorf("reopen answered %+v", answered)
			}
			if reopened.Incident.Status != incident.StatusInvestigating || !reopened.Incident.ResolvedAt.IsZero() {
				t.Errorf("after the reopening: %+v", reopened.Incident)
			}
			if !ended.ResolvedAt.Equal(began.Add(time.Hour)) || ended.ResolvedBy != incident.ActorAlerts {
				t.Errorf("ended as %+v", ended)
			}
		})
	}
}

func TestIncident_ResolvedOneClosesItselfAfterAWeek(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.update(10*time.Minute, incident.UpdateResolve, incident.Command{Actor: "dana"})
	w.update(6*24*time.Hour, incident.UpdateReopen, incident.Command{Actor: "erin"})
	w.update(6*24*time.Hour+time.Hour, incident.UpdateResolve, incident.Command{Actor: "erin"})
	ended := w.run()
	if want := began.Add(13*24*time.Hour + time.Hour); !ended.ClosedAt.Equal(want) || ended.ClosedBy != incident.ActorClose {
		t.Errorf("closed at %s by %q, want %s", ended.ClosedAt, ended.ClosedBy, want)
	}
}

func TestIncident_SecondCommandSaysWhoWasFirst(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	first := w.update(10*time.Minute, incident.UpdateResolve, incident.Command{Actor: "dana"})
	second := w.update(11*time.Minute, incident.UpdateResolve, incident.Command{Actor: "erin"})
	w.update(12*time.Minute, incident.UpdateClose, incident.Command{Actor: "dana"})
	w.run()
	if first.err != nil || !first.Changed {
		t.Errorf("first: %+v", first)
	}
	if second.err != nil || second.Changed || second.Incident.ResolvedBy != "dana" {
		t.Errorf("second: %+v", second)
	}
	w.expect("RESOLVED dana 10m0s", "CLOSED dana 12m0s")
}

func TestIncident_IllegalCommandsAreRefusedBeforeTheyEnterTheHistory(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	dana := incident.Command{Actor: "dana"}
	early := w.update(time.Minute, incident.UpdateClose, dana)
	nothing := w.update(time.Minute, incident.UpdateReopen, dana)
	nobody := w.update(time.Minute, incident.UpdateResolve, incident.Command{})
	empty := w.update(time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: "  "})
	toNobody := w.update(time.Minute, incident.UpdateAssign, dana)
	long := w.update(time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: strings.Repeat("ä", 10_001)})
	w.update(2*time.Minute, incident.UpdateResolve, dana)
	over := w.update(3*time.Minute, incident.UpdateTake, dana)
	w.update(4*time.Minute, incident.UpdateClose, dana)
	w.run()
	for _, c := range []struct {
		answer *incidentAnswer
		kind   string
		words  string
	}{
		{early, workflows.ErrorConflict, "I-7F3K is OPEN and cannot become CLOSED; resolve it first"},
		{nothing, workflows.ErrorConflict, "nothing to reopen"},
		{nobody, workflows.ErrorUsage, "say who acts"},
		{empty, workflows.ErrorUsage, "the note is empty"},
		{toNobody, workflows.ErrorUsage, "to whom"},
		{long, workflows.ErrorUsage, "more than 10000 characters"},
		{over, workflows.ErrorConflict, "was resolved by dana at 2026-03-01 03:02:00 UTC; reopen it"},
	} {
		var refused *temporal.ApplicationError
		if !errors.As(c.answer.err, &refused) || refused.Type() != c.kind || !strings.Contains(refused.Message(), c.words) {
			t.Errorf("got %v, want %s with %q", c.answer.err, c.kind, c.words)
		}
	}
	w.expect("RESOLVED dana 2m0s", "CLOSED dana 4m0s")
}

func TestIncident_PsqlFasterThanTheWorkflowWins(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	// Resolved in psql a moment ago: the fact is on its way when the update comes.
	w.env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.vault.Apply(incident.Change{Kind: incident.Resolved, At: began.Add(10 * time.Minute), Actor: "frank"})
	}, 10*time.Minute)
	late := w.update(10*time.Minute+time.Second, incident.UpdateResolve, incident.Command{Actor: "dana"})
	w.update(time.Hour, incident.UpdateClose, incident.Command{Actor: "dana"})
	ended := w.run()
	if late.err != nil || late.Changed || late.Incident.ResolvedBy != "frank" {
		t.Errorf("the second answered %+v", late)
	}
	if ended.ResolvedBy != "frank" {
		t.Errorf("ended as %+v", ended)
	}
}

func TestIncident_ClosedInPsqlEndsTheWorkflow(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.psql(10*time.Minute, incident.Change{Kind: incident.Resolved, Actor: "frank"})
	w.psql(20*time.Minute, incident.Change{Kind: incident.Closed, Actor: "frank"})
	if ended := w.run(); ended.ClosedBy != "frank" {
		t.Errorf("ended as %+v", ended)
	}
	w.expect()
}

func TestIncident_VaultDownStopsNobodyAndEverythingIsRecordedLaterInOrder(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	set := func(d time.Duration, down bool) {
		w.env.RegisterDelayedCallback(func() { w.mu.Lock(); w.down = down; w.mu.Unlock() }, d)
	}
	set(time.Minute, true)
	noted := w.update(10*time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: "the vault is down"})
	assigned := w.update(11*time.Minute, incident.UpdateAssign, incident.Command{Actor: "dana", Text: "erin"})
	var during incident.Standing
	w.env.RegisterDelayedCallback(func() { during = w.standing() }, 12*time.Minute)
	resolved := w.update(13*time.Minute, incident.UpdateResolve, incident.Command{Actor: "erin", Text: "restarted"})
	set(40*time.Minute, false)
	w.update(50*time.Minute, incident.UpdateClose, incident.Command{Actor: "dana"})
	ended := w.run()

	for _, a := range []*incidentAnswer{noted, assigned, resolved} {
		if a.err != nil || !a.Changed {
			t.Errorf("answered %+v", a)
		}
	}
	if during.Unrecorded != 2 || during.WaitsFor != "vault" || during.Incident.Status != incident.StatusInvestigating {
		t.Errorf("while the vault is down: %+v", during)
	}
	w.expect("NOTED dana 10m0s", "ASSIGNED dana 11m0s", "RESOLVED erin 13m0s", "CLOSED dana 50m0s")
	if ended.SLABreach || ended.FirstResponseBy != "dana" || ended.AssignedTo != "erin" {
		t.Errorf("ended as %+v", ended)
	}
}

// The vault comes back, takes the first of what was done, and is gone again: what stands is all of it.
func TestIncident_WhatIsHalfWrittenStandsWhole(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	set := func(d time.Duration, down bool, takes int) {
		w.env.RegisterDelayedCallback(func() { w.mu.Lock(); w.down, w.takes = down, takes; w.mu.Unlock() }, d)
	}
	set(time.Minute, true, 0)
	w.update(10*time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: "the vault is down"})
	w.update(11*time.Minute, incident.UpdateResolve, incident.Command{Actor: "erin"})
	set(15*time.Minute, false, 1)
	var half incident.Standing
	w.env.RegisterDelayedCallback(func() { half = w.standing() }, 20*time.Minute)
	set(25*time.Minute, false, 0)
	w.update(30*time.Minute, incident.UpdateClose, incident.Command{Actor: "dana"})
	w.run()
	if half.Incident.Status != incident.StatusResolved || half.Unrecorded != 1 {
		t.Errorf("half written: %+v", half)
	}
	w.expect("NOTED dana 10m0s", "RESOLVED erin 11m0s", "CLOSED dana 30m0s")
}

func TestIncident_RefusedConsequenceOfItsAlertsDoesNotSpin(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.refuses = incident.Resolved
	w.beside(time.Minute, func(i *incident.Incident) { i.ActiveAlerts, i.LastAlertResolvedAt = 0, began.Add(time.Minute) })
	w.env.RegisterDelayedCallback(func() { w.mu.Lock(); w.refuses = ""; w.mu.Unlock() }, 5*time.Minute)
	w.close(10 * time.Minute)
	w.run()
	if w.reads > 10 {
		t.Errorf("the vault was read %d times", w.reads)
	}
	w.expect("RESOLVED dana 10m0s", "CLOSED dana 10m1s")
}

func TestIncident_WhatTheVaultNeverTakesHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.refuses = incident.Noted
	noted := w.update(time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: "on it"})
	var after incident.Standing
	w.env.RegisterDelayedCallback(func() { after = w.standing() }, 2*time.Minute)
	w.close(5 * time.Minute)
	w.run()
	var refused *temporal.ApplicationError
	if !errors.As(noted.err, &refused) || refused.Type() != activities.ErrorVaultRefused || !strings.Contains(refused.Message(), "value too long") {
		t.Errorf("whoever wrote the note hears %v of %+v", noted.err, noted.Answer)
	}
	if after.Incident.Status != incident.StatusOpen || after.Unrecorded != 0 {
		t.Errorf("after the refusal: %+v", after)
	}
	w.expect("RESOLVED dana 5m0s", "CLOSED dana 5m1s")
}

// A limit that the vault does not confirm, because somebody responded in psql, is not asked for again.
func TestIncident_RefusedLimitDoesNotSpin(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.refuses = incident.Limit
	w.close(5 * time.Hour)
	w.run()
	if w.reads > 10 {
		t.Errorf("the vault was read %d times", w.reads)
	}
}

func TestIncident_BurstOfFactsIsFewReadings(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.env.RegisterDelayedCallback(func() {
		for seq := range int64(200) {
			w.env.SignalWorkflow(incident.SignalFacts, incident.Facts{Items: []incident.Fact{{Seq: seq, Kind: "ALERT"}}})
		}
	}, time.Minute)
	w.close(5 * time.Minute)
	w.run()
	if w.reads > 20 {
		t.Errorf("200 facts were %d readings", w.reads)
	}
}

func TestIncident_ReadsWithoutJSON(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	var details string
	w.env.RegisterDelayedCallback(func() {
		value, err := w.env.QueryWorkflow("__temporal_workflow_metadata")
		if err != nil {
			t.Error(err)
			return
		}
		var metadata sdkpb.WorkflowMetadata
		if err := value.Get(&metadata); err != nil {
			t.Error(err)
			return
		}
		details = metadata.GetCurrentDetails()
	}, 31*time.Minute)
	w.close(time.Hour)
	w.run()
	for _, part := range []string{
		"**I-7F3K Primary is slow** P2, OPEN. Waits for response.", "**OVERDUE_RESPONSE**",
		"Next, at 2026-03-01 07:00:00 UTC: resolution limit passed unless somebody acts.", "- 2 of 2 alerts go on",
	} {
		if !strings.Contains(details, part) {
			t.Errorf("details lack %q:\n%s", part, details)
		}
	}
}

func TestIncident_BeginsAnewWithWhatStandsAndLosesNothing(t *testing.T) {
	t.Parallel()
	w := newIncidentWorld(t)
	w.env.RegisterDelayedCallback(func() { w.mu.Lock(); w.down = true; w.mu.Unlock() }, time.Minute)
	w.update(2*time.Minute, incident.UpdateNote, incident.Command{Actor: "dana", Text: "on it"})
	w.env.RegisterDelayedCallback(func() { w.env.SetContinueAsNewSuggested(true) }, 3*time.Minute)
	w.env.RegisterDelayedCallback(func() {
		if w.env.IsWorkflowCompleted() {
			t.Error("it began anew while a note was not recorded")
		}
		w.mu.Lock()
		w.down = false
		w.mu.Unlock()
	}, 10*time.Minute)
	w.env.ExecuteWorkflow(workflows.IncidentWorkflowName, activities.IncidentInput{State: w.vault})
	var anew *workflow.ContinueAsNewError
	if err := w.env.GetWorkflowError(); !errors.As(err, &anew) {
		t.Fatalf("ended with %v, want to begin anew", err)
	}
	var in activities.IncidentInput
	if err := converter.GetDefaultDataConverter().FromPayloads(anew.Input, &in); err != nil {
		t.Fatal(err)
	}
	if in.State.Status != incident.StatusInvestigating || in.State.FirstResponseBy != "dana" {
		t.Errorf("begins anew with %+v", in.State)
	}
	w.expect("NOTED dana 2m0s")
}

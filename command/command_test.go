package command_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/alert"
	"onevault/command"
	"onevault/migrations"
	"onevault/pgserver/pgtest"
	"onevault/vault"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// firedAt is when the alerts of these tests opened.
var firedAt = time.Date(2026, 5, 4, 3, 12, 0, 0, time.UTC)

// fakeWorkflows answers as running workflows would, and remembers what it was asked.
type fakeWorkflows struct {
	answer   func(workflowID string, c alert.Command) (alert.CommandResult, error)
	carrying map[string][]string
	active   int

	mu      sync.Mutex
	updates map[string][]alert.Command
}

func (f *fakeWorkflows) Update(_ context.Context, workflowID string, _ command.Action, c alert.Command) (alert.CommandResult, error) {
	f.mu.Lock()
	if f.updates == nil {
		f.updates = map[string][]alert.Command{}
	}
	f.updates[workflowID] = append(f.updates[workflowID], c)
	f.mu.Unlock()
	return f.answer(workflowID, c)
}

func (f *fakeWorkflows) Carrying(_ context.Context, shortID string) ([]string, error) {
	return f.carrying[shortID], nil
}

func (f *fakeWorkflows) Active(context.Context, string) (int, error) { return f.active, nil }

// acknowledges answers like a workflow that carries everything.
func acknowledges(_ string, c alert.Command) (alert.CommandResult, error) {
	var result alert.CommandResult
	for _, key := range c.Alerts {
		result.Alerts = append(result.Alerts, alert.CommandOutcome{
			ShortID: shortID(key), Status: alert.StatusAcknowledged, Changed: true, Actor: c.Actor, At: firedAt, CancelledLevel: 2,
		})
	}
	return result, nil
}

func shortID(key string) string {
	if strings.HasPrefix(key, "A-") {
		return key
	}
	return alert.ShortID(key)
}

func answers(err error) func(string, alert.Command) (alert.CommandResult, error) {
	return func(string, alert.Command) (alert.CommandResult, error) { return alert.CommandResult{}, err }
}

func openStore(t *testing.T) *vault.Store {
	t.Helper()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// downStore is a vault that nobody serves.
func downStore(t *testing.T) *vault.Store {
	t.Helper()
	store, err := vault.Open(t.Context(), "postgres://u:secretword@127.0.0.1:1/x")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

func fire(t *testing.T, store *vault.Store, target, definition string, at time.Time) string {
	t.Helper()
	key := alert.Key(target, definition, at)
	value := 93.0
	record(t, store, vault.Change{
		AlertKey: key, DefinitionKey: definition, Target: target, Change: "OPEN", At: at, Value: &value, Severity: alert.SeverityHigh, Via: "test",
	})
	return key
}

func record(t *testing.T, store *vault.Store, changes ...vault.Change) {
	t.Helper()
	if _, err := store.RecordHistory(t.Context(), changes, nil); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, s *command.Sender, action command.Action, ids ...string) ([]command.Outcome, []error) {
	t.Helper()
	plan, planErrs := s.Plan(t.Context(), action, ids)
	outcomes, errs := s.Carry(t.Context(), action, plan, alert.Command{Actor: "dana", Notes: "looking", Via: "cli:dana@host"})
	return outcomes, append(planErrs, errs...)
}

func state(t *testing.T, store *vault.Store, key string) vault.ListedAlert {
	t.Helper()
	found, err := store.FindAlert(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const (
	connections = "SYSTEM_HIGH_CONNECTION_COUNT"
	deadlocks   = "PG_DEADLOCKS"
)

func TestCarry_SendsOneUpdatePerWorkflowWithAllItsAlerts(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	workflows := &fakeWorkflows{answer: acknowledges}
	a := fire(t, store, "local", connections, firedAt)
	b := fire(t, store, "local", connections, firedAt.Add(time.Minute))
	c := fire(t, store, "local", deadlocks, firedAt)

	outcomes, errs := run(t, &command.Sender{Vault: store, Workflows: workflows}, command.Acknowledge,
		alert.ShortID(a), b, state(t, store, c).HashKey, alert.ShortID(a))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if len(outcomes) != 3 || !outcomes[0].Changed || outcomes[0].CancelledLevel != 2 || outcomes[0].Actor != "dana" {
		t.Errorf("outcomes = %+v", outcomes)
	}
	got := workflows.updates["alert/local/"+connections]
	if len(got) != 1 || !slices.Equal(got[0].Alerts, []string{a, b}) || got[0].Notes != "looking" {
		t.Errorf("updates of the group = %+v", got)
	}
	if len(workflows.updates["alert/local/"+deadlocks]) != 1 || len(workflows.updates) != 2 {
		t.Errorf("updates = %+v", workflows.updates)
	}
	// The workflow records what it did itself.
	if s := state(t, store, a).State; s != alert.StatusOpen {
		t.Errorf("the vault says %s", s)
	}
}

func TestCarry_GoesToTheVaultWhereTheWorkflowCannot(t *testing.T) {
	t.Parallel()
	for name, reason := range map[string]error{
		"not running": command.ErrNotRunning, "not carried": command.ErrNotCarried, "no answer": fmt.Errorf("%w: dial", command.ErrNoAnswer),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := openStore(t)
			key := fire(t, store, "local", connections, firedAt)
			outcomes, errs := run(t, &command.Sender{Vault: store, Workflows: &fakeWorkflows{answer: answers(reason)}}, command.Acknowledge, key)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if len(outcomes) != 1 || !outcomes[0].OnlyInVault() || outcomes[0].Actor != "dana" {
				t.Errorf("outcomes = %+v", outcomes)
			}
			if now := state(t, store, key); now.State != alert.StatusAcknowledged || now.AcknowledgedBy != "dana" || now.AcknowledgedNotes != "looking" {
				t.Errorf("the vault says %s by %s", now.State, now.AcknowledgedBy)
			}
			var waiting int
			if err := store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM monitoring.outbox WHERE kind = 'ACKNOWLEDGED' AND relayed_at IS NULL").Scan(&waiting); err != nil {
				t.Fatal(err)
			}
			if waiting != 1 {
				t.Errorf("%d outbox rows wait for the workflow, want 1", waiting)
			}
		})
	}
}

func TestCarry_AnotherErrorOfTheWorkflowIsNoReasonForTheVault(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	key := fire(t, store, "local", connections, firedAt)
	denied := errors.New("permission denied")
	_, errs := run(t, &command.Sender{Vault: store, Workflows: &fakeWorkflows{answer: answers(denied)}}, command.Acknowledge, key)
	if len(errs) != 1 || !errors.Is(errs[0], denied) {
		t.Errorf("errors = %v", errs)
	}
	if s := state(t, store, key).State; s != alert.StatusOpen {
		t.Errorf("the vault says %s", s)
	}
}

func TestPlan_AcknowledgingTwiceSaysWhoDidAndAsksNobody(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	workflows := &fakeWorkflows{answer: acknowledges}
	key := fire(t, store, "local", connections, firedAt)
	record(t, store, vault.Change{AlertKey: key, Change: "ACKNOWLEDGED", At: firedAt.Add(time.Minute), Actor: "erin", Via: "test"})
	outcomes, errs := run(t, &command.Sender{Vault: store, Workflows: workflows}, command.Acknowledge, key)
	if len(errs) > 0 || len(outcomes) != 1 {
		t.Fatalf("outcomes %+v, errors %v", outcomes, errs)
	}
	if o := outcomes[0]; o.Changed || o.Actor != "erin" || !o.At.Equal(firedAt.Add(time.Minute)) || o.State != alert.StatusAcknowledged {
		t.Errorf("outcome = %+v", o)
	}
	if len(workflows.updates) != 0 {
		t.Errorf("updates = %+v", workflows.updates)
	}
}

func TestPlan_AcknowledgingTheResolvedIsAConflictThatNamesWhoAndWhen(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	key := fire(t, store, "local", connections, firedAt)
	record(t, store, vault.Change{AlertKey: key, Change: "RESOLVED", At: firedAt.Add(time.Minute), Actor: "condition cleared", Via: "evaluator"})
	sender := &command.Sender{Vault: store, Workflows: &fakeWorkflows{answer: acknowledges}}
	_, errs := run(t, sender, command.Acknowledge, key)
	if len(errs) != 1 || !errors.Is(errs[0], command.ErrConflict) ||
		!strings.Contains(errs[0].Error(), alert.ShortID(key)+" was resolved by condition cleared at 2026-05-04 03:13:00 UTC") {
		t.Errorf("errors = %v", errs)
	}
	outcomes, errs := run(t, sender, command.Resolve, key)
	if len(errs) > 0 || len(outcomes) != 1 || outcomes[0].Changed || outcomes[0].Actor != "condition cleared" {
		t.Errorf("resolving it again: outcomes %+v, errors %v", outcomes, errs)
	}
}

func TestCarry_ASuppressedAlertIsResolvedInTheVaultAndNotAcknowledged(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	workflows := &fakeWorkflows{answer: acknowledges}
	key := alert.Key("local", connections, firedAt)
	if _, err := store.Pool().Exec(t.Context(), `
		SELECT monitoring.open_alert($1, util.hash_binary($2), NULL, 'local', 'SUPPRESSED', $3, 93, NULL, 'HIGH', 'fired again', 'evaluator')`,
		key, connections, firedAt); err != nil {
		t.Fatal(err)
	}
	sender := &command.Sender{Vault: store, Workflows: workflows}
	if _, errs := run(t, sender, command.Acknowledge, key); len(errs) != 1 || !errors.Is(errs[0], command.ErrConflict) {
		t.Errorf("acknowledging: %v", errs)
	}
	outcomes, errs := run(t, sender, command.Resolve, key)
	if len(errs) > 0 || len(outcomes) != 1 || !outcomes[0].Changed || outcomes[0].State != alert.StatusResolved {
		t.Errorf("resolving: outcomes %+v, errors %v", outcomes, errs)
	}
	if len(workflows.updates) != 0 {
		t.Errorf("no workflow carries it, but updates = %+v", workflows.updates)
	}
}

func TestPlan_OneUnknownIDDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	key := fire(t, store, "local", connections, firedAt)
	outcomes, errs := run(t, &command.Sender{Vault: store, Workflows: &fakeWorkflows{answer: acknowledges}}, command.Acknowledge, "A-0000", key)
	if len(errs) != 1 || !errors.Is(errs[0], vault.ErrNotFound) {
		t.Errorf("errors = %v", errs)
	}
	if len(outcomes) != 1 || outcomes[0].ID != alert.ShortID(key) {
		t.Errorf("outcomes = %+v", outcomes)
	}
}

func TestPlan_WorkflowIDsNeedNoVault(t *testing.T) {
	t.Parallel()
	workflows := &fakeWorkflows{active: 12, answer: func(string, alert.Command) (alert.CommandResult, error) {
		return alert.CommandResult{Alerts: []alert.CommandOutcome{{ShortID: "A-7F3K", Status: alert.StatusAcknowledged, Changed: true}}}, nil
	}}
	sender := &command.Sender{Workflows: workflows}
	plan, errs := sender.Plan(t.Context(), command.Acknowledge, []string{"alert/local/" + connections})
	if len(errs) > 0 || plan.Count() != 12 {
		t.Fatalf("count %d, errors %v", plan.Count(), errs)
	}
	outcomes, errs := sender.Carry(t.Context(), command.Acknowledge, plan, alert.Command{Actor: "dana"})
	if len(errs) > 0 || len(outcomes) != 1 {
		t.Fatalf("outcomes %+v, errors %v", outcomes, errs)
	}
	if got := workflows.updates["alert/local/"+connections]; len(got) != 1 || len(got[0].Alerts) != 0 {
		t.Errorf("updates = %+v, want one for all active alerts", got)
	}
}

func TestPlan_WithTheVaultDownTemporalKnowsWhoCarriesAnAlert(t *testing.T) {
	t.Parallel()
	workflows := &fakeWorkflows{answer: acknowledges, carrying: map[string][]string{"A-7F3K": {"alert/local/" + connections}}}
	sender := &command.Sender{Vault: downStore(t), Workflows: workflows}
	outcomes, errs := run(t, sender, command.Acknowledge, "A-7F3K", "A-0000")
	if len(outcomes) != 1 || outcomes[0].ID != "A-7F3K" || !outcomes[0].Changed {
		t.Errorf("outcomes = %+v", outcomes)
	}
	if len(errs) != 1 || !vault.Unreachable(errs[0]) || strings.Contains(errs[0].Error(), "secretword") {
		t.Errorf("errors = %v", errs)
	}
}

func TestTemporal_AsksForNothingButShortIDs(t *testing.T) {
	t.Parallel()
	_, err := command.Temporal{}.Carrying(t.Context(), "A-7F3K' OR WorkflowId != '")
	if err == nil || !strings.Contains(err.Error(), "no short id") {
		t.Errorf("error = %v", err)
	}
}

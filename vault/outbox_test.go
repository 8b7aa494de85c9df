package vault_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

func (f *fixture) take(store *vault.Store) *vault.Outbox {
	f.Helper()
	outbox, err := store.TakeOutbox(f.Context())
	if err != nil || outbox == nil {
		f.Fatalf("take the outbox: %v, %v", outbox, err)
	}
	return outbox
}

// awaitFree returns when nobody holds the outbox.
func (f *fixture) awaitFree() {
	f.Helper()
	f.exec(`SELECT pg_advisory_lock(hashtextextended('onevault.outbox', 0))`)
	f.exec(`SELECT pg_advisory_unlock(hashtextextended('onevault.outbox', 0))`)
}

func (f *fixture) unrelayed(o *vault.Outbox, limit int) (ids []int64, kinds []alert.TransitionKind) {
	f.Helper()
	rows, err := o.Unrelayed(f.Context(), limit)
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range rows {
		ids, kinds = append(ids, r.ID), append(kinds, r.Kind)
	}
	return ids, kinds
}

func TestOutbox_HasOneHolderAndPassesOnWithItsSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := f.open(f.url)
	first := f.take(f.store)
	twin, err := other.TakeOutbox(t.Context())
	first.Release()
	if twin != nil {
		twin.Release()
		t.Fatal("the outbox had two holders")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.awaitFree()
	second := f.take(other)
	// A killed worker releases nothing: its session ends, and the hold with it.
	f.exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted
	          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
	if err := second.Wait(t.Context(), time.Minute); err == nil || !vault.Unreachable(err) {
		t.Errorf("the holder waits on a lost session: %v", err)
	}
	f.awaitFree()
	third := f.take(f.store)
	third.Release()
	second.Release()
}

func TestOutbox_KeepsOrderAndRowsUntilTheyAreMarked(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := f.fire("ONE"), f.fire("TWO")
	f.mustCommand("acknowledge_alert", one, "dana", true)
	f.mustCommand("resolve_alert", two, "dana", true)
	outbox := f.take(f.store)
	ids, kinds := f.unrelayed(outbox, 10)
	if !slices.IsSorted(ids) || !slices.Equal(kinds, []alert.TransitionKind{"FIRED", "FIRED", "ACKNOWLEDGED", "RESOLVED"}) {
		t.Fatalf("rows %v %v", ids, kinds)
	}
	if head, _ := f.unrelayed(outbox, 2); !slices.Equal(head, ids[:2]) {
		t.Errorf("the first two are %v of %v", head, ids)
	}
	if err := outbox.MarkRelayed(t.Context(), ids[:1], "delivered"); err != nil {
		t.Fatal(err)
	}
	outbox.Release() // what was read and not marked is there for the next holder
	f.awaitFree()
	next := f.take(f.store)
	defer next.Release()
	if left, _ := f.unrelayed(next, 10); !slices.Equal(left, ids[1:]) {
		t.Errorf("left are %v of %v", left, ids)
	}
	if err := next.MarkRelayed(t.Context(), ids, "again"); err != nil {
		t.Fatal(err)
	}
	outcomes := column[string](f, `SELECT outcome FROM monitoring.outbox ORDER BY outbox_id`)
	if !slices.Equal(outcomes, []string{"delivered", "again", "again", "again"}) {
		t.Errorf("outcomes %v: the first word stands", outcomes)
	}
}

func TestOutbox_ARowBringsAlertDefinitionAndFact(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.mustCommand("acknowledge_alert", key, "dana", true)
	outbox := f.take(f.store)
	defer outbox.Release()
	rows, err := outbox.Unrelayed(t.Context(), 10)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	fired, acked := rows[0], rows[1]
	a, d := fired.Alert, fired.Definition
	if a.Key != key || a.ShortID != alert.ShortID(key) || a.Target != "local" || a.Tenant != "" || a.Value == nil || *a.Value != 90 ||
		alert.Key("local", "USAGE", a.TriggeredAt) != key || a.TriggeredAt.Location() != time.UTC {
		t.Errorf("alert %+v", a)
	}
	if d.Key != "USAGE" || d.Severity != alert.SeverityHigh || d.Threshold == nil || *d.Threshold != 75 || !d.AutoResolve ||
		!d.EscalationEnabled || d.EscalationDelay != 15*time.Minute || d.Version.IsZero() {
		t.Errorf("definition %+v", d)
	}
	if acked.Payload.Actor != "dana" || acked.Payload.Notes != "on it" || time.Since(acked.Payload.At) > time.Minute || acked.Alert.AcknowledgedBy != "dana" {
		t.Errorf("fact %+v of %+v", acked.Payload, acked.Alert)
	}
}

func TestOutbox_IsHeardBeforeItIsPolled(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	outbox := f.take(f.store)
	defer outbox.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	woken := make(chan error, 1)
	go func() { woken <- outbox.Wait(ctx, time.Hour) }()
	f.mustCommand("acknowledge_alert", key, "dana", true)
	if err := <-woken; err != nil {
		t.Errorf("nothing was heard: %v", err)
	}
	if err := outbox.Wait(ctx, time.Millisecond); err != nil {
		t.Errorf("the poll interval's end is no error: %v", err)
	}
	cancel()
	if err := outbox.Wait(ctx, time.Hour); err == nil {
		t.Error("the end of the work is not told")
	}
}

func TestOutbox_ActiveListsWhatNeedsAWorkflow(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	keys := map[string]string{}
	for _, name := range []string{"OPEN", "ACKNOWLEDGED", "RESOLVED", "UNHEARD"} {
		keys[name] = f.fire(name)
	}
	f.mustCommand("acknowledge_alert", keys["ACKNOWLEDGED"], "dana", true)
	f.mustCommand("resolve_alert", keys["RESOLVED"], "dana", true)
	f.define("FRESH", nil) // its workflow may be starting at this moment
	f.look("FRESH", time.Now(), usage(90))
	f.define("SUPPRESSED", row{"suppression_window_minutes": 60})
	f.follow("SUPPRESSED", yesterday(), looks{{0, usage(90), "TRUE FIRED"}, {1, usage(1), "FALSE RESOLVED"}, {2, usage(90), "TRUE SUPPRESSED"}})
	// All workflows have heard, except for that of UNHEARD: the relay brings that one.
	f.exec(`UPDATE monitoring.outbox SET relayed_at = clock_timestamp() WHERE alert_instance_hk <> util.hash_binary($1)`, keys["UNHEARD"])

	outbox := f.take(f.store)
	defer outbox.Release()
	groups, err := outbox.ActiveGroups(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var (
		rows  []vault.OutboxRow
		named []string
	)
	for _, g := range groups {
		named = append(named, g.Definition)
		active, err := outbox.Active(t.Context(), g)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, active...)
	}
	slices.Sort(named)
	if !slices.Equal(named, []string{"ACKNOWLEDGED", "OPEN", "UNHEARD"}) {
		t.Errorf("active groups: %q", named)
	}
	var got []string
	for _, r := range rows {
		if r.ID != 0 || r.Kind != alert.TransitionFired || !r.Payload.At.Equal(r.Alert.TriggeredAt) {
			t.Errorf("not in the shape of an opening: %+v", r)
		}
		got = append(got, r.Definition.Key+" "+string(r.Alert.Status))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"ACKNOWLEDGED ACKNOWLEDGED", "OPEN OPEN"}) {
		t.Errorf("active: %q", got)
	}
}

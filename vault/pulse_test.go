package vault_test

import (
	"slices"
	"testing"
	"time"
)

// overdue are the definitions that the pulse calls overdue, with their targets.
func (f *fixture) overdue(every time.Duration) []string {
	f.Helper()
	pulse, err := f.store.Pulse(f.Context(), every)
	if err != nil {
		f.Fatal(err)
	}
	names := []string{}
	for _, o := range pulse.Overdue {
		names = append(names, o.Definition+" on "+o.Target)
	}
	slices.Sort(names)
	return names
}

func (f *fixture) wantOverdue(every time.Duration, want ...string) {
	f.Helper()
	if got := f.overdue(every); !slices.Equal(got, append([]string{}, want...)) {
		f.Errorf("overdue every %s: %q, want %q", every, got, want)
	}
}

func TestPulse_NamesWhatNobodyLookedAt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("FRESH", row{"evaluation_frequency_minutes": 5})
	f.define("STALE", row{"evaluation_frequency_minutes": 5})
	f.define("SLOW", row{"evaluation_frequency_minutes": 60})
	f.define("BY_WORKER", row{"metric_source": "worker", "condition_logic": "vault_unreachable > 0"})
	now := time.Now()
	f.look("FRESH", now.Add(-15*time.Minute), usage(10))
	f.look("STALE", now.Add(-16*time.Minute), usage(10)) // three cycles and more than a moment
	f.look("SLOW", now.Add(-16*time.Minute), usage(10))
	f.wantOverdue(0, "STALE on local")
	f.wantOverdue(10*time.Second, "FRESH on local", "SLOW on local", "STALE on local")
	f.define("NEVER", row{"evaluation_frequency_minutes": 1, "load_date": now.Add(-10 * time.Minute)})
	f.define("NEW", row{"evaluation_frequency_minutes": 1})
	f.wantOverdue(0, "NEVER on local", "STALE on local")
	f.revise("STALE", row{"is_enabled": false}) // nobody has to look any more
	f.wantOverdue(0, "NEVER on local")
}

func TestPulse_LooksAtEachEnabledTarget(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.only()
	f.define("USAGE", row{"evaluation_frequency_minutes": 1})
	f.define("OF_VAULT", row{"metric_source": "incidents", "condition_logic": "open_incidents > 0", "evaluation_frequency_minutes": 1})
	now := time.Now()
	f.look("USAGE", now, usage(10))
	f.look("OF_VAULT", now, inputs{"open_incidents": 0})
	f.exec(`SELECT monitoring.add_target('pg-2', 'postgres://watcher@pg-2.example.com/app')`)
	f.wantOverdue(0) // added a moment ago
	f.exec(`ALTER TABLE monitoring.target_s DISABLE TRIGGER USER`)
	f.exec(`UPDATE monitoring.target_s SET load_date = now() - interval '1 hour'`)
	f.exec(`ALTER TABLE monitoring.alert_definition_s DISABLE TRIGGER USER`)
	f.exec(`UPDATE monitoring.alert_definition_s SET load_date = now() - interval '1 hour' WHERE load_end_date IS NULL`)
	f.wantOverdue(0, "USAGE on pg-2") // what is read in the vault is evaluated on local alone
}

func TestPulse_CountsWhatArrivedAndWhatWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("USAGE")
	f.channel("OPS")
	pulse, err := f.store.Pulse(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if pulse.OldestUnrelayed.IsZero() || time.Since(pulse.OldestUnrelayed) > time.Minute || pulse.Enabled < 40 || pulse.Arrived+pulse.Failed != 0 {
		t.Errorf("pulse %+v", pulse)
	}
	f.finish(outcome(intent(key, 0), "FAILED", "PERMANENT"))
	f.exec(`UPDATE monitoring.outbox SET relayed_at = now()`)
	if pulse, err = f.store.Pulse(t.Context(), 0); err != nil || pulse.Failed != 1 || pulse.Arrived != 0 || !pulse.OldestUnrelayed.IsZero() {
		t.Errorf("pulse %+v, %v", pulse, err)
	}
}

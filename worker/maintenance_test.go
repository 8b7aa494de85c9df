package worker

import (
	"log/slog"
	"testing"
	"time"

	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// A maintenance that was planned in psql has its windows with the relay's next step, and one that cannot be
// computed says why.
func TestRelay_WritesTheWindowsOfMaintenancesAhead(t *testing.T) {
	t.Parallel()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := &relay{store: store, log: slog.New(slog.DiscardHandler)}
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := store.Pool().Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	maintenances := func() map[string]vault.Maintenance {
		t.Helper()
		if err := r.writeWindows(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := store.Maintenances(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string]vault.Maintenance{}
		for _, m := range list {
			byName[m.Name] = m
		}
		return byName
	}
	const add = `SELECT monitoring.add_maintenance($1, '{target=local}', now()::timestamp, '1 hour', 'why', $2)`
	run(add, "daily", "FREQ=DAILY")
	run(add, "broken", "FREQ=DAILY;BYDAY=XX")
	run(add, "once", nil)
	written := maintenances()
	if n := len(written["daily"].Windows); n != 90 && n != 91 {
		t.Errorf("%d windows are written ahead, want 90 days of them", n)
	}
	if m := written["broken"]; m.WindowsError == "" || len(m.Windows) > 0 {
		t.Errorf("a rule that means nothing: %+v", m)
	}
	if m := written["once"]; len(m.Windows) != 1 {
		t.Errorf("one that does not recur: %+v", m)
	}

	// What reaches far enough stays as it is; what does not is written again.
	again := maintenances()
	for name, m := range again {
		if !m.Version.Equal(written[name].Version) {
			t.Errorf("%s was written again", name)
		}
	}
	run(`SELECT monitoring.write_windows('daily', $1, '{}', now() + interval '59 days', NULL)`, again["daily"].Version)
	if m := maintenances()["daily"]; len(m.Windows) < 90 || time.Until(m.WindowsUntil) < 89*24*time.Hour {
		t.Errorf("it was not written ahead again: %d windows until %s", len(m.Windows), m.WindowsUntil)
	}
}

package worker

import (
	"context"
	"log/slog"
	"testing"

	"onevault/pgserver/pgtest"
	"onevault/vault"
)

// What an application writes is judged in the relay's next step, and what fires stands in the outbox.
func TestRelay_LooksAtOnceAtWhatReadsASourceWithNews(t *testing.T) {
	t.Parallel()
	store, err := vault.Open(t.Context(), pgtest.DB(t))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	outbox, err := store.TakeOutbox(t.Context())
	if err != nil || outbox == nil {
		t.Fatalf("take the outbox: %v, %v", outbox, err)
	}
	defer outbox.Release()
	r := &relay{store: store, log: slog.New(slog.DiscardHandler)}

	run := func(sql string) {
		t.Helper()
		if _, err := store.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run(`INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, record_source) VALUES (util.hash_binary('B'), 'B', 'APP')`)
	run(`INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_status, backup_start_time, backup_end_time, record_source)
	     VALUES (util.hash_binary('B'), '\x', 'FULL', 'FAILED', now(), now(), 'APP')`)
	if err := r.look(t.Context(), outbox); err != nil {
		t.Fatal(err)
	}
	rows, err := outbox.Unrelayed(t.Context(), 10)
	if err != nil || len(rows) != 1 || rows[0].Definition.Key != "BACKUP_FAILURE_ALERT" {
		t.Fatalf("the outbox holds %+v, %v; want the firing of BACKUP_FAILURE_ALERT", rows, err)
	}
	looks, err := outbox.Looks(t.Context())
	if err != nil || len(looks) != 0 {
		t.Errorf("still asked for are %+v, %v", looks, err)
	}

	// A look that fails is said, and holds up nothing.
	run(`SELECT monitoring.ask_for_look('local', 'backup_failures')`)
	run(`ALTER TABLE monitoring.alert_evaluation_s RENAME TO alert_evaluation_gone`)
	if err := r.look(t.Context(), outbox); err != nil {
		t.Fatal(err)
	}
	var outcome string
	if err := store.Pool().QueryRow(context.Background(), "SELECT outcome FROM monitoring.outbox WHERE kind = 'LOOK' ORDER BY outbox_id DESC LIMIT 1").Scan(&outcome); err != nil {
		t.Fatal(err)
	}
	if want := "could not look: "; len(outcome) < len(want) || outcome[:len(want)] != want {
		t.Errorf("the outcome is %q", outcome)
	}
}

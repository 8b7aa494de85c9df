package migrations_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

// A session that forgot its transaction must not, through a migration that waits for it, stop those who
// write alerts; and the migration is done when it has ended.
func TestUp_ThatWaitsForATableKeepsNobodyElseWaiting(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "DELETE FROM public.onevault_functions WHERE script_name = '10_discipline.sql'") // makes indexes of all tables
	forgotten, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer forgotten.Rollback(context.Background()) // where the test failed before its own
	const indexed = "INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk) VALUES (util.hash_binary($1), $1)"
	const other = "INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk) VALUES (util.hash_binary($1), $1)"
	exec(t, forgotten, indexed, "I")

	var said lines
	done := make(chan error, 1)
	go func() { done <- migrations.Up(t.Context(), address, said.add) }()
	waiting := said.await(t, "waiting for the vault's tables")
	if !strings.Contains(waiting, "by session ") || !strings.Contains(waiting, "idle in transaction") {
		t.Errorf("it says %q, and not who", waiting)
	}
	for i := range 20 { // through several of its tries
		began := time.Now()
		exec(t, db, other, string(rune('a'+i)))
		exec(t, db, indexed, string(rune('a'+i)))
		if took := time.Since(began); took > 6*time.Second {
			t.Fatalf("two rows took %s", took)
		}
	}
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	if err := forgotten.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := said.all(); strings.Count(got, "put 10_discipline.sql") != 1 {
		t.Errorf("it says:\n%s\nwant each script once", got)
	}
}

// What stands needs no lock: a change of other functions passes by whoever writes.
func TestUp_ThatChangesNoTableWaitsForNobody(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	db := connect(t, address)
	exec(t, db, "DELETE FROM public.onevault_functions WHERE script_name = '72_as_of.sql'")
	writer, err := connect(t, address).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Rollback(context.Background()) // it only holds its locks
	exec(t, writer, "INSERT INTO monitoring.incident_h (incident_hk, incident_bk) VALUES (util.hash_binary('I'), 'I')")
	exec(t, writer, `INSERT INTO monitoring.monitor_config_s (monitor_config_hk, hash_diff, config_name, config_type, config_value)
		VALUES (util.hash_binary(util.bk('RETENTION', 'outbox')), '\x', 'outbox', 'RETENTION', '{"keep": "8 days"}')`)
	var said lines
	if err := migrations.Up(t.Context(), address, said.add); err != nil {
		t.Fatal(err)
	}
	if got := said.all(); strings.Contains(got, "waiting") || !strings.Contains(got, "put 72_as_of.sql") {
		t.Errorf("it says:\n%s", got)
	}
}

// lines are what a migration says while it runs.
type lines struct {
	sync.Mutex
	said []string
	more chan struct{}
}

func (l *lines) add(line string) {
	l.Lock()
	defer l.Unlock()
	l.said = append(l.said, line)
	if l.more != nil {
		close(l.more)
		l.more = nil
	}
}

func (l *lines) all() string {
	l.Lock()
	defer l.Unlock()
	return strings.Join(l.said, "\n")
}

// await returns the first line that begins with a text.
func (l *lines) await(t *testing.T, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		l.Lock()
		for _, line := range l.said {
			if strings.HasPrefix(line, text) {
				l.Unlock()
				return line
			}
		}
		more := make(chan struct{})
		l.more = more
		l.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("nothing begins with %q in:\n%s", text, l.all())
		}
	}
}

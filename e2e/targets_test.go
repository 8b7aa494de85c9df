package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/activities"
	"onevault/pgserver"
	"onevault/settings"
)

// second is another PostgreSQL, watched as the target "second" by a role with as few rights as it needs.
type second struct {
	*rig
	server *pgserver.Server
	config pgserver.Config
	file   string // holds the password
}

// A server is added while the worker runs, dies, comes back, and is removed. What is open on it stays open
// while nobody can see it, people are paged of it once, and of the vault once, however many targets there are.
func TestTarget_AddedStoppedStartedAndRemovedWhileTheWorkerRuns(t *testing.T) {
	t.Parallel()
	r := startRig(t, "targets")
	s := tell(t, &r.world, "E2E_TARGETS")
	other := startSecond(t, r)
	awaitReady(t, r.startWorker(settings.SecretsDir+"="+filepath.Dir(other.file)))

	added := time.Now()
	other.add()
	other.awaitWatched("OK")
	t.Logf("measured %s after it was added", time.Since(added).Round(time.Millisecond))
	s.define(rule{}, holds)
	other.awaitAlert(s.key, "OPEN")
	r.awaitAlertOn(t, "local", s.key, "OPEN")

	// It dies. The condition would be false by now, and nobody can see it.
	if err := other.server.Stop(); err != nil {
		t.Fatal(err)
	}
	down := time.Now()
	other.awaitAlert("TARGET_UNREACHABLE", "OPEN")
	r.awaitDevInbox("TARGET_UNREACHABLE", 3, down)
	t.Logf("paged %s after it was stopped, at a cadence of %s", time.Since(down).Round(time.Millisecond), cadence)
	other.awaitWatched("UNREACHABLE")
	s.define(rule{}, clears)
	r.awaitAlertOn(t, "local", s.key, "RESOLVED")
	other.awaitLooks(s.key, 3)
	other.awaitAlert(s.key, "OPEN") // held, three looks later
	if got := r.onevault(t, "doctor"); got.code == 0 && !strings.Contains(got.text, "target second") {
		t.Errorf("doctor says nothing of it:\n%s", got.text)
	}
	if list := r.must(t, "alert", "list"); !strings.Contains(list, "second") {
		t.Errorf("the list does not name the target:\n%s", list)
	}

	// It is back: both end.
	other.start()
	other.awaitAlert("TARGET_UNREACHABLE", "RESOLVED")
	s.define(rule{}, clears) // what would be seen now
	other.awaitAlert(s.key, "RESOLVED")
	r.awaitDevInbox("TARGET_UNREACHABLE", 6, down)
	other.awaitWatched("OK")

	// The vault dies: one alert, of the vault, and none per target.
	r.killPostgres()
	down = time.Now()
	r.awaitDevInbox(activities.VaultUnreachableKey, 3, down)
	time.Sleep(3 * cadence) // what must not come can only be waited for
	if n := len(r.devInbox(activities.VaultUnreachableKey)); n != 3 {
		t.Errorf("%d messages say that the vault is unreachable, want 3", n)
	}
	r.startPostgres()
	r.awaitState(t, activities.VaultUnreachableKey, "RESOLVED")

	// It is removed with an alert open, which says what ended it.
	s.define(rule{}, holds)
	other.awaitAlert(s.key, "OPEN")
	r.must(t, "target", "remove", "second", "--yes")
	ended := other.awaitAlert(s.key, "RESOLVED")
	if ended != "target removed" {
		t.Errorf("the alert was resolved by %q", ended)
	}
	eventually(t, patience, "the schedules are gone", func(context.Context) (bool, any, error) {
		list := r.must(t, "schedule", "list", "-o", "name")
		return !strings.Contains(list, "second") && strings.Contains(list, "collect"), list, nil
	})
	other.mustHideItsPassword()
}

func startSecond(t *testing.T, r *rig) *second {
	t.Helper()
	o := &second{rig: r, config: pgserver.Config{Dir: r.dir + "-second", Port: freePort(t)}}
	secrets := filepath.Join(scratch, r.name+"-secrets")
	if err := os.MkdirAll(secrets, 0o700); err != nil {
		t.Fatal(err)
	}
	o.file = filepath.Join(secrets, "second.pass")
	if err := os.WriteFile(o.file, []byte(smtpPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.start()
	t.Cleanup(func() {
		if err := o.server.Stop(); err != nil {
			t.Errorf("stop the second PostgreSQL: %v", err)
		}
	})
	conn, err := pgx.Connect(t.Context(), o.server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range []string{
		"CREATE EXTENSION pg_stat_statements", "CREATE ROLE watcher LOGIN PASSWORD '" + smtpPassword + "'", "GRANT pg_monitor TO watcher",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func (o *second) start() {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Minute)
	defer cancel()
	var err error
	if o.server, err = pgserver.Start(ctx, o.config); err != nil {
		o.t.Fatal(err)
	}
}

// address is what an operator types: no password.
func (o *second) address() string {
	u, err := url.Parse(o.server.URL("postgres"))
	if err != nil {
		o.t.Fatal(errors.New("the address of the second PostgreSQL is no URL"))
	}
	u.User = url.User("watcher")
	return u.String()
}

// add adds it as an operator whose host has the secret, and so sees the check of it as well.
func (o *second) add() {
	o.t.Helper()
	got := execute(o.t, "onevault-target", program.cli, o.variables(settings.Actor+"=dana", settings.SecretsDir+"="+filepath.Dir(o.file)),
		"target", "add", "second", o.address(), "--password-file", o.file, "--collect-every", cadence.String())
	if got.code != 0 || !strings.Contains(got.text, "second: PostgreSQL") || strings.Contains(got.text, "lost:") {
		o.t.Fatalf("target add: exit code %d\n%s", got.code, got.text)
	}
}

// awaitWatched waits until the list shows it in a state.
func (o *second) awaitWatched(want string) {
	o.t.Helper()
	eventually(o.t, patience, "target second is "+want, func(context.Context) (bool, any, error) {
		var list []struct{ Name, Watched, Reason string }
		text := o.must(o.t, "target", "list", "-o", "json")
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return false, text, err
		}
		i := slices.IndexFunc(list, func(t struct{ Name, Watched, Reason string }) bool { return t.Name == "second" })
		return i >= 0 && list[i].Watched == want && (want == "OK") == (list[i].Reason == ""), text, nil
	})
}

func (o *second) awaitAlert(definition, status string) (resolvedBy string) {
	o.t.Helper()
	return o.awaitAlertOn(o.t, "second", definition, status)
}

// awaitAlertOn waits until the newest alert of a definition on a target has a status, and tells who resolved it.
func (r *rig) awaitAlertOn(t *testing.T, target, definition, status string) (resolvedBy string) {
	t.Helper()
	eventually(t, patience, definition+" on "+target+" is "+status, func(ctx context.Context) (bool, any, error) {
		var got string
		err := r.db.QueryRow(ctx, `
			SELECT s.alert_status, coalesce(s.resolved_by, '')
			  FROM monitoring.alert_instance_h h
			  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
			 WHERE h.target_name = $1 AND h.alert_definition_hk = util.hash_binary($2)
			 ORDER BY s.triggered_timestamp DESC
			 LIMIT 1`, target, definition).Scan(&got, &resolvedBy)
		return got == status, got, err
	})
	return resolvedBy
}

// awaitLooks waits until a definition was looked at so many times more on the target.
func (o *second) awaitLooks(definition string, more int) {
	o.t.Helper()
	since := time.Now()
	eventually(o.t, patience, "it is looked at while it is down", func(ctx context.Context) (bool, any, error) {
		var looks, known int
		err := o.db.QueryRow(ctx, `
			SELECT count(*), count(*) FILTER (WHERE result <> 'NO_DATA')
			  FROM monitoring.alert_evaluation_s
			 WHERE target_name = 'second' AND alert_definition_hk = util.hash_binary($1) AND evaluated_at > $2`, definition, since).Scan(&looks, &known)
		if known > 0 {
			o.t.Errorf("%d looks at a server that is down claim to know something", known)
		}
		return looks >= more, looks, err
	})
}

// mustHideItsPassword: no row that is about targets, and no log of the worker, holds it.
func (o *second) mustHideItsPassword() {
	o.t.Helper()
	var rows int
	if err := o.db.QueryRow(o.t.Context(), `
		SELECT (SELECT count(*) FROM monitoring.target_s s WHERE s::text LIKE '%' || $1 || '%')
		     + (SELECT count(*) FROM monitoring.system_health_metric_s s WHERE s::text LIKE '%' || $1 || '%')`, smtpPassword).Scan(&rows); err != nil || rows > 0 {
		o.t.Errorf("%d rows hold the password, %v", rows, err)
	}
	if strings.Contains(o.worker.out.String(), smtpPassword) {
		o.t.Error("the worker's log holds the password")
	}
}

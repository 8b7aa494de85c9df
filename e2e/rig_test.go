package e2e_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/pgserver"
	"onevault/settings"
)

// cadence is how often the workers of a rig collect and evaluate.
const cadence = 5 * time.Second

// rig is a world of single parts, each of which a story may kill and start again: PostgreSQL, Temporal
// (with the inbox), workers. It belongs to one story.
type rig struct {
	world
	t        *testing.T
	postgres *pgserver.Server
	pgConfig pgserver.Config
	ports    []string // flags of onevault-dev: the same at each start
	worker   *process
}

func startRig(t *testing.T, name string) *rig {
	t.Helper()
	place := filepath.Join(scratch, name+"-"+strings.ToLower(rand.Text()[:4])) // a story may be told again
	r := &rig{t: t, world: world{name: name, dir: place}}
	r.pgConfig = pgserver.Config{Dir: place + "-pg", Port: freePort(t)}
	for _, part := range []string{"temporal", "ui", "api", "inbox", "smtp"} {
		r.ports = append(r.ports, "--"+part+"-port="+strconv.Itoa(freePort(t)))
	}
	t.Cleanup(r.end)
	r.startPostgres()
	r.createDatabase()
	r.startDev()
	if err := r.connect(); err != nil {
		t.Fatal(err)
	}
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := pgserver.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (r *rig) startPostgres() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	var err error
	if r.postgres, err = pgserver.Start(ctx, r.pgConfig); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) createDatabase() {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.postgres.URL("postgres"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	if _, err := conn.Exec(r.t.Context(), "CREATE DATABASE onevault"); err != nil {
		r.t.Fatal(err)
	}
}

// killPostgres ends the server as a crash of its host would.
func (r *rig) killPostgres() {
	r.t.Helper()
	if err := syscall.Kill(r.postgres.PID(), syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	<-r.postgres.Done()
	// The error repeats that the server ended by itself; its lock is given back.
	_ = r.postgres.Stop()
	r.postgres = nil
}

// startDev starts Temporal and the inbox, at the same addresses each time.
func (r *rig) startDev() {
	r.t.Helper()
	env := []string{settings.DatabaseURL + "=" + r.postgres.URL("onevault")}
	if err := r.world.startDev(env, append([]string{"--no-worker"}, r.ports...)...); err != nil {
		r.t.Fatal(err)
	}
}

// startWorker starts a worker with some more variables; awaitReady waits for it.
func (r *rig) startWorker(add ...string) *process {
	r.t.Helper()
	secret, err := os.ReadFile(filepath.Join(r.dir, "webhook-secret"))
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := start(r.name+"-worker", program.cli, r.variables(append(add,
		settings.CollectEvery+"="+cadence.String(), settings.EvaluateEvery+"="+cadence.String(),
		settings.AllowedCIDRs+"=127.0.0.0/8,::1/128", settings.APIAddr+"=127.0.0.1:"+strconv.Itoa(freePort(r.t)),
		"ONEVAULT_DEV_TWILIO_TOKEN="+r.env["ONEVAULT_DEV_TWILIO_TOKEN"], "ONEVAULT_DEV_PAGERDUTY_KEY="+r.env["ONEVAULT_DEV_PAGERDUTY_KEY"],
		"ONEVAULT_DEV_SLACK_TOKEN="+r.env["ONEVAULT_DEV_SLACK_TOKEN"],
		"ONEVAULT_DEV_WEBHOOK_SECRET="+strings.TrimSpace(string(secret)))...), "worker")
	if err != nil {
		r.t.Fatal(err)
	}
	r.worker = w
	r.t.Cleanup(w.kill)
	return w
}

func awaitReady(t *testing.T, w *process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.awaitOutput(ctx, `"msg":"worker ready"`); err != nil {
		t.Fatal(err)
	}
}

// end kills what still runs: how it ends in order is the shared world's story.
func (r *rig) end() {
	if r.temporal != nil {
		r.temporal.Close()
	}
	if r.db != nil {
		r.db.Close()
	}
	if r.worker != nil {
		r.worker.kill()
	}
	if r.dev != nil {
		r.dev.kill()
	}
	if r.postgres != nil {
		if err := r.postgres.Stop(); err != nil {
			r.t.Errorf("stop PostgreSQL: %v", err)
		}
	}
}

// awaitOpened returns when the vault has said that something was put into its outbox and an alert of the
// definition is there: the moment at which it is recorded and nobody has been told. listener must have been made by
// listen before the condition was true. Other things are put into the outbox, too, and are passed over.
func (r *rig) awaitOpened(listener *pgx.Conn, definition string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for {
		if _, err := listener.WaitForNotification(ctx); err != nil {
			r.t.Fatalf("wait for an alert of %s in the outbox: %v", definition, err)
		}
		if versions, err := r.versions(ctx, definition); err != nil {
			r.t.Fatal(err)
		} else if len(versions) > 0 {
			return
		}
	}
}

func (r *rig) listen() *pgx.Conn {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.env[settings.DatabaseURL])
	if err == nil {
		_, err = conn.Exec(r.t.Context(), "LISTEN onevault_outbox")
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may be gone by then
	return conn
}

// emptyDatabase creates a database and a role that owns nothing in it, on the shared world's server, and
// returns the URLs of the database for its owner and for the role.
func emptyDatabase(t *testing.T, w *world, name string) (owner, stranger string) {
	t.Helper()
	password := smtpPassword
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + name, "DROP ROLE IF EXISTS " + name,
		"CREATE DATABASE " + name, "CREATE ROLE " + name + " LOGIN PASSWORD '" + password + "'",
		"REVOKE CREATE ON DATABASE " + name + " FROM PUBLIC",
	} {
		if _, err := w.db.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(w.env[settings.DatabaseURL])
	if err != nil {
		t.Fatal(errors.New("the vault's address is no URL"))
	}
	u.Path = "/" + name
	owner = u.String()
	u.User = url.UserPassword(name, password)
	return owner, u.String()
}

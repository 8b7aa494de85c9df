package vault_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/pgserver"
	"onevault/vault"
)

func wantUnreachable(t *testing.T, what string, err error) {
	t.Helper()
	if !vault.Unreachable(err) || vault.Permanent(err) {
		t.Errorf("%s: unreachable %v, permanent %v: %v", what, vault.Unreachable(err), vault.Permanent(err), err)
	}
}

func TestOpen_RepeatsNoPasswordOfABadURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"postgres://u:s3cret@host:port/x", "host=x password=s3cret sslmode=perhaps", "s3cret"} {
		store, err := vault.Open(t.Context(), address)
		if err == nil {
			store.Close()
			t.Errorf("%q was accepted", address)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the password stands in %q", err)
		}
	}
}

func TestErrors_OfAServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	store, err := vault.Open(t.Context(), "postgres://u:s3cret@127.0.0.1:1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	_, err = store.EvaluateDue(t.Context(), "local", 0)
	wantUnreachable(t, "nothing listens", err)
	_, err = store.TakeOutbox(t.Context())
	wantUnreachable(t, "take the outbox", err)
	if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "s3cret") {
		t.Errorf("the password stands in %q", text)
	}
}

// ownServer is a server that a test may starve and stop.
func ownServer(t *testing.T) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), pgserver.Config{
		Ephemeral: true, Port: pgserver.AnyPort, Settings: map[string]string{"max_connections": "5", "superuser_reserved_connections": "0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestErrors_OfAServerThatRefusesAndStops(t *testing.T) {
	t.Parallel()
	server := ownServer(t)
	address := server.URL("postgres")
	open := func(address string) *vault.Store {
		store, err := vault.Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		return store
	}

	wrong, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := wrong.Query()
	query.Del("host") // the socket asks for no password
	query.Set("connect_timeout", "5")
	wrong.User, wrong.RawQuery = url.UserPassword(wrong.User.Username(), "not-the-s3cret"), query.Encode()
	wrong.Host = tcpAddress(t, address)
	err = open(wrong.String()).Ping(t.Context())
	// To wait helps nothing here: a worker does not start with it, and the doctor names the remedy.
	if err == nil || vault.Unreachable(err) || vault.Permanent(err) || strings.Contains(err.Error(), "s3cret") ||
		!strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("wrong password: unreachable %v, permanent %v: %v", vault.Unreachable(err), vault.Permanent(err), err)
	}

	store := open(address)
	var held []*pgxpool.Conn
	for range 5 {
		conn, err := store.Pool().Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	wantUnreachable(t, "no slot is free", open(address).Ping(t.Context()))

	// One session is at work when the server stops, the others are idle.
	working := make(chan error, 1)
	go func() {
		_, err := held[0].Exec(t.Context(), "SELECT pg_sleep(60)")
		working <- err
	}()
	const busy = `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'`
	for n := 0; n == 0; {
		if err := held[1].QueryRow(t.Context(), busy).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range held[1:] {
		conn.Release()
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	wantUnreachable(t, "stopped at work", <-working)
	held[0].Release()
	wantUnreachable(t, "stopped", store.Ping(t.Context()))
}

// tcpAddress asks a server that is reached through its socket where it listens.
func tcpAddress(t *testing.T, address string) string {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var port string
	if err := pool.QueryRow(t.Context(), "SHOW port").Scan(&port); err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

func TestErrors_OfATerminatedSession(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	conn, err := f.store.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT pg_sleep(60)")
		ended <- err
	}()
	f.exec(`SELECT pg_terminate_backend($1)`, conn.Conn().PgConn().PID())
	wantUnreachable(t, "terminated", <-ended)
	conn.Release()
	if err := f.store.Ping(t.Context()); err != nil {
		t.Errorf("the store goes on: %v", err)
	}
}

func TestErrors_OfWhatTheVaultRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("USAGE", nil)
	_, check := f.store.Pool().Exec(t.Context(), `INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk) VALUES ('\x00', 'X')`)
	f.exec(`INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES (util.hash_binary('T'), 'T', 'TEST')`)
	_, twice := f.store.Pool().Exec(t.Context(), `
		INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk, tenant_hk)
		VALUES (util.hash_binary('USAGE'), 'USAGE', util.hash_binary('T'))`)
	_, long := f.store.RecordHealth(t.Context(), strings.Repeat("x", 101), time.Now(), time.Minute, []vault.Sample{{Name: "m", Category: "C", Source: "t"}})
	for what, err := range map[string]error{"check": check, "unique": twice, "too long": long} {
		if !vault.Permanent(err) || vault.Unreachable(err) {
			t.Errorf("%s: permanent %v, unreachable %v: %v", what, vault.Permanent(err), vault.Unreachable(err), err)
		}
	}

	var refused *vault.Refusal
	err := f.store.PutChannel(t.Context(), vault.Channel{Key: "OPS", Name: "Operations", Type: "SLACK", Configuration: []byte(`{}`), RecordSource: "TEST"})
	if !errors.As(err, &refused) || refused.Code != "22023" || refused.Hint == "" || !strings.Contains(err.Error(), `"Operations"`) || vault.Unreachable(err) {
		t.Errorf("a channel without an address: %v", err)
	}
	if _, err := f.store.Channel(t.Context(), "NONE"); !errors.Is(err, vault.ErrNotFound) || vault.Unreachable(err) {
		t.Errorf("an unknown channel: %v", err)
	}
	if _, _, err := f.store.Definition(t.Context(), "NONE"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an unknown definition: %v", err)
	}

	_, err = f.store.Pool().Exec(t.Context(), "SET LOCAL statement_timeout = 1; SELECT pg_sleep(60)")
	if err == nil || vault.Permanent(err) || vault.Unreachable(err) {
		t.Errorf("a statement that took too long: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	wantUnreachable(t, "no answer in time", f.store.Ping(ctx))
	if vault.Unreachable(nil) || vault.Permanent(nil) {
		t.Error("success is classified as a failure")
	}
}

// The operating system's word for a file's error passes for one of the network: it is none of the vault's.
func TestUnreachable_IsNoFilesError(t *testing.T) {
	t.Parallel()
	_, opened := os.Open(filepath.Join(t.TempDir(), "missing"))
	for what, err := range map[string]error{
		"missing file": opened,
		"full disk":    fmt.Errorf("archive: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}),
		"rename":       &os.LinkError{Op: "rename", Old: "a", New: "b", Err: syscall.EACCES},
	} {
		if vault.Unreachable(err) {
			t.Errorf("%s: %v passes for the vault's", what, err)
		}
	}
	wantUnreachable(t, "refused connection", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
}

package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

// opened is what openVault did with the vault at an address.
func opened(t *testing.T, address string) (*parts, string, error) {
	t.Helper()
	var log bytes.Buffer
	p := &parts{config: Config{DatabaseURL: address}.withDefaults(), log: slog.New(slog.NewTextHandler(&log, nil))}
	t.Cleanup(p.close)
	err := p.openVault(t.Context())
	return p, log.String(), err
}

func wantText(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("got %q, want it to say %q", text, word)
		}
	}
	if strings.Contains(text, "s3cret-word") {
		t.Errorf("the password is repeated: %q", text)
	}
}

func TestOpenVault_UsesASchemaThatIsUpToDate(t *testing.T) {
	t.Parallel()
	p, log, err := opened(t, pgtest.DB(t))
	if err != nil || log != "" {
		t.Fatalf("%v, said %q", err, log)
	}
	if err := p.store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if health, err := p.target.CollectHealth(t.Context(), nil); err != nil || len(health.Samples) == 0 {
		t.Errorf("%d samples, %v", len(health.Samples), err)
	}
}

func TestOpenVault_RefusesASchemaThatLacksMigrations(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	if _, err := migrations.Down(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	_, _, err := opened(t, address)
	if err == nil {
		t.Fatal("a vault without its newest migration is used")
	}
	wantText(t, err.Error(), "lacks 1 migrations", "onevault migrate up")
}

func TestOpenVault_RefusesASchemaOfANewerBuild(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "INSERT INTO public.onevault_migrations (version_id, is_applied) VALUES (999, true)"); err != nil {
		t.Fatal(err)
	}
	_, _, err = opened(t, address)
	if err == nil {
		t.Fatal("a vault of a newer build is used")
	}
	wantText(t, err.Error(), "schema version 999", "newer onevault")
}

func TestOpenVault_RefusesAWrongPassword(t *testing.T) {
	t.Parallel()
	stranger, err := url.Parse(pgtest.DB(t))
	if err != nil {
		t.Fatal("the address of a test database is not a URL")
	}
	stranger.User = url.UserPassword("nobody_of_that_name", "s3cret-word")
	_, _, err = opened(t, stranger.String())
	if err == nil {
		t.Fatal("a role that does not exist is let in")
	}
	wantText(t, err.Error(), "nobody_of_that_name", "check user and password")
}

func TestOpenVault_RefusesWhatIsNoAddress(t *testing.T) {
	t.Parallel()
	_, _, err := opened(t, "postgres://onevault:s3cret-word@host:port/db")
	if err == nil {
		t.Fatal("a malformed address is used")
	}
	wantText(t, err.Error(), "ONEVAULT_DATABASE_URL")
}

// Alerts that are open must be heard of, so a vault that is down keeps no worker from starting.
func TestOpenVault_StartsWithoutAVaultThatIsDown(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // nobody listens there now
	p, log, err := opened(t, "postgres://onevault:s3cret-word@"+address+"/onevault")
	if err != nil {
		t.Fatalf("a vault that is down keeps the worker from starting: %v", err)
	}
	wantText(t, log, "vault unreachable, starting without it")
	if p.store == nil || p.target == nil {
		t.Error("there is nothing to reach it with when it is back")
	}
}

func TestRun_RefusesSettingsThatCanNeverWork(t *testing.T) {
	t.Parallel()
	err := Run(t.Context(), Config{}, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("a worker without a vault's address runs")
	}
	wantText(t, err.Error(), "ONEVAULT_DATABASE_URL")
}

func TestInsist_TriesUntilItWorksAndTellsItOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := &parts{log: slog.New(slog.NewTextHandler(&log, nil))}
	tries := 0
	err := p.insist(t.Context(), "schedule collect", func(context.Context) error {
		if tries++; tries < 2 {
			return errors.New("connection refused")
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("%d tries, %v", tries, err)
	}
	wantText(t, log.String(), "not usable yet", "schedule collect", "connection refused", "usable again")
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines in the log: %s", n, log.String())
	}
}

func TestInsist_EndsWithTheWorker(t *testing.T) {
	t.Parallel()
	p := &parts{log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	err := p.insist(ctx, "Temporal", func(context.Context) error {
		stop()
		return errors.New("connection refused")
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	if err := ignoreStop(ctx, err); err != nil {
		t.Errorf("being told to stop is reported as %v", err)
	}
	if err := ignoreStop(t.Context(), errors.New("broken")); err == nil {
		t.Error("an error while nobody stopped the worker is lost")
	}
}

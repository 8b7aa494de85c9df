package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"onevault/pgserver"
)

// database is the vault's name on the PostgreSQL that is started here.
const database = "onevault"

// postgres keeps one PostgreSQL server alive: when it dies by itself, everybody feels the outage for a
// while (which is what OneVault is to be seen reporting), and then it is started again.
type postgres struct {
	config       pgserver.Config
	restartAfter time.Duration // 0: never
	log          *slog.Logger

	mu      sync.Mutex
	server  *pgserver.Server
	end     context.CancelFunc
	watched sync.WaitGroup
}

// startPostgres starts the server, on Debian as root installing its programs where there are none, and
// creates the vault's database.
func startPostgres(ctx context.Context, config pgserver.Config, restartAfter time.Duration, log *slog.Logger, progress io.Writer) (*postgres, error) {
	server, err := pgserver.Start(ctx, config)
	if errors.Is(err, pgserver.ErrNoBinaries) {
		if err := installPostgres(ctx, err, progress); err != nil {
			return nil, err
		}
		server, err = pgserver.Start(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	p := &postgres{config: config, restartAfter: restartAfter, log: log, server: server}
	if err := createDatabase(ctx, server.URL("postgres")); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	watch, end := context.WithCancel(context.Background())
	p.end = end
	p.watched.Go(func() { p.watch(watch) })
	return p, nil
}

// prepareCommand brings what tests need and Go modules cannot: PostgreSQL's server programs.
func prepareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "prepare",
		Short: "Make sure that PostgreSQL's server programs are here: install them as root on Debian, else say how",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := pgserver.Discover()
			if errors.Is(err, pgserver.ErrNoBinaries) {
				return installPostgres(cmd.Context(), err, cmd.OutOrStdout())
			}
			return err
		},
	}
}

// installPostgres brings the server's programs where we may; missing is the explanation for others.
func installPostgres(ctx context.Context, missing error, progress io.Writer) error {
	if _, err := os.Stat("/etc/debian_version"); err != nil || os.Geteuid() != 0 {
		return usageError{missing}
	}
	fmt.Fprintln(progress, "PostgreSQL's server programs are missing: installing Debian's package postgresql")
	if err := pgserver.InstallDebian(ctx, progress); err != nil {
		return usageError{errors.Join(err, missing)}
	}
	return nil
}

// createDatabase makes the vault's database where it does not exist yet.
func createDatabase(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("reach the PostgreSQL that was started: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // the answer is what counts
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, database).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", database, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", database, err)
	}
	return nil
}

func (p *postgres) url() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.server.URL(database)
}

// watch starts the server again whenever it has died.
func (p *postgres) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.server.Done():
		}
		if ctx.Err() != nil {
			return
		}
		if p.restartAfter == 0 {
			p.log.Error("postgres died; it stays down until the next start (--postgres-restart 0)", "log_file", p.server.LogFile())
			return
		}
		p.log.Error("postgres died; everything else goes on, it is started again", "after", p.restartAfter, "log_file", p.server.LogFile())
		if !p.restart(ctx) {
			return
		}
		p.log.Warn("postgres runs again")
	}
}

// restart tries until the server runs; false: the process ends meanwhile.
func (p *postgres) restart(ctx context.Context) bool {
	// The error says again that the server had died; its lock and log are given back either way.
	_ = p.server.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(p.restartAfter):
		}
		server, err := pgserver.Start(ctx, p.config)
		if err == nil {
			p.mu.Lock()
			p.server = server
			p.mu.Unlock()
			return true
		}
		p.log.Error("postgres does not start again; trying once more", "after", p.restartAfter, "error", err)
	}
}

func (p *postgres) stop() error {
	p.end()
	p.watched.Wait()
	select {
	case <-p.server.Done():
		// Said when it happened.
		_ = p.server.Stop()
		return nil
	default:
		return p.server.Stop()
	}
}

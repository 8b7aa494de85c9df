//go:build linux

// Package bench measures what the vault costs with a month of history in it: the deployment guide's
// queries, evaluation, collection, and a hundred collections at once. It says nothing of correctness,
// which tests hold; it fails where a goal is missed.
//
//	make bench                                              all, with a table at the end
//	go test ./bench -run '^$' -bench 'Query/daily' -v       some
//
// CPU is that of the PostgreSQL process which serves the connection, read from the kernel: it holds on a
// loaded machine, where time on the clock does not. Parallel workers are off, for theirs is counted nowhere.
// Each figure also stands as a multiple of a fixed piece of work measured in the same run, by which runs
// on different machines compare.
package bench_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"onevault/migrations"
	"onevault/pgserver"
)

// vaultURL is the address of the vault with its month of history.
var vaultURL string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts a server only where something is to be measured: tests of this package need none.
func run(m *testing.M) (code int, err error) {
	if flag.Lookup("test.bench").Value.String() == "" {
		return m.Run(), nil
	}
	ctx := context.Background()
	server, err := startServer(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	vaultURL = server.URL("postgres")
	if err := fill(ctx, vaultURL); err != nil {
		return 1, err
	}
	code = m.Run()
	missed := results.print(os.Stdout)
	return cmp.Or(code, missed), nil
}

// startServer starts one that is set as in production as far as CPU is concerned, and whose data may
// vanish. Autovacuum is off: what it has to have done before a measurement is done below.
func startServer(ctx context.Context) (*pgserver.Server, error) {
	return pgserver.Start(ctx, pgserver.Config{Ephemeral: true, Settings: map[string]string{
		"jit": "on", "shared_buffers": "128MB", "full_page_writes": "on", "max_connections": "150",
		"max_parallel_workers_per_gather": "0",
	}})
}

func fill(ctx context.Context, url string) error {
	if err := migrations.Up(ctx, url, nil); err != nil {
		return err
	}
	seed, err := os.ReadFile("seed.sql")
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	// As psql sends a script: one message, so one transaction.
	if _, err := conn.PgConn().Exec(ctx, string(seed)).ReadAll(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	if _, err := conn.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

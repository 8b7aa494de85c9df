//go:build linux

package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/migrations"
	"onevault/pgserver"
)

// watched is the server that everybody measures, as it is by default: the database that they are
// connected to holds the vault, too.
type watched struct {
	*pgserver.Server
	version string
	admin   *pgx.Conn
	// addresses of two roles with pg_monitor, so that the server tells whose statements are whose.
	addresses map[string]string
}

// size is what a database is filled with. It grows: the large one is the ordinary one and more.
type size struct {
	name               string
	tables, statements int
	goal               time.Duration // for a full collection, of CPU; 0: none
	single             bool          // one collection in a turn is enough
}

// collections is how many there are in one turn.
func (s size) collections(o options) int {
	if s.single {
		return 1
	}
	return o.collections
}

var ordinary = size{name: "ordinary", tables: 100, statements: 500}

func large(o options) size {
	return size{name: "large", tables: o.tables, statements: o.statements, goal: 2 * time.Second, single: true}
}

//go:embed fill.sql
var fillSQL string

// startServer starts one that is set as in production as far as CPU is concerned. Autovacuum is off: it
// would come when it pleases, and fill does its work. The files of ten thousand tables are too much for a
// file system in memory.
func startServer(ctx context.Context) (*watched, error) {
	server, err := pgserver.Start(ctx, pgserver.Config{Dir: os.TempDir(), Ephemeral: true, Port: pgserver.AnyPort, Settings: map[string]string{
		"jit": "on", "shared_buffers": "128MB", "max_connections": "100", "pg_stat_statements.max": "10000",
		"max_parallel_workers_per_gather": "0",
	}})
	if err != nil {
		return nil, err
	}
	w := &watched{Server: server}
	if err := w.prepare(ctx); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return w, nil
}

func (w *watched) prepare(ctx context.Context) error {
	address := w.URL("postgres")
	if err := migrations.Up(ctx, address, nil); err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, address)
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	w.admin = admin
	if err := admin.QueryRow(ctx, "SHOW server_version").Scan(&w.version); err != nil {
		return err
	}
	// What the benchmark itself asks shall not stand in the statistics.
	if _, err := admin.Exec(ctx, "SET pg_stat_statements.track = 'none'"); err != nil {
		return err
	}
	w.addresses = map[string]string{}
	for _, role := range []string{asOneVault, asExporter} {
		if w.addresses[role], err = w.role(ctx, role); err != nil {
			return err
		}
	}
	// With this OneVault has the most to do: it counts the application's sessions and looks into sequences.
	_, err = admin.Exec(ctx, "GRANT pg_read_all_data TO "+asOneVault)
	return err
}

func (w *watched) addressOf(role string) string { return w.addresses[role] }

// role makes a role that may watch and returns the address with which it logs in.
func (w *watched) role(ctx context.Context, name string) (string, error) {
	password := rand.Text()
	for _, sql := range []string{
		fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", name, password),
		"GRANT pg_monitor TO " + name,
	} {
		if _, err := w.admin.Exec(ctx, sql); err != nil {
			return "", fmt.Errorf("make the role %s: %w", name, err)
		}
	}
	address, err := url.Parse(w.URL("postgres"))
	if err != nil {
		return "", errors.New("the server's address is not a URL")
	}
	address.User = url.UserPassword(name, password)
	return address.String(), nil
}

// fill makes the tables and runs the statements that are missing.
func (w *watched) fill(ctx context.Context, size size) error {
	if _, err := w.admin.PgConn().Exec(ctx, fillSQL).ReadAll(); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	if _, err := w.admin.Exec(ctx, "CALL application.grow($1)", size.tables); err != nil {
		return fmt.Errorf("make %d tables: %w", size.tables, err)
	}
	if err := w.runStatements(ctx, size.statements); err != nil {
		return err
	}
	if _, err := w.admin.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}

// runStatements runs statements that differ in their tables and shapes, so that each has an entry of its own.
func (w *watched) runStatements(ctx context.Context, number int) error {
	conn, err := pgx.Connect(ctx, w.URL("postgres"))
	if err != nil {
		return fmt.Errorf("connect to the server: %w", err)
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to be told
	const perMessage = 500
	var tables int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_tables WHERE schemaname = 'application'").Scan(&tables); err != nil {
		return err
	}
	var text strings.Builder
	for i := range number {
		fmt.Fprintf(&text, "SELECT count(*)%s FROM application.table_%d WHERE id = 1 AND state = 'open';\n",
			strings.Repeat(", max(amount)", i/tables), i%tables+1)
		if i%perMessage == perMessage-1 || i == number-1 {
			if _, err := conn.PgConn().Exec(ctx, text.String()).ReadAll(); err != nil {
				return fmt.Errorf("run %d statements: %w", number, err)
			}
			text.Reset()
		}
	}
	return nil
}

// extent counts what the collectors find.
func (w *watched) extent(ctx context.Context) (tables, statements int, err error) {
	err = w.admin.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM pg_stat_user_tables), (SELECT count(*) FROM pg_stat_statements(false))`).Scan(&tables, &statements)
	return tables, statements, err
}

// slowest are OneVault's costliest statements by the server's own statistics.
func (w *watched) slowest(ctx context.Context) ([]statement, error) {
	rows, err := w.admin.Query(ctx, `
		SELECT substring(s.query FROM '^/\* onevault (.*?) \*/'), s.calls, s.min_exec_time, s.mean_exec_time
		  FROM pg_stat_statements s
		 WHERE s.userid = 'watcher_onevault'::regrole AND s.query LIKE '/* onevault %'
		 ORDER BY s.min_exec_time DESC
		 LIMIT 10`)
	if err != nil {
		return nil, fmt.Errorf("read the statistics of the collectors' statements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[statement])
}

// resetOwn forgets what the collectors' statements cost before.
func (w *watched) resetOwn(ctx context.Context) error {
	_, err := w.admin.Exec(ctx, `
		SELECT pg_stat_statements_reset(r.oid, 0, 0) FROM pg_roles r WHERE r.rolname IN ('watcher_onevault', 'watcher_exporter')`)
	return err
}

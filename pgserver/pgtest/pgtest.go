// Package pgtest gives every test a PostgreSQL database of its own, cloned from a template that holds
// the migrated schema. It owns the test server, unless it is lent one, the template and the clones; it
// knows no schema: the caller brings the migrations.
//
// A package's tests begin with
//
//	func TestMain(m *testing.M) { pgtest.Main(m, migrations.Hash(), migrate) }
//
// and a test with
//
//	pool := pgtest.Pool(t)
//
// A server that is missing or cannot start fails the run; nothing is ever skipped. Autovacuum is off on
// the server that Main starts: statistics and plans would change at moments of its own, and its workers
// would visit each of hundreds of short-lived databases. A test that needs VACUUM or ANALYZE runs it.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/pgserver"
)

// SharedServer names the variable with the postgres:// URL of a server that several packages' test
// binaries share, as a role that may create databases. Clones are dropped there when their test ends,
// except for those of failed tests, and the template stays for the next run.
const SharedServer = "ONEVAULT_TEST_POSTGRES_URL"

// Major names the variable with the major version that the test server must have, such as 18; without it any will
// do. It is set where a run is about a version, so that tests of another one cannot pass for it.
const Major = "ONEVAULT_TEST_PG_MAJOR"

// TargetServers names the variable with the directories of server programs that tests watch beside their own
// server, separated as in PATH (see Targets).
const TargetServers = "ONEVAULT_TEST_PG_TARGETS"

// server is what Main prepared for the tests of this binary.
var server *source

// source is a server with a finished template.
type source struct {
	admin    *pgxpool.Pool
	base     *url.URL // of the database that admin is connected to
	template string
	drop     bool // the server outlives this run
	prefix   string
	clones   atomic.Int64
}

// Main runs the tests of a package and exits. The key identifies the schema, such as a hash over the
// migrations; migrate fills an empty database with it, and runs once per key and server, whichever
// process comes first. It must have closed its connections when it returns.
func Main(m *testing.M, key string, migrate func(ctx context.Context, url string) error) {
	code, err := run(m, key, migrate)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M, key string, migrate func(context.Context, string) error) (code int, err error) {
	ctx := context.Background()
	address, stop, err := testServer(ctx)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	server, err = prepare(ctx, address, key, migrate)
	if err != nil {
		return 1, err
	}
	defer server.admin.Close()
	return m.Run(), nil
}

// testServer returns the URL of the shared server, or of one of our own and how to stop it.
func testServer(ctx context.Context) (string, func() error, error) {
	if shared := os.Getenv(SharedServer); shared != "" {
		return shared, func() error { return nil }, nil
	}
	own, err := pgserver.Start(ctx, pgserver.Config{Ephemeral: true})
	if err != nil {
		return "", nil, err
	}
	return own.URL("postgres"), own.Stop, nil
}

// prepare connects to the server and makes sure of the template.
func prepare(ctx context.Context, address, key string, migrate func(context.Context, string) error) (*source, error) {
	base, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(base.Scheme, "postgres") {
		// Without the cause: it would quote the URL and its password.
		return nil, fmt.Errorf("%s: want a URL like postgres://user:password@host:5432/postgres", SharedServer)
	}
	admin, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the test server: %w", err)
	}
	if err := checkMajor(ctx, admin, os.Getenv(Major)); err != nil {
		admin.Close()
		return nil, err
	}
	s := &source{
		admin:    admin,
		base:     base,
		template: templateName(key),
		drop:     os.Getenv(SharedServer) != "",
		prefix:   "test_" + strings.ToLower(rand.Text()[:8]),
	}
	err = s.ensureTemplate(ctx, func(ctx context.Context) error { return migrate(ctx, s.url(s.template)) })
	if err != nil {
		admin.Close()
		return nil, fmt.Errorf("build the template database %s: %w", s.template, err)
	}
	return s, nil
}

// checkMajor holds the server's version against the one that is asked for.
func checkMajor(ctx context.Context, admin *pgxpool.Pool, want string) error {
	if want == "" {
		return nil
	}
	var got string
	if err := admin.QueryRow(ctx, "SELECT (current_setting('server_version_num')::integer / 10000)::text").Scan(&got); err != nil {
		return fmt.Errorf("ask the test server for its version: %w", err)
	}
	if got != want {
		return fmt.Errorf("the test server is PostgreSQL %s, and %s is %q: unset it, or point PG_BINDIR at the programs of that version", got, Major, want)
	}
	return nil
}

// Targets returns the installations of the server that a test of watching shall start and watch: those of the
// variable TargetServers, else the one that the tests run on. They may be older than what a vault needs.
func Targets(t testing.TB) []pgserver.Installation {
	t.Helper()
	dirs := filepath.SplitList(os.Getenv(TargetServers))
	if len(dirs) == 0 {
		own, err := pgserver.Discover()
		if err != nil {
			t.Fatal(err)
		}
		return own[:1]
	}
	var all []pgserver.Installation
	for _, dir := range dirs {
		target, err := pgserver.Inspect(dir)
		if err != nil {
			t.Fatalf("%s: %v", TargetServers, err)
		}
		all = append(all, target)
	}
	return all
}

func (s *source) url(database string) string {
	u := *s.base
	u.Path = "/" + database
	return u.String()
}

// DB returns the URL of a fresh database with the migrated schema, which belongs to this test alone.
func DB(t testing.TB) string {
	t.Helper()
	if server == nil {
		t.Fatal("no test server: the package needs func TestMain(m *testing.M) { pgtest.Main(m, ...) }")
	}
	return server.clone(t)
}

// Pool returns a pool of connections to a fresh database; both end with the test.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), DB(t))
	if err != nil {
		t.Fatalf("connect to the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (s *source) clone(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("%s_%d", s.prefix, s.clones.Add(1))
	// Copying files beats writing the template through the log: no checkpoint waits for a disk here.
	_, err := s.admin.Exec(t.Context(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", quote(name), quote(s.template)))
	if err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	t.Cleanup(func() { s.discard(t, name) })
	return s.url(name)
}

// discard drops a clone where the server outlives the run; our own server takes all with it, and
// dropping there would only cost time. A failed test's database is kept to be looked at.
func (s *source) discard(t testing.TB, name string) {
	if !s.drop {
		return
	}
	if t.Failed() {
		t.Logf("kept database %s", name)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's own has ended
	defer cancel()
	if _, err := s.admin.Exec(ctx, "DROP DATABASE "+quote(name)+" WITH (FORCE)"); err != nil {
		t.Errorf("drop the test database %s: %v", name, err)
	}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

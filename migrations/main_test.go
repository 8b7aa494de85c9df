package migrations_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/migrations"
	"onevault/pgserver/pgtest"
)

func TestMain(m *testing.M) {
	pgtest.Main(m, migrations.Fingerprint(), func(ctx context.Context, url string) error {
		return migrations.Up(ctx, url, nil)
	})
}

// database is a pool, a connection or a transaction.
type database interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// exec runs one statement that must succeed.
func exec(t *testing.T, db database, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", firstLine(sql), err)
	}
}

// value returns the one value of the one row that a query yields.
func value[T any](t *testing.T, db database, sql string, args ...any) T {
	t.Helper()
	list := values[T](t, db, sql, args...)
	if len(list) != 1 {
		t.Fatalf("%s: %d rows, want 1", firstLine(sql), len(list))
	}
	return list[0]
}

// values returns the one column that a query yields.
func values[T any](t *testing.T, db database, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", firstLine(sql), err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", firstLine(sql), err)
	}
	return list
}

// refused runs a statement that the database must refuse with this SQLSTATE and these words in its
// message or hint.
func refused(t *testing.T, db database, code string, words []string, sql string, args ...any) {
	t.Helper()
	_, err := db.Exec(t.Context(), sql, args...)
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		t.Errorf("%s: got %v, want it refused with %s", firstLine(sql), err, code)
		return
	}
	text := refusal.Message + " " + refusal.Hint
	if refusal.Code != code {
		t.Errorf("%s: refused with %s (%s), want %s", firstLine(sql), refusal.Code, text, code)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: refused with %q, want it to say %q", firstLine(sql), text, word)
		}
	}
}

func firstLine(sql string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(sql), "\n")
	return line
}

// wantText fails unless an error says all the words.
func wantText(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got %q, want it to say %q", err, word)
		}
	}
}

// listener is a session that keeps what the server says beside its answers.
type listener struct {
	*pgx.Conn
	said []string // "WARNING: ..." and the like
}

func listen(t *testing.T, address string) *listener {
	t.Helper()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { l.said = append(l.said, n.Severity+": "+n.Message) }
	l.Conn, err = pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

// heard returns what was said since the last call, in one text.
func (l *listener) heard() string {
	text := strings.Join(l.said, "\n")
	l.said = nil
	return text
}

// connect opens a session that ends with the test.
func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// emptyDatabase returns the URL of a database that no migration has touched.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	return databaseFrom(t, pgtest.DB(t), "template0")
}

// copyOf returns the URL of a copy of a database with which nobody is connected.
func copyOf(t *testing.T, address string) string {
	t.Helper()
	return databaseFrom(t, onDatabase(t, address, "postgres"), strings.TrimPrefix(parse(t, address).Path, "/"))
}

// databaseFrom creates a database by a session at an address, and returns the URL of it.
func databaseFrom(t *testing.T, address, template string) string {
	t.Helper()
	admin := connect(t, address)
	name := "made_" + strings.ToLower(rand.Text()[:12])
	exec(t, admin, "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY file_copy")
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
	})
	return onDatabase(t, address, name)
}

func onDatabase(t *testing.T, address, name string) string {
	t.Helper()
	u := parse(t, address)
	u.Path = "/" + name
	return u.String()
}

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address of a test database is not a URL")
	}
	return u
}

// newRole makes a role that may log in and returns its name, and the address with which it does.
func newRole(t *testing.T, address string) (name, as string) {
	t.Helper()
	admin := connect(t, address)
	name, password := "role_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	exec(t, admin, "CREATE ROLE "+name+" LOGIN PASSWORD '"+password+"'")
	t.Cleanup(func() {
		for _, sql := range []string{"REASSIGN OWNED BY " + name + " TO CURRENT_USER", "DROP OWNED BY " + name + " CASCADE", "DROP ROLE " + name} {
			if _, err := admin.Exec(context.Background(), sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
	})
	u := parse(t, address)
	u.User = url.UserPassword(name, password)
	return name, u.String()
}

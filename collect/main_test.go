package collect_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/collect"
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

func exec(t *testing.T, db database, sql string, args ...any) {
	t.Helper()
	if _, err := db.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// column returns the one column that a query yields.
func column[T any](t *testing.T, db database, sql string, args ...any) []T {
	t.Helper()
	rows, err := db.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// openTarget opens the database at an address as a watched target.
func openTarget(t *testing.T, address string) *collect.Target {
	t.Helper()
	target, err := collect.OpenTarget("watched", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(target.Close)
	return target
}

// collectOnce measures a target that must answer.
func collectOnce(t *testing.T, address string) []collect.Sample {
	t.Helper()
	health, err := openTarget(t, address).CollectHealth(t.Context(), healthQueries(t))
	if err != nil {
		t.Fatal(err)
	}
	return health.Samples
}

func find(t *testing.T, samples []collect.Sample, name string) collect.Sample {
	t.Helper()
	at := slices.IndexFunc(samples, func(s collect.Sample) bool { return s.Name == name })
	if at < 0 {
		t.Fatalf("no sample of %s", name)
	}
	return samples[at]
}

// names are the metrics that have one series: of the others, series come and go.
func names(samples []collect.Sample) []string {
	list := make([]string, 0, len(samples))
	for _, sample := range samples {
		if sample.Labels == nil {
			list = append(list, sample.Name)
		}
	}
	slices.Sort(list)
	return list
}

// asNewRole makes a role and returns the address with which it logs in to the same database. It ends
// with the test.
func asNewRole(t *testing.T, address string, memberships ...string) string {
	t.Helper()
	admin := connect(t, address)
	role, password := "role_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	exec(t, admin, "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'")
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "DROP ROLE "+role); err != nil {
			t.Errorf("drop role %s: %v", role, err)
		}
	})
	for _, group := range memberships {
		exec(t, admin, "GRANT "+group+" TO "+role)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address of a test database is not a URL")
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

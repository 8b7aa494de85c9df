package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestMain(m *testing.M) {
	Main(m, "pgtest", migrate)
}

// migrate makes the schema of these tests.
func migrate(ctx context.Context, url string) error {
	return fill(ctx, url, "migrated")
}

// fill makes one table with one row.
func fill(ctx context.Context, url, word string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE TABLE word AS SELECT '"+word+"' AS text")
	return errors.Join(err, conn.Close(ctx))
}

func TestDB_HoldsTheMigratedSchemaForEachTestAlone(t *testing.T) {
	t.Parallel()
	for i := range 20 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			pool := Pool(t)
			var text string
			err := pool.QueryRow(t.Context(), "SELECT string_agg(text, ',') FROM word").Scan(&text)
			if err != nil || text != "migrated" {
				t.Errorf("got %q, %v; another test's rows, or no schema", text, err)
			}
			if _, err := pool.Exec(t.Context(), "INSERT INTO word VALUES ($1)", t.Name()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPrepare_BuildsTheTemplateOnce(t *testing.T) {
	t.Parallel()
	key := uniqueKey(t)
	var built atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := prepare(t.Context(), server.base.String(), key, func(ctx context.Context, url string) error {
				built.Add(1)
				return migrate(ctx, url)
			})
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(s.admin.Close) // after the clone is dropped
			wantWord(t, s.clone(t))
		})
	}
	wg.Wait()
	if n := built.Load(); n != 1 {
		t.Errorf("built %d times", n)
	}
}

func TestPrepare_RebuildsAHalfMadeTemplate(t *testing.T) {
	t.Parallel()
	key := uniqueKey(t)
	broken := errors.New("migration 7 is broken")
	_, err := prepare(t.Context(), server.base.String(), key, func(ctx context.Context, url string) error {
		return errors.Join(fill(ctx, url, "half"), broken)
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want the migration's error", err)
	}
	s, err := prepare(t.Context(), server.base.String(), key, migrate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.admin.Close)
	wantWord(t, s.clone(t))
}

func TestPrepare_HidesThePasswordOfABadURL(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"postgres://u:s3cret@host:port/x", "host=x password=s3cret", "postgres://u:s3cret@127.0.0.1:1/x?connect_timeout=1"} {
		_, err := prepare(t.Context(), address, "k", migrate)
		if err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("got %v; want an error without the password", err)
		}
	}
}

func TestMain_FailsWithoutTheServerThatIsAskedFor(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string]string{
		"unreachable":     SharedServer + "=postgres://u:s3cret@127.0.0.1:1/postgres",
		"not installed":   "PG_BINDIR=/nonexistent",
		"another version": Major + "=9",
	} {
		cmd := exec.Command(program, "-test.run=NoSuchTest")
		cmd.Env = append(os.Environ(), SharedServer+"=", env)
		out, err := cmd.CombinedOutput()
		if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 || strings.Contains(string(out), "s3cret") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// uniqueKey returns a schema key of this test alone, and drops its template where the server stays.
func uniqueKey(t *testing.T) string {
	t.Helper()
	key := fmt.Sprintf("%s %s", t.Name(), server.prefix)
	t.Cleanup(func() {
		name := quote(templateName(key))
		for _, sql := range []string{"ALTER DATABASE " + name + " IS_TEMPLATE false", "DROP DATABASE " + name + " WITH (FORCE)"} {
			if _, err := server.admin.Exec(context.Background(), sql); err != nil {
				t.Error(err)
			}
		}
	})
	return key
}

func wantWord(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	var text string
	if err := conn.QueryRow(t.Context(), "SELECT text FROM word").Scan(&text); err != nil || text != "migrated" {
		t.Errorf("got %q, %v", text, err)
	}
}

// Package migrations brings a database to the schema that this build expects: numbered, never changed
// steps (tables), then the functions, triggers, views and default definitions, which are put again
// whenever their text changed. It takes a lock, so that any number of workers may start at once.
package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed *.sql
var steps embed.FS

//go:embed functions/*.sql
var functions embed.FS

// minimumServerVersion is PostgreSQL 15: MERGE-free SQL, jsonlog, pg_stat_statements toplevel.
const minimumServerVersion = 150000

// Step is one numbered migration as Status shows it.
type Step struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: not applied
}

// Up applies what is missing and tells progress in short lines (progress may be nil). It returns an
// error that names the remedy when the database is too old, too new, or refuses a privilege.
func Up(ctx context.Context, databaseURL string, progress func(string)) error {
	return up(ctx, databaseURL, false, progress)
}

func up(ctx context.Context, databaseURL string, repair bool, progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	return withLock(ctx, databaseURL, func(db *sql.DB, provider *goose.Provider) error {
		if err := checkServer(ctx, db); err != nil {
			return err
		}
		if err := checkNotNewer(ctx, provider); err != nil {
			return err
		}
		applied, err := applySteps(ctx, db, provider, progress)
		if err != nil {
			return explain(fmt.Errorf("apply migrations: %w", err))
		}
		if err := makeRoles(ctx, db, progress); err != nil {
			return explain(err)
		}
		return explain(putFunctions(ctx, db, applied > 0, repair, progress))
	})
}

// applySteps applies what is missing, and returns how many steps that was.
func applySteps(ctx context.Context, db *sql.DB, provider *goose.Provider, progress func(string)) (int, error) {
	applied := 0
	err := insist(ctx, db, progress, func() error {
		results, err := provider.Up(ctx)
		if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
			results = partial.Applied
		}
		for _, result := range results {
			applied++
			progress(fmt.Sprintf("applied %s in %s", path.Base(result.Source.Path), result.Duration.Round(time.Millisecond)))
		}
		return err
	})
	return applied, err
}

// Down takes back the newest step; the next Up puts it and all functions again. When the first step
// goes, the marks of what was applied go as well: what is left is Phase 1's, and the roles of the server.
func Down(ctx context.Context, databaseURL string) (Step, error) {
	var step Step
	err := withLock(ctx, databaseURL, func(db *sql.DB, provider *goose.Provider) error {
		if err := checkNotNewer(ctx, provider); err != nil {
			return err
		}
		var result *goose.MigrationResult
		err := insist(ctx, db, func(string) {}, func() (err error) {
			result, err = provider.Down(ctx)
			return err
		})
		if errors.Is(err, goose.ErrNoNextVersion) {
			return errors.Join(errors.New("nothing to take back: no migration is applied"), dropMarks(ctx, db))
		}
		if err != nil {
			return explain(fmt.Errorf("take back the newest migration: %w", err))
		}
		step = Step{Version: result.Source.Version, Name: path.Base(result.Source.Path)}
		current, err := provider.GetDBVersion(ctx)
		if err != nil {
			return fmt.Errorf("read the version of the vault: %w", err)
		}
		if current == 0 {
			return dropMarks(ctx, db)
		}
		return forgetFunctions(ctx, db)
	})
	return step, err
}

// Status lists every step of this build, oldest first.
func Status(ctx context.Context, databaseURL string) ([]Step, error) {
	db, provider, err := open(databaseURL)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	states, err := provider.Status(ctx)
	if err != nil {
		return nil, explain(fmt.Errorf("read the state of migrations: %w", err))
	}
	var list []Step
	for _, state := range states {
		list = append(list, Step{Version: state.Source.Version, Name: path.Base(state.Source.Path), AppliedAt: state.AppliedAt})
	}
	return list, nil
}

// Pending reports how many steps this build knows that the database lacks. A database that is ahead of
// the build is an error: an old worker must not write into a newer schema.
func Pending(ctx context.Context, databaseURL string) (int, error) {
	db, provider, err := open(databaseURL)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if err := checkNotNewer(ctx, provider); err != nil {
		return 0, err
	}
	states, err := provider.Status(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the state of migrations: %w", err)
	}
	pending := 0
	for _, state := range states {
		if state.State == goose.StatePending {
			pending++
		}
	}
	return pending, nil
}

// Fingerprint is a hash over everything that Up would apply; test databases are cached by it.
func Fingerprint() string {
	sum := sha256.New()
	for _, files := range []fs.FS{steps, functions} {
		// The walk fails only if the embedded files are broken, which the build would not survive.
		if err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(files, name)
			sum.Write([]byte(name))
			sum.Write(text)
			return err
		}); err != nil {
			panic(fmt.Sprintf("read embedded migrations: %v", err))
		}
	}
	scripts, err := healthFunctions()
	if err != nil {
		panic(fmt.Sprintf("read embedded health queries: %v", err))
	}
	sum.Write([]byte(scripts.text))
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

func open(databaseURL string) (*sql.DB, *goose.Provider, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, nil, fmt.Errorf("open the vault's database: %w", err)
	}
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "SELECT set_config('lock_timeout', $1, false)", lockTimeout.String())
		return err
	}))
	store, err := database.NewStore(goose.DialectPostgres, "public.onevault_migrations")
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("prepare migrations: %w", err), db.Close())
	}
	// goose logs each step itself otherwise; the caller has its own progress.
	provider, err := goose.NewProvider(database.DialectCustom, db, steps, goose.WithStore(store),
		goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("prepare migrations: %w", err), db.Close())
	}
	return db, provider, nil
}

// withLock holds a session lock on a connection of its own while work runs. goose has no lock by
// default, and its own locker deadlocks with CREATE INDEX CONCURRENTLY.
func withLock(ctx context.Context, databaseURL string, work func(*sql.DB, *goose.Provider) error) error {
	db, provider, err := open(databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return explain(fmt.Errorf("connect to the vault's database: %w", err))
	}
	defer conn.Close() // closing the session gives the lock back, whatever happened
	for {
		var locked bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(hashtextextended('onevault.migrations', 0))").Scan(&locked); err != nil {
			return fmt.Errorf("lock migrations: %w", err)
		}
		if locked {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for another migration to end: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := work(db, provider); err != nil {
		return err
	}
	_, err = conn.ExecContext(ctx, "SELECT pg_advisory_unlock(hashtextextended('onevault.migrations', 0))")
	return err
}

func checkServer(ctx context.Context, db *sql.DB) error {
	var (
		version               int
		name, user            string
		mayCreate, mayUseHome bool
		preloaded             sql.NullString
	)
	err := db.QueryRowContext(ctx, `
		SELECT current_setting('server_version_num')::int, current_database(), current_user,
		       has_database_privilege(current_database(), 'CREATE'),
		       coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = 'public'), false),
		       (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries')`).
		Scan(&version, &name, &user, &mayCreate, &mayUseHome, &preloaded)
	if err != nil {
		return explain(fmt.Errorf("ask the database what it is: %w", err))
	}
	if version < minimumServerVersion {
		return fmt.Errorf("PostgreSQL %d is too old for the vault; use 15 or newer", version/10000)
	}
	var grants []string
	if !mayCreate {
		grants = append(grants, fmt.Sprintf("GRANT CREATE ON DATABASE %q TO %q", name, user))
	}
	if !mayUseHome { // where the marks of what was applied stand
		grants = append(grants, fmt.Sprintf("GRANT CREATE ON SCHEMA public TO %q", user))
	}
	if len(grants) > 0 {
		return fmt.Errorf("role %q may not create schemas and tables in database %q; as its owner run: %s", user, name, strings.Join(grants, "; "))
	}
	return checkStatements(ctx, db, preloaded)
}

// checkStatements tells the two ways in which pg_stat_statements can be missing apart.
func checkStatements(ctx context.Context, db *sql.DB, preloaded sql.NullString) error {
	var installed, available bool
	err := db.QueryRowContext(ctx, `
		SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'),
		       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements')`).Scan(&installed, &available)
	switch {
	case err != nil:
		return fmt.Errorf("look for pg_stat_statements: %w", err)
	case !installed && !available:
		return errors.New("the extension pg_stat_statements is not on the server; install the package postgresql-contrib of its version")
	// pg_settings shows it only to superusers and pg_read_all_settings; to others nothing is proved.
	case preloaded.Valid && !strings.Contains(preloaded.String, "pg_stat_statements"):
		return errors.New("the server does not load pg_stat_statements; run ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements' (keep what stands there) and restart it")
	}
	return nil
}

func checkNotNewer(ctx context.Context, provider *goose.Provider) error {
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return explain(fmt.Errorf("read the version of the vault: %w", err))
	}
	if current > target {
		return fmt.Errorf("the vault has schema version %d, this build knows %d: use a newer onevault", current, target)
	}
	return nil
}

// explain adds the remedy to errors that a new installation commonly meets.
func explain(err error) error {
	var (
		pgErr      *pgconn.PgError
		connectErr *pgconn.ConnectError
	)
	if !errors.As(err, &pgErr) {
		if errors.As(err, &connectErr) {
			return fmt.Errorf("%w; remedy: start that server, or correct ONEVAULT_DATABASE_URL", err)
		}
		return err
	}
	hint := pgErr.Hint
	switch pgErr.Code {
	case "42501":
		hint = "give the role the privilege, or run `onevault migrate up` once with ONEVAULT_DATABASE_URL of the database's owner"
		// The owner of a database may not add every extension to it; who may differs by provider.
		if strings.Contains(pgErr.Message, "extension") {
			hint = "as a superuser (or the role that your provider gives for it) run once in this database: CREATE EXTENSION pg_stat_statements"
		}
	case "3D000":
		hint = "create it: CREATE DATABASE onevault"
	case "28P01", "28000":
		hint = "check user and password in ONEVAULT_DATABASE_URL"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%w; remedy: %s", err, hint)
}

package pgtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// templateName turns any key into an identifier.
func templateName(key string) string {
	return fmt.Sprintf("onevault_template_%x", sha256.Sum256([]byte(key)))[:40]
}

// ensureTemplate builds the template unless some process already has. A session's advisory lock lets one
// build while the others wait, and ends with its holder, however that ends.
func (s *source) ensureTemplate(ctx context.Context, migrate func(context.Context) error) error {
	return s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) (err error) {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock(hashtextextended($1, 0))", s.template); err != nil {
			return err
		}
		defer func() {
			_, unlockErr := conn.Exec(ctx, "SELECT pg_advisory_unlock(hashtextextended($1, 0))", s.template)
			err = errors.Join(err, unlockErr)
		}()
		var complete bool
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", s.template).Scan(&complete)
		if err != nil || complete {
			return err
		}
		return s.buildTemplate(ctx, conn, migrate)
	})
}

// buildTemplate marks the database as a template last: without the mark it is half made, by a process
// that failed or was killed, and the next one starts over.
func (s *source) buildTemplate(ctx context.Context, conn *pgxpool.Conn, migrate func(context.Context) error) error {
	name := quote(s.template)
	if _, err := conn.Exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
		return err
	}
	// From template0, which nobody can be connected to: a connection would block the copy.
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := migrate(ctx); err != nil {
		return err
	}
	_, err := conn.Exec(ctx, "ALTER DATABASE "+name+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

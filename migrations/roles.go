package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// roles are what monitoring.grant_privileges gives its rights to. They belong to the whole server: the
// vaults of one server share them, and a role's own memberships say where it may log in.
var roles = []struct{ name, comment string }{
	{"onevault_owner", "OneVault: owns the objects of the vault. Members may migrate it."},
	{"onevault_collector", "OneVault: measures a server. Nothing in the vault."},
	{"onevault_worker", "OneVault: what the worker needs. Grant it to the role with which workers log in."},
	{"onevault_operator", "OneVault: people on call in psql. They read everything, acknowledge and resolve, configure."},
	{"onevault_sql", "OneVault: what raw SQL conditions run as. It reads the views of monitoring_sql and nothing else; grant it nothing."},
	{"onevault_reader", "OneVault: reads what belongs to no tenant, and the tenants that monitoring.reader_tenant gives."},
}

// memberships are what each role has through another.
var memberships = []struct{ role, member string }{
	{"pg_monitor", "onevault_collector"},
	{"onevault_collector", "onevault_worker"},
	{"onevault_sql", "onevault_owner"}, // who migrates the vault gives the sandbox its owner
}

// MissingRoles returns the statements that a superuser must run so that all roles are there; none: they
// are. Until then only the owner of the vault can use it.
func MissingRoles(ctx context.Context, databaseURL string) ([]string, error) {
	db, _, err := open(databaseURL)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return missingRoles(ctx, db)
}

func missingRoles(ctx context.Context, db *sql.DB) ([]string, error) {
	var missing []string
	for _, role := range roles {
		var exists bool
		if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role.name).Scan(&exists); err != nil {
			return nil, fmt.Errorf("look for role %s: %w", role.name, err)
		}
		if !exists {
			missing = append(missing, "CREATE ROLE "+role.name+" NOLOGIN")
		}
	}
	for _, m := range memberships {
		var is bool
		err := db.QueryRowContext(ctx, `
			SELECT EXISTS (SELECT FROM pg_auth_members
			                WHERE roleid = to_regrole($1) AND member = to_regrole($2))`, m.role, m.member).Scan(&is)
		if err != nil {
			return nil, fmt.Errorf("look for the members of %s: %w", m.role, err)
		}
		if !is {
			missing = append(missing, "GRANT "+m.role+" TO "+m.member)
		}
	}
	return missing, nil
}

// makeRoles makes what is missing, as far as our own role may, and tells progress the rest. A server has
// one set of roles for all its databases, whose migrations know nothing of each other: what another one
// made in the meantime is there, and that is all that is wanted.
func makeRoles(ctx context.Context, db *sql.DB, progress func(string)) error {
	missing, err := missingRoles(ctx, db)
	if err != nil {
		return err
	}
	var made, refused []string
	for _, statement := range missing {
		err := runOnCatalog(ctx, db, statement)
		var pgErr *pgconn.PgError
		switch {
		case err == nil:
			made = append(made, statement)
		case errors.As(err, &pgErr) && (pgErr.Code == "42501" || pgErr.Code == "42704"): // may not; the role could not be made before
			refused = append(refused, statement)
		default:
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	if err := describeRoles(ctx, db, made); err != nil {
		return err
	}
	if err := joinOwner(ctx, db); err != nil {
		return err
	}
	if len(made) > 0 {
		progress("made the roles of the vault: " + strings.Join(made, "; "))
	}
	if len(refused) > 0 {
		progress("these roles are for a superuser to make, then run `onevault migrate up` again: " + strings.Join(refused, "; "))
	}
	return nil
}

func describeRoles(ctx context.Context, db *sql.DB, made []string) error {
	for _, role := range roles {
		for _, statement := range made {
			if statement != "CREATE ROLE "+role.name+" NOLOGIN" {
				continue
			}
			if err := runOnCatalog(ctx, db, "COMMENT ON ROLE "+role.name+" IS "+quote(role.comment)); err != nil {
				return fmt.Errorf("describe role %s: %w", role.name, err)
			}
		}
	}
	return nil
}

// joinOwner makes our own role a member of onevault_owner where it may administer it, so that it can
// give it the objects and still change them. A role that may not keeps what it made.
func joinOwner(ctx context.Context, db *sql.DB) error {
	var joins bool
	err := db.QueryRowContext(ctx, `
		SELECT r.rolcreaterole AND NOT r.rolsuper AND to_regrole('onevault_owner') IS NOT NULL
		       AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = to_regrole('onevault_owner') AND m.member = r.oid
		                          AND (current_setting('server_version_num')::int < 160000 OR (to_jsonb(m) ->> 'set_option')::boolean))
		  FROM pg_roles r WHERE r.rolname = current_user`).Scan(&joins)
	if err != nil {
		return fmt.Errorf("ask about onevault_owner: %w", err)
	}
	if !joins {
		return nil
	}
	err = runOnCatalog(ctx, db, "GRANT onevault_owner TO CURRENT_USER")
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42501" {
		return nil // from PostgreSQL 16 on: somebody else made the role and administers it
	}
	if err != nil {
		return fmt.Errorf("join onevault_owner: %w", err)
	}
	return nil
}

// runOnCatalog runs a statement on the server's own tables, which migrations of other databases change
// at the same moment; what they made first is made.
func runOnCatalog(ctx context.Context, db *sql.DB, statement string) error {
	for {
		_, err := db.ExecContext(ctx, statement)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) {
			return err
		}
		switch {
		case pgErr.Code == "42710" || pgErr.Code == "23505": // it exists by now
			return nil
		case pgErr.Code == "XX000" && strings.Contains(pgErr.Message, "concurrently"), pgErr.Code == "40P01":
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// roleState changes when a role comes or goes, or our right to give the objects to their owner does.
const roleState = `
	SELECT coalesce(string_agg(r.rolname || ' ' || r.oid, ', ' ORDER BY r.rolname), '')
	       || '; owner: ' || coalesce(pg_has_role(current_user, to_regrole('onevault_owner'), 'MEMBER')::text, 'missing')
	  FROM pg_roles r WHERE r.rolname LIKE 'onevault\_%'
	   AND r.rolname IN ('onevault_owner', 'onevault_worker', 'onevault_operator', 'onevault_reader', 'onevault_collector', 'onevault_sql')`

// privilegesMark stands among the scripts, with the roles that were given their rights last.
const privilegesMark = "privileges"

// giveToOwner gives tables that the steps just made to the owner of the others: the functions that are
// there run with his rights, and the scripts that follow use both.
func giveToOwner(ctx context.Context, tx *sql.Tx) error {
	var can bool
	if err := tx.QueryRowContext(ctx, "SELECT to_regprocedure('monitoring.give_to_owner()') IS NOT NULL").Scan(&can); err != nil || !can {
		return err // the first time there is nothing yet that runs as anybody else
	}
	// What it needs outside the schema comes first: without that it is given nothing.
	if _, err := tx.ExecContext(ctx, "SELECT count(*) FROM monitoring.grant_outside(); SELECT monitoring.give_to_owner()"); err != nil {
		return fmt.Errorf("give the tables to their owner: %w", err)
	}
	return nil
}

// putPrivileges gives the roles their rights after every change of the schema, and when roles came or
// went since the last time.
func putPrivileges(ctx context.Context, tx *sql.Tx, changed bool, known string, progress func(string)) error {
	var state string
	if err := tx.QueryRowContext(ctx, roleState).Scan(&state); err != nil {
		return fmt.Errorf("look at the roles: %w", err)
	}
	if !changed && known == state {
		return nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT monitoring.grant_privileges()")
	if err != nil {
		return fmt.Errorf("give the roles their rights: %w", err)
	}
	defer rows.Close()
	var refused []string
	for rows.Next() {
		var statement string
		if err := rows.Scan(&statement); err != nil {
			return fmt.Errorf("give the roles their rights: %w", err)
		}
		refused = append(refused, statement)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("give the roles their rights: %w", err)
	}
	if len(refused) > 0 {
		progress("these rights are for the owners of the schemas to give: " + strings.Join(refused, "; "))
	}
	if known != state {
		if err := remember(ctx, tx, privilegesMark, state); err != nil {
			return err
		}
	}
	if !changed {
		progress("gave the roles of the vault their rights")
	}
	return nil
}

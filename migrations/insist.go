package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// lockTimeout is how long a change waits for a table. Whoever comes after it waits behind it: evaluation,
	// answers of people, everything that writes alerts.
	lockTimeout = 2 * time.Second
	// lockPause lets them through before the next try.
	lockPause = 2 * time.Second
	// lockPatience is how many tries there are: some three minutes, as long as a report or a backup of a
	// vault takes, and not as long as a session that somebody forgot.
	lockPatience = 45
)

// insist does a change again while others use what it needs, and tells progress who they are. The change
// is one transaction, or several that each leave off where the former ended.
func insist(ctx context.Context, db *sql.DB, progress func(string), change func() error) error {
	told := ""
	for try := 1; ; try++ {
		err := change()
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != "55P03" && pgErr.Code != "40P01" { // a lock that did not come, a deadlock
			return err
		}
		who, asked := blockers(ctx, db)
		if asked != nil {
			return errors.Join(err, asked)
		}
		if try == lockPatience {
			return fmt.Errorf("%w; the vault is in use%s: end that, and run this again", err, who)
		}
		if line := "waiting for the vault's tables, which are in use" + who; line != told {
			progress(line)
			told = line
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(lockPause):
		}
	}
}

// blockers names the oldest transaction that holds a table of the vault; empty: it has ended meanwhile.
func blockers(ctx context.Context, db *sql.DB) (string, error) {
	var who string
	err := db.QueryRowContext(ctx, `
		SELECT coalesce((
		    SELECT format(' by session %s (%s of %s, %s, in a transaction since %s s)', a.pid, coalesce(nullif(a.application_name, ''), 'a program'),
		                  coalesce(a.usename, '?'), coalesce(a.state, a.backend_type, '?'), round(extract(epoch FROM clock_timestamp() - a.xact_start)))
		      FROM pg_stat_activity a
		     WHERE a.pid <> pg_backend_pid() AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database())
		       AND EXISTS (SELECT FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
		                    WHERE l.pid = a.pid AND l.granted AND l.locktype = 'relation' AND l.database = a.datid
		                      AND c.relnamespace = to_regnamespace('monitoring'))
		     ORDER BY a.xact_start
		     LIMIT 1), '')`).Scan(&who)
	return who, err
}

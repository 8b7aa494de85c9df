package collect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	maxConnections   = 2
	connectTimeout   = 3 * time.Second
	maxIdle          = 10 * time.Minute // two collections share a session, its caches and its plans
	statementTimeout = "5000"           // ms; a query that takes longer is itself the news
	lockTimeout      = "500"            // ms; the watcher never queues behind the watched
)

// Target is a watched PostgreSQL. It opens without the server being there.
type Target struct {
	Name string
	pool *pgxpool.Pool
}

// OpenTarget prepares a target for a postgres:// URL. The URL stays out of every error.
func OpenTarget(name, databaseURL string) (*Target, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("target %s: not a PostgreSQL URL; write postgres://user:password@host:5432/database", name)
	}
	config.MaxConns = maxConnections
	config.MinConns = 0
	config.MaxConnIdleTime = maxIdle
	config.ConnConfig.ConnectTimeout = connectTimeout
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "onevault"
	params["statement_timeout"] = statementTimeout
	params["lock_timeout"] = lockTimeout
	params["idle_in_transaction_session_timeout"] = "10000"
	params["default_transaction_read_only"] = "on"
	config.AfterConnect = hideFromStatements
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	return &Target{Name: name, pool: pool}, nil
}

// hideFromStatements keeps the collector's own statements out of the statistics it reads. Only a
// superuser may say so; for others the statements are visible under application_name onevault.
func hideFromStatements(ctx context.Context, conn *pgx.Conn) error {
	var superuser bool
	if err := conn.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&superuser); err != nil || !superuser {
		return err
	}
	_, err := conn.Exec(ctx, "SET pg_stat_statements.track = 'none'")
	return err
}

// Close gives the connections back.
func (t *Target) Close() { t.pool.Close() }

// plain drops the connection string that a connect error repeats: only the innermost cause is kept.
func plain(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

package collect

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	maxConnections = 2
	connectTimeout = 3 * time.Second
	maxIdle        = 10 * time.Minute // two collections share a session, its caches and its plans
	statementLimit = 5 * time.Second  // a query that takes longer is itself the news
	lockTimeout    = "500"            // ms; the watcher never queues behind the watched
	// healthTimeout bounds one measurement: less than the activity that waits for it has.
	healthTimeout = 20 * time.Second
)

// Target is a watched PostgreSQL. It opens without the server being there.
type Target struct {
	Name    string
	pool    *connections
	version atomic.Pointer[string] // server_version, as the newest connection said
}

// OpenTarget prepares a target for a postgres:// URL that holds its password, if it has one. The URL stays
// out of every error.
func OpenTarget(name, databaseURL string) (*Target, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("target %s: not a PostgreSQL URL; write postgres://user:password@host:5432/database", name)
	}
	return open(name, config)
}

// OpenAddress prepares a target whose secret is somewhere else. It is looked for at each new connection: one
// that is missing, or has changed, is no reason not to open.
func OpenAddress(name string, address Address, secrets Secrets) (*Target, error) {
	if err := address.Validate(); err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	// Nothing of this is used but the defaults of a pool.
	config, err := pgxpool.ParseConfig("postgres://nobody@localhost/nothing?sslmode=disable")
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	address.follow(config, secrets)
	return open(name, config)
}

func open(name string, config *pgxpool.Config) (*Target, error) {
	t := &Target{Name: name}
	config.MaxConns = maxConnections
	config.MinConns = 0
	config.MaxConnIdleTime = maxIdle
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.PingTimeout = connectTimeout // of a connection that was idle
	config.ConnConfig.Tracer = patience{}
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "onevault"
	params["statement_timeout"] = strconv.FormatInt(statementLimit.Milliseconds(), 10)
	params["lock_timeout"] = lockTimeout
	params["idle_in_transaction_session_timeout"] = "10000"
	params["default_transaction_read_only"] = "on"
	config.AfterConnect = t.greet
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", name, err)
	}
	t.pool = &connections{Pool: pool}
	return t, nil
}

// greet looks at who answers a new connection.
func (t *Target) greet(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	version := conn.PgConn().ParameterStatus("server_version")
	t.version.Store(&version)
	if err := supported(version); err != nil {
		return err
	}
	return hideFromStatements(ctx, conn)
}

// ServerVersion is the server's version as server_version_num has it, 150018; 0: it has not answered yet.
func (t *Target) ServerVersion() int {
	if version := t.version.Load(); version != nil {
		return versionNumber(*version)
	}
	return 0
}

// hideFromStatements keeps the collector's own statements out of the statistics it reads. A superuser may say
// so, and from PostgreSQL 15 on a role that was granted it; those of others are visible, as entries of their
// role, and few: see TestCollection_LeavesNoTraceInTheStatistics.
func hideFromStatements(ctx context.Context, conn *pgx.Conn) error {
	if conn.PgConn().ParameterStatus("is_superuser") == "on" {
		_, err := conn.Exec(ctx, "SET pg_stat_statements.track = 'none'")
		return err
	}
	if versionNumber(conn.PgConn().ParameterStatus("server_version")) < 150000 {
		return nil // nobody else can be granted it
	}
	_, err := conn.Exec(ctx, `
		SELECT set_config(p.name, 'none', false)
		  FROM pg_settings p
		 WHERE p.name = 'pg_stat_statements.track' AND has_parameter_privilege(p.name, 'SET')`)
	return err
}

// Close gives the connections back.
func (t *Target) Close() { t.pool.Close() }

// Package vault is the store: every statement that OneVault runs against its own database is here or
// in the functions that the migrations install. It decides nothing: which change of state is legal and
// what a condition yields is the database's word; what to do about it is the workflows'.
package vault

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is a pool of connections to the vault. It is safe for concurrent use, and it opens without the
// database being there: each call then fails with an error that Unreachable recognises.
type Store struct {
	pool *pgxpool.Pool
}

// Open prepares a store for a postgres:// URL. Only a malformed URL is an error here.
func Open(_ context.Context, databaseURL string) (*Store, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		// The parser's own message repeats the URL, and with it the password.
		return nil, errors.New("ONEVAULT_DATABASE_URL is not a PostgreSQL URL; write postgres://user:password@host:5432/database")
	}
	config.MaxConns = 8
	config.MaxConnIdleTime = 5 * time.Minute
	config.ConnConfig.ConnectTimeout = 2 * time.Second
	config.ConnConfig.RuntimeParams["application_name"] = "onevault"
	config.ConnConfig.RuntimeParams["statement_timeout"] = "15000"
	config.ConnConfig.RuntimeParams["lock_timeout"] = "5000"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	// Our statements are short, and the views over partitions look dear to the planner: compiling them costs more
	// than running them.
	config.ConnConfig.RuntimeParams["jit"] = "off"
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("open the vault: %w", err)
	}
	return &Store{pool: pool}, nil
}

// Close gives all connections back.
func (s *Store) Close() { s.pool.Close() }

// Pool is for the health endpoints and for LISTEN; statements belong into this package.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping reports whether the vault answers.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("reach the vault: %w", err)
	}
	return nil
}

// ErrNotFound: the vault holds no such thing. ErrAmbiguous: an id means several.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("ambiguous")
)

// Refusal is an error that the vault raised on purpose, with its remedy: bad input, an unknown alert.
type Refusal struct {
	Message string
	Hint    string
	Code    string // SQLSTATE
}

func (r *Refusal) Error() string {
	if r.Hint == "" {
		return r.Message
	}
	return r.Message + ". " + r.Hint
}

// Is makes errors.Is(err, ErrNotFound) and ErrAmbiguous work.
func (r *Refusal) Is(target error) bool {
	return target == ErrNotFound && r.Code == "P0002" || target == ErrAmbiguous && r.Code == "P0003"
}

// refusal turns the errors that the vault's own functions raise into a Refusal.
func refusal(err error) error {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return err
	}
	switch pgErr.Code {
	case "22023", "P0002", "P0003", "55000":
		return &Refusal{Message: pgErr.Message, Hint: pgErr.Hint, Code: pgErr.Code}
	}
	return err
}

// Unreachable reports whether an error means that the vault cannot be used at the moment, as opposed
// to a statement that it refused: no connection, a server that starts or stops, no free slot.
func Unreachable(err error) bool {
	if err == nil {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "57P01", "57P02", "57P03", "53300", "53400", "25006":
			return true
		}
		return strings.HasPrefix(pgErr.Code, "08")
	}
	var (
		connectErr *pgconn.ConnectError
		netErr     net.Error
	)
	var (
		file *fs.PathError
		link *os.LinkError
	)
	if !errors.As(err, &connectErr) && (errors.As(err, &file) || errors.As(err, &link)) {
		return false // a file's error, whose cause passes for one of the network
	}
	return errors.As(err, &connectErr) || errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded) ||
		pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "unexpected EOF") || strings.Contains(err.Error(), "conn closed") ||
		strings.Contains(err.Error(), "connection reset")
}

// Permanent reports whether repeating the same write can never succeed: the row itself is wrong.
func Permanent(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (strings.HasPrefix(pgErr.Code, "22") || strings.HasPrefix(pgErr.Code, "23"))
}

// one runs a query that yields exactly one row.
func one[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], sql string, args ...any) (T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		var none T
		return none, refusal(err)
	}
	value, err := pgx.CollectExactlyOneRow(rows, scan)
	return value, refusal(err)
}

// all runs a query that yields any number of rows.
func all[T any](ctx context.Context, s *Store, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, refusal(err)
	}
	values, err := pgx.CollectRows(rows, scan)
	return values, refusal(err)
}

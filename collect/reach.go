package collect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// oldestMajor is the oldest PostgreSQL whose statistics the queries know.
const oldestMajor = 14

// silenceCounts is how long a target that let an attempt to connect time out is not asked again: what
// follows in the same round would only wait as long for the same.
const silenceCounts = 2 * time.Second

// connections are a target's, two at most.
type connections struct {
	*pgxpool.Pool

	mu       sync.Mutex
	silence  error
	silentAt time.Time
}

// Acquire is the pool's, except that a dead target costs one timeout.
func (c *connections) Acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if err := c.recentSilence(); err != nil {
		return nil, err
	}
	conn, err := c.Pool.Acquire(ctx)
	if err != nil && timedOut(err) && ctx.Err() == nil {
		c.mu.Lock()
		c.silence, c.silentAt = err, time.Now()
		c.mu.Unlock()
	}
	return conn, err
}

func (c *connections) recentSilence() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.silentAt) < silenceCounts {
		return c.silence
	}
	return nil
}

// ErrBusy means that the target was not asked at all: other work of this process held its connections.
var ErrBusy = errors.New("both connections to the target are in use by other work")

// busy tells a target that does not answer from one whose connections are all in use.
func (c *connections) busy(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && c.Stat().AcquiredConns() >= c.Config().MaxConns {
		return ErrBusy
	}
	return err
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// plain is the cause of an error as its reader needs it: what went wrong in plain words, then the server's
// or the network's own. The layers around it repeat the connection string.
func plain(err error) error {
	var (
		refused *pgconn.PgError
		network *net.OpError
		lookup  *net.DNSError
	)
	switch {
	case errors.As(err, &refused):
		if words := refusals[refused.Code]; words != "" {
			return fmt.Errorf("%s: %w", words, refused)
		}
		return refused
	case errors.As(err, &lookup):
		return fmt.Errorf("no such host: %w", lookup)
	case timedOut(err):
		return fmt.Errorf("it does not answer in time: %w", innermost(err))
	case errors.As(err, &network):
		return network
	}
	return innermost(err)
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// refusals are the SQLSTATEs with which a server keeps a collector out.
var refusals = map[string]string{
	"28P01": "the password is refused",
	"28000": "the log-in is refused: the role does not exist, or pg_hba.conf lets it not in",
	"3D000": "the database does not exist: it was renamed or dropped",
	"53300": "it is out of connections",
	"57P01": "it was shut down meanwhile",
	"57P02": "it crashed meanwhile",
	"57P03": "it starts up or shuts down",
}

var leadingVersion = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?`)

// versionNumber is the server_version_num of a server_version: 150018 of "15.18 (Debian 15.18-1)", 180000 of
// "18beta1"; 0 where there is none.
func versionNumber(version string) int {
	parts := leadingVersion.FindStringSubmatch(version)
	if parts == nil {
		return 0
	}
	var numbers [3]int
	for i, part := range parts[1:] {
		numbers[i], _ = strconv.Atoi(part) // empty is 0
	}
	if numbers[0] < 10 {
		return numbers[0]*10000 + numbers[1]*100 + numbers[2]
	}
	return numbers[0]*10000 + numbers[1]
}

// supported refuses a server whose statistics have other shapes.
func supported(version string) error {
	switch number := versionNumber(version); {
	case number == 0:
		return fmt.Errorf("it says %q for its version, which is none of PostgreSQL", version)
	case number < oldestMajor*10000:
		return fmt.Errorf("PostgreSQL %s is too old to be watched: OneVault knows %d and newer", version, oldestMajor)
	}
	return nil
}

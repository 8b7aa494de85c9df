package collect

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// grace is how much longer than the server's own limit an answer is waited for: what the network needs, and a
// server that cancels a statement.
const grace = 2 * time.Second

// patience bounds each statement from this side. The server's limits are kept by the server: one that is
// stopped, or whose machine hangs, keeps none, and nobody would come back from it. A connection whose answer
// did not come is closed.
type patience struct{}

type (
	limitKey  struct{}
	cancelKey struct{}
)

// withLimit says that the statements of a context have another statement_timeout than the target's own.
func withLimit(ctx context.Context, limit time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

// TraceQueryStart gives a statement its deadline.
func (patience) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	limit, longer := ctx.Value(limitKey{}).(time.Duration)
	if !longer {
		limit = statementLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit+grace)
	return context.WithValue(ctx, cancelKey{}, cancel)
}

// TracePrepareStart gives the planning of a statement its deadline.
func (p patience) TracePrepareStart(ctx context.Context, conn *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return p.TraceQueryStart(ctx, conn, pgx.TraceQueryStartData{})
}

// TracePrepareEnd is told that a statement is planned.
func (p patience) TracePrepareEnd(ctx context.Context, conn *pgx.Conn, _ pgx.TracePrepareEndData) {
	p.TraceQueryEnd(ctx, conn, pgx.TraceQueryEndData{})
}

// TraceQueryEnd is told that a statement has ended, its rows read or not.
func (patience) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if cancel, ours := ctx.Value(cancelKey{}).(context.CancelFunc); ours {
		cancel()
	}
}

// ping asks a connection whether there is still somebody. pgx's own waits without a deadline.
func ping(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "-- ping")
	return err
}

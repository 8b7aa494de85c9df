package demo

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// load holds the connections that make the condition true.
type load struct {
	databaseURL string
	held        []*pgx.Conn
}

// take opens so many connections more. They do nothing, which is all that it takes.
func (l *load) take(ctx context.Context, count int) error {
	config, err := pgx.ParseConfig(l.databaseURL)
	if err != nil {
		return errBadURL
	}
	config.RuntimeParams["application_name"] = "onevault-demo"
	for range count {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return fmt.Errorf("take connection %d: %w", len(l.held)+1, err)
		}
		l.held = append(l.held, conn)
	}
	return nil
}

// release closes them all and reports how many there were.
func (l *load) release(ctx context.Context) int {
	count := len(l.held)
	for _, conn := range l.held {
		// The socket is closed whatever the server still had to say.
		_ = conn.Close(ctx)
	}
	l.held = nil
	return count
}

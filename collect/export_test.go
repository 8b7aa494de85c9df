package collect

import (
	"context"
	"encoding/json"

	"github.com/jackc/pgx/v5"
)

// ReadLogThrough reads a log by one way alone: "function", "raw", or "any".
func (t *Target) ReadLogThrough(ctx context.Context, way string, budget int64, from json.RawMessage) SecurityResult {
	open := map[string]func(serverLog, *pgx.Conn) (logSource, error){
		"any":      serverLog.open,
		"function": func(_ serverLog, conn *pgx.Conn) (logSource, error) { return functionLog{conn}, nil },
		"raw":      func(log serverLog, conn *pgx.Conn) (logSource, error) { return rawLog{conn, log.Directory}, nil },
		// As if the worker ran on another host.
		"elsewhere": func(log serverLog, conn *pgx.Conn) (logSource, error) { log.PID = 0; return log.open(conn) },
	}[way]
	return t.readLogBy(ctx, from, open, budget)
}

// SplitLog takes the records of log-ins, and the length of all whole records, out of bytes of a log.
func SplitLog(format string, data []byte) (records [][]byte, consumed int64) {
	p := split(format, data)
	return p.records, p.consumed
}

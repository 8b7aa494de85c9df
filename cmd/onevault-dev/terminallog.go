package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode"
)

// repeatAfter is how long the terminal is spared a message that it has just shown; the file has all.
const repeatAfter = 15 * time.Second

// terminalLog shows warnings and worse in short lines. While something is down the same message comes
// every second from many places: a person needs it once.
type terminalLog struct {
	slog.Handler
	shown *shownMessages
}

type shownMessages struct {
	mu sync.Mutex
	at map[string]time.Time
}

func newTerminalLog(w io.Writer) terminalLog {
	return terminalLog{
		Handler: slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: shorten}),
		shown:   &shownMessages{at: map[string]time.Time{}},
	}
}

// shorten leaves out what Temporal's SDK adds to each line except the workflow's id, and the date.
func shorten(groups []string, a slog.Attr) slog.Attr {
	switch {
	case len(groups) > 0 || a.Key == "WorkflowID":
		return a
	case a.Key == slog.TimeKey:
		return slog.String(a.Key, a.Value.Time().Format(time.TimeOnly))
	case a.Key != "" && a.Key != "Error" && unicode.IsUpper(rune(a.Key[0])):
		return slog.Attr{}
	}
	return a
}

// Handle implements slog.Handler.
func (t terminalLog) Handle(ctx context.Context, r slog.Record) error {
	if !t.shown.isNew(r.Message, r.Time) {
		return nil
	}
	return t.Handler.Handle(ctx, r)
}

func (s *shownMessages) isNew(message string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.at[message]; ok && now.Sub(last) < repeatAfter {
		return false
	}
	s.at[message] = now
	return true
}

// WithAttrs implements slog.Handler.
func (t terminalLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return terminalLog{Handler: t.Handler.WithAttrs(attrs), shown: t.shown}
}

// WithGroup implements slog.Handler.
func (t terminalLog) WithGroup(name string) slog.Handler {
	return terminalLog{Handler: t.Handler.WithGroup(name), shown: t.shown}
}

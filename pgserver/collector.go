package pgserver

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A server with logging_collector = on says into a file of its own why it does not start, once the collector runs.

// collected is where the server's log collector writes, and how much is there already; no path: there is none.
type collected struct {
	path string
	size int64
}

// collected reads what the server notes about its collector.
func (s *Server) collected() collected {
	note, err := os.ReadFile(filepath.Join(s.data, "current_logfiles"))
	if err != nil {
		return collected{} // without a collector there is no such note
	}
	for line := range strings.Lines(string(note)) {
		kind, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "stderr" {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.data, path)
		}
		c := collected{path: path}
		if info, err := os.Stat(path); err == nil {
			c.size = info.Size()
		}
		return c
	}
	return collected{}
}

// collectedSince returns what the collector took since then, at most its last 4 KiB, on lines of its own. The collector
// ends after the server that it wrote for, and what it has not written yet is waited for.
func (s *Server) collectedSince(ctx context.Context, then collected) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = until(ctx, func() bool { return len(serverProcesses(s.data)) == 0 }) // too late is no reason to say nothing
	now := s.collected()
	if now.path == "" {
		return ""
	}
	text, err := os.ReadFile(now.path)
	if err != nil {
		return "\n(log unreadable: " + err.Error() + ")"
	}
	if now.path == then.path && then.size <= int64(len(text)) {
		text = text[then.size:]
	}
	const most = 4 << 10
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return "\n" + strings.TrimSpace(string(text))
}

package slackapp

import (
	"context"
	"crypto/sha256"
	"sync"
)

// seen remembers what was pressed, as the vault does for the worker.
type seen struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (s *seen) once(ctx context.Context, id string, _ [sha256.Size]byte, _ string, work func(context.Context)) error {
	s.mu.Lock()
	known := s.ids[id]
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	s.ids[id] = true
	s.mu.Unlock()
	if !known {
		work(ctx)
	}
	return nil
}

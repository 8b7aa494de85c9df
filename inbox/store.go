package inbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

var errClosed = errors.New("the inbox was closed")

// store holds the newest deliveries and wakes whoever waits for the next one. Waiters read from their
// own position, so a slow one costs nothing and misses nothing but what the caps have evicted.
type store struct {
	instance string
	keep     int

	mu       sync.Mutex
	messages []Message // oldest first
	bytes    int
	seq      int
	clears   int           // how often everything was deleted
	changed  chan struct{} // closed and replaced at each change
	done     chan struct{} // closed at the end
}

func newStore(instance string, keep int) *store {
	if keep <= 0 {
		keep = defaultKeep
	}
	return &store{instance: instance, keep: keep, changed: make(chan struct{}), done: make(chan struct{})}
}

// add numbers and keeps the message, and returns it as kept.
func (s *store) add(m Message) Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	m.Seq = s.seq
	m.ID = fmt.Sprintf("%s-%d", s.instance, s.seq)
	m.ReceivedAt = time.Now().UTC()
	m.Copy = 1
	if !m.Refused {
		m.Copy += s.copies(m)
	}
	s.messages = append(s.messages, m)
	s.bytes += m.size()
	s.evict()
	s.announce()
	return m
}

// find returns the kept message of an id.
func (s *store) find(id string) (Message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.messages, func(m Message) bool { return m.ID == id })
	if i < 0 {
		return Message{}, false
	}
	return s.messages[i], true
}

// change rewrites a kept message. It becomes the newest one, with a new number and its old id, so that
// whoever waits or follows sees it again. false: it is not kept any more.
func (s *store) change(id string, rewrite func(*Message)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.messages, func(m Message) bool { return m.ID == id })
	if i < 0 {
		return false
	}
	m := s.messages[i]
	s.bytes -= m.size()
	rewrite(&m)
	s.seq++
	m.Seq, m.Edits, m.EditedAt = s.seq, m.Edits+1, time.Now().UTC()
	s.messages = append(slices.Delete(slices.Clone(s.messages), i, i+1), m)
	s.bytes += m.size()
	s.evict()
	s.announce()
	return true
}

// copies counts earlier arrivals of the same delivery; the newest one kept knows of all before it.
func (s *store) copies(m Message) int {
	for i := len(s.messages) - 1; i >= 0; i-- {
		if earlier := s.messages[i]; !earlier.Refused && earlier.sameDelivery(m) {
			return earlier.Copy
		}
	}
	return 0
}

func (s *store) evict() {
	drop := 0
	for len(s.messages)-drop > s.keep || (s.bytes > maxTotal && len(s.messages)-drop > 1) {
		s.bytes -= s.messages[drop].size()
		drop++
	}
	// Copied, not resliced: the evicted bodies must become garbage.
	if drop > 0 {
		s.messages = append([]Message(nil), s.messages[drop:]...)
	}
}

// announce wakes all waiters; the caller holds the lock.
func (s *store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// after returns the kept messages with a higher number, oldest first, and a channel that is closed at
// the next change.
func (s *store) after(seq int) ([]Message, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.messages {
		if m.Seq > seq {
			return append([]Message(nil), s.messages[i:]...), s.changed
		}
	}
	return nil, s.changed
}

// position is the number of the latest message and how often the store was cleared.
func (s *store) position() (seq, clears int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seq, s.clears
}

func (s *store) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages, s.bytes = nil, 0
	s.clears++
	s.announce()
}

func (s *store) wait(ctx context.Context, match func(Message) bool) (Message, error) {
	seen := 0
	for {
		batch, changed := s.after(seen)
		for _, m := range batch {
			seen = m.Seq
			if match(m) {
				return m, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait for a message, none of the %d deliveries so far matched: %w", seen, context.Cause(ctx))
		case <-s.done:
			return Message{}, fmt.Errorf("wait for a message: %w", errClosed)
		}
	}
}

// close ends all waits. It is called once.
func (s *store) close() { close(s.done) }

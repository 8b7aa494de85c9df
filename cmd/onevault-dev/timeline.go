package main

import (
	"fmt"
	"sync"
	"time"
)

// timeline prints the demo's steps as they are seen. On a terminal a line under them says what is being
// waited for, and that it moves.
type timeline struct {
	out screen

	mu      sync.Mutex
	waiting string
	since   time.Time
	frame   int

	end  chan struct{}
	done sync.WaitGroup
}

func newTimeline(out screen) *timeline {
	t := &timeline{out: out, end: make(chan struct{})}
	fmt.Fprintln(out)
	if out.terminal {
		t.done.Go(t.spin)
	}
	return t
}

// Waiting implements demo.Timeline.
func (t *timeline) Waiting(step string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting, t.since = step, time.Now()
}

// Seen implements demo.Timeline.
func (t *timeline) Seen(step string, since time.Duration, detail string) {
	mark := t.out.paint("32", "✓")
	t.line(fmt.Sprintf("%s %8s  %-21s %s", mark, latency(since), step, t.out.paint("2", detail)))
}

// Note implements demo.Timeline.
func (t *timeline) Note(text string) { t.line(t.out.paint("33", "note: ") + text) }

// latency is milliseconds where they matter: +0.042s, +12.3s.
func latency(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("+%.3fs", max(d, 0).Seconds())
	}
	return fmt.Sprintf("+%.1fs", d.Seconds())
}

func (t *timeline) line(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprintln(t.out, text)
	t.waiting = ""
}

func (t *timeline) clear() {
	if t.out.terminal {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
}

func (t *timeline) spin() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.show()
		case <-t.end:
			return
		}
	}
}

func (t *timeline) show() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == "" {
		return
	}
	frames := []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")
	t.frame++
	t.clear()
	fmt.Fprintf(t.out, "%c           %s ... %.1fs", frames[t.frame%len(frames)], t.waiting, time.Since(t.since).Seconds())
}

func (t *timeline) close() {
	close(t.end)
	t.done.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

package notify

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace spaces out messages where a provider takes only so many from one sender to one destination. A
// channel lives for one delivery, so what its predecessors sent is kept here, by the process. Safe for
// concurrent use; a nil Pace holds nobody up.
type Pace struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// NewPace returns one that has seen no message yet. There is one for a process.
func NewPace() *Pace { return &Pace{limiters: map[string]*rate.Limiter{}} }

// wait returns when the destination takes its next message, one each `every`. false: its turn would come
// later than patience or the end of ctx allow; then `after` says how much later than now.
func (p *Pace) wait(ctx context.Context, destination string, every, patience time.Duration) (after time.Duration, ok bool) {
	if p == nil {
		return 0, true
	}
	turn := p.of(destination, every).Reserve()
	delay := turn.Delay()
	if delay > patience {
		turn.Cancel()
		return delay, false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0, true
	case <-ctx.Done():
		turn.Cancel()
		return delay, false
	}
}

func (p *Pace) of(destination string, every time.Duration) *rate.Limiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	limiter, known := p.limiters[destination]
	if !known {
		limiter = rate.NewLimiter(rate.Every(every), 1)
		p.limiters[destination] = limiter
	}
	return limiter
}

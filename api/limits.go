package api

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How much may come from outside. A storm of another alerting system is some tens of requests; what is more
// waits, and its sender tries again.
const (
	senderRate   = 20 // requests per second
	senderBurst  = 100
	overallRate  = 100
	overallBurst = 300

	// maxSenders bounds the memory that strangers can make us use; those beyond share one limit.
	maxSenders   = 10_000
	forgetSender = 10 * time.Minute
)

// limits bound the requests of each sender and of all together.
type limits struct {
	overall *rate.Limiter
	others  *rate.Limiter

	mu      sync.Mutex
	senders map[netip.Prefix]*sender
	swept   time.Time
}

type sender struct {
	limiter *rate.Limiter
	seen    time.Time
}

func newLimits() *limits {
	return &limits{
		overall: rate.NewLimiter(overallRate, overallBurst), others: rate.NewLimiter(senderRate, senderBurst),
		senders: map[netip.Prefix]*sender{},
	}
}

// wait is how long a sender has to wait before its next request; 0: it may go on. Who is over its own limit
// uses up nothing of the others'.
func (l *limits) wait(from netip.Addr, now time.Time) time.Duration {
	if wait := reserve(l.of(network(from), now), now); wait > 0 {
		return wait
	}
	return reserve(l.overall, now)
}

func reserve(l *rate.Limiter, now time.Time) time.Duration {
	reservation := l.ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// network is what one sender has for itself: an address, and of IPv6 the 64 bits that a line is given.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all such are one sender
	}
	return p
}

func (l *limits) of(p netip.Prefix, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > time.Minute {
		for other, s := range l.senders {
			if now.Sub(s.seen) > forgetSender {
				delete(l.senders, other)
			}
		}
		l.swept = now
	}
	s := l.senders[p]
	if s == nil {
		if len(l.senders) >= maxSenders {
			return l.others
		}
		s = &sender{limiter: rate.NewLimiter(senderRate, senderBurst)}
		l.senders[p] = s
	}
	s.seen = now
	return s.limiter
}

package api

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onevault/vault"
)

const (
	// refusalsEvery is how often refusals are written at most: whoever sends forged requests makes no more
	// than one row a minute of each kind.
	refusalsEvery   = time.Minute
	refusalsTimeout = 5 * time.Second
	maxAddresses    = 20
)

// refusals sums what was refused, and writes the sums: the first at once, and then once a minute.
type refusals struct {
	vault *vault.Store
	log   *slog.Logger
	news  chan struct{}

	mu     sync.Mutex
	counts map[refusalKey]*vault.InboundRefusals
}

// refusalKey has no part that a stranger could choose.
type refusalKey struct {
	provider string
	reason   Reason
}

func newRefusals(store *vault.Store, log *slog.Logger) *refusals {
	return &refusals{vault: store, log: log, news: make(chan struct{}, 1), counts: map[refusalKey]*vault.InboundRefusals{}}
}

func (r *refusals) add(why Refusal, from netip.Addr, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refusalKey{why.Provider, why.Reason}
	sum := r.counts[key]
	if sum == nil {
		sum = &vault.InboundRefusals{Provider: why.Provider, Reason: string(why.Reason), First: at}
		r.counts[key] = sum
		r.log.Warn("request from outside refused", "provider", why.Provider, "reason", why.Reason, "detail", why.Detail, "from", from.String())
	}
	sum.Count++
	sum.Last, sum.Detail = at, why.Detail
	if from.IsValid() && len(sum.Addresses) < maxAddresses && !slices.Contains(sum.Addresses, from.String()) {
		sum.Addresses = append(sum.Addresses, from.String())
	}
	select {
	case r.news <- struct{}{}:
	default: // it is known already that there are some
	}
}

func (r *refusals) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			r.write(context.WithoutCancel(ctx))
			return
		case <-r.news:
		}
		r.write(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(refusalsEvery):
		}
	}
}

// write records the sums. What the vault does not take now is kept, and summed on.
func (r *refusals) write(ctx context.Context) {
	r.mu.Lock()
	counts := r.counts
	r.counts = map[refusalKey]*vault.InboundRefusals{}
	r.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	list := make([]vault.InboundRefusals, 0, len(counts))
	for _, sum := range counts {
		list = append(list, *sum)
	}
	ctx, cancel := context.WithTimeout(ctx, refusalsTimeout)
	defer cancel()
	if err := r.vault.RecordInboundRefusals(ctx, list); err != nil {
		r.log.Warn("refused requests not recorded yet", "error", err)
		r.keep(counts)
	}
}

func (r *refusals) keep(counts map[refusalKey]*vault.InboundRefusals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, sum := range counts {
		if later := r.counts[key]; later != nil {
			sum.Count += later.Count
			sum.Last, sum.Detail = later.Last, later.Detail
		}
		r.counts[key] = sum
	}
	select {
	case r.news <- struct{}{}:
	default:
	}
}

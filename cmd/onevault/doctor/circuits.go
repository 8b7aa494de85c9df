package doctor

import (
	"context"
	"time"

	"onevault/vault"
)

func checkCircuits(ctx context.Context, store *vault.Store, clock func() time.Time) ([]Finding, error) {
	refused, err := store.RefusedChannels(ctx)
	if err != nil {
		return nil, err
	}
	return judgeCircuits(refused, clock()), nil
}

// judgeCircuits says which channels send nothing for now. The circuits themselves are the workers'; the ledger has what
// they refused.
func judgeCircuits(refused []vault.RefusedChannel, now time.Time) []Finding {
	if len(refused) == 0 {
		return []Finding{ok("circuits", "no destination of a channel is left alone")}
	}
	findings := make([]Finding, 0, len(refused))
	for _, r := range refused {
		findings = append(findings, fail("circuits", "bring the provider back, or correct the channel; `onevault channel test "+r.Channel+"` tries it",
			"%s: %s not made, the last %s: %s", r.Channel, counted(r.Refused, "attempt was", "attempts were"), age(now, r.LastAt), r.Reason))
	}
	return findings
}

package activities

import (
	"context"
	"time"

	"onevault/notify"
	"onevault/vault"
)

// Heartbeats are the dead man's switch: an outside watcher hears from us as long as alerting works, and raises the
// alarm when it does not.
type Heartbeats struct {
	Vault *vault.Store
	// Watcher is whom to tell; nil: this worker was given no address.
	Watcher *notify.Heartbeat
	// Every is the cadence of evaluation; 0: each definition has its own.
	Every time.Duration
	// Report, if set, is told of each attempt, for this worker's own metrics.
	Report func(BeatOutput)
}

// BeatOutput is how one beat went.
type BeatOutput struct {
	Sent bool      `json:"sent"`
	At   time.Time `json:"at"`
	// Withheld says why alerting cannot be relied on, so that nothing was sent.
	Withheld []string `json:"withheld,omitempty"`
	Problem  string   `json:"problem,omitempty"` // why the watcher did not take it
	Proof    string   `json:"proof,omitempty"`
}

// Beat looks whether alerting works, and tells the watcher if it does. Not to have told it is a result and no error:
// the next beat comes soon.
func (h *Heartbeats) Beat(ctx context.Context) (BeatOutput, error) {
	out := h.beat(ctx)
	out.At = time.Now().UTC().Truncate(time.Microsecond)
	if h.Report != nil {
		h.Report(out)
	}
	return out, nil
}

func (h *Heartbeats) beat(ctx context.Context) BeatOutput {
	if h.Watcher == nil {
		return BeatOutput{Problem: "this worker was given no address: set ONEVAULT_HEARTBEAT_URL or ONEVAULT_HEARTBEAT_URL_FILE for all workers"}
	}
	pulse, err := h.Vault.Pulse(ctx, h.Every)
	if err != nil {
		return BeatOutput{Withheld: []string{"the vault does not say whether alerting works: " + err.Error()}}
	}
	if withheld := pulse.Withheld(); len(withheld) > 0 {
		return BeatOutput{Withheld: withheld}
	}
	receipt := h.Watcher.Beat(ctx)
	return BeatOutput{Sent: receipt.Class == notify.Accepted, Proof: receipt.Proof, Problem: receipt.Reason}
}

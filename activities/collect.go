package activities

import (
	"context"
	"encoding/json"
	"time"

	"onevault/collect"
	"onevault/vault"
)

// Collection are the activities that measure targets.
type Collection struct {
	Vault   *vault.Store
	Targets map[string]*collect.Target // by name
}

// CollectHealthInput names a target and the cadence of its collection.
type CollectHealthInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every"`
}

// CollectHealthOutput counts what was measured.
type CollectHealthOutput struct {
	Samples int64  `json:"samples"`
	Failed  int    `json:"failed,omitempty"` // metrics that stand as UNKNOWN with an error
	Error   string `json:"error,omitempty"`  // why the target did not answer; recorded as target_reachable 0
}

// CollectHealth measures a target once and records every sample. A target that does not answer is a
// measurement as well (target_reachable 0), so only the vault's failures are errors here.
func (c *Collection) CollectHealth(ctx context.Context, in CollectHealthInput) (CollectHealthOutput, error) {
	at := time.Now().UTC().Truncate(time.Microsecond)
	samples, err := c.Targets[in.Target].CollectHealth(ctx)
	out := CollectHealthOutput{}
	if err != nil {
		out.Error = err.Error()
	}
	rows := []vault.Sample{reachable(err)}
	for _, s := range samples {
		if s.Error != "" {
			out.Failed++
		}
		rows = append(rows, vault.Sample{
			Name: s.Name, Category: s.Category, Unit: s.Unit, Value: s.Value, Warning: s.Warning, Critical: s.Critical,
			LowIsBad: s.LowIsBad, Source: s.Source, Counter: json.RawMessage(s.Counter), Error: s.Error,
		})
	}
	out.Samples, err = c.Vault.RecordHealth(ctx, in.Target, at, in.Every, rows)
	return out, classify(err)
}

func reachable(err error) vault.Sample {
	value, threshold, reason := 1.0, 0.0, ""
	if err != nil {
		value, reason = 0, err.Error()
	}
	return vault.Sample{
		Name: "target_reachable", Category: "AVAILABILITY", Unit: "bool", Value: &value, Warning: &threshold, Critical: &threshold,
		LowIsBad: true, Source: "collector", Error: reason,
	}
}

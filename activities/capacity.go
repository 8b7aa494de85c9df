package activities

import (
	"context"
	"time"

	"onevault/forecast"
	"onevault/vault"
)

// CollectCapacityInput names a target, and the moment that its measurement is recorded under: the same at a retry,
// so that it is recorded once.
type CollectCapacityInput struct {
	Target string        `json:"target"`
	At     time.Time     `json:"at"`
	Every  time.Duration `json:"every"`
}

// CollectCapacityOutput counts what was measured, and says what was not.
type CollectCapacityOutput struct {
	Resources int      `json:"resources"`
	Recorded  int      `json:"recorded"`             // 0 with resources: an earlier attempt recorded them
	Forecast  int      `json:"forecast"`             // resources with enough history for a trend
	FirstFull string   `json:"first_full,omitempty"` // the resource that is full first, and when
	Problems  []string `json:"problems,omitempty"`   // what could not be measured, recorded as capacity_unmeasured
	Error     string   `json:"error,omitempty"`      // why the target did not answer
}

// CollectCapacity measures what can fill up on a target, forecasts each from its days in the vault, and records both.
// A target that does not answer is a result, and only the vault's failures are errors here.
func (c *Collection) CollectCapacity(ctx context.Context, in CollectCapacityInput) (CollectCapacityOutput, error) {
	target, err := c.target(in.Target)
	if err != nil {
		return CollectCapacityOutput{}, err
	}
	resources, problems, err := target.CollectCapacity(ctx)
	out := CollectCapacityOutput{Resources: len(resources), Problems: problems}
	if err != nil {
		out.Error, problems = err.Error(), []string{err.Error()}
	}
	samples := make([]vault.CapacitySample, len(resources))
	for i, r := range resources {
		samples[i] = vault.CapacitySample{Type: r.Type, Name: r.Name, Size: r.Size, Available: r.Available}
	}
	history, err := c.Vault.CapacityHistory(ctx, in.Target, in.At, samples)
	if err != nil {
		return CollectCapacityOutput{}, classify(err)
	}
	first := ""
	for i, sample := range samples {
		f := forecast.Of(history[i], asFloat(sample.Available), in.At)
		samples[i] = vault.NewCapacitySample(sample.Type, sample.Name, sample.Size, sample.Available, f)
		if f.Trend != forecast.Unknown {
			out.Forecast++
		}
		if full := samples[i].FullOn; full != "" && (first == "" || full < first) {
			first, out.FirstFull = full, sample.Type+" "+sample.Name+" on "+full
		}
	}
	out.Recorded, err = c.Vault.RecordCapacity(ctx, in.Target, in.At, in.Every, samples, problems)
	return out, classify(err)
}

func asFloat(value *int64) *float64 {
	if value == nil {
		return nil
	}
	f := float64(*value)
	return &f
}

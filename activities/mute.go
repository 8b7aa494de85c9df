package activities

import (
	"context"
	"time"

	"onevault/alert"
)

// FindMutesInput names the alerts that may be muted, by their business keys.
type FindMutesInput struct {
	Alerts []string  `json:"alerts"`
	At     time.Time `json:"at"` // what the workflow's clock says: a mute whose end it has seen is over
}

// FindMutesOutput holds what mutes them, each mute once.
type FindMutesOutput struct {
	Mutes []MutedAlerts `json:"mutes,omitempty"`
}

// MutedAlerts are alerts that one mute keeps from people.
type MutedAlerts struct {
	Mute   alert.Mute `json:"mute"`
	Alerts []string   `json:"alerts,omitempty"` // empty: all that were asked about
}

// Of makes the way from an alert that was asked about to what mutes it; nil: nothing does.
func (o FindMutesOutput) Of() func(key string) *alert.Mute {
	byKey := map[string]*alert.Mute{}
	for i := range o.Mutes {
		m := &o.Mutes[i]
		if len(m.Alerts) == 0 {
			return func(string) *alert.Mute { return &m.Mute }
		}
		for _, key := range m.Alerts {
			byKey[key] = &m.Mute
		}
	}
	return func(key string) *alert.Mute { return byKey[key] }
}

// FindMutes reads what mutes alerts now.
func (a *Alerts) FindMutes(ctx context.Context, in FindMutesInput) (FindMutesOutput, error) {
	found, err := a.Vault.Mutes(ctx, in.Alerts, in.At)
	if err != nil {
		return FindMutesOutput{}, classify(err)
	}
	var out FindMutesOutput
	index := map[alert.Mute]int{}
	for _, key := range in.Alerts {
		m, muted := found[key]
		if !muted {
			continue
		}
		at, known := index[m]
		if !known {
			at = len(out.Mutes)
			index[m] = at
			out.Mutes = append(out.Mutes, MutedAlerts{Mute: m})
		}
		out.Mutes[at].Alerts = append(out.Mutes[at].Alerts, key)
	}
	// The usual case, and it need not name thousands of alerts in a history.
	if len(out.Mutes) == 1 && len(out.Mutes[0].Alerts) == len(in.Alerts) {
		out.Mutes[0].Alerts = nil
	}
	return out, nil
}

package activities

import (
	"context"
	"time"

	"onevault/alert"
	"onevault/vault"
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

// AddSilenceInput is a silence that somebody wants from now on.
type AddSilenceInput struct {
	Matchers []string  `json:"matchers"`
	EndsAt   time.Time `json:"ends_at"`
	Comment  string    `json:"comment"`
	Critical bool      `json:"critical,omitempty"`
	By       string    `json:"by"`
	Via      string    `json:"via,omitempty"`
	Request  string    `json:"request"` // names the wish: sent again, it makes no second silence
}

// AddSilenceOutput names the silence.
type AddSilenceOutput struct {
	ID string `json:"id"` // S-7F3K
}

// AddSilence has the vault keep a silence.
func (a *Alerts) AddSilence(ctx context.Context, in AddSilenceInput) (AddSilenceOutput, error) {
	id, err := a.Vault.AddSilence(ctx, vault.Silence{
		Matchers: in.Matchers, EndsAt: in.EndsAt, Comment: in.Comment, IncludeCritical: in.Critical, By: in.By, Via: in.Via, Request: in.Request,
	})
	if err != nil {
		return AddSilenceOutput{}, classify(err)
	}
	return AddSilenceOutput{ID: id}, nil
}

package command

import (
	"context"
	"time"

	"onevault/alert"
	"onevault/vault"
)

// silenceInVault silences what the definition of a group fires on its target, where no workflow carries it: that is
// one silence, however many of its alerts were named. What is over is not silenced.
func (s *Sender) silenceInVault(ctx context.Context, g group, c alert.Command) ([]Outcome, error) {
	var (
		outcomes []Outcome
		made     string
	)
	until := time.Now().Add(time.Duration(c.Minutes) * time.Minute).UTC().Truncate(time.Microsecond)
	for _, a := range g.alerts {
		o := outcomeOf(a)
		if a.State != alert.StatusResolved {
			if made == "" {
				var err error
				if made, err = s.addSilence(ctx, a, until, c); err != nil {
					return outcomes, err
				}
			}
			o.Changed, o.Silence, o.Until, o.Actor = true, made, until, c.Actor
		}
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

func (s *Sender) addSilence(ctx context.Context, a vault.ListedAlert, until time.Time, c alert.Command) (string, error) {
	matchers := []string{"definition=" + a.Definition, "target=" + a.Target}
	if a.Tenant != "" {
		matchers = append(matchers, "tenant="+a.Tenant)
	}
	return s.Vault.AddSilence(ctx, vault.Silence{
		Matchers: matchers, EndsAt: until, IncludeCritical: c.Critical, Comment: c.Notes, By: c.Actor, Via: c.Via,
	})
}

package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/api/serviceerror"

	"onevault/alert"
)

// VaultUnreachableKey is the definition that the worker itself decides: it cannot be evaluated in a
// database that is down.
const VaultUnreachableKey = "VAULT_UNREACHABLE"

// EvaluateAlertsInput says where to look.
type EvaluateAlertsInput struct {
	Target string `json:"target"`
	// Every, when set, overrides each definition's own frequency.
	Every time.Duration `json:"every,omitempty"`
}

// EvaluateAlertsOutput counts what an evaluation found, and brings what the worker must know while the
// vault is down.
type EvaluateAlertsOutput struct {
	Evaluated int            `json:"evaluated"`
	Results   map[string]int `json:"results,omitempty"`   // TRUE, FALSE, NO_DATA, ERROR
	Decisions map[string]int `json:"decisions,omitempty"` // FIRED, RESOLVED, ...
	Fallback  Fallback       `json:"fallback"`
}

// Fallback is what is needed to page while the vault is down: the definition of VAULT_UNREACHABLE and
// who hears it. Disabled by the definition's own is_enabled.
type Fallback struct {
	Enabled    bool             `json:"enabled"`
	Definition alert.Definition `json:"definition"`
	Channels   []alert.Channel  `json:"channels"`
	Named      []alert.Channel  `json:"named,omitempty"`
}

// EvaluateAlerts evaluates what is due; the vault records every evaluation and puts what fired or
// cleared into its outbox.
func (a *Alerts) EvaluateAlerts(ctx context.Context, in EvaluateAlertsInput) (EvaluateAlertsOutput, error) {
	if err := a.Vault.MeasureSQL(ctx, in.Target, in.Every); err != nil {
		return EvaluateAlertsOutput{}, classify(err)
	}
	evaluations, err := a.Vault.EvaluateDue(ctx, in.Target, in.Every)
	if err != nil {
		return EvaluateAlertsOutput{}, classify(err)
	}
	out := EvaluateAlertsOutput{Evaluated: len(evaluations), Results: map[string]int{}, Decisions: map[string]int{}}
	for _, e := range evaluations {
		out.Results[e.Result]++
		out.Decisions[e.Decision]++
	}
	if in.Target != LocalTarget {
		return out, nil // the vault is watched once, by the evaluation of its own server
	}
	definition, enabled, err := a.Vault.Definition(ctx, VaultUnreachableKey)
	if err != nil {
		return EvaluateAlertsOutput{}, classify(err)
	}
	channels, err := a.Channels.Matching(ctx, VaultUnreachableKey)
	if err != nil {
		return EvaluateAlertsOutput{}, classify(err)
	}
	named, err := a.Channels.Named(ctx, VaultUnreachableKey, definition.Policy.Named())
	if err != nil {
		return EvaluateAlertsOutput{}, classify(err)
	}
	out.Fallback = Fallback{Enabled: enabled, Definition: definition, Channels: channels, Named: named}
	return out, nil
}

// IsNotFound reports whether Temporal knows no such workflow that runs.
func IsNotFound(err error) bool {
	var notFound *serviceerror.NotFound
	return errors.As(err, &notFound)
}

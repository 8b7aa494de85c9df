package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"onevault/vault"
)

// Security are the activities that look for security events.
type Security struct {
	Vault      *vault.Store
	Collection *Collection // knows the targets
	Log        *slog.Logger
}

// vaultTarget is the target that the vault's own function detect_security_events looks at: the server of
// the vault.
const vaultTarget = "local"

// DetectSecurityEventsInput names a target.
type DetectSecurityEventsInput struct {
	Target string `json:"target"`
}

// DetectSecurityEventsOutput says what was found.
type DetectSecurityEventsOutput struct {
	Counts   []vault.SecurityCount `json:"counts,omitempty"` // events that are not settled, by OneVault's checks
	Findings int                   `json:"findings,omitempty"`
	Events   int                   `json:"new_events,omitempty"`
	Skipped  map[string]string     `json:"skipped,omitempty"` // why, by check
	Failed   map[string]string     `json:"failed,omitempty"`
	Error    string                `json:"error,omitempty"` // why the target could not be looked at; recorded as well
	// Theirs is what the function found that somebody put in the place of monitoring.detect_security_events.
	Theirs   []vault.SecurityCount `json:"theirs,omitempty"`
	Replaced bool                  `json:"replaced,omitempty"`
	Problem  string                `json:"problem,omitempty"` // why the function in our place found nothing
}

// DetectSecurityEvents runs the checks on a target, reads what came into its log, and records all of it. On
// the vault's own server it calls the function that the guide names as well where somebody replaced it:
// what that gets wrong is recorded and said, and stops nothing. A target that does not answer is recorded,
// too, so only the vault's failures are errors.
func (s *Security) DetectSecurityEvents(ctx context.Context, in DetectSecurityEventsInput) (DetectSecurityEventsOutput, error) {
	target, err := s.Collection.target(in.Target)
	if err != nil {
		return DetectSecurityEventsOutput{}, err
	}
	var out DetectSecurityEventsOutput
	if in.Target == vaultTarget {
		if err := s.callReplaced(ctx, &out); err != nil {
			return out, classify(err)
		}
	}
	position, err := s.Vault.LogPosition(ctx, in.Target)
	if err != nil {
		return out, classify(err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	results, err := target.DetectSecurity(ctx)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	if err != nil {
		out.Error = err.Error()
		return out, classify(s.Vault.RecordDetectorFailure(ctx, in.Target, vault.KnownDetector, at, err))
	}
	results = append(results, target.ReadLog(ctx, position))
	document, err := json.Marshal(results)
	if err != nil {
		return out, fmt.Errorf("write what the security checks of %s found: %w", in.Target, err)
	}
	run, err := s.Vault.RecordSecurity(ctx, in.Target, at, document, time.Since(at))
	if err != nil {
		return out, classify(err)
	}
	out.Counts, out.Findings, out.Events, out.Skipped, out.Failed = run.Counts, run.Findings, run.Events, run.Skipped, run.Failed
	return out, nil
}

// callReplaced calls the function that the guide names where it is not ours.
func (s *Security) callReplaced(ctx context.Context, out *DetectSecurityEventsOutput) error {
	functions, err := s.Vault.ReplacedFunctions(ctx)
	if err != nil {
		return err
	}
	out.Replaced = slices.ContainsFunc(functions, func(f vault.ReplacedFunction) bool { return f.Signature == vault.SecurityDetector })
	if !out.Replaced {
		return nil
	}
	out.Theirs, err = s.Vault.DetectSecurityEvents(ctx)
	if err == nil || vault.Unreachable(err) {
		return err
	}
	out.Problem = err.Error()
	s.Log.Warn("the function in the place of ours failed, our own checks run on", "function", vault.SecurityDetector, "error", err)
	return s.Vault.RecordDetectorFailure(ctx, vaultTarget, vault.SecurityDetector, time.Now(), err)
}

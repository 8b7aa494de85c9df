package activities

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"onevault/vault"
)

// Security are the activities that look for security events.
type Security struct {
	Vault *vault.Store
	Log   *slog.Logger
}

// DetectSecurityEventsInput names a target.
type DetectSecurityEventsInput struct {
	Target string `json:"target"`
}

// DetectSecurityEventsOutput says what was found.
type DetectSecurityEventsOutput struct {
	Counts []vault.SecurityCount `json:"counts,omitempty"` // by OneVault's checks
	// Theirs is what the function found that somebody put in the place of monitoring.detect_security_events.
	Theirs   []vault.SecurityCount `json:"theirs,omitempty"`
	Replaced bool                  `json:"replaced,omitempty"`
	Problem  string                `json:"problem,omitempty"` // why the function in our place found nothing
}

// DetectSecurityEvents calls the function that the guide names. Where it was replaced, OneVault's own
// checks run besides, so that nothing is lost; what the replaced one gets wrong is recorded and said, and
// stops nothing.
func (s *Security) DetectSecurityEvents(ctx context.Context, in DetectSecurityEventsInput) (DetectSecurityEventsOutput, error) {
	functions, err := s.Vault.ReplacedFunctions(ctx)
	if err != nil {
		return DetectSecurityEventsOutput{}, classify(err)
	}
	replaced := slices.ContainsFunc(functions, func(f vault.ReplacedFunction) bool { return f.Signature == vault.SecurityDetector })
	out := DetectSecurityEventsOutput{Replaced: replaced}
	if !replaced {
		out.Counts, err = s.Vault.DetectSecurityEvents(ctx)
		return out, classify(err)
	}
	out.Theirs, err = s.Vault.DetectSecurityEvents(ctx)
	if vault.Unreachable(err) {
		return out, classify(err)
	}
	if err != nil {
		out.Problem = err.Error()
		s.Log.Warn("the function in the place of ours failed, our own checks run on", "function", vault.SecurityDetector, "error", err)
		if err := s.Vault.RecordDetectorFailure(ctx, in.Target, vault.SecurityDetector, time.Now(), err); err != nil {
			return out, classify(err)
		}
	}
	out.Counts, err = s.Vault.DetectKnownSecurityEvents(ctx, in.Target)
	return out, classify(err)
}

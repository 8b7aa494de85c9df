package doctor

import (
	"context"
	"maps"
	"slices"
	"time"

	"onevault/vault"
)

// detectionEvery is the cadence of the security schedule.
const detectionEvery = 15 * time.Minute

func checkFunctions(ctx context.Context, store *vault.Store, _ func() time.Time) ([]Finding, error) {
	replaced, err := store.ReplacedFunctions(ctx)
	if err != nil {
		return nil, err
	}
	return judgeFunctions(replaced), nil
}

// judgeFunctions tells the function that may be replaced from those whose replacement is a risk.
func judgeFunctions(replaced []vault.ReplacedFunction) []Finding {
	const (
		check  = "functions"
		remedy = "to put ours back: `onevault migrate repair`"
	)
	if len(replaced) == 0 {
		return []Finding{ok(check, "all are as `onevault migrate up` put them")}
	}
	var findings []Finding
	for _, f := range replaced {
		switch {
		case f.State == "MISSING":
			findings = append(findings, fail(check, remedy, "%s is missing", f.Signature))
		case f.Signature == vault.SecurityDetector:
			findings = append(findings, warn(check, remedy, "%s was replaced (its owner is %s); OneVault runs both, it and its own checks", f.Signature, f.Owner))
		default:
			findings = append(findings, warn(check, remedy, "%s was replaced (its owner is %s) and runs in the place of ours", f.Signature, f.Owner))
		}
	}
	return findings
}

func checkSecurity(ctx context.Context, store *vault.Store, clock func() time.Time) ([]Finding, error) {
	last, err := store.LastDetections(ctx, "local")
	if err != nil {
		return nil, err
	}
	return judgeSecurity(clock(), last), nil
}

// judgeSecurity looks at whether anybody looks for security events, and what could not be looked for.
func judgeSecurity(now time.Time, last map[string]vault.LastDetection) []Finding {
	const (
		check  = "security"
		remedy = "see that a worker runs, and the schedule security: `onevault schedule list`"
	)
	ours, looked := last[vault.KnownDetector]
	if !looked {
		return []Finding{warn(check, remedy, "nobody looked for security events within a day")}
	}
	findings := []Finding{ok(check, "the last look for security events was %s", age(now, ours.At))}
	if now.Sub(ours.At) > missedCycles*detectionEvery+time.Minute {
		findings[0] = warn(check, remedy, "the last look for security events was %s, though one is due every %s", age(now, ours.At), detectionEvery)
	}
	for _, name := range slices.Sorted(maps.Keys(ours.Failed)) {
		findings = append(findings, warn(check, "see the message; until then nobody looks for it", "the check %s fails: %s", name, ours.Failed[name]))
	}
	if theirs, replaced := last[vault.SecurityDetector]; replaced && !theirs.At.Before(ours.At.Add(-detectionEvery)) {
		for _, reason := range theirs.Failed {
			findings = append(findings, warn(check, "correct it, or put ours back: `onevault migrate repair`", "%s, which was replaced, failed %s: %s",
				vault.SecurityDetector, age(now, theirs.At), reason))
		}
	}
	return findings
}

package doctor

import (
	"context"
	"fmt"
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
	checks, err := store.SecurityStatus(ctx, "")
	if err != nil {
		return nil, err
	}
	failures, err := store.DetectorFailures(ctx, "local")
	if err != nil {
		return nil, err
	}
	return judgeSecurity(clock(), checks, failures), nil
}

// judgeSecurity looks at whether anybody looks for security events, and what could not be looked for.
func judgeSecurity(now time.Time, checks []vault.CheckStatus, failures map[string]vault.DetectorFailure) []Finding {
	const (
		check  = "security"
		remedy = "see that a worker runs, and the schedule security: `onevault schedule list`"
	)
	byTarget := map[string][]vault.CheckStatus{}
	for _, c := range checks {
		byTarget[c.Target] = append(byTarget[c.Target], c)
	}
	var findings []Finding
	if len(checks) == 0 {
		findings = append(findings, warn(check, remedy, "nobody looked for security events within a week"))
	}
	var last time.Time
	for _, target := range slices.Sorted(maps.Keys(byTarget)) {
		list := byTarget[target]
		tried := slices.MaxFunc(list, func(a, b vault.CheckStatus) int { return a.TriedAt.Compare(b.TriedAt) }).TriedAt
		if target == "local" {
			last = tried
		}
		finding := ok(check, "%s: the last look for security events was %s%s", target, age(now, tried), notApplying(list))
		if now.Sub(tried) > missedCycles*detectionEvery+time.Minute {
			finding = warn(check, remedy, "%s: the last look for security events was %s, though one is due every %s", target, age(now, tried), detectionEvery)
		}
		findings = append(findings, finding)
		findings = append(findings, blindChecks(check, target, list)...)
	}
	if theirs, failed := failures[vault.SecurityDetector]; failed && !theirs.At.Before(last.Add(-detectionEvery)) {
		findings = append(findings, warn(check, "correct it, or put ours back: `onevault migrate repair`", "%s, which was replaced, failed %s: %s",
			vault.SecurityDetector, age(now, theirs.At), theirs.Reason))
	}
	return findings
}

// logCheck reads the server's log; where it cannot, failed log-ins are not seen at all.
const logCheck = "server_log"

// notApplying names the checks that need something that is not there, in passing.
func notApplying(list []vault.CheckStatus) string {
	var names []string
	for _, c := range list {
		if c.State() == "SKIPPED" && c.Check != logCheck {
			names = append(names, c.Check)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; %s cannot look (see `onevault security status`)", several(names))
}

// blindChecks warns of what is not looked for: a reason that many share is told once.
func blindChecks(check, target string, list []vault.CheckStatus) []Finding {
	byReason := map[string][]string{}
	for _, c := range list {
		if c.Failed != "" {
			byReason[c.Failed] = append(byReason[c.Failed], c.Check)
		}
	}
	var findings []Finding
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		findings = append(findings, warn(check, "see the message; until then nobody looks for it", "%s: the check %s fails: %s", target, several(byReason[reason]), reason))
	}
	for _, c := range list {
		if c.Check == logCheck && c.Skipped != "" {
			findings = append(findings, warn(check, "do what the message says; see docs/security.md", "%s: the log: %s", target, c.Skipped))
		}
	}
	return findings
}

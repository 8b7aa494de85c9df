package doctor

import (
	"context"
	"time"

	"onevault/collect"
	"onevault/vault"
)

func checkTargets(ctx context.Context, store *vault.Store, clock func() time.Time) ([]Finding, error) {
	targets, err := store.Targets(ctx, false)
	if err != nil {
		return nil, err
	}
	return judgeTargets(clock(), targets), nil
}

// judgeTargets looks at each watched server. One that does not answer has an alert of its own; one that nobody
// measures has none.
func judgeTargets(now time.Time, targets []vault.ListedTarget) []Finding {
	var (
		findings []Finding
		watched  int
		disabled []string
	)
	for _, t := range targets {
		check := "target " + t.Name
		switch {
		case t.State != vault.TargetEnabled:
			disabled = append(disabled, t.Name)
		case t.Silent(now):
			last := "it was never measured"
			if !t.LastSampleAt.IsZero() {
				last = "it was measured last " + age(now, t.LastSampleAt)
			}
			findings = append(findings, fail(check, "see that a worker runs, and its schedules: `onevault schedule list`", "nobody watches it: %s", last))
		case t.Reachable == nil: // added a moment ago
		case *t.Reachable:
			watched++
		case collect.Unresolved(t.Reason):
			findings = append(findings, fail(check, "do what it says on the workers' hosts, or name another place: `onevault target change "+t.Name+"`",
				"nobody watches it, because its secret is not where its row says: %s", t.Reason))
		default:
			findings = append(findings, warn(check, "onevault target check "+t.Name, "%s", t.Reason))
		}
	}
	if watched > 0 {
		findings = append(findings, ok("targets", "%d answer", watched))
	}
	if len(disabled) > 0 {
		findings = append(findings, ok("targets", "disabled, so that nobody watches them: %s", several(disabled)))
	}
	return findings
}

// TargetSchedules are those without which nothing fires on a target beside local.
func TargetSchedules(targets []vault.ListedTarget) []string {
	var ids []string
	for _, t := range targets {
		if t.Name == vault.LocalTarget || t.State != vault.TargetEnabled {
			continue
		}
		for _, id := range Schedules() {
			ids = append(ids, id+"/"+t.Name)
		}
	}
	return ids
}

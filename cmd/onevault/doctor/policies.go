package doctor

import (
	"fmt"
	"slices"
	"strings"

	"onevault/alert"
	"onevault/vault"
)

// judgePolicies finds levels of escalation policies that name a channel which is not there, or is disabled. channels
// are the enabled ones. Where none of a level's is there, its alerts page everybody who hears them.
func judgePolicies(policies []vault.ListedPolicy, channels []vault.ListedChannel) []Finding {
	var (
		findings []Finding
		enabled  int
	)
	for _, p := range policies {
		if !p.Enabled {
			continue
		}
		enabled++
		for i, level := range p.Levels {
			missing := slices.DeleteFunc(slices.Clone(level.Channels), func(name string) bool {
				return slices.ContainsFunc(channels, func(c vault.ListedChannel) bool { return names(name, c) })
			})
			if len(missing) == 0 {
				continue
			}
			instead := "the rest of its channels are paged"
			if len(missing) == len(level.Channels) {
				instead = "everybody who hears the definition is paged instead"
			}
			findings = append(findings, warn("policies", "enable the channel, or name another: `onevault policy export "+p.Key+"`, then `onevault policy apply FILE`",
				"level %d of %s names %s, of which none is enabled: %s", i, p.Key, strings.Join(missing, ", "), instead))
		}
	}
	if enabled > 0 && len(findings) == 0 {
		findings = append(findings, ok("policies", "%s: each level has a channel that is enabled", counted(enabled, "escalation policy", "escalation policies")))
	}
	return findings
}

// names reports whether what a level names means a channel: its key, or its type.
func names(name string, c vault.ListedChannel) bool { return name == c.Key || name == c.Type }

// pagedBy reports whether an escalation policy that an enabled definition follows names a channel.
func pagedBy(policies []vault.ListedPolicy, c vault.ListedChannel) bool {
	return slices.ContainsFunc(policies, func(p vault.ListedPolicy) bool {
		return len(p.Definitions) > 0 && slices.ContainsFunc(p.Levels, func(l alert.Level) bool {
			return slices.ContainsFunc(l.Channels, func(name string) bool { return names(name, c) })
		})
	})
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

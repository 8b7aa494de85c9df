package doctor

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"onevault/notify"
	"onevault/vault"
)

// judgeChannels looks at the configurations alone. Whether a secret is there only the worker can see.
func judgeChannels(channels []vault.ListedChannel) []Finding {
	if len(channels) == 0 {
		return []Finding{fail("channels", "add one: INSERT into monitoring.notification_config_s, see docs/runbook.md", "none is enabled: nobody is told of any alert")}
	}
	var (
		findings []Finding
		secrets  = map[string]bool{}
	)
	for _, c := range channels {
		complaints := notify.Lint(notify.Config{Key: c.Key, Name: c.Name, Type: notify.Type(c.Type), Configuration: c.Configuration})
		for _, complaint := range complaints {
			findings = append(findings, warn("channels", "insert a corrected version into monitoring.notification_config_s", "%s", complaint))
		}
		for _, name := range environment(c.Configuration) {
			secrets[name] = true
		}
	}
	if len(findings) == 0 {
		findings = append(findings, ok("channels", "%d are enabled and well-formed", len(channels)))
	}
	if len(secrets) > 0 {
		findings = append(findings, ok("channels", "whether %s is set can only be seen in the worker's environment; `onevault channel test` there proves it",
			several(slices.Sorted(maps.Keys(secrets)))))
	}
	return findings
}

// judgeReach finds channels that no enabled definition can reach: their filters match none, and no escalation policy
// that one follows names them.
func judgeReach(channels []vault.ListedChannel, definitions []vault.ListedDefinition, policies []vault.ListedPolicy) []Finding {
	heard := map[string]bool{}
	for _, d := range definitions {
		for _, key := range d.Channels {
			heard[key] = true
		}
	}
	var idle []string
	for _, c := range channels {
		if !heard[c.Key] && !pagedBy(policies, c) {
			idle = append(idle, c.Key)
		}
	}
	if len(idle) == 0 {
		return nil
	}
	return []Finding{warn("channels", "widen severity_filter or category_filter, name the channel in a definition's notification_channels, or disable it",
		"no enabled definition reaches %s: it will never send anything", several(idle))}
}

// environment lists the variables that a configuration names.
func environment(configuration json.RawMessage) []string {
	var (
		fields map[string]any
		names  []string
	)
	if json.Unmarshal(configuration, &fields) != nil {
		return nil // notify.Lint has said so
	}
	for field, value := range fields {
		if name, isText := value.(string); isText && strings.HasSuffix(field, "_env") {
			names = append(names, name)
		}
	}
	return names
}

package doctor

import (
	"encoding/json"
	"testing"

	"onevault/alert"
	"onevault/vault"
)

func policyOf(key string, enabled bool, channels ...string) vault.ListedPolicy {
	return vault.ListedPolicy{
		PolicySpec:  vault.PolicySpec{Key: key, Enabled: enabled, Levels: []alert.Level{{}, {AfterMinutes: 10, Channels: channels}}},
		Definitions: []string{"DISK_WARNING"},
	}
}

func TestJudgePolicies_NamesLevelsWhoseChannelsAreNotThere(t *testing.T) {
	t.Parallel()
	channels := []vault.ListedChannel{{Key: "PAGER", Type: "PAGERDUTY"}, {Key: "TEAM", Type: "SLACK"}}
	for name, c := range map[string]struct {
		policy vault.ListedPolicy
		status Status
		words  string
	}{
		"by key":       {policyOf("ONCALL", true, "PAGER"), OK, "1 escalation policy"},
		"by type":      {policyOf("ONCALL", true, "SLACK"), OK, "1 escalation policy"},
		"not there":    {policyOf("ONCALL", true, "BOSS"), Warn, "level 1 of ONCALL names BOSS, of which none is enabled: everybody who hears the definition"},
		"one of two":   {policyOf("ONCALL", true, "PAGER", "BOSS"), Warn, "level 1 of ONCALL names BOSS, of which none is enabled: the rest"},
		"type is gone": {policyOf("ONCALL", true, "EMAIL"), Warn, "names EMAIL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, judgePolicies([]vault.ListedPolicy{c.policy}, channels), c.status, c.words)
		})
	}
	if findings := judgePolicies([]vault.ListedPolicy{policyOf("OLD", false, "BOSS")}, channels); len(findings) != 0 {
		t.Errorf("of a policy that nobody follows: %+v", findings)
	}
}

func TestJudgeReach_APolicyReachesTheChannelsThatItNames(t *testing.T) {
	t.Parallel()
	boss := []vault.ListedChannel{{Key: "BOSS", Type: "EMAIL", Configuration: json.RawMessage(`{}`)}}
	expect(t, judgeReach(boss, nil, nil), Warn, "BOSS: it will never send anything")
	if findings := judgeReach(boss, nil, []vault.ListedPolicy{policyOf("ONCALL", true, "EMAIL")}); len(findings) != 0 {
		t.Errorf("a level pages it: %+v", findings)
	}
	unused := policyOf("ONCALL", true, "BOSS")
	unused.Definitions = nil
	expect(t, judgeReach(boss, nil, []vault.ListedPolicy{unused}), Warn, "no enabled definition reaches BOSS")
}

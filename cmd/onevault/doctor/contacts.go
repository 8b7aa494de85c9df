package doctor

import (
	"slices"

	"onevault/vault"
)

// judgeContacts finds groups that channels name and that reach nobody, and contacts without the address by which a
// channel of their group would reach them. channels are the enabled ones.
func judgeContacts(contacts []vault.ListedContact, groups []vault.ListedGroup, channels []vault.ListedChannel) []Finding {
	var findings []Finding
	for _, g := range groups {
		if len(g.Channels) == 0 {
			continue
		}
		members := slices.DeleteFunc(slices.Clone(contacts), func(c vault.ListedContact) bool { return !c.Enabled || !slices.Contains(g.Members, c.Key) })
		switch {
		case !g.Exists:
			findings = append(findings, warn("contacts", "bring the group by `onevault contact apply FILE`, or take its name out of recipient_groups",
				"recipient_groups of %s names %s, and there is no such group: the recipients of the configuration alone are told", several(g.Channels), g.Key))
			continue
		case len(members) == 0:
			findings = append(findings, warn("contacts", "give it members: `onevault contact export`, then `onevault contact apply FILE`",
				"group %s, which %s names, has no contact that is enabled", g.Key, several(g.Channels)))
			continue
		}
		for _, kind := range kindsOf(g.Channels, channels) {
			var without []string
			for _, c := range members {
				if addressOf(c, kind) == "" {
					without = append(without, c.Key)
				}
			}
			if len(without) > 0 {
				findings = append(findings, warn("contacts", "give the address: `onevault contact export`, then `onevault contact apply FILE`",
					"group %s is told by %s, and %s has no address for it", g.Key, kind, several(without)))
			}
		}
	}
	if len(contacts) > 0 && len(findings) == 0 {
		findings = append(findings, ok("contacts", "%s, each with the addresses that the channels of their groups need", counted(len(contacts), "contact", "contacts")))
	}
	return findings
}

// kindsOf are the types of some channels, as far as they reach contacts.
func kindsOf(keys []string, channels []vault.ListedChannel) []string {
	var kinds []string
	for _, c := range channels {
		if slices.Contains(keys, c.Key) && slices.Contains([]string{"EMAIL", "SMS", "VOICE", "SLACK"}, c.Type) && !slices.Contains(kinds, c.Type) {
			kinds = append(kinds, c.Type)
		}
	}
	slices.Sort(kinds)
	return kinds
}

func addressOf(c vault.ListedContact, kind string) string {
	switch kind {
	case "EMAIL":
		return c.Email
	case "SLACK":
		return c.Slack
	}
	return c.Phone
}

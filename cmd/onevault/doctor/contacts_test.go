package doctor

import (
	"testing"

	"onevault/vault"
)

func TestJudgeContacts_FindsGroupsAndAddressesThatReachNobody(t *testing.T) {
	t.Parallel()
	channels := []vault.ListedChannel{{Key: "MAIL", Type: "EMAIL"}, {Key: "TEXT", Type: "SMS"}}
	person := func(key, email, phone string, enabled bool) vault.ListedContact {
		return vault.ListedContact{ContactSpec: vault.ContactSpec{Key: key, Email: email, Phone: phone, Enabled: enabled}}
	}
	group := func(exists bool, channels []string, members ...string) []vault.ListedGroup {
		return []vault.ListedGroup{{GroupSpec: vault.GroupSpec{Key: "ONCALL", Members: members}, Exists: exists, Channels: channels}}
	}
	people := []vault.ListedContact{person("dana", "dana@example.com", "+491", true), person("robin", "robin@example.com", "", true), person("kim", "", "", false)}
	both := []string{"MAIL", "TEXT"}
	expect(t, judgeContacts(people, group(false, both), channels), Warn, "MAIL, TEXT names ONCALL, and there is no such group")
	expect(t, judgeContacts(people, group(true, both), channels), Warn, "group ONCALL, which MAIL, TEXT names, has no contact")
	expect(t, judgeContacts(people, group(true, both, "kim"), channels), Warn, "has no contact that is enabled")
	expect(t, judgeContacts(people, group(true, both, "dana", "robin", "kim"), channels), Warn, "group ONCALL is told by SMS, and robin has no address")
	expect(t, judgeContacts(people, group(true, both[:1], "dana", "robin"), channels), OK, "3 contacts")
	if findings := judgeContacts(nil, group(true, nil), channels); len(findings) != 0 {
		t.Errorf("a group that nobody names is found: %v", findings)
	}
}

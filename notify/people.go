package notify

import (
	netmail "net/mail"
	"regexp"
	"slices"
	"strings"
)

// slackUser is a person's account at Slack; a message to it is a direct one.
var slackUser = regexp.MustCompile(`^[UW][A-Z0-9]{6,20}$`)

// alsoMail adds the people of Config.Also to the recipients of a mail channel.
func (f *fields) alsoMail(to []*netmail.Address, also []string) []*netmail.Address {
	for _, text := range also {
		address, err := netmail.ParseAddress(text)
		switch {
		case err != nil || address.Address != text:
			f.fail("recipient_groups", "a contact has %q, which is no mail address; correct the contact", oneLine(text, 100))
		case !slices.ContainsFunc(to, func(a *netmail.Address) bool { return strings.EqualFold(a.Address, text) }):
			to = append(to, address)
		}
	}
	return to
}

// alsoNumbers adds them to the numbers of a channel that rings telephones.
func (f *fields) alsoNumbers(to, also []string) []string {
	for _, number := range also {
		switch {
		case !phoneNumber.MatchString(number):
			f.fail("recipient_groups", "a contact has %q, which is no telephone number; correct the contact", oneLine(number, 40))
		case !slices.Contains(to, number):
			to = append(to, number)
		}
	}
	return to
}

// alsoUsers are those of them who have an account at Slack.
func (f *fields) alsoUsers(also []string) []string {
	for _, user := range also {
		if !slackUser.MatchString(user) {
			f.fail("recipient_groups", "a contact has %q, which is no member of Slack; it is like U0123456789", oneLine(user, 40))
		}
	}
	return slices.Clone(also)
}

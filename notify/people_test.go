package notify

import (
	"slices"
	"strings"
	"testing"
)

func TestOpen_TheAddressesOfContactsAreRecipientsAndNoneTwice(t *testing.T) {
	t.Parallel()
	fake := newFakeSMTP(t, smtpBehaviour{})
	c := config(t, TypeEmail, emailFields(fake.addr, tlsNone))
	c.Also = []string{"OPS@onevault.com", "dana@example.com"}
	m := firedMessage()
	m.Note = "This could not be delivered by SMS (TEXT)."
	channel := mustOpen(t, c, testOptions(nil))
	if got, want := channel.Recipients(), []string{"ops@onevault.com", "admin@onevault.com", "dana@example.com"}; !slices.Equal(got, want) {
		t.Fatalf("recipients %q, want %q", got, want)
	}
	checkReceipt(t, channel.Send(t.Context(), "dana@example.com", m), Accepted)
	mails, rcpts := fake.taken()
	if len(mails) != 1 || rcpts[0] != "dana@example.com" || !strings.Contains(parseMail(t, mails[0]).text, m.Note) {
		t.Errorf("%d mails to %v", len(mails), rcpts)
	}
	if r := channel.Send(t.Context(), "mallory@example.com", m); r.Class != Misconfigured {
		t.Errorf("somebody who is no recipient: %+v", r)
	}

	c.Also = []string{"dana@example.com, mallory@example.com"}
	if _, err := Open(c, testOptions(nil)); err == nil || !strings.Contains(err.Error(), "no mail address") {
		t.Errorf("two addresses in one: %v", err)
	}
}

func TestMessage_SaysWhyItComesThisWay(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Note = "This could not be delivered by e-mail (MAIL)."
	for kind, text := range map[string]string{"SMS": smsText(m, false), "VOICE": Spoken(m), "page": strings.Join(newPage(m).Hints, " ")} {
		if !strings.Contains(text, "could not be delivered by") {
			t.Errorf("%s: %s", kind, text)
		}
	}
}

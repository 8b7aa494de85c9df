package activities

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// people gives a world a group of one contact, which a mail channel names.
func (w *world) people(address string) alert.Channel {
	w.Helper()
	host, portText, err := net.SplitHostPort(w.inbox.SMTPAddr())
	if err != nil {
		w.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		w.Fatal(err)
	}
	smtp := w.put("MAIL", notify.TypeEmail, map[string]any{
		"smtp_server": host, "smtp_port": port, "tls": "none", "from_address": "onevault@example.com", "to_addresses": []string{"ops@example.com"},
	})
	if len(smtp.Contacts) != 0 {
		w.Fatalf("without groups there are contacts: %+v", smtp.Contacts)
	}
	w.contact(address, true)
	if _, err := w.store.Pool().Exec(w.Context(), `
		INSERT INTO monitoring.notification_config_s
		SELECT (jsonb_populate_record(c, '{"load_date": null, "recipient_groups": ["ONCALL"]}')).*
		  FROM monitoring.notification_config_s c WHERE c.notification_config_hk = util.hash_binary('MAIL') AND c.load_end_date IS NULL`); err != nil {
		w.Fatal(err)
	}
	channels, err := w.directory.Matching(w.Context(), VaultUnreachableKey)
	if err != nil {
		w.Fatal(err)
	}
	return channels[slices.IndexFunc(channels, func(c alert.Channel) bool { return c.Key == "MAIL" })]
}

func (w *world) contact(address string, enabled bool) {
	w.Helper()
	refused, err := w.store.PutContacts(w.Context(), []vault.ContactSpec{{Key: "dana", Name: "Dana", Email: address, TimeZone: "UTC", Enabled: enabled}},
		[]vault.GroupSpec{{Key: "ONCALL", Members: []string{"dana"}}}, "kim", false)
	if err != nil || len(refused) > 0 {
		w.Fatal(err, refused)
	}
}

func TestDirectory_ContactsOfGroupsAreRecipientsAsLongAsTheyAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	carried := w.people("dana@example.com")
	if !slices.Contains(carried.Recipients, "dana@example.com") || len(carried.StandBy) != 0 {
		t.Fatalf("carried %+v", carried)
	}
	in := first(carried.For("dana@example.com"), w.open())
	in.Recipient = "dana@example.com"
	if out := w.send(in); out.Receipt.Class != notify.Accepted {
		t.Errorf("the contact: %+v", out.Receipt)
	}
	in.Channel.Contacts = append(in.Channel.Contacts, alert.Contact{Key: "mallory", Addresses: map[string]string{"EMAIL": "mallory@example.com"}})
	in.Recipient = "mallory@example.com"
	if out := w.send(in); out.Receipt.Class != notify.Misconfigured {
		t.Errorf("an address that is no contact's: %+v", out.Receipt)
	}
	w.contact("dana@example.com", false)
	in.Recipient, in.Event = "dana@example.com", "ESCALATED:1"
	if out := w.send(in); out.Receipt.Class != notify.Misconfigured {
		t.Errorf("a contact who is disabled: %+v", out.Receipt)
	}
	w.wantReceived(1)

	w.directory.Vault = deadVault(t)
	in.Event = "ESCALATED:2"
	if out := w.send(in); out.Receipt.Class != notify.Misconfigured {
		t.Errorf("who was found to have gone is told while the vault is down: %+v", out.Receipt)
	}
	fresh := vaultDown(t) // a worker that knows no better tells whom the workflow carries
	fresh.directory.last = w.directory.last
	channel, err := fresh.directory.Open(t.Context(), carried.For("dana@example.com"))
	if err != nil || !slices.Contains(channel.Recipients(), "dana@example.com") {
		t.Errorf("while the vault is down: %v", err)
	}
}

func TestContactOf_KnowsWhoIsBehindAnAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	spec := func(key, slack, phone string) vault.ContactSpec {
		return vault.ContactSpec{Key: key, Name: key, Slack: slack, Phone: phone, TimeZone: "UTC", Enabled: true}
	}
	refused, err := w.store.PutContacts(t.Context(), []vault.ContactSpec{spec("dana", "U0123456789", "+4930123456"), spec("kim", "", "+4930123456"), spec("robin", "", "+4930999999")}, nil, "kim", false)
	if err != nil || len(refused) > 0 {
		t.Fatal(err, refused)
	}
	for _, c := range []struct{ provider, id, want string }{
		{"slack", "U0123456789", "dana"},
		{"slack", "U0000000000", ""},
		{"twilio", "+4930999999", "robin"},
		{"twilio", "+4930123456", ""}, // a telephone that two people share proves nobody
		{"email", "", ""},
	} {
		got, ok, err := w.store.ContactOf(t.Context(), c.provider, c.id)
		if err != nil || got != c.want || ok != (c.want != "") {
			t.Errorf("%s %s is %q, %t, %v; want %q", c.provider, c.id, got, ok, err, c.want)
		}
	}
	if _, _, err := w.store.ContactOf(t.Context(), "pigeon", "1"); err == nil {
		t.Error("an unknown provider is no error")
	}
}

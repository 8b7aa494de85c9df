package migrations_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"onevault/pgserver/pgtest"
)

const insertContact = `
	INSERT INTO monitoring.contact_s (contact_hk, hash_diff, contact_name, email_address, phone_number, slack_user_id, pagerduty_user_id, time_zone, quiet_from, quiet_until, preferred_channels)
	SELECT util.hash_binary($1), '\x', coalesce(r.contact_name, 'Dana'), r.email_address, r.phone_number, r.slack_user_id, r.pagerduty_user_id,
	       coalesce(r.time_zone, 'UTC'), r.quiet_from, r.quiet_until, r.preferred_channels
	  FROM jsonb_populate_record(NULL::monitoring.contact_s, $2::jsonb) AS r`

func putContact(t *testing.T, db database, key, row string) {
	t.Helper()
	exec(t, db, `INSERT INTO monitoring.contact_h (contact_hk, contact_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, key)
	exec(t, db, insertContact, key, row)
}

func putMember(t *testing.T, db database, group, contact string, position int) {
	t.Helper()
	exec(t, db, `INSERT INTO monitoring.recipient_group_h (recipient_group_hk, recipient_group_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, group)
	exec(t, db, `
		INSERT INTO monitoring.recipient_group_contact_l (link_recipient_group_contact_hk, recipient_group_hk, contact_hk)
		VALUES (util.hash_binary(encode(util.hash_binary($1), 'hex') || '||' || encode(util.hash_binary($2), 'hex')), util.hash_binary($1), util.hash_binary($2))
		ON CONFLICT DO NOTHING`, group, contact)
	exec(t, db, `
		INSERT INTO monitoring.recipient_group_contact_eff_s (link_recipient_group_contact_hk, hash_diff, member_position)
		VALUES (util.hash_binary(encode(util.hash_binary($1), 'hex') || '||' || encode(util.hash_binary($2), 'hex')), '\x', $3)`, group, contact, position)
}

func TestContact_ThatCouldNotBeReachedAsItSaysIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	putContact(t, db, "robin", `{"slack_user_id": "U0000000001", "pagerduty_user_id": "PROBIN1"}`)
	exec(t, db, `INSERT INTO monitoring.contact_h (contact_hk, contact_bk) VALUES (util.hash_binary('dana'), 'dana')`)
	for _, c := range []struct {
		row  string
		says []string
	}{
		{`{"contact_name": " "}`, []string{`"dana"`, "contact_name", "empty"}},
		{`{"email_address": "dana"}`, []string{"email_address", `"dana"`, "dana@example.com"}},
		{`{"email_address": "Dana <dana@example.com>"}`, []string{"email_address", "alone"}},
		{`{"email_address": "a@example.com,b@example.com"}`, []string{"email_address"}},
		{`{"phone_number": "030 123456"}`, []string{"phone_number", `"030123456"`, "+4930123456"}},
		{`{"slack_user_id": "dana"}`, []string{"slack_user_id", `"dana"`, "U0123456789"}},
		{`{"slack_user_id": "U0000000001"}`, []string{"slack_user_id", `contact "robin"`}},
		{`{"pagerduty_user_id": "PROBIN1"}`, []string{"pagerduty_user_id", `contact "robin"`}},
		{`{"pagerduty_user_id": "dana!"}`, []string{"pagerduty_user_id"}},
		{`{"time_zone": "Europe/Berln"}`, []string{"time_zone", `"Europe/Berln"`, "Europe/Berlin"}},
		{`{"time_zone": "europe/berlin"}`, []string{"time_zone", "upper and lower case"}},
		{`{"quiet_from": "22:00"}`, []string{"quiet_until", "missing"}},
		{`{"quiet_until": "07:00"}`, []string{"quiet_from", "missing"}},
		{`{"quiet_from": "07:00", "quiet_until": "07:00"}`, []string{"quiet_until", "two different"}},
		{`{"quiet_from": "22:00", "quiet_until": "24:00"}`, []string{"quiet_until", "23:59"}},
		{`{"preferred_channels": ["PIGEON"]}`, []string{"preferred_channels", `"PIGEON"`, "EMAIL, SMS"}},
		{`{"preferred_channels": [null]}`, []string{"preferred_channels"}},
		{`{"preferred_channels": ["SMS"]}`, []string{"preferred_channels", "phone_number is missing"}},
		{`{"email_address": "d@example.com", "preferred_channels": ["EMAIL", "EMAIL"]}`, []string{"EMAIL twice"}},
	} {
		refused(t, db, "22023", c.says, insertContact, "dana", c.row)
	}
	putContact(t, db, "dana", `{"email_address": "dana@example.com", "phone_number": "+49 (30) 123-456", "slack_user_id": "U0123456789", "time_zone": "Europe/Berlin",
		"quiet_from": "22:00", "quiet_until": "07:00", "preferred_channels": ["SMS", "EMAIL"]}`)
	if got := value[string](t, db, `SELECT phone_number FROM monitoring.contact_s WHERE contact_hk = util.hash_binary('dana')`); got != "+4930123456" {
		t.Errorf("the number is kept as %s", got)
	}
	putContact(t, db, "robin", `{"contact_name": "Robin"}`) // what a person gives up is free
	putContact(t, db, "dana", `{"slack_user_id": "U0000000001"}`)
}

func TestTimeRestrictions_ThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	putHub(t, db, "C")
	for _, c := range []struct {
		restrictions string
		says         []string
	}{
		{`[]`, []string{"time_restrictions is []", `"windows"`}},
		{`{}`, []string{"time_restrictions.windows", "missing"}},
		{`{"windows": []}`, []string{"time_restrictions.windows", "1 to 50"}},
		{`{"windows": [7]}`, []string{"windows[0]", "7"}},
		{`{"window": []}`, []string{"time_restrictions.window", "timezone, windows"}},
		{`{"timezone": "Mars/Olympus", "windows": [{"from": "08:00", "to": "18:00"}]}`, []string{"timezone", "Mars/Olympus", "Europe/Berlin"}},
		{`{"timezone": 7, "windows": [{"from": "08:00", "to": "18:00"}]}`, []string{"timezone", "7"}},
		{`{"windows": [{"from": "08:00", "to": "18:00"}], "outside": "drop"}`, []string{"outside", "drop", "skip"}},
		{`{"windows": [{"from": "08:00", "to": "18:00"}], "applies_to_critical": "yes"}`, []string{"applies_to_critical", "true or false"}},
		{`{"windows": [{"from": "8:00", "to": "18:00"}]}`, []string{"windows[0].from", "8:00", "08:00"}},
		{`{"windows": [{"from": "24:00", "to": "18:00"}]}`, []string{"windows[0].from"}},
		{`{"windows": [{"from": "08:00"}]}`, []string{"windows[0].to", "missing"}},
		{`{"windows": [{"from": "08:00", "to": "08:00"}]}`, []string{"windows[0]", "whole day"}},
		{`{"windows": [{"from": "08:00", "to": "18:00"}, {"from": "08:00", "to": "18:00", "days": []}]}`, []string{"windows[1].days", "every day"}},
		{`{"windows": [{"from": "08:00", "to": "18:00", "days": ["Monday"]}]}`, []string{"windows[0].days", "Monday", "Mon"}},
		{`{"windows": [{"from": "08:00", "to": "18:00", "days": [["Mon"]]}]}`, []string{"windows[0].days"}},
		{`{"windows": [{"from": "08:00", "to": "18:00", "day": "Mon"}]}`, []string{"windows[0].day", "unknown"}},
	} {
		sql, args := channelRow("C", columns{"time_restrictions": c.restrictions})
		refused(t, db, "22023", c.says, sql, args...)
	}
	putChannel(t, db, "C", columns{"time_restrictions": `{"timezone": "Europe/Berlin", "windows": [{"days": ["Mon", "Sun"], "from": "22:00", "to": "06:00"}, {"from": "00:00", "to": "24:00"}],
		"outside": "skip", "applies_to_critical": true}`})
	if said := db.heard(); said != "" {
		t.Errorf("accepted, but it said %q", said)
	}
}

// reach lists the keys of the contacts that a channel tells.
func reach(t *testing.T, db database, channel string) string {
	t.Helper()
	var people []struct{ Key string }
	text := value[string](t, db, `SELECT contacts::text FROM monitoring.channel_reach(ARRAY[$1])`, channel)
	if err := json.Unmarshal([]byte(text), &people); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(people)
}

func TestRecipientGroups_ResolveToTheirContactsInOrderAndNobodyTwice(t *testing.T) {
	t.Parallel()
	db := listen(t, pgtest.DB(t))
	putChannel(t, db, "MAIL", columns{"channel_type": "EMAIL", "configuration": fullEmail, "recipient_groups": []string{"ONCALL", "ADMINS"}})
	if said := db.heard(); !strings.Contains(said, "ADMINS, ONCALL") {
		t.Errorf("of groups that there are not it says %q", said)
	}
	if got := reach(t, db, "MAIL"); got != "[]" {
		t.Errorf("nobody's groups reach %s", got)
	}
	for _, key := range []string{"dana", "robin", "kim"} {
		putContact(t, db, key, `{"email_address": "`+key+`@example.com"}`)
	}
	putMember(t, db, "ADMINS", "dana", 1)
	putMember(t, db, "ADMINS", "kim", 2)
	putMember(t, db, "ONCALL", "robin", 2)
	putMember(t, db, "ONCALL", "dana", 1)
	if got := reach(t, db, "MAIL"); got != "[{dana} {robin} {kim}]" {
		t.Errorf("reached are %s", got)
	}
	putMember(t, db, "ONCALL", "dana", 3)
	if got := reach(t, db, "MAIL"); got != "[{robin} {dana} {kim}]" {
		t.Errorf("in the new order reached are %s", got)
	}
	exec(t, db, `
		INSERT INTO monitoring.contact_s (contact_hk, hash_diff, contact_name, is_enabled) VALUES (util.hash_binary('robin'), '\x', 'Robin', false)`)
	exec(t, db, `
		INSERT INTO monitoring.recipient_group_contact_eff_s (link_recipient_group_contact_hk, hash_diff, effective_from, effective_to)
		SELECT link_recipient_group_contact_hk, '\x', '2026-01-01', '2026-01-02' FROM monitoring.recipient_group_contact_l WHERE contact_hk = util.hash_binary('kim')`)
	if got := reach(t, db, "MAIL"); got != "[{dana}]" {
		t.Errorf("without the disabled and the left, reached are %s", got)
	}
	putChannel(t, db, "HOOK", columns{"recipient_groups": []string{"ONCALL"}})
	if got := reach(t, db, "HOOK"); got != "[]" {
		t.Errorf("an incoming webhook of Slack reaches %s", got)
	}
}

func TestRecipientGroups_KeepTenantsApart(t *testing.T) {
	t.Parallel()
	db := pgtest.Pool(t)
	exec(t, db, "INSERT INTO auth.tenant_h SELECT util.hash_binary(t), t, now(), 'TEST' FROM unnest(ARRAY['ORG1', 'ORG2']) AS t")
	exec(t, db, `INSERT INTO monitoring.contact_h (contact_hk, contact_bk, tenant_hk) VALUES (util.hash_binary('dana'), 'dana', util.hash_binary('ORG1'))`)
	putContact(t, db, "dana", `{"email_address": "dana@example.com"}`)
	putMember(t, db, "ALL", "dana", 1)
	putChannel(t, db, "MAIL", columns{"channel_type": "EMAIL", "configuration": fullEmail, "recipient_groups": []string{"ALL"}})
	if got := reach(t, db, "MAIL"); got != "[]" {
		t.Errorf("a channel of nobody's reaches %s of a tenant", got)
	}
	exec(t, db, `INSERT INTO monitoring.recipient_group_h (recipient_group_hk, recipient_group_bk, tenant_hk) VALUES (util.hash_binary('G2'), 'G2', util.hash_binary('ORG2'))`)
	refused(t, db, "22023", []string{`"G2"`, `"dana"`, "tenant"}, `
		INSERT INTO monitoring.recipient_group_contact_l (link_recipient_group_contact_hk, recipient_group_hk, contact_hk)
		VALUES (util.hash_binary(encode(util.hash_binary('G2'), 'hex') || '||' || encode(util.hash_binary('dana'), 'hex')), util.hash_binary('G2'), util.hash_binary('dana'))`)
}

func TestContact_AddressesAreNotForReaders(t *testing.T) {
	t.Parallel()
	address := pgtest.DB(t)
	putContact(t, connect(t, address), "dana", `{"email_address": "dana@example.com"}`)
	reader, _ := member(t, address, "onevault_reader")
	if got := value[string](t, reader, "SELECT contact_name FROM monitoring.contact_s"); got != "Dana" {
		t.Errorf("a reader sees %q", got)
	}
	for _, column := range []string{"email_address", "phone_number", "slack_user_id", "pagerduty_user_id"} {
		refused(t, reader, denied, nil, "SELECT "+column+" FROM monitoring.contact_s")
	}
	operator, _ := member(t, address, "onevault_operator")
	putContact(t, operator, "kim", `{"email_address": "kim@example.com"}`)
	putMember(t, operator, "ONCALL", "kim", 1)
	worker, _ := member(t, address, "onevault_worker")
	refused(t, worker, denied, nil, insertContact, "dana", `{"email_address": "mallory@example.com"}`)
}

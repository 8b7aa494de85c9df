package main

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

const contactFile = `version: 1
contacts:
  - key: dana
    name: Dana
    email: dana@example.com
    phone: "+4930123456"
    time_zone: Europe/Berlin
    quiet: 22:00-07:00
    prefers: [SMS, EMAIL]
  - key: robin
    name: Robin
    email: robin@example.com
    time_zone: UTC
groups:
  - key: ONCALL
    members: [dana, robin]
`

func TestContact_IsKeptInAFile(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	name := l.file(contactFile)
	l.expect(exitDone, []string{"no contacts"}, "contact", "list")
	l.expect(exitDone, []string{"2 contacts and 1 groups, all in order"}, "contact", "lint", name)
	l.expect(exitDone, []string{"+ dana", "+ ONCALL   dana, robin", "dry run"}, "contact", "apply", name, "--dry-run")
	l.expect(exitNotFound, []string{"no contact dana"}, "contact", "show", "dana")
	l.expect(exitDone, []string{"+ dana", "+ ONCALL"}, "contact", "apply", name)
	l.expect(exitDone, []string{"3 unchanged"}, "contact", "apply", name)
	if got := l.cli("contact", "export"); got.out != contactFile {
		t.Errorf("exported\n%s", got.out)
	}
	l.expect(exitDone, []string{"dana", "ONCALL", "SMS, EMAIL", "22:00-07:00", "Europe/Berlin"}, "contact", "list")
	l.expect(exitDone, []string{"+4930123456", "ONCALL", "written"}, "contact", "show", "dana")
	l.expect(exitDone, []string{"~ ONCALL   robin"}, "contact", "apply", l.file(strings.Replace(contactFile, "[dana, robin]", "[robin]", 1)))
	l.expect(exitDone, []string{"~ ONCALL   dana, robin"}, "contact", "apply", name)

	for old, c := range map[string]struct{ now, says string }{
		"Europe/Berlin":         {"Europe/Berln", ":3: dana"},
		`"+4930123456"`:         {"4930123456", `:6: dana.phone`},
		"22:00-07:00":           {"at night", ":8: dana.quiet"},
		"prefers: [SMS, EMAIL]": {"prefer: [SMS]", `did you mean "prefers"?`},
		"[dana, robin]":         {"[dana, robyn]", `unknown contact "robyn"`},
		"key: robin":            {"key: dana", "in line 3, too"},
		"groups:":               {"group:", `did you mean "groups"?`},
		"name: Robin":           {"enabled: maybe", "robin.enabled"},
	} {
		l.expect(exitError, []string{c.says}, "contact", "lint", l.file(strings.Replace(contactFile, old, c.now, 1)))
	}
}

func TestRoute_ShowsContactsAndWhomTheHoursHoldBack(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.channels()
	l.expect(exitDone, nil, "contact", "apply", l.file(contactFile))
	db, err := pgx.Connect(t.Context(), l.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), `
		INSERT INTO monitoring.notification_config_s
		SELECT (jsonb_populate_record(c, '{"load_date": null, "recipient_groups": ["ONCALL"]}')).*
		  FROM monitoring.notification_config_s c WHERE c.notification_config_hk = util.hash_binary('TEAM') AND c.load_end_date IS NULL`); err != nil {
		t.Fatal(err)
	}
	l.expect(exitDone, []string{"team@example.com, dana (dana@example.com), robin (robin@example.com)", "quiet hours of dana, 22:00 to 07:00 Europe/Berlin"},
		"route", "test", "definition="+connections, "at=2026-12-01 03:12", "--limit=1")
	if got := l.expect(exitDone, []string{"dana (dana@example.com)"}, "route", "test", "definition="+connections, "at=2026-12-01 03:12", "severity=critical", "--limit=1"); strings.Contains(got.out, "quiet hours") {
		t.Errorf("what is CRITICAL is held:\n%s", got.out)
	}
	l.expect(exitDone, []string{"dana (dana@example.com)"}, "route", "test", "definition="+connections, "at=2026-12-01 12:00", "--limit=1")
}

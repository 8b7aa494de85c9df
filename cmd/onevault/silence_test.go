package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"onevault/alert"
	"onevault/vault"
)

func TestSilence_IsPreviewedMadeListedExtendedAndEnded(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.measure("local", now)
	l.fire("local", connections, alert.SeverityHigh, 93, now.Add(-time.Minute))
	l.fire("local", wraparound, alert.SeverityCritical, 81, now.Add(-time.Minute))

	look := l.cli("silence", "add", "target=local", "-d", "2h", "--dry-run")
	look.wants(t, exitDone, "mutes now: 1 open", "HIGH High Connection Count on local", "spares: 1 open because they are CRITICAL", "nothing was silenced")
	l.cli("silence", "add", "target=local", "-d", "2h", "-m", "CHG-812").wants(t, exitUsage, "needs a yes", "--yes")
	l.cli("silence", "list").wants(t, exitDone, "no silences")

	// The test's clock stands in the past, and the vault's does not.
	until := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	added := l.cli("silence", "add", "definition="+connections, "--until", until, "-m", "CHG-812", "--actor", "dana")
	added.wants(t, exitDone, "mutes now: 1 open", "can mute: 1 of", "silenced S-")
	id := strings.Fields(l.cli("silence", "list", "-o", "name").out)[0]
	l.cli("silence", "list").wants(t, exitDone, id, "ACTIVE", "definition="+connections, "dana", "CHG-812")
	l.cli("alert", "list").wants(t, exitDone, "muted for", "("+id+")")
	l.cli("alert", "show", strings.Fields(l.cli("alert", "list", "definition="+connections, "-o", "name").out)[0]).wants(t, exitDone,
		"silenced until", "by dana ("+id+"): CHG-812")

	later := time.Now().Add(3 * time.Hour).UTC().Truncate(time.Second)
	l.cli("silence", "extend", id, "--until", later.Format(time.RFC3339), "--actor", "erin").wants(t, exitDone, id+" ends at")
	var shown vault.Silence
	if err := json.Unmarshal([]byte(l.cli("silence", "show", strings.ToLower(id), "-o", "json").out), &shown); err != nil {
		t.Fatal(err)
	}
	if !shown.EndsAt.Equal(later) || shown.By != "dana" || shown.ChangedBy != "erin" || shown.OpenAlerts != 1 {
		t.Errorf("extended: %+v", shown)
	}
	l.cli("silence", "end", id, "S-ZZZZ", "--actor", "frank").wants(t, exitNotFound, "ended "+id, `no silence "S-ZZZZ"`)
	l.cli("silence", "end", id).wants(t, exitDone, id+" had ended")
	l.cli("silence", "extend", id, "--until", later.Format(time.RFC3339)).wants(t, exitConflict, "ended at")
	l.cli("silence", "list", "--all", "-o", "wide").wants(t, exitDone, id, "ENDED", "frank")
	l.cli("alert", "list", "-o", "json").wants(t, exitDone)
	if text := l.cli("alert", "list").out; strings.Contains(text, "muted") {
		t.Errorf("after the end something is muted:\n%s", text)
	}
}

func TestSilence_WhatCannotBeMeantSaysFieldValueAndRemedy(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	for _, c := range []struct {
		args  []string
		code  int
		words []string
	}{
		{[]string{"target=local", "-m", "why"}, exitUsage, []string{"needs its end", "--duration"}},
		{[]string{"target=local", "-d", "2h"}, exitUsage, []string{"needs its reason", "-m"}},
		{[]string{"target=local", "-d", "soon", "-m", "why"}, exitUsage, []string{`"soon"`, "90m"}},
		{[]string{"target=local", "--until", "noon", "-m", "why"}, exitUsage, []string{`"noon"`, "RFC 3339"}},
		{[]string{"host=a", "-d", "2h", "-m", "why"}, exitError, []string{`no field "host"`, "definition, target"}},
		{[]string{"target=~(", "-d", "2h", "-m", "why"}, exitError, []string{`"target=~("`}},
		{[]string{"definition=NONE", "-d", "2h", "-m", "why"}, exitError, []string{`"definition=NONE"`, "onevault definition list"}},
	} {
		l.cli(append([]string{"silence", "add"}, c.args...)...).wants(t, c.code, c.words...)
	}
}

func TestAlertSilence_MutesItsDefinitionOnItsTargetAndSparesTheCritical(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.measure("local", now)
	l.fire("local", wraparound, alert.SeverityCritical, 81, now.Add(-time.Minute))
	id := strings.Fields(l.cli("alert", "list", "-o", "name").out)[0]
	until := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
	l.cli("alert", "silence", id, "--until", until, "-m", "why").wants(t, exitUsage, "is CRITICAL", "--critical")
	l.cli("alert", "silence", id, "--until", until, "-m", "why", "--critical").wants(t, exitDone, "silenced S-")
	l.cli("silence", "list").wants(t, exitDone, "definition="+wraparound+" target=local (critical too)")
	l.cli("alert", "list").wants(t, exitDone, "muted for")
}

func TestMaintenance_IsPlannedWithItsNextWindowsListedAndRemoved(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	add := func(args ...string) result {
		return l.cli(append([]string{"maintenance", "add", "sundays"}, args...)...)
	}
	add("definition="+connections, "--start", "soon", "-d", "3h", "-m", "why").wants(t, exitUsage, `"soon"`, "'2026-12-06 02:00'")
	add("definition="+connections, "--start", "2026-05-10 02:00", "-d", "3h", "-m", "why", "--tz", "Mars").wants(t, exitUsage, `"Mars"`, "Europe/Berlin")
	add("definition="+connections, "--start", "2026-05-10 02:00", "-d", "3h", "-m", "why", "--rrule", "FREQ=HOURLY").wants(t, exitUsage, "within a day")
	add("target=local", "--start", "2026-05-10 02:00", "-d", "3h", "-m", "why").wants(t, exitUsage, "needs a yes")
	add("definition="+connections, "--start", "2025-05-10 02:00", "-d", "3h", "-m", "why").wants(t, exitUsage, "the window from 2025-05-10 02:00 UTC on, for 3h, is over already", "give a --start")
	add("definition="+connections, "--start", "2026-05-10 02:00", "-d", "3h", "-m", "why", "--rrule", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30").wants(t, exitUsage, "has no window that is yet to come", "UNTIL, COUNT and days")
	add("definition="+connections, "--start", "2026-05-10 02:00", "-d", "3h", "-m", "why", "--rrule", "on sundays").wants(t, exitUsage, "cannot be read", "FREQ=WEEKLY;BYDAY=SU")
	l.cli("maintenance", "add", "yearly", "definition="+connections, "--start", "2026-01-10 02:00", "-d", "3h", "-m", "why", "--rrule", "FREQ=YEARLY").wants(t, exitDone, "planned yearly: next Sun 2027-01-10 02:00 UTC")
	l.cli("maintenance", "remove", "yearly").wants(t, exitDone, "removed yearly")
	add("definition="+connections, "--start", "2026-05-10 02:00", "-d", "3h", "-m", "updates", "--tz", "Europe/Berlin", "--rrule", "FREQ=WEEKLY;BYDAY=SU", "--actor", "dana").
		wants(t, exitDone, "planned sundays: next Sun 2026-05-10 02:00 CEST, Sun 2026-05-17 02:00 CEST", "can mute: 1 of")
	l.cli("maintenance", "list", "-o", "wide").wants(t, exitDone, "sundays", "PLANNED", "FREQ=WEEKLY;BYDAY=SU", "3h", "dana", "updates", "Europe/Berlin")
	l.cli("maintenance", "show", "Sundays").wants(t, exitDone, "2026-05-10 02:00 Europe/Berlin", "updates", "dana via cli:", "next:\n  Sun 2026-") // beyond those that are written, which the vault's clock is past
	l.cli("maintenance", "remove", "sundays").wants(t, exitDone, "removed sundays")
	l.cli("maintenance", "list").wants(t, exitDone, "no maintenance is planned")
	l.cli("maintenance", "show", "other").wants(t, exitNotFound, `no maintenance "other"`)
	l.cli("inhibition", "list").wants(t, exitDone, "TARGET_DOWN", "TARGET_UNREACHABLE", "DISK_FULL", "DISK_CRITICAL")
}

package main

import (
	"strings"
	"testing"
	"time"
)

func TestPastMoment_ReadsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 3, 30, 0, 0, time.UTC) // 04:30 in Berlin
	for _, c := range []struct {
		text string
		zone *time.Location
		want string // UTC; or words of the error
	}{
		{"2026-11-23T03:12:00Z", berlin, "2026-11-23 03:12:00"},
		{"2026-11-23T03:12:00+01:00", time.UTC, "2026-11-23 02:12:00"},
		{"2026-11-23 03:12:00+01:00", time.UTC, "2026-11-23 02:12:00"},
		{"2026-11-23 03:12", time.UTC, "2026-11-23 03:12:00"},
		{"2026-11-23 03:12", berlin, "2026-11-23 02:12:00"},
		{"2026-11-23 03:12:09 UTC", berlin, "2026-11-23 03:12:09"},
		{"2026-11-23T03:12", berlin, "2026-11-23 02:12:00"},
		{"03:12", time.UTC, "2026-11-23 03:12:00"},
		{"3:12:30", time.UTC, "2026-11-23 03:12:30"},
		{"04:12", berlin, "2026-11-23 03:12:00"},
		{"04:45", berlin, "2026-11-22 03:45:00"}, // not come yet today
		{"23:50", time.UTC, "2026-11-22 23:50:00"},
		{"2h", time.UTC, "2026-11-23 01:30:00"},
		{"90m", berlin, "2026-11-23 02:00:00"},
		{"3d", time.UTC, "2026-11-20 03:30:00"},
		{"0s", time.UTC, "2026-11-23 03:30:00"},
		{"", time.UTC, "0001-01-01 00:00:00"},
		{"2026-11-23 03:31", time.UTC, `--as-of "2026-11-23 03:31" is 2026-11-23 03:31:00 UTC and lies in the future`},
		{"2026-11-23 04:12", berlin, "2026-11-23 03:12:00"},
		{"-2h", time.UTC, "is no moment"},
		{"yesterday", time.UTC, `--as-of "yesterday" is no moment: write 2026-11-23T03:12:00Z, "2026-11-23 03:12", 03:12, or how long ago (90m, 2h, 3d)`},
		{"25:00", time.UTC, "is no moment"},
		{"2026-02-30 03:12", time.UTC, "is no moment"},
	} {
		got, err := pastMoment("--as-of", c.text, at, c.zone)
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %s", c.text, err, c.want)
			}
		case got.UTC().Format("2006-01-02 15:04:05") != c.want:
			t.Errorf("%q in %s is %s, want %s", c.text, c.zone, got, c.want)
		}
	}
}

func TestAlertList_AsOfShowsWhatWasTrueAndWhatWasKnown(t *testing.T) {
	t.Parallel()
	l := several(t)
	golden(t, "alert-list-as-of", l.cli("alert", "list", "--as-of", "3m").out)
	got := l.cli("alert", "list", "--as-of", "2026-05-04 03:15")
	if got.out != l.cli("alert", "list", "--as-of", "3m").out || !strings.HasPrefix(got.err, "as of 2026-05-04 03:15:00 UTC, as known now\n") {
		t.Errorf("as a date: %s\n%s", got.err, got.out)
	}
	for args, want := range map[string]int{
		"--as-of 3m": 4, "--as-of 3m --all": 5, "--as-of 3m state=OPEN": 4, "--as-of 0s state=OPEN": 2, "--as-of 0s state=ACKNOWLEDGED": 1, "--as-of 1h": 1,
		"--as-of 49h30m": 1, "--as-of 49h30m severity=HIGH": 1, "--as-of 48h": 0, "--as-of 48h --all state=RESOLVED": 1, "--as-of 3d --all": 0,
		// All was written in this test: in May nothing was known.
		"--as-of 3m --known-at 2m": 0, "--as-of 0s --known-at 0s --all": 0,
	} {
		got := l.cli(append([]string{"alert", "list", "-o", "name"}, strings.Fields(args)...)...)
		if got.code != exitDone || strings.Count(got.out, "\n") != want {
			t.Errorf("%s: code %d, want %d alerts:\n%s%s", args, got.code, want, got.out, got.err)
		}
	}
	for range 8 { // a plan is chosen anew after the fifth time
		if _, err := l.store.FindAlert(t.Context(), strings.Fields(l.cli("alert", "list", "-o", "name").out)[0]); err != nil {
			t.Fatal(err)
		}
	}
	l.cli("alert", "list", "--as-of", "48h").wants(t, exitDone, "as of 2026-05-02 03:18:00 UTC", "none that was asked for")
	l.cli("alert", "list", "--as-of", "2027-01-01 00:00").wants(t, exitUsage, "lies in the future")
	l.cli("alert", "list", "--as-of", "1h", "--known-at", "soon").wants(t, exitUsage, `--known-at "soon" is no moment`)
	l.cli("alert", "list", "--known-at", "1h").wants(t, exitUsage, "--known-at needs --as-of")
	if got := l.cli("alert", "list", "--as-of", "3m", "-o", "json"); got.err != "" || !strings.Contains(got.out, `"state": "OPEN"`) {
		t.Errorf("for programs: %s\n%s", got.err, got.out)
	}
}

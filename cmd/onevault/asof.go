package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"onevault/cmd/onevault/output"
	"onevault/settings"
	"onevault/vault"
)

// moments reads --as-of and --known-at; the zero time where one is not given.
func (a *app) moments(asOf, knownAt string) (at, known time.Time, err error) {
	if asOf == "" && knownAt != "" {
		return at, known, errors.New("--known-at needs --as-of: say which moment is asked for")
	}
	zone, err := settings.ParseTimezone(a.values.Get(settings.Timezone))
	if err != nil {
		return at, known, err
	}
	if at, err = pastMoment("--as-of", asOf, a.now(), zone); err == nil {
		known, err = pastMoment("--known-at", knownAt, a.now(), zone)
	}
	return at, known, err
}

var bareTime = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$`)

// pastMoment reads a moment that has passed. One without a zone is in the given one; a time of day is the
// last one, so that 23:50 asked for after midnight is yesterday's.
func pastMoment(flag, text string, now time.Time, zone *time.Location) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, known := readMoment(text, now, zone)
	switch {
	case !known:
		return at, fmt.Errorf("%s %q is no moment: write 2026-11-23T03:12:00Z, \"2026-11-23 03:12\", 03:12, or how long ago (90m, 2h, 3d)", flag, text)
	case at.After(now):
		return at, fmt.Errorf("%s %q is %s and lies in the future: give a moment that has passed", flag, text, output.Moment(at))
	}
	return at.UTC(), nil
}

func readMoment(text string, now time.Time, zone *time.Location) (time.Time, bool) {
	if bareTime.MatchString(text) {
		layout := "15:04:05"[:len("15:04")+3*(strings.Count(text, ":")-1)]
		day := now.In(zone)
		clock, err := time.Parse(layout, text)
		at := time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), clock.Second(), 0, zone)
		if at.After(now) {
			at = time.Date(day.Year(), day.Month(), day.Day()-1, clock.Hour(), clock.Minute(), clock.Second(), 0, zone)
		}
		return at, err == nil
	}
	// A moment as our own tables print it, for copying.
	if at, err := time.Parse("2006-01-02 15:04:05 UTC", text); err == nil {
		return at, true
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at, true
		}
	}
	if days.MatchString(text) {
		at, err := sinceTime(now, text)
		return at, err == nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), true
	}
	return time.Time{}, false
}

// asOfNote says what the list below it is, so that nobody takes it for the present.
func asOfNote(f vault.AlertFilter) string {
	text := "as of " + output.Moment(f.AsOf)
	if f.KnownAt.IsZero() {
		return text + ", as known now"
	}
	return text + ", as known at " + output.Moment(f.KnownAt)
}

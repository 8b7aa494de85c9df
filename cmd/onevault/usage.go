package main

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// usage marks an error of the command line that only the command itself could find.
func usage(err error) error {
	return &failure{code: exitUsage, message: err.Error()}
}

var days = regexp.MustCompile(`^([0-9]{1,5})([dw])$`)

// sinceTime reads a moment in the past: a duration before now, which may be in days or weeks, or a time.
// The zero time is no restriction.
func sinceTime(now time.Time, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if parts := days.FindStringSubmatch(text); parts != nil {
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			return time.Time{}, fmt.Errorf("--since %q: %w", text, err)
		}
		if parts[2] == "w" {
			n *= 7
		}
		return now.AddDate(0, 0, -n), nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no duration (90m, 24h, 30d) and no time (2026-05-04, 2026-05-04T03:12, RFC 3339; UTC unless it says otherwise)", text)
}

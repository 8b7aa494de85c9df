// Package recurrence says when something recurs: rules of RFC 5545 by the clocks of a time zone. It owns what the
// standard says about days on which clocks are changed; it reads no clock (`now` is an argument).
package recurrence

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

const (
	// maxWindows bounds what one rule may yield; every day for years is far below.
	maxWindows = 2000
	// maxSteps bounds how many days, weeks, months or years a rule may count from its start.
	maxSteps = 100 * 366
)

// Rule is when something begins and how long it lasts.
type Rule struct {
	// Start is what calendar and clock show when the first one begins; its own zone says nothing.
	Start    time.Time
	Zone     *time.Location
	Duration time.Duration
	// RRule is a rule of RFC 5545 without its name, FREQ=WEEKLY;BYDAY=SU; empty: once.
	RRule string
}

// Window is one occurrence, [From, To).
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Windows lists the occurrences that end after `from` and begin before `to`, in order. A window lasts its duration
// by a stopwatch, also while clocks are changed. A time of day that a day does not have, because clocks were put
// forward, is taken as the standard says: by the offset before, so 02:30 is 03:30; one that it has twice is the first.
func (r Rule) Windows(from, to time.Time) ([]Window, error) {
	if r.RRule == "" {
		return r.within([]time.Time{floating(r.Start)}, from, to), nil
	}
	next, err := r.walls(from, to)
	if err != nil {
		return nil, err
	}
	var walls []time.Time
	for wall, more := next(); more; wall, more = next() {
		if walls = append(walls, wall); len(walls) > maxWindows {
			return nil, fmt.Errorf("rule %q yields more than %d windows in %d days", r.RRule, maxWindows, int(to.Sub(from).Hours()/24))
		}
	}
	return r.within(walls, from, to), nil
}

// Next is the first window that ends after a moment, however far ahead up to a hundred years: 29 February is years
// off. False: there is none any more, or as with 30 February never was one.
func (r Rule) Next(from time.Time) (Window, bool, error) {
	to := from.AddDate(100, 0, 0)
	if r.RRule == "" {
		found := r.within([]time.Time{floating(r.Start)}, from, to)
		if len(found) == 0 {
			return Window{}, false, nil
		}
		return found[0], true, nil
	}
	next, err := r.walls(from, to)
	if err != nil {
		return Window{}, false, err
	}
	for wall, more := next(); more; wall, more = next() {
		if found := r.within([]time.Time{wall}, from, to); len(found) > 0 {
			return found[0], true, nil
		}
	}
	return Window{}, false, nil
}

// walls yields what calendar and clock show when the windows of a rule begin that may touch from..to.
func (r Rule) walls(from, to time.Time) (func() (time.Time, bool), error) {
	option, err := r.option()
	if err != nil {
		return nil, err
	}
	// The days of the calendar are counted without a zone: the library then never meets a change of clocks.
	option.Dtstart = floating(r.Start)
	last := floating(to.In(r.Zone)).Add(24 * time.Hour)
	if option.Until.IsZero() || option.Until.After(last) {
		option.Until = last
	}
	rule, err := rrule.NewRRule(option)
	if err != nil {
		return nil, fmt.Errorf("rule %q: %w", r.RRule, err)
	}
	first := floating(from.Add(-r.Duration - 48*time.Hour).In(r.Zone))
	next := rule.Iterator()
	return func() (time.Time, bool) {
		for {
			if at, more := next(); !more || !at.Before(first) {
				return at, more
			}
		}
	}, nil
}

func (r Rule) within(walls []time.Time, from, to time.Time) []Window {
	var windows []Window
	for _, wall := range walls {
		begins := instant(wall, r.Zone)
		if ends := begins.Add(r.Duration); ends.After(from) && begins.Before(to) {
			windows = append(windows, Window{From: begins, To: ends})
		}
	}
	return windows
}

// option reads the rule and refuses what would recur within a day, or never end to be computed.
func (r Rule) option() (rrule.ROption, error) {
	if strings.Contains(strings.ToUpper(r.RRule), "DTSTART") || strings.ContainsAny(r.RRule, "\n:") {
		return rrule.ROption{}, fmt.Errorf("rule %q: write the rule alone, FREQ=WEEKLY;BYDAY=SU; when it starts is said beside it", r.RRule)
	}
	option, err := rrule.StrToROption(r.RRule)
	if err != nil {
		return rrule.ROption{}, fmt.Errorf("rule %q cannot be read (%w): write it as RFC 5545 does, FREQ=WEEKLY;BYDAY=SU", r.RRule, err)
	}
	if option.Freq > rrule.DAILY {
		return rrule.ROption{}, fmt.Errorf("rule %q recurs within a day: use FREQ=DAILY, WEEKLY, MONTHLY or YEARLY", r.RRule)
	}
	if option.Interval < 0 || option.Interval > 9999 || option.Count < 0 || option.Count > maxSteps {
		return rrule.ROption{}, errors.New("rule " + r.RRule + ": INTERVAL and COUNT are numbers above 0, of at most four digits")
	}
	if !option.Until.IsZero() {
		if strings.HasSuffix(until(r.RRule), "Z") {
			option.Until = floating(option.Until.In(r.Zone))
		}
		option.Until = floating(option.Until)
	}
	return *option, nil
}

func until(rule string) string {
	for _, part := range strings.Split(strings.ToUpper(rule), ";") {
		if value, found := strings.CutPrefix(part, "UNTIL="); found {
			return value
		}
	}
	return ""
}

// floating keeps what calendar and clock show, and forgets the zone.
func floating(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// instant is the moment at which calendars and clocks in a zone show `wall`.
func instant(wall time.Time, zone *time.Location) time.Time {
	by := func(near time.Duration) time.Time {
		_, offset := wall.Add(near).In(zone).Zone()
		return wall.Add(-time.Duration(offset) * time.Second)
	}
	before, after := by(-24*time.Hour), by(24*time.Hour)
	switch {
	case floating(before.In(zone)).Equal(wall):
		return before
	case floating(after.In(zone)).Equal(wall):
		return after
	}
	return before
}

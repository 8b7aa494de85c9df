package main

import (
	"fmt"
	"strings"
	"time"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/command"
)

// alertVerb is something that people do with alerts: how it is called, and what it needs.
type alertVerb struct {
	use, short, long string
	action           command.Action
	done             string // "acknowledged": as its outcome is told
	// lasts is the flag that says for how long; empty: it has none. needsTime: it cannot be left out.
	lasts, lastsShort, lastsUsage string
	needsTime                     bool
	needsWhy                      string // what the message must say; empty: it may be left out
}

var verbs = []alertVerb{
	{
		use: "ack", action: command.Acknowledge, done: "acknowledged", short: "Take alerts: paging stops",
		long: `Take alerts: paging stops. With --for it stops for that long: an alert that is not over by then is open again, and pages
from the level where it stood. Of two acknowledgements the longer holds.`,
		lasts: "for", lastsUsage: "only for so long: 30m, 2h, 1d (default: until the alert is over)",
	},
	{
		use: "resolve", action: command.Resolve, done: "resolved", short: "End alerts; everybody who was told is told so",
		long: "End alerts; everybody who was told is told so.",
	},
	{
		use: "unack", action: command.Unacknowledge, done: "taken back", short: "Take an acknowledgement back: the alert pages again",
		long: "Take an acknowledgement back: the alert is open again, and pages from the level where it stood.",
	},
	{
		use: "snooze", action: command.Snooze, done: "snoozed", short: "Keep alerts from paging for a time; then they page again",
		long:  "Keep alerts that nobody has taken from paging for a time. Then they page again, from the level where they stood.",
		lasts: "duration", lastsShort: "d", lastsUsage: "for how long: 30m, 2h, 1d", needsTime: true, needsWhy: "why nobody should be paged",
	},
	{
		use: "escalate", action: command.Escalate, done: "escalated", short: "Raise alerts to their next level, now",
		long: "Raise alerts to their next level, now. One that somebody has taken is taken back by it: whoever has it asks for others.",
	},
	{
		use: "false-positive", action: command.FalsePositive, done: "called a false positive", short: "Say that alerts should not have fired, and end them",
		long:     "Say that alerts should not have fired, and end those that are not over. The daily report counts them.",
		needsWhy: "why it should not have fired",
	},
}

func verbOf(action command.Action) alertVerb {
	for _, v := range verbs {
		if v.action == action {
			return v
		}
	}
	return alertVerb{done: string(action)}
}

// complete puts the time into a command, and refuses one that lacks something.
func (v alertVerb) complete(c *alert.Command, lasts string) error {
	if v.needsWhy != "" && strings.TrimSpace(c.Notes) == "" {
		return fmt.Errorf("say %s: -m \"...\"", v.needsWhy)
	}
	if lasts == "" {
		if v.needsTime {
			return fmt.Errorf("say for how long: --%s 30m", v.lasts)
		}
		return nil
	}
	span, err := parseSpan(lasts)
	if err != nil {
		return fmt.Errorf("--%s %q: %w", v.lasts, lasts, err)
	}
	c.Minutes = int(span / time.Minute)
	return nil
}

// parseSpan reads how long an answer holds: whole minutes, up to thirty days.
func parseSpan(text string) (time.Duration, error) {
	errForm := fmt.Errorf("give whole minutes, hours or days, from 1m to %dd: 30m, 2h, 1d", alert.MaxMinutes/24/60)
	span, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		span, err = time.ParseDuration(days + "h")
		if span > alert.MaxMinutes*time.Minute {
			return 0, errForm
		}
		span *= 24
	}
	if err != nil || span < time.Minute || span > alert.MaxMinutes*time.Minute || span%time.Minute != 0 {
		return 0, errForm
	}
	return span, nil
}

// describeOutcome is what the person who acted reads.
func describeOutcome(now time.Time, action command.Action, o command.Outcome) string {
	done := verbOf(action).done
	if !o.Changed {
		return describeUnchanged(now, action, o, done)
	}
	text := fmt.Sprintf("%s %s by %s", done, o.ID, o.Actor)
	if !o.Until.IsZero() && (action == command.Acknowledge || action == command.Snooze) {
		text += " until " + output.Moment(o.Until)
	}
	switch {
	case o.OnlyInVault() && o.State == alert.StatusResolved && action == command.FalsePositive:
		// It had ended: there is nobody to hear of it.
	case o.OnlyInVault():
		text += " in the vault; its workflow hears of it when it runs"
	case action == command.Escalate:
		text += fmt.Sprintf("; level %d is told", o.Level)
	case action == command.Unacknowledge:
		text += fmt.Sprintf("; it pages again at level %d", o.Level)
	case o.CancelledLevel > 0 && action == command.Snooze:
		text += fmt.Sprintf("; level %d waits", o.CancelledLevel)
	case o.CancelledLevel > 0:
		text += fmt.Sprintf("; level %d cancelled", o.CancelledLevel)
	}
	return text
}

func describeUnchanged(now time.Time, action command.Action, o command.Outcome, done string) string {
	if action == command.Unacknowledge {
		return fmt.Sprintf("%s is %s already: nobody has it", o.ID, o.State)
	}
	text := fmt.Sprintf("%s was %s by %s %s ago already (%s)", o.ID, done, o.Actor, output.Age(now, o.At), output.Moment(o.At))
	if action == command.Acknowledge && !o.Until.IsZero() {
		text += ", until " + output.Moment(o.Until)
	}
	return text
}

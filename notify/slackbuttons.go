package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"onevault/alert"
)

// The ids by which the buttons of a Slack message come back when somebody presses them.
const (
	SlackActions     = "onevault"             // the block that holds them
	SlackAcknowledge = "onevault_acknowledge" // value: SlackRef
	SlackResolve     = "onevault_resolve"     // value: SlackRef
	SlackEscalate    = "onevault_escalate"    // value: SlackRef
	SlackSilence     = "onevault_silence"     // a choice whose options' values are the SlackSilences
)

// The choices of how long to silence.
const (
	SlackSilenceHour     = "1h"
	SlackSilenceHours    = "4h"
	SlackSilenceTomorrow = "tomorrow" // until 09:00 of the next day
)

// maxSlackValue is how long a button's value may be.
const maxSlackValue = 2000

// SlackRef is what a button's value says: which alerts it means. It holds nothing secret, and nothing that
// is believed: whoever presses is checked, and the workflow decides.
type SlackRef struct {
	WorkflowID string   `json:"w"`
	Alerts     []string `json:"a"` // short ids, at least one
}

// ParseSlackRef reads a button's value.
func ParseSlackRef(value string) (SlackRef, error) {
	var ref SlackRef
	if err := json.Unmarshal([]byte(value), &ref); err != nil {
		return SlackRef{}, fmt.Errorf("the value of a button is not JSON: %w", err)
	}
	if ref.WorkflowID == "" || len(ref.Alerts) == 0 {
		return SlackRef{}, errors.New("the value of a button names no alert")
	}
	return ref, nil
}

// slackStanding is the message that shows how its alerts stand now, those beside the event included. The
// summary is what a telephone's lock screen shows.
func slackStanding(m Message) (summary string, blocks []slack.Block) {
	m = standing(m)
	p := newPage(m)
	summary = slackEscape(p.Subject, maxSlackSection)
	buttons := slackButtons(m)
	command := p.Command
	if len(buttons) > 0 {
		p.Command = ""
	}
	blocks = slackBlocks(p)
	if len(buttons) == 0 {
		return summary, blocks
	}
	blocks = append(blocks[:min(len(blocks), maxSlackBlocks-2)], slack.NewActionBlock(SlackActions, buttons...))
	if command != "" {
		blocks = append(blocks, slack.NewContextBlock("", slack.NewTextBlockObject(slack.MarkdownType, "or "+slackCode(command, 200), false, false)))
	}
	return summary, blocks
}

// standing is what the message says once it shows all of its alerts: it is about an end, or about somebody
// who takes them on, only when that holds for all of them.
func standing(m Message) Message {
	if len(m.Beside) == 0 {
		return m
	}
	asks := func(a alert.Alert) bool { return a.Active() && a.Status != alert.StatusAcknowledged }
	switch {
	case asksForAnswer(m.Event):
	case slices.ContainsFunc(m.Beside, asks):
		m.Event = alert.EventFired
	case slices.ContainsFunc(m.Beside, alert.Alert.Active):
		m.Event = alert.EventAcknowledged
	}
	m.Alerts = slices.Concat(m.Alerts, m.Beside)
	slices.SortStableFunc(m.Alerts, func(a, b alert.Alert) int {
		switch {
		case a.Active() == b.Active():
			return 0
		case a.Active():
			return -1
		}
		return 1
	})
	m.Beside = nil
	return m
}

// slackButtons offers what still can be done about the alerts; nothing when they are over.
func slackButtons(m Message) []slack.BlockElement {
	ref := SlackRef{WorkflowID: m.WorkflowID}
	asks := false
	for _, a := range m.Alerts {
		if a.Active() {
			ref.Alerts = append(ref.Alerts, a.ShortID)
			asks = asks || a.Status != alert.StatusAcknowledged
		}
	}
	value, err := json.Marshal(ref)
	// A message of so many alerts that they cannot be named is answered by the command that it shows.
	if err != nil || len(ref.Alerts) == 0 || len(value) > maxSlackValue || m.Storm != nil || !answerable(m.Event) {
		return nil
	}
	button := func(id, label string, style slack.Style) slack.BlockElement {
		b := slack.NewButtonBlockElement(id, string(value), slackPlain(label))
		b.Style = style
		return b
	}
	var buttons []slack.BlockElement
	if asks {
		buttons = append(buttons, button(SlackAcknowledge, "Acknowledge", slack.StylePrimary))
	}
	buttons = append(buttons, button(SlackResolve, "Resolve", slack.StyleDefault), slackSilences())
	if asks {
		buttons = append(buttons, button(SlackEscalate, "Escalate", slack.StyleDanger))
	}
	return buttons
}

// slackSilences is a small choice: Slack opens it by itself, and it comes back as one action. An option's
// value is too short to name the alerts; the buttons beside it name them.
func slackSilences() slack.BlockElement {
	option := func(value, label string) *slack.OptionBlockObject {
		return slack.NewOptionBlockObject(value, slackPlain(label), nil)
	}
	return slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, slackPlain("Silence"), SlackSilence,
		option(SlackSilenceHour, "for 1 hour"), option(SlackSilenceHours, "for 4 hours"), option(SlackSilenceTomorrow, "until tomorrow"))
}

// slackLabel is what a person reads on a button.
func slackLabel(element slack.BlockElement) string {
	switch e := element.(type) {
	case *slack.ButtonBlockElement:
		return "[" + e.Text.Text + "]"
	case *slack.SelectBlockElement:
		return "[" + e.Placeholder.Text + " …]"
	}
	return ""
}

func slackPlain(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

// slackLine is what an event adds to the thread.
func slackLine(m Message) string {
	p := newPage(m)
	parts := []string{p.Emoji + " " + slackEscape(p.Lede, 1000)}
	for _, line := range p.More[:min(len(p.More), 5)] {
		parts = append(parts, slackEscape(line, 300))
	}
	for _, hint := range p.Hints {
		parts = append(parts, "_"+slackEscape(hint, 250)+"_")
	}
	return strings.Join(parts, "\n")
}

// answerable reports whether a message about an event has buttons: a list of many, and what is no alert's, have none.
func answerable(event alert.Event) bool {
	return event != alert.EventTest && event != alert.EventSilenceEnding && event != alert.EventDigest
}

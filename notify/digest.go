package notify

import (
	"cmp"
	"fmt"
	"slices"

	"onevault/alert"
)

// Gathered says what one alert of a digest is about.
type Gathered struct {
	Definition alert.Definition `json:"definition"`
	Target     string           `json:"target"`
}

// maxGathered is how many alerts of a digest a person is shown by name.
const maxGathered = 100

// about is the message as it would be about one of its alerts alone, where they are of different definitions.
func (m Message) about(a alert.Alert) Message {
	if g, ok := m.Gathered[a.Key]; ok {
		m.Definition, m.Target = g.Definition, g.Target
	}
	return m
}

// NewDigest is a message that tells of alerts of any definitions: those that are open first, the worst of them at the
// head. key and workflowID are as in Message, whose At is the caller's to set.
func NewDigest(key, workflowID string, alerts []alert.Alert, gathered map[string]Gathered) Message {
	rank := func(a alert.Alert) int { return gathered[a.Key].Definition.Severity.Rank() }
	alerts = slices.Clone(alerts)
	slices.SortStableFunc(alerts, func(a, b alert.Alert) int {
		return cmp.Or(over(a)-over(b), rank(b)-rank(a), b.Level-a.Level, a.TriggeredAt.Compare(b.TriggeredAt))
	})
	m := Message{Key: key, Event: alert.EventDigest, WorkflowID: workflowID, Alerts: alerts, Gathered: gathered}
	m.Definition = alert.Definition{Key: "DIGEST", Name: counts(alerts)}
	if len(alerts) > 0 {
		m.Definition.Severity = gathered[alerts[0].Key].Definition.Severity
	}
	return m
}

func over(a alert.Alert) int {
	if a.Status == alert.StatusResolved {
		return 1
	}
	return 0
}

// counts says how many alerts are open, taken and over: "7 open alerts, 2 acknowledged, 3 over".
func counts(alerts []alert.Alert) string {
	open, taken, ended := 0, 0, 0
	for _, a := range alerts {
		switch a.Status {
		case alert.StatusResolved:
			ended++
		case alert.StatusAcknowledged:
			taken++
		case alert.StatusOpen, alert.StatusEscalated, alert.StatusSuppressed:
			open++
		}
	}
	text := fmt.Sprintf("%d open alerts", open)
	if open == 1 {
		text = "1 open alert"
	}
	if taken > 0 {
		text += fmt.Sprintf(", %d acknowledged", taken)
	}
	if ended > 0 {
		text += fmt.Sprintf(", %d over", ended)
	}
	return text
}

// digestPage shows every alert with its own name: no two need be of one definition.
func digestPage(m Message) page {
	p := page{Title: oneLine(m.Definition.Name, 150), Badge: badge(m), Target: "digest", Digest: true}
	p.Color, p.Emoji = colors(p.Badge)
	p.Subject = "[" + p.Badge + "] Digest: " + p.Title
	p.Lede = fmt.Sprintf("So many messages went to you within an hour that the limit of this channel was reached. These were gathered since: %s.", p.Title)
	for _, a := range m.Alerts[:min(len(m.Alerts), maxGathered)] {
		one := m.about(a)
		row := listedAlert{
			ShortID: oneLine(a.ShortID, 40), Status: oneLine(string(a.Status), 20),
			Value: string(one.Definition.Severity) + " " + oneLine(one.Definition.Name, 80) + " on " + oneLine(one.Target, 60),
		}
		if a.Status == alert.StatusResolved {
			row.When = "lasted " + span(lasted(a, m.At)) + ", " + resolution(a)
		} else {
			row.When = "for " + span(m.At.Sub(a.TriggeredAt))
			if value := reading(one.Definition, a); value != "" {
				row.When = value + ", " + row.When
			}
		}
		p.Listed = append(p.Listed, row)
	}
	p.Hidden = len(m.Alerts) - len(p.Listed)
	p.Links, p.Hints = links(m), hints(m)
	return p
}

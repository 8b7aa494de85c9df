package notify

import (
	"fmt"
	"strconv"

	"github.com/PagerDuty/go-pagerduty"

	"onevault/alert"
)

// stormPage says what a message of a storm holds: what and how many, the worst first.
func stormPage(p page, m Message) page {
	s := m.Storm
	where := stormPlace(m)
	p.Title, p.Target = "Storm of alerts", oneLine(s.Name, 100)
	p.Subject, p.Lede = stormSubject(m, where), stormLede(m, where)
	p.Facts = stormFacts(m)
	p.Listed, p.Hidden = listAlerts(m)
	for i := range p.Listed {
		row, a := &p.Listed[i], m.Alerts[i]
		d := definitionOf(m, i)
		if m.Event != alert.EventResolved {
			row.Status = oneLine(string(d.Severity), 20)
		}
		name := oneLine(d.Name, 60)
		if s.Kind == alert.StormDefinition {
			name = oneLine(a.Target, 60)
		}
		row.When = name + ", " + row.When
	}
	p.Command, p.Runbook = "", ""
	if asksForAnswer(m.Event) {
		p.Command = "onevault alert ack " + stormMatcher(s) + " --yes"
	}
	if s.Kind == alert.StormDefinition {
		p.Runbook = runbook(m)
	}
	return p
}

// definitionOf is the definition of the alert at a place among those of the message.
func definitionOf(m Message, i int) alert.Definition {
	if m.Storm == nil || i >= len(m.Storm.Of) || m.Storm.Of[i] >= len(m.Storm.Definitions) {
		return m.Definition
	}
	return m.Storm.Definitions[m.Storm.Of[i]]
}

// stormMatcher names the alerts of a storm for the command line.
func stormMatcher(s *alert.StormSummary) string {
	if s.Kind == alert.StormDefinition {
		return "definition=" + oneLine(s.Name, 100)
	}
	return "target=" + oneLine(s.Name, 100)
}

// stormPlace says what the alerts have in common: pg-prod-3, or Replication Lag on 14 targets.
func stormPlace(m Message) string {
	if m.Storm.Kind == alert.StormDefinition {
		name := oneLine(m.Definition.Name, 150)
		if m.Storm.Targets > 1 {
			return fmt.Sprintf("%s on %d targets", name, m.Storm.Targets)
		}
		return name
	}
	return oneLine(m.Storm.Name, 100)
}

func stormSubject(m Message, where string) string {
	s, what := m.Storm, ""
	switch m.Event {
	case alert.EventEscalated:
		what = fmt.Sprintf("Level %d: %d of %d alerts not acknowledged: %s", level(m), s.Unanswered, s.Open, where)
	case alert.EventUnanswered:
		what = fmt.Sprintf("Unanswered again: %s: %s", alerts(len(m.Alerts)), where)
	case alert.EventResolved:
		what = fmt.Sprintf("Storm over, %s: %s", alerts(len(m.Alerts)), where)
	case alert.EventFired, alert.EventReopened, alert.EventFlapping, alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged, alert.EventDigest:
		if s.Alerts > len(m.Alerts) {
			what = fmt.Sprintf("%d more, %s at once: %s", len(m.Alerts), alerts(s.Alerts), where)
		} else {
			what = fmt.Sprintf("%s at once: %s", alerts(len(m.Alerts)), where)
		}
	}
	return "[" + badge(m) + "] " + what
}

func alerts(n int) string {
	if n == 1 {
		return "1 alert"
	}
	return strconv.Itoa(n) + " alerts"
}

func stormLede(m Message, where string) string {
	s := m.Storm
	switch m.Event {
	case alert.EventEscalated:
		return fmt.Sprintf("Storm: %s. Of %d open alerts %d are not acknowledged, for %s. This is escalation level %d.", where, s.Open, s.Unanswered, span(m.At.Sub(since(m))), level(m))
	case alert.EventUnanswered:
		return fmt.Sprintf("Storm: %s. %s ask for somebody again; of %d open alerts %d are not acknowledged.", where, alerts(len(m.Alerts)), s.Open, s.Unanswered)
	case alert.EventResolved:
		text := fmt.Sprintf("The storm is over: %s. %s ended; it lasted %s.", where, alerts(len(m.Alerts)), span(m.At.Sub(s.BeganAt)))
		if s.Open > 0 {
			text += fmt.Sprintf(" %s still open: from the next escalation on you are told of each by itself.", isAre(s.Open))
		}
		return text
	case alert.EventFired, alert.EventReopened, alert.EventFlapping, alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged, alert.EventDigest:
	}
	text := fmt.Sprintf("Storm: %s. %s fired at once, of %s.", where, alerts(len(m.Alerts)), definitions(len(s.Definitions)))
	if s.Alerts > len(m.Alerts) {
		text = fmt.Sprintf("Storm: %s. %s joined; %d since it began, %d of them open, %d not acknowledged.", where, alerts(len(m.Alerts)), s.Alerts, s.Open, s.Unanswered)
	}
	return text + " This is one message for all of them."
}

func definitions(n int) string {
	if n == 1 {
		return "one definition"
	}
	return fmt.Sprintf("%d definitions", n)
}

func isAre(n int) string {
	if n == 1 {
		return "1 is"
	}
	return fmt.Sprintf("%d are", n)
}

func stormFacts(m Message) []fact {
	s := m.Storm
	out := []fact{{"Severity", oneLine("at most "+string(definitionOf(m, 0).Severity), 40)}}
	if m.Event == alert.EventResolved {
		out = append(out, fact{"Lasted", fmt.Sprintf("%s (since %s)", span(m.At.Sub(s.BeganAt)), clock(s.BeganAt))})
	} else {
		out = append(out, fact{"Since", fmt.Sprintf("%s (%s)", clock(s.BeganAt), span(m.At.Sub(s.BeganAt)))})
	}
	counts := fmt.Sprintf("%d, %d open, %d not acknowledged", s.Alerts, s.Open, s.Unanswered)
	return append(out, fact{"Alerts", counts}, fact{"See all", "onevault alert list " + stormMatcher(s)})
}

// stormEvents make one incident of a storm. Its end closes it.
func (p *pagerDuty) stormEvents(m Message) []pagerduty.V2Event {
	key := pagerDutyKey(m.Storm.Key)
	if m.Event == alert.EventResolved {
		return []pagerduty.V2Event{{RoutingKey: string(p.key), Action: pagerDutyResolve, DedupKey: key}}
	}
	return []pagerduty.V2Event{p.trigger(m, nil, key)}
}

// ofStorm is what a message about one alert of a storm alone would be, for receivers that take alerts one by one.
func ofStorm(m Message, i int) Message {
	if m.Storm != nil {
		m.Definition, m.Target = definitionOf(m, i), m.Alerts[i].Target
		m.Alerts, m.Storm = m.Alerts[i:i+1], nil
	}
	return m
}

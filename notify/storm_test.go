package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onevault/alert"
)

// stormMessage tells of 23 alerts of 23 definitions on one target, the worst first.
func stormMessage(event alert.Event) Message {
	m := firedMessage()
	one := m.Alerts[0]
	m.Key, m.Event, m.WorkflowID, m.At = "STORM||TARGET||PG-PROD-3/1", event, "storm/target/pg-prod-3", firedAt.Add(2*time.Second)
	m.Definition = alert.Definition{Key: "STORM", Name: "Storm of alerts", Category: "STORM", Severity: alert.SeverityCritical}
	m.Target, m.Alerts = "pg-prod-3", nil
	m.Storm = &alert.StormSummary{
		Key: "STORM||TARGET||PG-PROD-3", Kind: alert.StormTarget, Name: "pg-prod-3", BeganAt: firedAt, Alerts: 23, Open: 23, Unanswered: 23, Targets: 1,
	}
	for i := range 23 {
		a := one
		a.Key, a.Target = fmt.Sprintf("alert %d", i), "pg-prod-3"
		a.ShortID = alert.ShortID(a.Key)
		m.Alerts = append(m.Alerts, a)
		severity := alert.SeverityCritical
		if i > 2 {
			severity = alert.SeverityHigh
		}
		m.Storm.Definitions = append(m.Storm.Definitions, alert.Definition{Key: fmt.Sprintf("D%02d", i), Name: fmt.Sprintf("Definition %d", i), Severity: severity})
		m.Storm.Of = append(m.Storm.Of, i)
	}
	return m
}

func TestStormMessages_MatchTheGoldenFiles(t *testing.T) {
	t.Parallel()
	fired, escalated, over := stormMessage(alert.EventFired), stormMessage(alert.EventEscalated), stormMessage(alert.EventResolved)
	escalated.At, escalated.Storm.Alerts, escalated.Storm.Open, escalated.Storm.Unanswered = firedAt.Add(30*time.Minute), 40, 38, 23
	for i := range escalated.Alerts {
		escalated.Alerts[i].Status, escalated.Alerts[i].Level = alert.StatusEscalated, 2
	}
	over.At, over.Storm.Over, over.Storm.Open = firedAt.Add(12*time.Minute), true, 4
	for i := range over.Alerts {
		over.Alerts[i].Status, over.Alerts[i].ResolvedAt = alert.StatusResolved, over.At
	}
	for name, m := range map[string]Message{"storm": fired, "storm-escalated": escalated, "storm-over": over} {
		text, err := newPage(m).plainText()
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".txt", text)
		golden(t, name+".slack.json", indent(t, (&slackWebhook{cfg: slackConfig{channel: "#ops-alerts", user: "OneVault Monitor", emoji: ":warning:"}}).message(m)))
		golden(t, name+".webhook.json", indent(t, (&webhook{name: "WEBHOOK_OPS"}).body(m)))
	}
}

func TestStormMessages_SayOnEveryChannelWhatAndHowManyAndHowToSeeThem(t *testing.T) {
	t.Parallel()
	m := stormMessage(alert.EventFired)
	if text := smsText(m, true); !strings.Contains(text, "23 alerts at once: pg-prod-3") || strings.Contains(text, "Reply") {
		t.Errorf("the telephone shows %q", text)
	}
	if text := Spoken(m); !strings.Contains(text, "23 alerts fired at once") {
		t.Errorf("the call says %q", text)
	}
	p := &pagerDuty{}
	events := p.events(m)
	if len(events) != 1 || events[0].Action != pagerDutyTrigger || !strings.Contains(events[0].Payload.Summary, "23 alerts at once: pg-prod-3") {
		t.Errorf("PagerDuty is told %+v", events)
	}
	over := p.events(stormMessage(alert.EventResolved))
	if len(over) != 1 || over[0].Action != pagerDutyResolve || over[0].DedupKey != events[0].DedupKey {
		t.Errorf("PagerDuty is told of the end by %+v", over)
	}
	m.Storm.Kind, m.Storm.Name, m.Storm.Targets = alert.StormDefinition, "LAG", 14
	m.Definition.Name = "Replication Lag"
	if shown := newPage(m); !strings.Contains(shown.Subject, "Replication Lag on 14 targets") || shown.Command != "onevault alert ack definition=LAG --yes" ||
		!strings.Contains(shown.Listed[0].When, "pg-prod-3") {
		t.Errorf("a storm of one definition is shown as %+v", shown)
	}
	joined := stormMessage(alert.EventFired)
	joined.Storm.Alerts = 60
	if shown := newPage(joined); !strings.Contains(shown.Subject, "23 more, 60 alerts at once") {
		t.Errorf("what joined is told as %q", shown.Subject)
	}
}

package notify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"onevault/alert"
)

// pagerEvent is an event as PagerDuty reads it.
type pagerEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string `json:"client"`
	ClientURL   string `json:"client_url"`
	Links       []struct{ Href, Text string }
	Payload     *struct {
		Summary, Source, Severity, Timestamp, Component, Group, Class string
		CustomDetails                                                 map[string]string `json:"custom_details"`
	}
}

func page1(t *testing.T, m Message) ([]pagerEvent, Receipt) {
	t.Helper()
	fake := newFakeHTTP(t, false, answer(202, pagerDutyTook))
	channel := mustOpen(t, config(t, TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": fake.URL}), testOptions(nil))
	r := channel.Send(t.Context(), channel.Recipients()[0], m)
	var events []pagerEvent
	for _, request := range fake.all() {
		if request.Path != "/v2/enqueue" {
			t.Errorf("posted to %s", request.Path)
		}
		var event pagerEvent
		if err := json.Unmarshal(request.Body, &event); err != nil {
			t.Fatal(err)
		}
		if event.RoutingKey != pagerKey {
			t.Errorf("routing_key = %q", event.RoutingKey)
		}
		events = append(events, event)
	}
	checkReceipt(t, r, Accepted)
	if strings.Contains(r.Content, pagerKey) || strings.Contains(r.Content, "routing_key") {
		t.Errorf("the ledger would hold the key: %s", r.Content)
	}
	return events, r
}

func TestPagerDuty_AnAlertHasOneKeyForItsWholeLife(t *testing.T) {
	t.Parallel()
	for event, action := range map[alert.Event]string{
		alert.EventFired: "trigger", alert.EventEscalated: "trigger", alert.EventReopened: "trigger", alert.EventFlapping: "trigger",
		alert.EventAcknowledged: "acknowledge", alert.EventResolved: "resolve",
	} {
		m := firedMessage()
		m.Event = event
		events, r := page1(t, m)
		if len(events) != 1 || events[0].EventAction != action || events[0].DedupKey != m.Alerts[0].Key || r.ExternalID != m.Alerts[0].Key {
			t.Errorf("%s: %+v, receipt %+v", event, events, r)
		}
		if (events[0].Payload != nil) != (action == "trigger") {
			t.Errorf("%s: payload %+v", event, events[0].Payload)
		}
	}
}

func TestPagerDuty_PagesAnewForAnAcknowledgementThatIsOver(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Event = alert.EventUnanswered
	events, _ := page1(t, m)
	if len(events) != 2 || events[0].EventAction != "resolve" || events[1].EventAction != "trigger" || events[0].DedupKey != events[1].DedupKey {
		t.Errorf("%+v, want the acknowledged incident ended and another begun", events)
	}
}

func TestPagerDuty_ATriggerSaysWhatHappenedAndWhereToLook(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	events, _ := page1(t, m)
	e := events[0]
	if e.Payload.Summary != "[CRITICAL] High Connection Count on pg-prod-3: 187 (threshold > 150)" || e.Payload.Source != "pg-prod-3" ||
		e.Payload.Severity != "critical" || e.Payload.Timestamp != "2026-03-01T03:06:12Z" || e.Payload.Class != "PERFORMANCE" ||
		e.Payload.Component != m.Definition.Key || e.Client != "OneVault" || e.ClientURL != m.UIURL {
		t.Errorf("event %+v %+v", e, e.Payload)
	}
	if len(e.Links) != 2 || e.Links[0].Href != m.Definition.RunbookURL || e.Links[0].Text != "Runbook" {
		t.Errorf("links %+v", e.Links)
	}
	for name, want := range map[string]string{"Alert": "A-7F3K", "Acknowledge": "onevault alert ack A-7F3K", "Alert key": m.Alerts[0].Key, "Runbook": m.Definition.Runbook} {
		if e.Payload.CustomDetails[name] != want {
			t.Errorf("detail %s = %q, want %q", name, e.Payload.CustomDetails[name], want)
		}
	}
}

func TestPagerDuty_MapsSeverities(t *testing.T) {
	t.Parallel()
	for severity, want := range map[alert.Severity]string{
		alert.SeverityCritical: "critical", alert.SeverityHigh: "error", alert.SeverityMedium: "warning", alert.SeverityLow: "info",
	} {
		m := firedMessage()
		m.Definition.Severity = severity
		if events, _ := page1(t, m); events[0].Payload.Severity != want {
			t.Errorf("%s is %s there, want %s", severity, events[0].Payload.Severity, want)
		}
	}
}

func TestPagerDuty_EachAlertOfABatchIsOneThere(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	second := m.Alerts[0]
	second.Key, second.ShortID = "pg-prod-3/SYSTEM_HIGH_CONNECTION_COUNT/2", "A-0002"
	m.Alerts = append(m.Alerts, second)
	events, r := page1(t, m)
	if len(events) != 2 || events[0].DedupKey == events[1].DedupKey || events[1].Payload.CustomDetails["Alert"] != "A-0002" {
		t.Errorf("events %+v", events)
	}
	if r.Proof != "HTTP 202 for each of 2 events" {
		t.Errorf("proof %q", r.Proof)
	}
}

func TestPagerDuty_ABatchOfWhichAPartWasTakenIsUncertain(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Alerts = append(m.Alerts, m.Alerts[0])
	m.Alerts[1].Key += "0"
	asked := 0
	fake := newFakeHTTP(t, false, func(w http.ResponseWriter, r *http.Request, stop <-chan struct{}) {
		if asked++; asked > 1 {
			answer(400, `{"status":"invalid event"}`)(w, r, stop)
			return
		}
		answer(202, pagerDutyTook)(w, r, stop)
	})
	channel := mustOpen(t, config(t, TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": fake.URL}), testOptions(nil))
	r := channel.Send(t.Context(), channel.Recipients()[0], m)
	checkReceipt(t, r, Uncertain)
	if !strings.Contains(r.Reason, "1 of 2 events were taken, then: HTTP 400") {
		t.Errorf("reason %q", r.Reason)
	}
}

func TestPagerDuty_ATestLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	m.Event, m.Alerts = alert.EventTest, nil
	events, _ := page1(t, m)
	if len(events) != 2 || events[0].EventAction != "trigger" || events[0].Payload.Severity != "info" || !strings.HasPrefix(events[0].Payload.Summary, "[TEST]") {
		t.Fatalf("events %+v", events)
	}
	if events[1].EventAction != "resolve" || events[1].DedupKey != events[0].DedupKey {
		t.Errorf("it stays open: %+v", events[1])
	}
}

func TestPagerDuty_LongTextsStayWithinItsLimits(t *testing.T) {
	t.Parallel()
	m := firedMessage()
	huge := strings.Repeat("日 word ", 200_000)
	m.Definition.Name, m.Definition.Description, m.Definition.Runbook, m.Definition.Condition = huge, huge, huge, huge
	m.Alerts[0].Reason, m.Alerts[0].Notes, m.Target, m.WorkflowID = huge, huge, huge, huge
	m.Alerts[0].Key = strings.Repeat("k", 300)
	fake := newFakeHTTP(t, false, answer(202, pagerDutyTook))
	channel := mustOpen(t, config(t, TypePagerDuty, map[string]any{"routing_key_env": "PAGERDUTY_KEY", "api_base_url": fake.URL}), testOptions(nil))
	r := channel.Send(t.Context(), channel.Recipients()[0], m)
	if r.Class != Accepted {
		t.Fatalf("receipt %+v", r)
	}
	var event pagerEvent
	body := fake.last(t).Body
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	if len(body) > 512<<10 || len([]rune(event.Payload.Summary)) > 1024 || len(event.DedupKey) != 64 {
		t.Errorf("%d bytes, summary %d, dedup_key %q", len(body), len([]rune(event.Payload.Summary)), event.DedupKey)
	}
}

func TestFollowed_OnlyWhoUpdatesInPlaceHearsOfAnAcknowledgement(t *testing.T) {
	t.Parallel()
	pager := mustOpen(t, row(TypePagerDuty, `{"routing_key_env":"PAGERDUTY_KEY"}`), testOptions(nil))
	if got := fmt.Sprint(Followed(pager)); got != "[ACKNOWLEDGED]" {
		t.Errorf("PagerDuty follows %s", got)
	}
	if got := Followed(mustOpen(t, row(TypeSlack, guideSlack), testOptions(nil))); got != nil {
		t.Errorf("an incoming webhook of Slack follows %v", got)
	}
}

package notify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/PagerDuty/go-pagerduty"

	"onevault/alert"
)

// PagerDuty's limits: an event over one of them is refused, or its text cut, there.
const (
	maxPagerDutySummary = 1024
	maxPagerDutyKey     = 255
	pagerDutyDomain     = "pagerduty.com"
	pagerDutyEvents     = "https://events.pagerduty.com"
)

// The event_action of Events API v2.
const (
	pagerDutyTrigger     = "trigger"
	pagerDutyAcknowledge = "acknowledge"
	pagerDutyResolve     = "resolve"
)

// routingKey is the integration key of a service or of an event orchestration.
var routingKey = regexp.MustCompile(`^[A-Za-z0-9]{32}$`)

// pagerDutyConfig is the PAGERDUTY shape: {"routing_key_env"|"routing_key_file", "webhook_secret_env"|"webhook_secret_file",
// "api_base_url"}. The address is another region of PagerDuty, or a stand-in for it in development; with the secret
// of a webhook, what is done at PagerDuty is heard here (see PagerHook).
type pagerDutyConfig struct {
	key, hook secretRef
	api       endpoint
}

func parsePagerDuty(f *fields) pagerDutyConfig {
	c := pagerDutyConfig{key: f.secretRef("routing_key", false), hook: f.secretRef("webhook_secret", false), api: f.endpoint(pagerDutyEvents, pagerDutyDomain)}
	if !c.key.present {
		f.fail("routing_key_env", "it is missing; name the variable that holds the integration key of the PagerDuty service (Events API v2)")
	}
	return c
}

// pagerDuty sends events to one service. Each alert is an alert there, of the same key for its whole
// life, so that what follows the first event changes that alert and makes no second one.
type pagerDuty struct {
	key     secret
	api     endpoint
	client  *pagerduty.Client
	http    *http.Client // under it
	name    string       // the channel's key
	timeout time.Duration
	scrub   scrubber
}

func openPagerDuty(cfg Config, o Options) (Channel, error) {
	f := parseFields(cfg)
	c := parsePagerDuty(f)
	if err := f.err(); err != nil {
		return nil, err
	}
	if err := c.api.check(o); err != nil {
		return nil, err
	}
	key, err := c.key.load(o)
	if err != nil {
		return nil, err
	}
	if !routingKey.MatchString(string(key)) {
		return nil, fmt.Errorf("routing_key: it is not an integration key; PagerDuty shows one of 32 letters and digits under the service's integration \"Events API v2\"")
	}
	client, transport := pagerduty.NewClient("", pagerduty.WithV2EventsAPIEndpoint(c.api.url.String())), newHTTPClient(c.api.guard(o), o.RootCAs)
	client.HTTPClient = transport
	return &pagerDuty{
		key: key, api: c.api, client: client, http: transport, name: cfg.Key, timeout: o.timeout(), scrub: newScrubber(key),
	}, nil
}

// Recipients is the one service, by the key of the channel: the routing key is a secret.
func (p *pagerDuty) Recipients() []string { return []string{p.name} }

// Follows: an acknowledgement made here stops PagerDuty's own escalation.
func (p *pagerDuty) Follows(event alert.Event) bool { return event == alert.EventAcknowledged }

func (p *pagerDuty) String() string   { return "PAGERDUTY " + p.api.String() }
func (p *pagerDuty) GoString() string { return p.String() }

func (p *pagerDuty) Send(ctx context.Context, _ string, m Message) Receipt {
	start := time.Now()
	receipt := p.send(ctx, m)
	receipt.Duration = time.Since(start)
	return p.scrub.receipt(receipt)
}

// send makes one request per event. When the first of several was taken and a later one was not, some of
// the alerts are told and some are not: that is uncertain, and the repetition changes what is there
// already.
func (p *pagerDuty) send(ctx context.Context, m Message) Receipt {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	toSay := withoutEcho(p.name, m)
	if len(toSay.Alerts) == 0 && len(m.Alerts) > 0 {
		return Receipt{Class: Accepted, Proof: "nothing is sent: the answer came from PagerDuty", ExternalID: pagerDutyKey(m.Alerts[0].Key), Content: newPage(m).Subject}
	}
	m = toSay
	events := p.events(m)
	content := pagerDutyText(m, events)
	var receipt Receipt
	for i, event := range events {
		if receipt = p.enqueue(ctx, event); receipt.Class == Accepted {
			continue
		}
		if i > 0 {
			receipt.Class = Uncertain
			receipt.Reason = fmt.Sprintf("%d of %d events were taken, then: %s", i, len(events), receipt.Reason)
		}
		receipt.Content = content
		return receipt
	}
	if len(events) > 1 {
		receipt.Proof += fmt.Sprintf(" for each of %d events", len(events))
	}
	receipt.ExternalID, receipt.Content = events[0].DedupKey, content
	return receipt
}

func (p *pagerDuty) enqueue(ctx context.Context, event pagerduty.V2Event) Receipt {
	ctx, o := withOutcome(ctx)
	answer, err := p.client.ManageEventWithContext(ctx, &event)
	receipt := classifyHTTP(o, err)
	status, _, _, said := o.read()
	switch {
	case receipt.Class == Permanent && strings.Contains(said, "routing_key"):
		receipt.Class = Misconfigured
		receipt.Reason = fmt.Sprintf("HTTP %d: PagerDuty does not know the routing key; take the integration key of the service's \"Events API v2\" (it said %q)", status, oneLine(said, 200))
	case receipt.Class != Accepted:
	case status != http.StatusAccepted:
		return Receipt{Class: Uncertain, Reason: fmt.Sprintf("HTTP %d, but PagerDuty's own word is 202 (it said %q); is api_base_url really PagerDuty's?", status, oneLine(said, 200))}
	case answer != nil && answer.Status != "" && answer.Status != "success":
		return Receipt{Class: Uncertain, Reason: fmt.Sprintf("HTTP %d with the status %q: %s", status, oneLine(answer.Status, 60), oneLine(answer.Message+" "+strings.Join(answer.Errors, ", "), 200))}
	}
	return receipt
}

// events are what a message makes happen at PagerDuty: one event per alert, two where an acknowledgement is over.
// A test opens an alert of its own and closes it again, so that nobody has to.
func (p *pagerDuty) events(m Message) []pagerduty.V2Event {
	if len(m.Alerts) == 0 {
		opening := p.trigger(m, nil, pagerDutyKey(m.Key))
		if m.Event != alert.EventTest {
			return []pagerduty.V2Event{opening}
		}
		return []pagerduty.V2Event{opening, {RoutingKey: string(p.key), Action: pagerDutyResolve, DedupKey: opening.DedupKey}}
	}
	if m.Storm != nil {
		return p.stormEvents(m)
	}
	events := make([]pagerduty.V2Event, 0, len(m.Alerts))
	for i := range m.Alerts {
		a := &m.Alerts[i]
		key := pagerDutyKey(a.Key)
		switch pagerDutyAction(m.Event) {
		case pagerDutyTrigger:
			if m.Event == alert.EventUnanswered {
				// PagerDuty has no way back from acknowledged, and pages nobody for what is: one incident ends, another begins.
				events = append(events, pagerduty.V2Event{RoutingKey: string(p.key), Action: pagerDutyResolve, DedupKey: key})
			}
			events = append(events, p.trigger(m, a, key))
		case pagerDutyAcknowledge:
			events = append(events, pagerduty.V2Event{RoutingKey: string(p.key), Action: pagerDutyAcknowledge, DedupKey: key})
		case pagerDutyResolve:
			events = append(events, pagerduty.V2Event{RoutingKey: string(p.key), Action: pagerDutyResolve, DedupKey: key})
		}
	}
	return events
}

func pagerDutyAction(event alert.Event) string {
	switch event {
	case alert.EventAcknowledged:
		return pagerDutyAcknowledge
	case alert.EventResolved:
		return pagerDutyResolve
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered, alert.EventTest, alert.EventSilenceEnding, alert.EventDigest:
	}
	return pagerDutyTrigger
}

// pagerDutyKey is the dedup_key of an alert: its business key, or the hash of one that is too long.
func pagerDutyKey(key string) string {
	if len(key) <= maxPagerDutyKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (p *pagerDuty) trigger(m Message, a *alert.Alert, key string) pagerduty.V2Event {
	one, source := m, oneLine(m.Target, 200)
	at := m.At
	if a != nil {
		one.Alerts, at = []alert.Alert{*a}, a.TriggeredAt
	}
	if source == "" {
		source = "OneVault"
	}
	shown := newPage(one)
	return pagerduty.V2Event{
		RoutingKey: string(p.key), Action: pagerDutyTrigger, DedupKey: key,
		Client: "OneVault", ClientURL: webURL(m.UIURL), Links: pagerDutyLinks(shown.Links),
		Payload: &pagerduty.V2Payload{
			Summary: oneLine(pagerDutySummary(shown, one), maxPagerDutySummary), Source: source, Severity: pagerDutySeverity(m),
			Timestamp: at.UTC().Format(time.RFC3339Nano), Component: oneLine(m.Definition.Key, 200), Group: source,
			Class: oneLine(m.Definition.Category, 100), Details: pagerDutyDetails(shown, one),
		},
	}
}

// pagerDutySummary is what a telephone's lock screen shows: the subject with the value.
func pagerDutySummary(shown page, m Message) string {
	if len(m.Alerts) == 1 {
		if value := reading(m.Definition, m.Alerts[0]); value != "" {
			return shown.Subject + ": " + value
		}
	}
	return shown.Subject
}

func pagerDutySeverity(m Message) string {
	if m.Event == alert.EventTest {
		return "info"
	}
	switch m.Definition.Severity {
	case alert.SeverityCritical:
		return "critical"
	case alert.SeverityHigh:
		return "error"
	case alert.SeverityMedium:
		return "warning"
	case alert.SeverityLow:
	}
	return "info"
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

func pagerDutyLinks(links []link) []any {
	var out []any
	for _, l := range links {
		out = append(out, pagerDutyLink{Href: l.URL, Text: l.Label})
	}
	return out
}

// pagerDutyDetails are the facts of the page. Each is bounded (maxField), so that they stay far below
// the 512 KB of an event.
func pagerDutyDetails(shown page, m Message) map[string]string {
	details := map[string]string{"What happened": oneLine(shown.Lede, 2*maxField), "Workflow": oneLine(m.WorkflowID, maxField)}
	for _, f := range shown.Facts {
		details[f.Label] = f.Value
	}
	if m.Note != "" {
		details["Why it comes here"] = oneLine(m.Note, maxNote)
	}
	if shown.Runbook != "" {
		details["Runbook"] = shown.Runbook
	}
	if shown.Command != "" {
		details["Acknowledge"] = shown.Command
	}
	if len(m.Alerts) == 1 {
		details["Alert key"] = oneLine(m.Alerts[0].Key, maxField)
	}
	if m.Storm != nil {
		details["The worst first"] = strings.Join(shown.ListedText(), "\n")
	}
	for name, value := range details {
		if value == "" {
			delete(details, name)
		}
	}
	return details
}

// pagerDutyText is what the ledger keeps: the events without their routing key.
func pagerDutyText(m Message, events []pagerduty.V2Event) string {
	lines := []string{newPage(m).Subject}
	for _, event := range events {
		event.RoutingKey = ""
		if text, err := json.Marshal(event); err == nil { // strings and times always marshal
			lines = append(lines, strings.Replace(string(text), `"routing_key":"",`, "", 1))
		}
	}
	return clip(strings.Join(lines, "\n"))
}

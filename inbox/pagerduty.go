package inbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// PagerDuty's documented limits of an event; an event beyond them is refused there, so it is here.
const (
	pagerMaxEvent   = 512 << 10
	pagerMaxSummary = 1024
	pagerMaxKey     = 255
	pagerKeyLength  = 32
)

// pagerTriggered is what an event did that an incident begins with.
const pagerTriggered = "triggered"

// pagerEvent is the body of Events API v2, as far as it is shown.
type pagerEvent struct {
	RoutingKey string      `json:"routing_key"`
	Action     string      `json:"event_action"`
	DedupKey   string      `json:"dedup_key"`
	Client     string      `json:"client"`
	ClientURL  string      `json:"client_url"`
	Links      []pagerLink `json:"links"`
	Payload    *struct {
		Summary   string         `json:"summary"`
		Source    string         `json:"source"`
		Severity  string         `json:"severity"`
		Timestamp string         `json:"timestamp"`
		Component string         `json:"component"`
		Group     string         `json:"group"`
		Class     string         `json:"class"`
		Details   map[string]any `json:"custom_details"`
	} `json:"payload"`
}

type pagerLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// pagerRefusal is what PagerDuty answers with HTTP 400.
type pagerRefusal []string

func (r pagerRefusal) Error() string { return "invalid event: " + strings.Join(r, "; ") }

// problems are the errors that PagerDuty names, in its words.
func (e pagerEvent) problems() pagerRefusal {
	var found pagerRefusal
	add := func(is bool, words string) {
		if is {
			found = append(found, words)
		}
	}
	add(e.RoutingKey == "", "'routing_key' is missing or blank")
	add(e.RoutingKey != "" && len(e.RoutingKey) != pagerKeyLength, "Length of 'routing_key' is incorrect (should be 32 characters)")
	add(!slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action), "'event_action' is incorrect (should be trigger, acknowledge or resolve)")
	add(len(e.DedupKey) > pagerMaxKey, "'dedup_key' is too long (maximum is 255 characters)")
	add(e.Action != "trigger" && e.DedupKey == "", "'dedup_key' is missing or blank")
	if e.Action != "trigger" {
		return found
	}
	if e.Payload == nil {
		return append(found, "'payload' is missing or blank")
	}
	add(e.Payload.Summary == "", "'payload.summary' is missing or blank")
	add(len([]rune(e.Payload.Summary)) > pagerMaxSummary, "'payload.summary' is too long (maximum is 1024 characters)")
	add(e.Payload.Source == "", "'payload.source' is missing or blank")
	add(!slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity), "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	return found
}

// pagerAlert is one alert of the service, as PagerDuty keeps it: all events of its key change this one.
type pagerAlert struct {
	Status string // Triggered, Acknowledged, Resolved
	Event  pagerEvent
	Log    []pagerLog
}

type pagerLog struct{ At, What string }

// Tone is the class of the status in the view.
func (a pagerAlert) Tone() string { return strings.ToLower(a.Status) }

// Details are custom_details as text.
func (a pagerAlert) Details() map[string]string {
	details := map[string]string{}
	for name, value := range a.Event.Payload.Details {
		details[name] = fmt.Sprint(value)
	}
	return details
}

// pagerService is the service behind a routing key. A trigger after a resolve opens a new alert of the same
// key; an acknowledge or resolve of an alert that is not there changes nothing.
type pagerService struct {
	alerts map[string]*pagerAlert
}

// keepAlerts bounds how many alerts are remembered; ended ones go first, then any.
const keepAlerts = 1000

// status is that of the alert of a key; empty: there is none.
func (s *pagerService) status(key string) string {
	if a := s.alerts[key]; a != nil {
		return a.Status
	}
	return ""
}

// take applies an event and says what it did.
func (s *pagerService) take(e pagerEvent, now time.Time) (pagerAlert, string) {
	a := s.alerts[e.DedupKey]
	open := a != nil && a.Status != "Resolved"
	var did string
	switch {
	case e.Action == "trigger" && !open:
		s.makeRoom()
		a = &pagerAlert{Status: "Triggered"}
		s.alerts[e.DedupKey] = a
		a.Event, did = e, pagerTriggered
	case e.Action == "trigger":
		a.Event, did = e, "triggered again: the alert is open already and changes in place"
	case !open:
		if a == nil {
			a = &pagerAlert{Status: "Resolved", Event: e}
		}
		return *a, e.Action + " of an alert that is not open: nothing changes"
	case e.Action == "acknowledge":
		a.Status, did = "Acknowledged", "acknowledged"
	default:
		a.Status, did = "Resolved", "resolved"
	}
	a.Log = append(a.Log, pagerLog{now.UTC().Format("15:04:05"), did})
	shown := *a
	shown.Log = slices.Clone(a.Log)
	return shown, did
}

func (s *pagerService) makeRoom() {
	if s.alerts == nil {
		s.alerts = map[string]*pagerAlert{}
	}
	for key, a := range s.alerts {
		if len(s.alerts) < keepAlerts {
			return
		}
		if a.Status == "Resolved" {
			delete(s.alerts, key)
		}
	}
	for key := range s.alerts {
		if len(s.alerts) < keepAlerts {
			return
		}
		delete(s.alerts, key)
	}
}

// readPagerDuty decodes an event; the routing key is a secret and is not kept. take says what the event does
// to the service: it is asked only for events that PagerDuty would take.
func readPagerDuty(r *http.Request, raw []byte) (Message, pagerEvent, error) {
	m := Message{Channel: PagerDuty, From: r.UserAgent(), To: r.URL.Path, Headers: visibleHeaders(r.Header), Subject: "(refused by PagerDuty's rules)", Raw: "(not JSON)"}
	var event pagerEvent
	var all map[string]any
	if json.Unmarshal(raw, &all) != nil || json.Unmarshal(raw, &event) != nil {
		return m, event, pagerRefusal{"JSON cannot be parsed"}
	}
	all["routing_key"] = "(hidden)"
	visible, err := json.Marshal(all)
	if err != nil { // unreachable: every value came out of a JSON document
		return m, event, err
	}
	m.Raw, m.Pretty, m.Key = string(visible), indentJSON(visible), event.DedupKey
	if event.Client != "" {
		m.From = event.Client
	}
	if problems := event.problems(); len(problems) > 0 {
		return m, event, problems
	}
	m.Subject = event.Action + " of " + event.DedupKey // unless the service knows more
	if event.Payload != nil {
		m.Subject = event.Payload.Summary
	}
	return m, event, nil
}

func (s *Server) postPagerDuty(w http.ResponseWriter, r *http.Request) {
	raw, ok := s.readBody(w, r, PagerDuty)
	if !ok {
		return
	}
	m, event, refusal := readPagerDuty(r, raw)
	if event.Action == "trigger" && event.DedupKey == "" {
		event.DedupKey = fmt.Sprintf("%032x", time.Now().UnixNano())
	}
	if len(raw) > pagerMaxEvent {
		refusal = pagerRefusal{"event is larger than 512 KB"}
	}
	s.deliverAs(w, r, m, refusal, manner{
		keep: func(m Message) (Message, error) {
			s.pagerMu.Lock()
			a, did := s.pager.take(event, time.Now())
			s.pagerMu.Unlock()
			m.Key, m.Actions = event.DedupKey, pagerActions(a.Status)
			m, err := showPagerAlert(m, a, event, did)
			if did == pagerTriggered {
				s.serving.Go(func() { s.tellTriggered(m) })
			}
			return m, err
		},
		took: func(Message) (int, any) {
			return http.StatusAccepted, map[string]any{"status": "success", "message": "Event processed", "dedup_key": event.DedupKey}
		},
		refused: func(err error) (int, any) {
			problems, _ := err.(pagerRefusal) //nolint:errorlint // it is ours, never wrapped
			return http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": problems}
		},
	})
}

// showPagerAlert says what the event made of the alert, and shows the alert as it stands then.
func showPagerAlert(m Message, a pagerAlert, event pagerEvent, did string) (Message, error) {
	summary := event.DedupKey
	if a.Event.Payload != nil {
		summary = a.Event.Payload.Summary
		m.To = "service, source " + a.Event.Payload.Source
	}
	m.Subject = summary
	if event.Action != "trigger" {
		m.Subject = a.Status + ": " + summary
	}
	m.Severity = readSeverity(summary)
	if a.Status == "Resolved" {
		m.Severity = "RESOLVED"
	}
	lines := []string{m.Subject, did}
	if a.Event.Payload != nil {
		for name, value := range a.Details() {
			lines = append(lines, name+": "+value)
		}
		slices.Sort(lines[2:])
	}
	m.Text = strings.Join(lines, "\n")
	if a.Event.Payload == nil {
		return m, nil
	}
	html, err := render("pagerduty.html", a)
	if err != nil {
		return m, fmt.Errorf("render PagerDuty event: %w", err)
	}
	m.HTML = html
	return m, nil
}

package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"onevault/alert"
)

// The limits of people's own templates. What comes out of one is text: each channel escapes it as its format
// demands, so that no template can make markup.
const (
	maxTemplate     = 4 << 10 // bytes of one template's source
	maxTemplateOut  = 16 << 10
	maxTemplateDeep = 2 // ranges within each other
	maxWordedLines  = 20
	maxWordedLine   = 600
	maxWordedTitle  = 200
)

var errTemplateOut = fmt.Errorf("it writes more than %d KiB", maxTemplateOut>>10)

// wording is what a channel's row says in place of our own words: the field `templates`,
//
//	{"subject": "...", "text": ["...", "..."], "events": {"RESOLVED": {"subject": "...", "text": ["..."]}}}
//
// Whatever is left out stays ours.
type wording struct {
	all    words
	events map[alert.Event]words
	broken string // why none can be used; then the message says so in our words
}

type words struct{ subject, text *template.Template }

// events are what a template may be for.
var events = []alert.Event{
	alert.EventFired, alert.EventEscalated, alert.EventAcknowledged, alert.EventResolved, alert.EventReopened,
	alert.EventFlapping, alert.EventUnanswered, alert.EventSilenceEnding, alert.EventTest,
}

// parseWording reads the field and tries every template on an example of every event, so that what would fail
// at night fails when it is written.
func parseWording(f *fields) *wording {
	value, ok := f.get("templates")
	if !ok {
		return nil
	}
	var top struct {
		templateTexts
		Events map[alert.Event]templateTexts `json:"events"`
	}
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&top); err != nil {
		f.fail("templates", `%s; write {"subject": "...", "text": ["..."], "events": {"RESOLVED": {"subject": "..."}}}`, oneLine(strings.TrimPrefix(err.Error(), "json: "), 200))
		return nil
	}
	w := &wording{all: top.parse(f, "templates"), events: map[alert.Event]words{}}
	for _, event := range slices.Sorted(maps.Keys(top.Events)) {
		if !slices.Contains(events, event) {
			f.fail("templates.events", "%q is no event; use one of %s", oneLine(string(event), 40), eventNames())
			continue
		}
		w.events[event] = top.Events[event].parse(f, "templates.events."+string(event))
	}
	if len(f.errs) == 0 {
		w.try(f)
	}
	return w
}

// Events lists what a message may be about.
func Events() []alert.Event { return slices.Clone(events) }

func eventNames() string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = string(e)
	}
	return strings.Join(names, ", ")
}

// templateTexts are the sources. The text is lines, or one string with line breaks.
type templateTexts struct {
	Subject string    `json:"subject"`
	Text    textLines `json:"text"`
}

type textLines []string

// UnmarshalJSON accepts ["a", "b"] and "a\nb".
func (l *textLines) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*l = strings.Split(text, "\n")
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

func (t templateTexts) parse(f *fields, field string) words {
	return words{
		subject: parseTemplate(f, field+".subject", t.Subject),
		text:    parseTemplate(f, field+".text", strings.Join(t.Text, "\n")),
	}
}

func parseTemplate(f *fields, field, source string) *template.Template {
	if strings.TrimSpace(source) == "" {
		return nil
	}
	if len(source) > maxTemplate {
		f.fail(field, "it has %d bytes, and may have %d", len(source), maxTemplate)
		return nil
	}
	parsed, err := template.New(field).Option("missingkey=error").Funcs(templateFuncs).Parse(source)
	if err == nil && len(parsed.Templates()) > 1 {
		err = errors.New("define and block are not allowed: a template that calls itself need not end")
	}
	if err == nil && parsed.Tree != nil {
		err = bounded(parsed.Root, 0)
	}
	if err != nil {
		f.fail(field, "%s", templateError(err))
		return nil
	}
	return parsed
}

// bounded refuses what could take more work than its own length and the alerts of a message explain: calls of
// templates, and ranges over anything but the alerts, which are twenty at most.
func bounded(node parse.Node, deep int) error {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		for _, inner := range n.Nodes {
			if err := bounded(inner, deep); err != nil {
				return err
			}
		}
	case *parse.TemplateNode:
		return errors.New("template is not allowed: a template that calls itself need not end")
	case *parse.IfNode:
		return errors.Join(bounded(n.List, deep), bounded(n.ElseList, deep))
	case *parse.WithNode:
		return errors.Join(bounded(n.List, deep), bounded(n.ElseList, deep))
	case *parse.RangeNode:
		if !overAlerts(n.Pipe) {
			return fmt.Errorf("range %s: only the alerts can be ranged over: {{range .Alerts}}", n.Pipe)
		}
		if deep+1 > maxTemplateDeep {
			return fmt.Errorf("more than %d ranges stand within each other", maxTemplateDeep)
		}
		return errors.Join(bounded(n.List, deep+1), bounded(n.ElseList, deep))
	}
	return nil
}

// overAlerts knows `.Alerts`, `$.Alerts` and `$i, $a := .Alerts`.
func overAlerts(p *parse.PipeNode) bool {
	if p == nil || len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	switch arg := p.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return slices.Equal(arg.Ident, []string{"Alerts"})
	case *parse.VariableNode:
		return slices.Equal(arg.Ident, []string{"$", "Alerts"})
	}
	return false
}

// templateFuncs stand before Go's own of the same names: what one of them makes is bounded, because each could
// double what the last one made. There is no function that reads anything.
var templateFuncs = template.FuncMap{
	"printf": func(format string, args ...any) (string, error) {
		if unboundedVerb.MatchString(strings.ReplaceAll(format, "%%", "")) {
			return "", errors.New("printf takes no width of more than two digits, no * and no [n]")
		}
		return capped(fmt.Sprintf(format, args...))
	},
	"print":    func(args ...any) (string, error) { return capped(fmt.Sprint(args...)) },
	"println":  func(args ...any) (string, error) { return capped(fmt.Sprintln(args...)) },
	"html":     func(args ...any) (string, error) { return capped(template.HTMLEscaper(args...)) },
	"js":       func(args ...any) (string, error) { return capped(template.JSEscaper(args...)) },
	"urlquery": func(args ...any) (string, error) { return capped(template.URLQueryEscaper(args...)) },
	"call":     func(...any) (string, error) { return "", errors.New("call is not allowed") },
}

func capped(text string) (string, error) {
	if len(text) > maxTemplateOut {
		return "", errTemplateOut
	}
	return text, nil
}

// unboundedVerb is a width or a precision of three digits or more, one that an argument gives, or an argument
// by its number, which may stand there many times.
var unboundedVerb = regexp.MustCompile(`%[-+# 0-9.]*(\*|\[|[0-9]{3,})`)

// templateError says what is wrong and where, without the name that Go gives the template.
func templateError(err error) string {
	return oneLine(strings.TrimPrefix(err.Error(), "template: "), 300)
}

// try executes every template on examples of the events that it is for.
func (w *wording) try(f *fields) {
	for _, event := range events {
		for _, m := range []Message{Sample(event), sampleBatch(event)} {
			if _, err := w.page(newPage(m), m); err != nil {
				f.fail("templates", "with an example of %s: %s", event, templateError(err))
				return
			}
		}
	}
}

func (w *wording) of(event alert.Event) words {
	chosen := w.events[event]
	if chosen.subject == nil {
		chosen.subject = w.all.subject
	}
	if chosen.text == nil {
		chosen.text = w.all.text
	}
	return chosen
}

// apply puts the channel's words into the page. Words that fail all the same leave ours, and say so: a page
// that does not come helps nobody.
func (w *wording) apply(p page, m Message) page {
	if w == nil {
		return p
	}
	reason := w.broken
	if reason == "" {
		worded, err := w.page(p, m)
		if err == nil {
			return worded
		}
		reason = templateError(err)
	}
	p.Hints = append(p.Hints, "The channel's own templates cannot be used: "+oneLine(reason, 300))
	return p
}

func (w *wording) page(p page, m Message) (page, error) {
	chosen, data := w.of(m.Event), templateData(p, m)
	if chosen.subject != nil {
		text, err := execute(chosen.subject, data)
		if err != nil {
			return p, err
		}
		if text = oneLine(text, maxWordedTitle); text == "" {
			return p, errors.New("the subject is empty")
		}
		p.Subject = text
	}
	if chosen.text == nil {
		return p, nil
	}
	text, err := execute(chosen.text, data)
	if err != nil {
		return p, err
	}
	lines := []string{}
	for line := range strings.Lines(text) {
		if line = oneLine(line, maxWordedLine); line != "" && len(lines) < maxWordedLines {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return p, errors.New("the text is empty")
	}
	p.Lede, p.More = lines[0], lines[1:]
	return p, nil
}

// cappedBuffer ends a template that writes without end.
type cappedBuffer struct{ bytes.Buffer }

func (b *cappedBuffer) Write(data []byte) (int, error) {
	if b.Len()+len(data) > maxTemplateOut {
		return 0, errTemplateOut
	}
	return b.Buffer.Write(data)
}

func execute(t *template.Template, data map[string]any) (string, error) {
	var out cappedBuffer
	if err := t.Execute(&out, data); err != nil {
		return "", err
	}
	return out.String(), nil
}

// templateData is what templates may say: words and numbers in plain maps, nothing with methods. Every name is
// there in every event, so that a misspelt one is an error and an absent value is empty.
func templateData(p page, m Message) map[string]any {
	data := map[string]any{
		"Event": string(m.Event), "Badge": p.Badge, "Severity": string(m.Definition.Severity), "Title": p.Title, "Target": p.Target,
		"Subject": p.Subject, "Lede": p.Lede, "Definition": m.Definition.Key, "Category": m.Definition.Category,
		"Description": oneLine(m.Definition.Description, maxField), "Condition": oneLine(m.Definition.Condition, maxField),
		"Runbook": p.Runbook, "RunbookURL": runbookURL(m), "WorkflowURL": webURL(m.UIURL), "Command": p.Command,
		"At": clock(m.At), "Count": len(m.Alerts), "Level": level(m), "PossibleDuplicate": m.PossibleDuplicate,
	}
	alerts := make([]map[string]any, 0, min(len(m.Alerts), maxListed))
	for _, a := range m.Alerts[:min(len(m.Alerts), maxListed)] {
		alerts = append(alerts, alertData(m, a))
	}
	data["Alerts"] = alerts
	worst := alertData(m, alert.Alert{})
	if len(alerts) > 0 {
		worst = alerts[0]
	}
	maps.Copy(data, worst) // of the first alert, for messages about one
	data["Level"] = level(m)
	return data
}

func alertData(m Message, a alert.Alert) map[string]any {
	since, age := "", ""
	if !a.TriggeredAt.IsZero() {
		since, age = clock(a.TriggeredAt), span(lasted(a, m.At))
	}
	return map[string]any{
		"ID": oneLine(a.ShortID, 40), "Status": string(a.Status), "Level": a.Level, "Value": number(a.Value, a.Unit),
		"Threshold": threshold(m.Definition, a.Unit), "Since": since, "Age": age, "Reason": oneLine(a.Reason, maxField),
		"AcknowledgedBy": oneLine(a.AcknowledgedBy, 100), "ResolvedBy": oneLine(a.ResolvedBy, 100), "Note": oneLine(a.Notes, maxField),
	}
}

// Sample is an example message of an event, for trying templates and for looking at a channel.
func Sample(event alert.Event) Message {
	value, limit := 187.0, 150.0
	began := time.Date(2026, 5, 4, 3, 6, 12, 0, time.UTC)
	m := Message{
		Key: "example", Event: event, Target: "pg-prod-3", WorkflowID: "alert/pg-prod-3/SYSTEM_HIGH_CONNECTION_COUNT", At: began.Add(6 * time.Minute),
		Definition: alert.Definition{
			Key: "SYSTEM_HIGH_CONNECTION_COUNT", Name: "High Connection Count", Category: "PERFORMANCE", Severity: alert.SeverityCritical,
			Description: "Many sessions are open at once; new ones may be refused soon.", Condition: "active_connections > threshold_value",
			Threshold: &limit, Operator: ">", Runbook: "Look at pg_stat_activity by application and state.",
		},
		Alerts: []alert.Alert{{Key: "example", ShortID: "A-7F3K", Target: "pg-prod-3", Status: alert.StatusOpen, Value: &value, TriggeredAt: began}},
	}
	a := &m.Alerts[0]
	switch event {
	case alert.EventEscalated:
		a.Status, a.Level = alert.StatusEscalated, 1
	case alert.EventAcknowledged:
		a.Status, a.AcknowledgedBy, a.AcknowledgedAt = alert.StatusAcknowledged, "dana", m.At
	case alert.EventResolved:
		a.Status, a.ResolvedBy, a.ResolvedAt, a.Notes = alert.StatusResolved, "dana", m.At, "killed the idle sessions"
	case alert.EventReopened:
		a.Reopened, a.ReopenedAt = 1, m.At
	case alert.EventFlapping:
		a.Reopened, a.Flapping = 3, &alert.Flapping{Since: m.At, Reason: "opened 4 times within 30 minutes"}
	case alert.EventTest:
		m.Alerts = nil
	case alert.EventFired, alert.EventUnanswered, alert.EventSilenceEnding, alert.EventDigest:
	}
	return m
}

// sampleBatch is the largest message that templates see.
func sampleBatch(event alert.Event) Message {
	m := Sample(event)
	for len(m.Alerts) > 0 && len(m.Alerts) < maxListed+1 {
		m.Alerts = append(m.Alerts, m.Alerts[0])
	}
	return m
}

// worded is a channel whose row brings words of its own.
type worded struct {
	Channel
	words *wording
}

func (c worded) Send(ctx context.Context, recipient string, m Message) Receipt {
	m.words = c.words
	return c.Channel.Send(ctx, recipient, m)
}

// String and GoString print what the channel prints.
func (c worded) String() string { return fmt.Sprint(c.Channel) }

// GoString is String.
func (c worded) GoString() string { return c.String() }

// Unwrap is for As.
func (c worded) Unwrap() Channel { return c.Channel }

// withWording adds the words of a row to a channel.
func withWording(cfg Config, channel Channel) Channel {
	f := parseFields(cfg)
	w := parseWording(f)
	if len(f.errs) > 0 {
		w = &wording{broken: f.err().Error()}
	}
	if w == nil {
		return channel
	}
	return worded{channel, w}
}

// Preview is what a channel would send of a message, as its receiver reads it, without sending it and without
// the channel's secrets.
func Preview(cfg Config, m Message) (string, error) {
	f := parseFields(cfg)
	w := parseWording(f)
	if err := f.err(); err != nil {
		return "", fmt.Errorf("channel %s: %w", cfg.Key, err)
	}
	m.words = w
	switch cfg.Type {
	case TypeSlack:
		if !parseSlack(f).token.present {
			return slackText(slackBlocks(newPage(m))), nil
		}
		_, blocks := slackStanding(m)
		text := slackText(blocks)
		for _, element := range slackButtons(m) {
			text += "\n" + slackLabel(element)
		}
		return text, nil
	case TypeWebhook:
		body, err := json.MarshalIndent((&webhook{name: cfg.Key}).body(m), "", "  ")
		return string(body), err
	case TypeEmail, TypeSMS, TypeVoice, TypePagerDuty:
	}
	return newPage(m).plainText()
}

package inbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Slack's documented limits of a message; a message beyond them is refused there, so it is here.
const (
	slackMaxBlocks      = 50
	slackMaxAttachments = 100
	slackMaxHeader      = 150
	slackMaxSection     = 3000
	slackMaxFields      = 10
	slackMaxField       = 2000
	slackMaxContext     = 10
	slackMaxActions     = 25
	slackMaxButton      = 75
	slackMaxAction      = 255  // an action_id or a block_id
	slackMaxValue       = 2000 // of a button
	slackMaxOption      = 150  // the value of an option
	slackMaxOptions     = 100
)

// What Slack's incoming webhooks answer, as the body of an HTTP 400.
var (
	errSlackPayload     = errors.New("invalid_payload")
	errSlackNoText      = errors.New("no_text")
	errSlackBlocks      = errors.New("invalid_blocks")
	errSlackAttachments = errors.New("too_many_attachments")
)

// slackPayload is the body of an incoming webhook, as far as it is shown.
type slackPayload struct {
	Text        string            `json:"text"`
	Channel     string            `json:"channel"`
	Username    string            `json:"username"`
	IconEmoji   string            `json:"icon_emoji"`
	Blocks      []slackBlock      `json:"blocks"`
	Attachments []slackAttachment `json:"attachments"`
	Metadata    struct {
		EventPayload map[string]any `json:"event_payload"`
	} `json:"metadata"`
}

type slackBlock struct {
	Type      string         `json:"type"`
	ID        string         `json:"block_id"`
	Text      slackText      `json:"text"`
	Fields    []slackText    `json:"fields"`
	Elements  []slackElement `json:"elements"`
	Accessory *slackElement  `json:"accessory"`
}

// slackElement is a button, a choice, or the text inside a context block.
type slackElement struct {
	Type        string        `json:"type"`
	Text        slackText     `json:"text"`
	URL         string        `json:"url"`
	Style       string        `json:"style"` // primary, danger
	AltText     string        `json:"alt_text"`
	ActionID    string        `json:"action_id"`
	Value       string        `json:"value"`
	Placeholder slackText     `json:"placeholder"`
	Options     []slackOption `json:"options"`
}

// slackOption is one entry of a choice.
type slackOption struct {
	Text  slackText `json:"text"`
	Value string    `json:"value"`
}

// slackText is a text object, or the bare string that a context element has in its place.
type slackText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (t *slackText) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &t.Text); err == nil {
		return nil
	}
	type object slackText // without this method
	return json.Unmarshal(data, (*object)(t))
}

// slackAttachment is the older form, still the only way to a coloured bar.
type slackAttachment struct {
	Color     string       `json:"color"` // good, warning, danger or #rrggbb
	Pretext   string       `json:"pretext"`
	Title     string       `json:"title"`
	TitleLink string       `json:"title_link"`
	Text      string       `json:"text"`
	Fallback  string       `json:"fallback"`
	Footer    string       `json:"footer"`
	Fields    []slackField `json:"fields"`
	Blocks    []slackBlock `json:"blocks"`
}

type slackField struct {
	Title string `json:"title"`
	Value string `json:"value"`
	Short bool   `json:"short"`
}

// readSlack decodes a webhook body into a message. An error is what Slack would answer; the message then
// still shows what was refused.
func readSlack(path string, raw []byte) (Message, error) { return readSlackOf(path, raw, false) }

// readSlackOf reads a message of an app too: what can be pressed in it is not drawn with it, but offered by
// the page.
func readSlackOf(path string, raw []byte, live bool) (Message, error) {
	m := Message{Channel: Slack, To: path, Raw: string(raw), Subject: "(refused by Slack's rules)"}
	var payload slackPayload
	if err := json.Unmarshal(raw, &payload); err != nil {
		return m, fmt.Errorf("%w: %w", errSlackPayload, err)
	}
	m.Pretty = indentJSON(raw)
	if payload.Channel != "" {
		m.To = payload.Channel
	}
	m.From = payload.Username
	m.Text = payload.plain()
	m.Subject = payload.notification(m.Text)
	m.Key = payload.key()
	m.Severity = readSeverity(m.Subject, m.Text)
	if err := payload.validate(); err != nil {
		return m, err
	}
	if live {
		m.Actions = actionsOf(payload.Blocks)
		payload.Blocks = slices.DeleteFunc(payload.Blocks, func(b slackBlock) bool { return b.Type == "actions" })
	}
	html, err := renderSlack(payload)
	if err != nil {
		return m, fmt.Errorf("render Slack message: %w", err)
	}
	m.HTML = html
	return m, nil
}

// key is what the sender put into the message's metadata to find it again.
func (p slackPayload) key() string {
	for _, name := range []string{"notification_key", "key"} {
		if key, ok := p.Metadata.EventPayload[name].(string); ok {
			return key
		}
	}
	return ""
}

// notification is what a telephone shows: the text, or the first words of what stands in its place.
func (p slackPayload) notification(plain string) string {
	if p.Text != "" {
		return firstLine(plainMrkdwn(p.Text))
	}
	if plain == "" {
		return "(empty message)"
	}
	return firstLine(plain)
}

func (p slackPayload) validate() error {
	if p.Text == "" && len(p.Blocks) == 0 && len(p.Attachments) == 0 {
		return errSlackNoText
	}
	if len(p.Attachments) > slackMaxAttachments {
		return fmt.Errorf("%w: %d, at most %d", errSlackAttachments, len(p.Attachments), slackMaxAttachments)
	}
	if err := validateBlocks(p.Blocks); err != nil {
		return err
	}
	for _, a := range p.Attachments {
		if err := validateBlocks(a.Blocks); err != nil {
			return err
		}
	}
	return nil
}

func validateBlocks(blocks []slackBlock) error {
	if len(blocks) > slackMaxBlocks {
		return fmt.Errorf("%w: %d blocks, at most %d", errSlackBlocks, len(blocks), slackMaxBlocks)
	}
	for i, block := range blocks {
		if problem := block.problem(); problem != "" {
			return fmt.Errorf("%w: block %d (%s): %s", errSlackBlocks, i, block.Type, problem)
		}
	}
	return nil
}

// problem says which of Slack's rules the block breaks, "" if none that is checked here.
func (b slackBlock) problem() string {
	switch b.Type {
	case "":
		return "it has no type"
	case "header":
		if b.Text.Type != "plain_text" {
			return "its text must be plain_text"
		}
		return lengthProblem("text", b.Text.Text, slackMaxHeader)
	case "section":
		return b.sectionProblem()
	case "context":
		return countProblem("elements", len(b.Elements), slackMaxContext)
	case "actions":
		return b.actionsProblem()
	}
	return ""
}

func (b slackBlock) sectionProblem() string {
	if len(b.Fields) == 0 || b.Text.Text != "" {
		if problem := lengthProblem("text", b.Text.Text, slackMaxSection); problem != "" {
			return problem
		}
	}
	if len(b.Fields) > slackMaxFields {
		return countProblem("fields", len(b.Fields), slackMaxFields)
	}
	for _, field := range b.Fields {
		if problem := lengthProblem("field", field.Text, slackMaxField); problem != "" {
			return problem
		}
	}
	return ""
}

func (b slackBlock) actionsProblem() string {
	for _, element := range b.Elements {
		if problem := element.problem(); problem != "" {
			return problem
		}
	}
	return countProblem("elements", len(b.Elements), slackMaxActions)
}

// problem says which rule a button or a choice breaks; other elements are not looked at.
func (e slackElement) problem() string {
	switch {
	case len(e.ActionID) > slackMaxAction:
		return lengthProblem("action_id", e.ActionID, slackMaxAction)
	case e.Type == "button" && len(e.Value) > slackMaxValue:
		return lengthProblem("value", e.Value, slackMaxValue)
	case e.Type == "button":
		return lengthProblem("button text", e.Text.Text, slackMaxButton)
	case e.Type != "static_select":
		return ""
	}
	for _, o := range e.Options {
		if problem := lengthProblem("option", o.Value, slackMaxOption) + lengthProblem("option text", o.Text.Text, slackMaxButton); problem != "" {
			return problem
		}
	}
	return countProblem("options", len(e.Options), slackMaxOptions)
}

func lengthProblem(what, text string, most int) string {
	if n := len([]rune(text)); n < 1 || n > most {
		return fmt.Sprintf("%s has %d characters, 1 to %d are allowed", what, n, most)
	}
	return ""
}

func countProblem(what string, n, most int) string {
	if n < 1 || n > most {
		return fmt.Sprintf("%d %s, 1 to %d are allowed", n, what, most)
	}
	return ""
}

// plain is everything that the message shows, line by line. Blocks replace the text, as in Slack.
func (p slackPayload) plain() string {
	var lines []string
	if len(p.Blocks) == 0 {
		lines = append(lines, p.Text)
	}
	lines = append(lines, blockLines(p.Blocks)...)
	for _, a := range p.Attachments {
		lines = append(lines, a.Pretext, a.Title, a.Text)
		for _, field := range a.Fields {
			lines = append(lines, field.Title+": "+field.Value)
		}
		lines = append(lines, blockLines(a.Blocks)...)
		lines = append(lines, a.Footer)
	}
	return joinLines(lines)
}

func blockLines(blocks []slackBlock) []string {
	var lines []string
	for _, block := range blocks {
		lines = append(lines, block.Text.Text)
		for _, field := range block.Fields {
			lines = append(lines, field.Text)
		}
		for _, element := range block.Elements {
			lines = append(lines, element.Text.Text)
		}
	}
	return lines
}

func joinLines(lines []string) string {
	var kept []string
	for _, line := range lines {
		if line = strings.TrimSpace(line); line != "" {
			kept = append(kept, plainMrkdwn(line))
		}
	}
	return strings.Join(kept, "\n")
}

package inbox

import (
	"regexp"
	"strings"
	"time"
)

// The channels of the inbox, in the vault's words.
const (
	Email   = "EMAIL"
	Slack   = "SLACK"
	Webhook = "WEBHOOK"

	SMS       = "SMS"
	Voice     = "VOICE"
	PagerDuty = "PAGERDUTY"
)

// everyChannel lists them as the page does.
var everyChannel = []string{Email, Slack, SMS, Voice, PagerDuty, Webhook}

// Message is one delivery as its receiver has it.
type Message struct {
	Seq        int       `json:"seq"` // 1, 2, 3, ... in order of arrival, over all channels
	ID         string    `json:"id"`  // unique over restarts as well
	Channel    string    `json:"channel"`
	ReceivedAt time.Time `json:"received_at"`
	EditedAt   time.Time `json:"edited_at,omitzero"` // when it last became another; zero: it is as it came

	From    string `json:"from,omitempty"`    // e-mail: From header; Slack: user name; SMS and call: number; otherwise User-Agent
	To      string `json:"to,omitempty"`      // e-mail: envelope recipients; Slack: #channel or path; SMS and call: number; webhook: path
	Subject string `json:"subject,omitempty"` // e-mail: Subject; otherwise what a push notification shows, or the first words
	Text    string `json:"text,omitempty"`    // everything a person can read in it, as plain text
	HTML    string `json:"html,omitempty"`    // as shown; of an e-mail it is the sender's and hostile

	// Severity is CRITICAL, HIGH, MEDIUM or LOW, RESOLVED for good news, empty when the message says none.
	Severity string `json:"severity,omitempty"`

	Raw         string              `json:"raw"`              // as it came over the wire
	Pretty      string              `json:"pretty,omitempty"` // Raw indented, when it is JSON
	Headers     map[string][]string `json:"headers,omitempty"`
	Attachments []string            `json:"attachments,omitempty"` // e-mail: "name (type, bytes)"

	// Verified is the verdict on a webhook's signature, nil when there was none to give; Verdict says why.
	Verified *bool  `json:"verified,omitempty"`
	Verdict  string `json:"verdict,omitempty"`

	// Key is what the sender keeps equal over retries: Message-ID, webhook-id, the key in Slack
	// metadata or in Twilio's callback address, PagerDuty's dedup_key.
	Key string `json:"key,omitempty"`
	// Copy counts arrivals of one key at one receiver: 2 means that somebody was told twice.
	Copy int `json:"copy"`

	// Slack's Web API: the ts of the message, the ID of the one whose thread it is in, how often it was
	// edited, whether one person alone sees it, and what can be pressed in it.
	TS      string   `json:"ts,omitempty"`
	Thread  string   `json:"thread,omitempty"`
	Edits   int      `json:"edits,omitempty"`
	Private bool     `json:"private,omitempty"`
	Actions []Action `json:"actions,omitempty"`

	// Answers is what the reader did that this answers, below the message of the id in Thread: ACK 7F3K, key 4.
	Answers string `json:"answers,omitempty"`

	// Refused: the receiver does not have it, the sender was told so. Fault: what the sender saw instead
	// of a success; a message can be received and have a fault, which is how duplicates come to be.
	Refused bool   `json:"refused,omitempty"`
	Fault   string `json:"fault,omitempty"`

	phone *phoneLeg         // SMS, VOICE: what the provider knows of it beside
	links map[string]string // WEBHOOK: where each action goes
}

// Action is something to press in a message: a button, a choice when it has options, or something to type.
type Action struct {
	ID      string   `json:"id"`
	Label   string   `json:"label"`
	Style   string   `json:"style,omitempty"` // primary, danger, key
	Typed   bool     `json:"typed,omitempty"` // a line of text goes with it
	Value   string   `json:"value,omitempty"` // what stands in that line at first
	Options []Option `json:"options,omitempty"`
}

// Option is one entry of a choice.
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}

// size is what the message takes of the cap on all messages, near enough.
func (m Message) size() int {
	return len(m.Raw) + len(m.Pretty) + len(m.Text) + len(m.HTML)
}

// sameDelivery reports whether two messages are copies: a key repeated at another receiver is none, and
// neither is one at PagerDuty, where it changes the alert that is there.
func (m Message) sameDelivery(o Message) bool {
	return m.Channel != PagerDuty && m.Key != "" && m.Key == o.Key && m.Channel == o.Channel && m.To == o.To
}

var (
	severityWord = regexp.MustCompile(`\b(CRITICAL|HIGH|MEDIUM|LOW)\b`)
	resolvedWord = regexp.MustCompile(`\b(RESOLVED|Resolved)\b`)
)

// readSeverity finds the severity where a person would: the words of the first text that has any.
func readSeverity(texts ...string) string {
	for _, text := range texts {
		if resolvedWord.MatchString(text) {
			return "RESOLVED"
		}
		if word := severityWord.FindString(text); word != "" {
			return word
		}
	}
	return ""
}

// knownSeverity accepts a severity given by name, in any case, and answers "" for anything else.
func knownSeverity(name string) string {
	name = strings.ToUpper(name)
	if name == "RESOLVED" || severityWord.FindString(name) == name {
		return name
	}
	return ""
}

// firstLine is the text up to its first line break, without surrounding space.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}

// hiddenHeaders carry what a sender authenticates with; the inbox does not keep it.
var hiddenHeaders = map[string]bool{"Authorization": true, "Proxy-Authorization": true, "Cookie": true}

// visibleHeaders copies headers, with credentials replaced by a word.
func visibleHeaders(headers map[string][]string) map[string][]string {
	visible := make(map[string][]string, len(headers))
	for name, values := range headers {
		if hiddenHeaders[name] {
			values = []string{"(hidden)"}
		}
		visible[name] = values
	}
	return visible
}

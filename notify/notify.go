// Package notify delivers messages to people: one file per channel type, one guarded HTTP client, one
// classification of what a delivery attempt proved. It keeps no state and writes no rows: the caller
// records an intent before Send and the receipt after it.
package notify

import (
	"context"
	"encoding/json"
	"time"

	"onevault/alert"
)

// Type names a kind of channel, as notification_config_s.channel_type does.
type Type string

const (
	TypeEmail     Type = "EMAIL"
	TypeSlack     Type = "SLACK"
	TypeWebhook   Type = "WEBHOOK"
	TypeSMS       Type = "SMS"
	TypeVoice     Type = "VOICE"
	TypePagerDuty Type = "PAGERDUTY"
)

// Config is one version of a notification channel: a current row of monitoring.notification_config_s.
type Config struct {
	Key           string          `json:"key"`           // business key, e.g. EMAIL_NOTIFICATIONS_PRIMARY
	Name          string          `json:"name"`          // channel_name, for people
	Type          Type            `json:"type"`          // channel_type
	Configuration json.RawMessage `json:"configuration"` // the guide's JSON shape of the type
	RetryAttempts int             `json:"retry_attempts"`
	RetryDelay    time.Duration   `json:"retry_delay"`
	// Also are further recipients of a channel for people: the addresses of contacts, resolved by whoever opens it and
	// never taken from a message.
	Also []string `json:"-"`
}

// Class says what one delivery attempt proved (see Receipt).
type Class string

const (
	// Accepted: the provider took the message by its own definition of success.
	Accepted Class = "ACCEPTED"
	// NotSent: nothing was written (dial, DNS, TLS) or the provider said 429; retrying is safe.
	NotSent Class = "NOT_SENT"
	// Transient: the provider said it failed for now (408, 425, 5xx, SMTP 4xx); retry, perhaps a duplicate.
	Transient Class = "TRANSIENT"
	// Uncertain: the message was written and no usable answer came; resend once at most, flagged.
	Uncertain Class = "UNCERTAIN"
	// Misconfigured: 3xx, 401, 403, 404, 410, blocked address, missing secret: its owner must act.
	Misconfigured Class = "CONFIG"
	// Permanent: the provider refuses this message for good.
	Permanent Class = "PERMANENT"
)

// Retryable reports whether a later attempt may succeed without anybody changing anything.
func (c Class) Retryable() bool { return c == NotSent || c == Transient || c == Uncertain }

// Message is what people are told about one batch of alerts of one group (one definition on one target).
type Message struct {
	// Key is the same for every attempt at one delivery: the webhook-id, the Message-ID, the dedup key.
	Key        string           `json:"key"`
	Event      alert.Event      `json:"event"`
	Definition alert.Definition `json:"definition"`
	Target     string           `json:"target"`
	WorkflowID string           `json:"workflow_id"`      // alert/<target>/<definition>
	Alerts     []alert.Alert    `json:"alerts"`           // at least one, worst first; empty only for EventTest
	At         time.Time        `json:"at"`               // when the event happened
	UIURL      string           `json:"ui_url,omitempty"` // the workflow in the Temporal UI, if known
	// Beside are the alerts that the message Prior shows and this event is not about, as they are now.
	Beside []alert.Alert `json:"beside,omitempty"`
	// Gathered says of which definitions the alerts of a digest are, by their keys; only EventDigest has it.
	Gathered map[string]Gathered `json:"gathered,omitempty"`
	// Prior is the provider's id of the earlier message to this recipient that the event continues: what a
	// receipt gave as ExternalID. Empty: there is none, or the channel does not tell in place.
	Prior string `json:"prior,omitempty"`
	// Storm is the storm that the message tells of; nil: its alerts are those of one definition on one target.
	Storm *alert.StormSummary `json:"storm,omitempty"`
	// PossibleDuplicate says that an earlier attempt may have arrived; receivers show it.
	PossibleDuplicate bool `json:"possible_duplicate,omitempty"`
	// Note says why it comes in this way or at this time, in one or two sentences; empty: as always.
	Note string `json:"note,omitempty"`
	// Answers are links of this one recipient, made when the message is sent. Whoever has them can follow
	// them, so they are in no copy of the message.
	Answers []Answer `json:"-"`

	words *wording // the channel's own; nil: ours
}

// Receipt is what one attempt proved. It never holds a secret: no password, token, or URL that is one.
type Receipt struct {
	Class      Class         `json:"class"`
	Proof      string        `json:"proof,omitempty"`       // why ACCEPTED: "SMTP 250 2.0.0 OK", "HTTP 200"
	Reason     string        `json:"reason,omitempty"`      // why not: one sentence with the remedy
	ExternalID string        `json:"external_id,omitempty"` // the provider's id of the message, if it gave one
	RetryAfter time.Duration `json:"retry_after,omitempty"` // the provider's wish, 0 when it gave none
	Content    string        `json:"content,omitempty"`     // the text as sent, for the ledger, at most 4 KiB
	Duration   time.Duration `json:"duration"`
}

// Channel sends to the recipients of one Config. Implementations are safe for concurrent use.
type Channel interface {
	// Recipients lists the separate destinations, in order and without duplicates: each gets a delivery
	// of its own with its own ledger entry. An e-mail channel has one per address; others have one. The
	// names are fit for a row or a log (a webhook shows scheme://host/..., never its secret path).
	Recipients() []string
	// Send makes one attempt at one delivery. It returns within the context's deadline and reports
	// every failure in the receipt.
	Send(ctx context.Context, recipient string, m Message) Receipt
}

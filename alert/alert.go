// Package alert is the vocabulary of alerting: what a definition is, what an alert is, which states it
// passes through, and what the people on call are told. It owns values and pure rules over them; it
// reads no clock, no database and no network (`now` is always an argument).
package alert

import "time"

// Severity ranks how much an alert matters; the vault holds the same words.
type Severity string

const (
	SeverityLow      Severity = "LOW"
	SeverityMedium   Severity = "MEDIUM"
	SeverityHigh     Severity = "HIGH"
	SeverityCritical Severity = "CRITICAL"
)

// Rank orders severities: LOW 1, MEDIUM 2, HIGH 3, CRITICAL 4, anything else 0.
func (s Severity) Rank() int {
	switch s {
	case SeverityLow:
		return 1
	case SeverityMedium:
		return 2
	case SeverityHigh:
		return 3
	case SeverityCritical:
		return 4
	}
	return 0
}

// Status is the state of one alert. The vault's function monitoring.alert_transition_allowed is the
// one place that says which change of status is legal.
type Status string

const (
	StatusOpen         Status = "OPEN"
	StatusAcknowledged Status = "ACKNOWLEDGED"
	StatusEscalated    Status = "ESCALATED"
	StatusResolved     Status = "RESOLVED"
	StatusSuppressed   Status = "SUPPRESSED"
)

// Event is what one message to people is about.
type Event string

const (
	EventFired     Event = "FIRED"
	EventEscalated Event = "ESCALATED"
	EventResolved  Event = "RESOLVED"
	EventTest      Event = "TEST"

	// EventSilenceEnding reminds people that a silence ends soon, and of which alerts they will then be told.
	EventSilenceEnding Event = "SILENCE_ENDING"
	EventReopened      Event = "REOPENED"   // fired again soon after its condition had cleared
	EventFlapping      Event = "FLAPPING"   // opened so often that it is told no more until it is stable
	EventUnanswered    Event = "UNANSWERED" // its acknowledgement or snooze is over, and nobody ended it
	// EventAcknowledged pages nobody: only channels that show an alert's life in one place are told.
	EventAcknowledged Event = "ACKNOWLEDGED"
	// EventDigest tells of many alerts of any definitions, whose own messages were over the limit of a channel.
	EventDigest Event = "DIGEST"
)

// Definition is one version of an alert definition, as far as the life of its alerts needs it.
type Definition struct {
	Key         string    `json:"key"`     // business key, e.g. SYSTEM_HIGH_CONNECTION_COUNT
	Version     time.Time `json:"version"` // load_date of the version, microseconds, UTC
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Category    string    `json:"category"`
	Severity    Severity  `json:"severity"`
	Condition   string    `json:"condition"`
	Threshold   *float64  `json:"threshold,omitempty"`
	Operator    string    `json:"operator,omitempty"` // >, <, =, !=, >=, <=
	RunbookURL  string    `json:"runbook_url,omitempty"`
	Runbook     string    `json:"runbook,omitempty"` // one line: what it means, what to look at, what to do

	AutoResolve       bool          `json:"auto_resolve"`
	EscalationEnabled bool          `json:"escalation_enabled"`
	EscalationDelay   time.Duration `json:"escalation_delay"`
	Policy            *Policy       `json:"policy,omitempty"` // nil: everybody again after each EscalationDelay
}

// Alert is one firing of a definition on a target, from the moment it opened until it is resolved.
type Alert struct {
	Key         string    `json:"key"`      // business key of the alert instance; its SHA-256 is the hash key
	ShortID     string    `json:"short_id"` // what people type: A-7F3K
	Target      string    `json:"target"`
	Labels      Labels    `json:"labels,omitempty"` // which label set of the target it is about; none: the target
	Tenant      string    `json:"tenant,omitempty"` // hex tenant hash key; empty is the whole system
	Status      Status    `json:"status"`
	Level       int       `json:"level"` // escalation level, 0 before the first escalation
	Value       *float64  `json:"value,omitempty"`
	Unit        string    `json:"unit,omitempty"`
	TriggeredAt time.Time `json:"triggered_at"`
	Reason      string    `json:"reason,omitempty"` // what the evaluation said in words, where numbers do not say it

	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	ResolvedAt     time.Time `json:"resolved_at,omitzero"`
	ResolvedBy     string    `json:"resolved_by,omitempty"`
	Notes          string    `json:"notes,omitempty"`        // of the last answer, whatever it was
	AnsweredVia    string    `json:"answered_via,omitempty"` // how it is known who acknowledged or resolved it

	AcknowledgedUntil time.Time `json:"acknowledged_until,omitzero"` // the acknowledgement holds until then; zero: until the end
	SnoozedUntil      time.Time `json:"snoozed_until,omitzero"`      // nobody is paged before then
	TakenBack         int       `json:"taken_back,omitempty"`        // how often an acknowledgement ended before the alert did
	FalsePositive     bool      `json:"false_positive,omitempty"`    // somebody judged that it should not have fired

	Mute       *Mute     `json:"mute,omitempty"`       // why nobody is told of it for now; nil: nothing keeps them
	Reopened   int       `json:"reopened,omitempty"`   // how often it fired again and went on
	ReopenedAt time.Time `json:"reopened_at,omitzero"` // when it did so last
	Flapping   *Flapping `json:"flapping,omitempty"`   // nil: it is not
}

// Active reports whether the alert still asks for somebody's attention.
func (a Alert) Active() bool {
	return a.Status == StatusOpen || a.Status == StatusEscalated || a.Status == StatusAcknowledged
}

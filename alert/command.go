package alert

import "time"

// The names by which a running alert workflow is addressed.
const (
	UpdateAcknowledge   = "acknowledge"
	UpdateResolve       = "resolve"
	UpdateUnacknowledge = "unacknowledge"
	UpdateSnooze        = "snooze"
	UpdateEscalate      = "escalate"
	UpdateFalsePositive = "false-positive"
	UpdateSilence       = "silence"
	SignalAcknowledge   = "acknowledge" // for `temporal workflow signal`; the sender is not verified
	SignalResolve       = "resolve"
	SignalTransitions   = "transitions" // facts from the vault's outbox and from the worker
	QueryStatus         = "status"
	SignalSilence       = "changed" // a silence's workflow is to look at it again
)

// ActorCondition stands as the resolver of an alert that nobody resolved: its condition cleared. The
// vault's evaluation writes the same words.
const ActorCondition = "condition cleared"

// Command is what a person asks of the alerts of a group: the input of the updates and of the signals
// of the same names.
type Command struct {
	Actor string `json:"actor"`
	Notes string `json:"notes,omitempty"`
	Via   string `json:"via,omitempty"` // how the actor is known, e.g. cli:dana@host
	// Minutes is how long an acknowledgement holds (0: until the end), or a snooze or silence lasts.
	Minutes int `json:"minutes,omitempty"`
	// Critical has a silence mute alerts of severity CRITICAL as well, which it spares otherwise.
	Critical bool     `json:"critical,omitempty"`
	Alerts   []string `json:"alerts,omitempty"` // keys or short ids; empty: all that are active
}

// CommandResult answers a Command, one entry per alert it meant.
type CommandResult struct {
	Alerts  []CommandOutcome `json:"alerts"`
	Silence string           `json:"silence,omitempty"` // the short id of the silence that it made: S-7F3K
}

// CommandOutcome says what stands now, and whether this command brought it about.
type CommandOutcome struct {
	ShortID        string    `json:"short_id"`
	Status         Status    `json:"status"`
	Changed        bool      `json:"changed"`
	Actor          string    `json:"actor,omitempty"` // who brought it about
	At             time.Time `json:"at,omitzero"`
	Until          time.Time `json:"until,omitzero"` // the end of the acknowledgement, snooze or silence
	Level          int       `json:"level,omitempty"`
	CancelledLevel int       `json:"cancelled_level,omitempty"` // the escalation that will not happen now
}

// GroupStatus answers the status query of an alert workflow.
type GroupStatus struct {
	WorkflowID     string     `json:"workflow_id"`
	Target         string     `json:"target"`
	Definition     Definition `json:"definition"`
	Alerts         []Alert    `json:"alerts"`
	WaitsFor       string     `json:"waits_for"`
	NextEscalation time.Time  `json:"next_escalation,omitzero"`
	Unrecorded     int        `json:"unrecorded"` // changes that the vault does not hold yet
	Sending        int        `json:"sending"`    // deliveries under way
}

package incident

import "time"

// The names by which a running incident workflow is addressed.
const (
	UpdateTake    = "take"
	UpdateNote    = "note"
	UpdateAssign  = "assign"
	UpdateResolve = "resolve"
	UpdateReopen  = "reopen"
	UpdateClose   = "close"
	SignalFacts   = "facts" // from the vault's outbox
	QueryStatus   = "status"
)

// Kind is what a change does, in the words of the vault's function change_incident.
type Kind string

const (
	Taken    Kind = "INVESTIGATING"
	Reopened Kind = "REOPENED"
	Resolved Kind = "RESOLVED"
	Closed   Kind = "CLOSED"
	Noted    Kind = "NOTED"
	Assigned Kind = "ASSIGNED"
	Limit    Kind = "LIMIT" // a timer ran out; the times say what that means
)

// Commands lists the updates and what each does, in the order of their registration.
func Commands() []struct {
	Update string
	Kind   Kind
} {
	return []struct {
		Update string
		Kind   Kind
	}{
		{UpdateTake, Taken},
		{UpdateNote, Noted},
		{UpdateAssign, Assigned},
		{UpdateResolve, Resolved},
		{UpdateReopen, Reopened},
		{UpdateClose, Closed},
	}
}

// Change is one thing that happens to an incident. Its content is deterministic, so that writing it twice
// is harmless.
type Change struct {
	Kind  Kind      `json:"change"`
	At    time.Time `json:"at"`
	Actor string    `json:"actor"`
	Via   string    `json:"via,omitempty"`
	// Text is the note, the reason, the summary of a resolution, the root cause at the closing, or to whom
	// it is assigned.
	Text string `json:"text,omitempty"`
}

// Command is what a person asks: the input of the updates.
type Command struct {
	Actor string `json:"actor"`
	Via   string `json:"via,omitempty"`  // how the actor is known, e.g. cli:dana@host
	Text  string `json:"text,omitempty"` // see Change
}

// Answer says what stands after a command, and whether the command brought it about.
type Answer struct {
	Incident Incident `json:"incident"`
	Changed  bool     `json:"changed"`
}

// Fact is news from the vault: what stands there is to be read again. It says what happened for the reader
// of the history; the workflow takes nothing else from it, so that a repeated or a late one is harmless.
type Fact struct {
	Seq    int64     `json:"seq"` // of the outbox row
	Kind   string    `json:"kind"`
	At     time.Time `json:"at,omitzero"`
	Actor  string    `json:"actor,omitempty"`
	Via    string    `json:"via,omitempty"`
	Alert  string    `json:"alert,omitempty"` // short id
	Status string    `json:"status,omitempty"`
}

// Facts is the payload of the facts signal, in order.
type Facts struct {
	Items []Fact `json:"items"`
}

// Standing answers the status query of an incident workflow.
type Standing struct {
	Incident   Incident  `json:"incident"`
	SLA        SLA       `json:"sla"`
	WaitsFor   string    `json:"waits_for"`
	NextAt     time.Time `json:"next_at,omitzero"` // when a timer does something by itself
	Next       string    `json:"next,omitempty"`   // what it does
	Unrecorded int       `json:"unrecorded"`       // changes that the vault does not hold yet
}

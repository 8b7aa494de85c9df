// Package incident holds the vocabulary of incidents and their rules over values: which command is in
// order, what follows from a change, when a limit passes. It reads no clock and reaches nothing; `now` is
// an argument. The vault has the same guard and has the last word.
package incident

import (
	"time"

	"onevault/alert"
)

// Status is where an incident stands, in the vault's own words.
type Status string

const (
	StatusOpen          Status = "OPEN"          // nobody has responded
	StatusInvestigating Status = "INVESTIGATING" // somebody is at it
	StatusResolved      Status = "RESOLVED"      // over; may be reopened
	StatusClosed        Status = "CLOSED"        // over for good
)

// SLA is how an incident stands to its limits.
type SLA string

const (
	OnTrack           SLA = "ON_TRACK"
	OverdueResponse   SLA = "OVERDUE_RESPONSE"
	OverdueResolution SLA = "OVERDUE_RESOLUTION"
)

// The limits, counted from the creation. The vault's functions incident_response_limit and
// incident_resolution_limit give the same.
const (
	ResponseLimit   = 30 * time.Minute
	ResolutionLimit = 4 * time.Hour
	// CloseAfter is how long a resolved incident waits for somebody to close it.
	CloseAfter = 7 * 24 * time.Hour
)

// Who acts where nobody does.
const (
	ActorAlerts     = "all alerts resolved"
	ActorResponse   = "response limit passed"
	ActorResolution = "resolution limit passed"
	ActorClose      = "closed 7 days after its resolution"
)

// Incident is an incident as it stands: alerts that people work on together. Times are UTC; a zero time
// means that it has not happened.
type Incident struct {
	ID         string         `json:"id"` // short id, I-7F3K
	Key        string         `json:"key"`
	HashKey    string         `json:"hash_key"` // hex
	WorkflowID string         `json:"workflow_id"`
	Tenant     string         `json:"tenant,omitempty"` // hex tenant hash key
	Title      string         `json:"title"`
	Status     Status         `json:"state"`
	Severity   alert.Severity `json:"severity"`
	Priority   string         `json:"priority"` // P1 to P4
	AssignedTo string         `json:"assigned_to,omitempty"`
	Services   []string       `json:"services"` // the targets of its alerts

	CreatedAt         time.Time `json:"created_at"`
	CreatedBy         string    `json:"created_by"`
	FirstResponseAt   time.Time `json:"first_response_at,omitzero"`
	FirstResponseBy   string    `json:"first_response_by,omitempty"`
	ResolvedAt        time.Time `json:"resolved_at,omitzero"`
	ResolvedBy        string    `json:"resolved_by,omitempty"`
	ClosedAt          time.Time `json:"closed_at,omitzero"`
	ClosedBy          string    `json:"closed_by,omitempty"`
	ReopenedAt        time.Time `json:"reopened_at,omitzero"` // last
	SLABreach         bool      `json:"sla_breach"`
	ResponseBreach    time.Time `json:"response_breached_at,omitzero"`
	ResolutionBreach  time.Time `json:"resolution_breached_at,omitzero"`
	ResponseMinutes   *int      `json:"response_minutes,omitempty"`
	ResolutionMinutes *int      `json:"resolution_minutes,omitempty"`
	ChangedAt         time.Time `json:"changed_at,omitzero"`
	ChangedBy         string    `json:"changed_by,omitempty"`
	ChangedVia        string    `json:"changed_via,omitempty"`

	// What its alerts say.
	Alerts              int       `json:"alerts"`
	ActiveAlerts        int       `json:"active_alerts"` // not resolved yet
	LastAlertResolvedAt time.Time `json:"last_alert_resolved_at,omitzero"`
	// The first answer to one of its alerts since they belong to it.
	AlertAcknowledgedAt time.Time `json:"alert_acknowledged_at,omitzero"`
	AlertAcknowledgedBy string    `json:"alert_acknowledged_by,omitempty"`
	AcknowledgedAlert   string    `json:"acknowledged_alert,omitempty"` // its short id
}

// Active reports whether somebody has work with it.
func (i Incident) Active() bool { return i.Status == StatusOpen || i.Status == StatusInvestigating }

// SLA is how the incident stands to its limits at a moment.
func (i Incident) SLA(now time.Time) SLA {
	age := now.Sub(i.CreatedAt)
	switch {
	case i.Status == StatusOpen && age > ResponseLimit:
		return OverdueResponse
	case i.Status == StatusInvestigating && age > ResolutionLimit:
		return OverdueResolution
	}
	return OnTrack
}

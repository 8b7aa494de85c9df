// Package workflows orchestrates: it decides what happens when, and leaves every effect to activities.
// It reads no clock, no environment, no database.
package workflows

import (
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"
)

// DefaultTaskQueue is where workers listen unless ONEVAULT_TASK_QUEUE says otherwise.
const DefaultTaskQueue = "onevault"

// Names of the workflow types, as the Temporal UI shows them.
const (
	AlertWorkflowName      = "Alert"
	CapacityWorkflowName   = "Capacity"
	CollectWorkflowName    = "Collect"
	ComplianceWorkflowName = "Compliance"
	EvaluateWorkflowName   = "Evaluate"
	ReportWorkflowName     = "Report"
	RetainWorkflowName     = "Retain"
	SecurityWorkflowName   = "Security"
)

// Type is a type of workflow: what runs under a name.
type Type struct {
	Name     string
	Workflow any
}

// Types are all that a worker runs.
func Types() []Type {
	return []Type{
		{AlertWorkflowName, Alert},
		{CapacityWorkflowName, Capacity},
		{CollectWorkflowName, Collect},
		{ComplianceWorkflowName, Compliance},
		{DigestWorkflowName, Digest},
		{EvaluateWorkflowName, Evaluate},
		{ExamineWorkflowName, Examine},
		{HeartbeatWorkflowName, Heartbeat},
		{IncidentWorkflowName, Incident},
		{ReportWorkflowName, Report},
		{RetainWorkflowName, Retain},
		{SecurityWorkflowName, Security},
		{SilenceWorkflowName, Silence},
		{StormWorkflowName, Storm},
	}
}

// AlertWorkflowID is the id of the workflow that carries the alerts of a definition on a target: the
// mutex by which a second firing cannot start a second one.
func AlertWorkflowID(target, definition, tenant string) string {
	id := "alert/" + target + "/" + definition
	if tenant != "" {
		id += "/" + tenant[:min(12, len(tenant))]
	}
	return id
}

// IsAlertWorkflowID tells the id of an alert's workflow from other ids that people type.
func IsAlertWorkflowID(id string) bool { return strings.HasPrefix(id, "alert/") }

// now is the workflow's clock in UTC, cut to the microseconds that PostgreSQL keeps: a time that enters
// a row is then the same wherever it is read again.
func now(ctx workflow.Context) time.Time { return workflow.Now(ctx).UTC().Truncate(time.Microsecond) }

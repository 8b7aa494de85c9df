package activities

import (
	"context"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/incident"
	"onevault/vault"
)

// Incidents are the activities around the state of incidents.
type Incidents struct {
	Vault    *vault.Store
	Temporal client.Client
	// The workflow's queue and type name are the worker's to know.
	TaskQueue        string
	IncidentWorkflow string
}

// RecordIncidentInput is one change of an incident's workflow; without one the incident is only read.
type RecordIncidentInput struct {
	HashKey string           `json:"hash_key"`
	Change  *incident.Change `json:"change,omitempty"`
}

// RecordIncidentOutput says what stands then.
type RecordIncidentOutput = vault.IncidentRecord

// RecordIncident writes a change into the vault and reads how the incident stands. Writing the same again
// changes nothing.
func (a *Incidents) RecordIncident(ctx context.Context, in RecordIncidentInput) (RecordIncidentOutput, error) {
	record, err := a.Vault.RecordIncident(ctx, in.HashKey, in.Change)
	if err != nil {
		return RecordIncidentOutput{}, classify(err)
	}
	return record, nil
}

// IncidentInput starts the workflow of an incident, with the incident as it stood then.
type IncidentInput struct {
	State incident.Incident `json:"state"`
}

// BringFactsInput addresses one incident.
type BringFactsInput struct {
	Incident incident.Incident `json:"incident"`
	Facts    incident.Facts    `json:"facts"`
}

// BringFactsOutput says whether a workflow heard them.
type BringFactsOutput struct {
	Delivered bool `json:"delivered"`
}

// BringFacts signals the incident's workflow, and starts it unless the incident is closed. The workflow's
// id is the mutex: there is never a second one for the same incident.
func (a *Incidents) BringFacts(ctx context.Context, in BringFactsInput) (BringFactsOutput, error) {
	i := in.Incident
	if i.Status == incident.StatusClosed {
		err := a.Temporal.SignalWorkflow(ctx, i.WorkflowID, "", incident.SignalFacts, in.Facts)
		if IsNotFound(err) {
			return BringFactsOutput{}, nil // over for its workflow already
		}
		return BringFactsOutput{Delivered: err == nil}, err
	}
	options := client.StartWorkflowOptions{
		ID:            i.WorkflowID,
		TaskQueue:     a.TaskQueue,
		StaticSummary: summary(i.Priority + " " + i.Title),
		StaticDetails: "Incident " + i.ID + " of " + i.CreatedAt.UTC().Format("2006-01-02 15:04:05 UTC") + ", created by " + i.CreatedBy,
		Priority:      priority(i.Severity),

		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}
	_, err := a.Temporal.SignalWithStartWorkflow(ctx, i.WorkflowID, incident.SignalFacts, in.Facts, options,
		a.IncidentWorkflow, IncidentInput{State: i})
	return BringFactsOutput{Delivered: err == nil}, err
}

// maxSummary is far below what Temporal takes for a summary, in bytes.
const maxSummary = 200

// summary cuts a text to what fits, at a character.
func summary(text string) string {
	if len(text) <= maxSummary {
		return text
	}
	return strings.ToValidUTF8(text[:maxSummary], "")
}

package activities

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/alert"
	"onevault/vault"
)

// Storms are the activities around storms.
type Storms struct {
	Vault    *vault.Store
	Temporal client.Client
	// The workflow's queue and type name are the worker's to know.
	TaskQueue     string
	StormWorkflow string
}

// JoinStormInput names a group and says when its alerts fired.
type JoinStormInput struct {
	Target     string    `json:"target"`
	Definition string    `json:"definition"`
	Tenant     string    `json:"tenant,omitempty"`
	FiredAt    time.Time `json:"fired_at"`
}

// JoinStormOutput is the storm to which the group belongs; nil: there is none.
type JoinStormOutput struct {
	Storm *alert.Storm `json:"storm,omitempty"`
}

// JoinStorm asks the vault whether a group belongs to a storm, which may begin by that.
func (s *Storms) JoinStorm(ctx context.Context, in JoinStormInput) (JoinStormOutput, error) {
	storm, found, err := s.Vault.JoinStorm(ctx, in.Target, in.Definition, in.Tenant, in.FiredAt)
	if err != nil || !found {
		return JoinStormOutput{}, classify(err)
	}
	return JoinStormOutput{Storm: &storm}, nil
}

// BringToStormInput is a message that a group leaves to the workflow of a storm.
type BringToStormInput struct {
	WorkflowID string         `json:"workflow_id"`
	Storm      alert.Storm    `json:"storm"`
	Handover   alert.Handover `json:"handover"`
}

// StormInput starts the workflow of a storm; the alerts come by signal.
type StormInput struct {
	Storm alert.Storm `json:"storm"`
	// State is carried over by continue-as-new; nil at the first start.
	State *alert.StormState `json:"state,omitempty"`
}

// BringToStorm signals the storm's workflow, and starts it when none runs. Once it returns, the storm has the message
// and tells it, whatever happens to anybody.
func (s *Storms) BringToStorm(ctx context.Context, in BringToStormInput) error {
	options := client.StartWorkflowOptions{
		ID: in.WorkflowID, TaskQueue: s.TaskQueue,
		StaticSummary: fmt.Sprintf("storm: more than %d groups of alerts on %s", in.Storm.Limit, in.Storm.Name),
		Priority:      priority(alert.SeverityCritical), // it may hold such ones

		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}
	_, err := s.Temporal.SignalWithStartWorkflow(ctx, in.WorkflowID, alert.SignalHandover, in.Handover, options, s.StormWorkflow, StormInput{Storm: in.Storm})
	return err
}

// EndStormInput is a storm that is over.
type EndStormInput struct {
	Key    string    `json:"key"`
	At     time.Time `json:"at"`
	Groups int       `json:"groups"` // the most that were open at a time
	Alerts int       `json:"alerts"` // that it told of
}

// EndStorm has the vault know that a storm is over: who fires from now on is told one by one.
func (s *Storms) EndStorm(ctx context.Context, in EndStormInput) error {
	return classify(s.Vault.EndStorm(ctx, in.Key, in.At, in.Groups, in.Alerts))
}

// eventOf is the ledger's word for what a message tells of an alert.
func (in SendNotificationInput) eventOf(key string) string {
	if event, own := in.Events[key]; own {
		return event
	}
	return in.Event
}

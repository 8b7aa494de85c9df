package activities

import (
	"context"
	"log/slog"
	"slices"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"onevault/alert"
	"onevault/vault"
)

// Alerts are the activities around the state of alerts.
type Alerts struct {
	Vault    *vault.Store
	Channels *Directory
	Temporal client.Client
	Log      *slog.Logger
	// Workflow starts an alert's workflow: queue and type name are the worker's to know.
	TaskQueue     string
	AlertWorkflow string
}

// RecordHistoryInput is what an alert's workflow did and said, in order.
type RecordHistoryInput struct {
	Changes []vault.Change      `json:"changes,omitempty"`
	Entries []vault.LedgerEntry `json:"entries,omitempty"`
}

// RecordHistoryOutput answers the changes of status among the input.
type RecordHistoryOutput struct {
	Results []vault.ChangeResult `json:"results,omitempty"`
}

// RecordHistory writes into the vault, the changes of an alert in their order. All or nothing, but of many changes
// each writer's; writing the same again changes nothing.
func (a *Alerts) RecordHistory(ctx context.Context, in RecordHistoryInput) (RecordHistoryOutput, error) {
	if len(in.Changes) < manyChanges {
		results, err := a.Vault.RecordHistory(ctx, in.Changes, in.Entries)
		if err != nil {
			return RecordHistoryOutput{}, classify(err)
		}
		return RecordHistoryOutput{Results: results}, nil
	}
	parts := byAlert(in.Changes, writers)
	results := make([][]vault.ChangeResult, len(parts))
	err := inParallel(len(parts), func(i int) (err error) {
		results[i], err = a.Vault.RecordHistory(ctx, parts[i], nil)
		return err
	})
	if err == nil && len(in.Entries) > 0 {
		_, err = a.Vault.RecordHistory(ctx, nil, in.Entries) // they refer to alerts that must be there
	}
	if err != nil {
		return RecordHistoryOutput{}, classify(err)
	}
	return RecordHistoryOutput{Results: slices.Concat(results...)}, nil
}

// manyChanges is from how many on a write is divided: one answer of a person's may concern thousands.
const manyChanges = 100

// byAlert divides changes into n parts, those of one alert into the same part and in their order.
func byAlert(changes []vault.Change, n int) [][]vault.Change {
	parts, of := make([][]vault.Change, n), map[string]int{}
	for _, c := range changes {
		part, known := of[c.AlertKey]
		if !known {
			part = len(of) % n
			of[c.AlertKey] = part
		}
		parts[part] = append(parts[part], c)
	}
	return slices.DeleteFunc(parts, func(part []vault.Change) bool { return len(part) == 0 })
}

// ListChannelsInput names the definition whose hearers are asked for.
type ListChannelsInput struct {
	Definition string `json:"definition"`
	// Named are keys and types of the channels that the definition's escalation policy names.
	Named []string `json:"named,omitempty"`
}

// ListChannelsOutput holds the channels as a workflow may carry them: without secrets.
type ListChannelsOutput struct {
	Channels []alert.Channel `json:"channels"`
	Named    []alert.Channel `json:"named,omitempty"`
}

// ListChannels reads who hears the alerts of a definition now.
func (a *Alerts) ListChannels(ctx context.Context, in ListChannelsInput) (ListChannelsOutput, error) {
	channels, err := a.Channels.Matching(ctx, in.Definition)
	if err != nil {
		return ListChannelsOutput{}, classify(err)
	}
	named, err := a.Channels.Named(ctx, in.Definition, in.Named)
	if err != nil {
		return ListChannelsOutput{}, classify(err)
	}
	return ListChannelsOutput{Channels: channels, Named: named}, nil
}

// BringTransitionsInput addresses one group of alerts.
type BringTransitionsInput struct {
	WorkflowID  string            `json:"workflow_id"`
	Target      string            `json:"target"`
	Tenant      string            `json:"tenant,omitempty"`
	Definition  string            `json:"definition"`
	Transitions alert.Transitions `json:"transitions"`
}

// BringTransitionsOutput says whether a workflow heard them.
type BringTransitionsOutput struct {
	Delivered bool `json:"delivered"`
}

// BringTransitions signals the alert's workflow, and starts it when something fired and none runs. The
// workflow's id is the mutex: there is never a second one for the same group.
func (a *Alerts) BringTransitions(ctx context.Context, in BringTransitionsInput) (BringTransitionsOutput, error) {
	fired := firstFired(in.Transitions)
	if fired == nil {
		err := a.Temporal.SignalWorkflow(ctx, in.WorkflowID, "", alert.SignalTransitions, in.Transitions)
		if IsNotFound(err) {
			return BringTransitionsOutput{}, nil // the alert is over for its workflow already
		}
		return BringTransitionsOutput{Delivered: err == nil}, err
	}
	options := client.StartWorkflowOptions{
		ID:            in.WorkflowID,
		TaskQueue:     a.TaskQueue,
		StaticSummary: string(fired.Definition.Severity) + " " + fired.Definition.Name + " on " + in.Target,
		StaticDetails: fired.Definition.Description,
		Priority:      priority(fired.Definition.Severity),

		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}
	_, err := a.Temporal.SignalWithStartWorkflow(ctx, in.WorkflowID, alert.SignalTransitions, in.Transitions, options,
		a.AlertWorkflow, AlertGroupInput{Target: in.Target, Tenant: in.Tenant, DefinitionKey: in.Definition})
	return BringTransitionsOutput{Delivered: err == nil}, err
}

// AlertGroupInput starts the workflow of a group; the alerts come by signal.
type AlertGroupInput struct {
	Target        string `json:"target"`
	Tenant        string `json:"tenant,omitempty"`
	DefinitionKey string `json:"definition_key"`
	// State is carried over by continue-as-new; nil at the first start.
	State *alert.Group `json:"state,omitempty"`
}

func firstFired(t alert.Transitions) *alert.Transition {
	for i := range t.Items {
		if t.Items[i].Kind == alert.TransitionFired && t.Items[i].Definition != nil {
			return &t.Items[i]
		}
	}
	return nil
}

// priority lets a CRITICAL overtake a storm of lesser alerts; 1 is the highest.
func priority(s alert.Severity) temporal.Priority {
	return temporal.Priority{PriorityKey: 5 - s.Rank()}
}

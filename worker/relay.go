package worker

import (
	"context"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/alert"
	"onevault/vault"
	"onevault/workflows"
)

const (
	pollEvery  = time.Second      // certainty, where LISTEN is only speed
	relayBatch = 1000             // rows per round
	adoptEvery = 15 * time.Second // how often alerts without a workflow are looked for
)

// relay brings what happened inside the vault to the alerts' workflows, in order. Of all workers one
// relays at a time; when it ends, another takes over within seconds. A row that was relayed twice is
// recognised by the workflow, so each takes effect exactly once.
type relay struct {
	store    *vault.Store
	alerts   *activities.Alerts
	temporal client.Client
	log      *slog.Logger
}

func newRelay(store *vault.Store, alerts *activities.Alerts, temporal client.Client, log *slog.Logger) *relay {
	return &relay{store: store, alerts: alerts, temporal: temporal, log: log}
}

func (r *relay) run(ctx context.Context) {
	silent := false // an outage is logged once
	for ctx.Err() == nil {
		err := r.hold(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !silent {
			r.log.Warn("outbox not relayed, trying on", "error", err)
		}
		silent = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
}

// hold takes the outbox and relays until something fails; nil: another worker holds it.
func (r *relay) hold(ctx context.Context) error {
	outbox, err := r.store.TakeOutbox(ctx)
	if err != nil || outbox == nil {
		return err
	}
	defer outbox.Release()
	adopted := time.Time{}
	for {
		if err := r.drain(ctx, outbox); err != nil {
			return err
		}
		if time.Since(adopted) > adoptEvery {
			adopted = time.Now()
			if err := r.adopt(ctx, outbox); err != nil {
				return err
			}
		}
		if err := outbox.Wait(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// drain relays until nothing is left.
func (r *relay) drain(ctx context.Context, outbox *vault.Outbox) error {
	for {
		rows, err := outbox.Unrelayed(ctx, relayBatch)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, group := range groupRows(rows) {
			delivered, err := r.bring(ctx, group)
			if err != nil {
				return err
			}
			outcome := "relayed"
			if !delivered {
				outcome = "no workflow needed it"
			}
			if err := outbox.MarkRelayed(ctx, group.ids(), outcome); err != nil {
				return err
			}
		}
	}
}

// adopt starts the workflows that active alerts lack: they were terminated, or lost with their cluster.
// The ledger keeps them from telling anybody the same thing twice.
func (r *relay) adopt(ctx context.Context, outbox *vault.Outbox) error {
	rows, err := outbox.Active(ctx)
	if err != nil {
		return err
	}
	for _, group := range groupRows(rows) {
		running, err := r.isRunning(ctx, group.workflowID)
		if err != nil {
			return err
		}
		if running {
			continue
		}
		if _, err := r.bring(ctx, group); err != nil {
			return err
		}
		r.log.Warn("workflow of active alerts was gone and is started again", "workflow_id", group.workflowID, "alerts", len(group.rows))
	}
	return nil
}

func (r *relay) isRunning(ctx context.Context, workflowID string) (bool, error) {
	answer, err := r.temporal.DescribeWorkflowExecution(ctx, workflowID, "")
	if activities.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return answer.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}

// rowGroup is what one workflow is to hear.
type rowGroup struct {
	workflowID string
	rows       []vault.OutboxRow
}

func (g rowGroup) ids() []int64 {
	ids := make([]int64, len(g.rows))
	for i, row := range g.rows {
		ids[i] = row.ID
	}
	return ids
}

// groupRows sorts rows by the workflow that they concern, keeping their order.
func groupRows(rows []vault.OutboxRow) []rowGroup {
	var groups []rowGroup
	index := map[string]int{}
	for _, row := range rows {
		id := workflows.AlertWorkflowID(row.Alert.Target, row.Definition.Key, row.Alert.Tenant)
		at, known := index[id]
		if !known {
			at = len(groups)
			index[id] = at
			groups = append(groups, rowGroup{workflowID: id})
		}
		groups[at].rows = append(groups[at].rows, row)
	}
	return groups
}

func (r *relay) bring(ctx context.Context, group rowGroup) (bool, error) {
	first := group.rows[0]
	input := activities.BringTransitionsInput{
		WorkflowID: group.workflowID, Target: first.Alert.Target, Tenant: first.Alert.Tenant, Definition: first.Definition.Key,
	}
	var channels []alert.Channel
	for _, row := range group.rows {
		if row.Kind == alert.TransitionFired && row.Alert.Status == alert.StatusResolved {
			continue // over before anybody was told: nobody needs a page any more
		}
		if row.Kind == alert.TransitionFired && channels == nil {
			list, err := r.alerts.Channels.Matching(ctx, row.Definition.Key)
			if err != nil {
				return false, err
			}
			channels = list
		}
		input.Transitions.Items = append(input.Transitions.Items, transitionOf(row, channels))
	}
	if len(input.Transitions.Items) == 0 {
		return false, nil
	}
	out, err := r.alerts.BringTransitions(ctx, input)
	return out.Delivered, err
}

func transitionOf(row vault.OutboxRow, channels []alert.Channel) alert.Transition {
	t := alert.Transition{
		Seq: row.ID, Kind: row.Kind, Alert: row.Alert, At: row.Payload.At, Actor: row.Payload.Actor, Via: row.Payload.Via,
		Notes: row.Payload.Notes, Recorded: true,
	}
	if row.Kind == alert.TransitionFired {
		t.Definition, t.Channels = &row.Definition, channels
	}
	return t
}

package worker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"onevault/activities"
	"onevault/alert"
	"onevault/incident"
	"onevault/vault"
	"onevault/workflows"
)

const (
	pollEvery  = time.Second      // certainty, where LISTEN is only speed
	relayBatch = alert.MaxSeen    // rows per round: a storm is told in one message
	adoptEvery = 15 * time.Second // how often alerts without a workflow are looked for
)

// relay brings what happened inside the vault to the workflows of alerts and incidents, in order. Of all workers one
// relays at a time; when it ends, another takes over within seconds. A row that was relayed twice is
// recognised by the workflow, so each takes effect exactly once.
type relay struct {
	store     *vault.Store
	alerts    *activities.Alerts
	incidents *activities.Incidents
	silences  *activities.Silences
	temporal  client.Client
	log       *slog.Logger
}

func newRelay(store *vault.Store, alerts *activities.Alerts, incidents *activities.Incidents, silences *activities.Silences, temporal client.Client, log *slog.Logger) *relay {
	return &relay{store: store, alerts: alerts, incidents: incidents, silences: silences, temporal: temporal, log: log}
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
		adopting := time.Since(adopted) > adoptEvery
		if adopting {
			adopted = time.Now()
		}
		// Alerts first, wholly: nothing about an incident may hold up a page.
		if err := r.relayAlerts(ctx, outbox, adopting); err != nil {
			return err
		}
		if err := r.relayIncidents(ctx, outbox, adopting); err != nil {
			return err
		}
		if err := r.relaySilences(ctx, outbox, adopting); err != nil {
			return err
		}
		if err := outbox.Wait(ctx, pollEvery); err != nil {
			return err
		}
	}
}

func (r *relay) relayAlerts(ctx context.Context, outbox *vault.Outbox, adopting bool) error {
	if err := r.look(ctx, outbox); err != nil {
		return err
	}
	if err := r.drain(ctx, outbox); err != nil || !adopting {
		return err
	}
	if err := r.writeWindows(ctx); err != nil {
		return err
	}
	return r.adopt(ctx, outbox)
}

func (r *relay) relayIncidents(ctx context.Context, outbox *vault.Outbox, adopting bool) error {
	if err := r.drainIncidents(ctx, outbox); err != nil || !adopting {
		return err
	}
	return r.adoptIncidents(ctx, outbox)
}

// look has the definitions evaluated whose sources have news; what fires stands in the outbox afterwards. A
// look that fails is no reason to hold up what is known already: the next round of the schedule looks again.
func (r *relay) look(ctx context.Context, outbox *vault.Outbox) error {
	looks, err := outbox.Looks(ctx)
	if err != nil {
		return err
	}
	for _, l := range looks {
		evaluated, err := r.store.EvaluateSources(ctx, l.Target, l.Sources)
		switch {
		case vault.Unreachable(err):
			return err
		case err != nil:
			r.log.Warn("definitions not looked at before their next round", "target", l.Target, "sources", l.Sources, "error", err)
			err = outbox.MarkRelayed(ctx, l.IDs, "could not look: "+err.Error())
		default:
			err = outbox.MarkRelayed(ctx, l.IDs, fmt.Sprintf("looked at %d definitions", len(evaluated)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// drain relays what concerns alerts until nothing is left.
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
			if err := outbox.MarkRelayed(ctx, group.ids(), outcomeOf(delivered)); err != nil {
				return err
			}
		}
	}
}

func outcomeOf(delivered bool) string {
	if delivered {
		return "relayed"
	}
	return "no workflow needed it"
}

// drainIncidents relays what concerns incidents until nothing is left.
func (r *relay) drainIncidents(ctx context.Context, outbox *vault.Outbox) error {
	for {
		news, err := outbox.UnrelayedIncidents(ctx, relayBatch)
		if err != nil || len(news) == 0 {
			return err
		}
		for _, n := range news {
			delivered, err := r.bringFacts(ctx, n)
			if err != nil {
				return err
			}
			ids := make([]int64, len(n.Facts))
			for i, fact := range n.Facts {
				ids[i] = fact.Seq
			}
			if err := outbox.MarkRelayed(ctx, ids, outcomeOf(delivered)); err != nil {
				return err
			}
		}
	}
}

func (r *relay) bringFacts(ctx context.Context, n vault.IncidentNews) (bool, error) {
	if n.Incident.Key == "" {
		return false, nil // a hub without a version: there is nothing yet that a workflow could carry
	}
	out, err := r.incidents.BringFacts(ctx, activities.BringFactsInput{Incident: n.Incident, Facts: incident.Facts{Items: n.Facts}})
	return out.Delivered, err
}

// adoptIncidents starts the workflows that incidents lack, as adopt does for alerts. What a lost one did
// stands in the vault, which the new one reads first.
func (r *relay) adoptIncidents(ctx context.Context, outbox *vault.Outbox) error {
	active, err := outbox.ActiveIncidents(ctx)
	if err != nil {
		return err
	}
	for _, n := range active {
		running, err := r.isRunning(ctx, n.Incident.WorkflowID)
		if err != nil {
			return err
		}
		if running {
			continue
		}
		if _, err := r.bringFacts(ctx, n); err != nil {
			return err
		}
		r.log.Warn("workflow of an incident was gone and is started again", "workflow_id", n.Incident.WorkflowID)
	}
	return nil
}

// adopt starts the workflows that active alerts lack: they were terminated, or lost with their cluster.
// The ledger keeps them from telling anybody the same thing twice.
func (r *relay) adopt(ctx context.Context, outbox *vault.Outbox) error {
	active, err := outbox.ActiveGroups(ctx)
	if err != nil {
		return err
	}
	lost := map[string]bool{} // by the workflow's id, which tenants may share
	for _, g := range active {
		id := workflows.AlertWorkflowID(g.Target, g.Definition, g.Tenant)
		if _, asked := lost[id]; !asked {
			running, err := r.isRunning(ctx, id)
			if err != nil {
				return err
			}
			lost[id] = !running
		}
		if !lost[id] {
			continue
		}
		rows, err := outbox.Active(ctx, g)
		if err != nil {
			return err
		}
		for _, group := range groupRows(rows) {
			if _, err := r.bring(ctx, group); err != nil {
				return err
			}
			r.log.Warn("workflow of active alerts was gone and is started again", "workflow_id", group.workflowID, "alerts", len(group.rows))
		}
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
	var channels, named []alert.Channel
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
			if named, err = r.alerts.Channels.Named(ctx, row.Definition.Key, row.Definition.Policy.Named()); err != nil {
				return false, err
			}
		}
		input.Transitions.Items = append(input.Transitions.Items, transitionOf(row, channels, named))
	}
	alert.SayOnce(input.Transitions.Items)
	if len(input.Transitions.Items) == 0 {
		return false, nil
	}
	out, err := r.alerts.BringTransitions(ctx, input)
	return out.Delivered, err
}

func transitionOf(row vault.OutboxRow, channels, named []alert.Channel) alert.Transition {
	t := alert.Transition{
		Seq: row.ID, Kind: row.Kind, Alert: row.Alert, At: row.Payload.At, Actor: row.Payload.Actor, Via: row.Payload.Via,
		Notes: row.Payload.Notes, Until: row.Payload.Until, Level: row.Payload.Level, FalsePositive: row.Payload.FalsePositive, Recorded: true,
	}
	if row.Kind == alert.TransitionFired {
		t.Definition, t.Channels, t.Named = &row.Definition, channels, named
	}
	return t
}

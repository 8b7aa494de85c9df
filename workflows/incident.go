package workflows

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/incident"
)

// IncidentWorkflowName is the workflow's type, as the Temporal UI shows it.
const IncidentWorkflowName = "Incident"

// IncidentWorkflowID is the id of the workflow that carries the incident with a short id: the mutex by
// which it never has a second one. The vault gives a short id once.
func IncidentWorkflowID(shortID string) string { return "incident/" + shortID }

// IncidentResult is what stands when an incident is closed.
type IncidentResult struct {
	Incident incident.Incident `json:"incident"`
}

// Incident carries an incident from its creation until it is closed: it hears people, follows the
// incident's alerts, keeps the limits of response and resolution, and has everything recorded.
//
// What stands is the vault's word: each write and each fact from the outbox ends in a reading, one after
// the other, so a fact that comes twice, late or not at all is harmless. While the vault is down people
// are answered from what stood last and from what they did since, which is written when it is back.
func Incident(ctx workflow.Context, in activities.IncidentInput) (IncidentResult, error) {
	run := &incidentRun{state: in.State, stale: true}
	if err := run.setup(ctx); err != nil {
		return IncidentResult{}, err
	}
	return run.run(ctx)
}

// incidentRun is one run of the workflow. Its coroutines share it; only one of them runs at a time.
type incidentRun struct {
	state    incident.Incident
	queue    []*pendingChange // not in the vault yet, in order
	stale    bool             // the vault may know more
	busy     bool             // a write or a reading is under way
	late     bool             // the vault did not answer within its budget
	accepted int              // changes ever given
	written  int              // changes that the vault has taken or refused
	handled  time.Time        // deadlines up to here have had their effect
	followed string           // the last change that the alerts brought about
	shown    string           // state and wait as last set in the search attributes
}

// pendingChange is a change on its way into the vault.
type pendingChange struct {
	incident.Change
	changed bool  // it took effect
	refused error // why the vault will never take it
}

func (r *incidentRun) setup(ctx workflow.Context) error {
	if err := workflow.SetQueryHandlerWithOptions(ctx, incident.QueryStatus,
		func() (incident.Standing, error) { return r.standing(), nil },
		workflow.QueryHandlerOptions{Description: "How the incident stands and what it waits for"}); err != nil {
		return err
	}
	for _, command := range incident.Commands() {
		kind := command.Kind
		err := workflow.SetUpdateHandlerWithOptions(ctx, command.Update,
			func(ctx workflow.Context, c incident.Command) (incident.Answer, error) {
				return r.command(ctx, kind, c)
			},
			workflow.UpdateHandlerOptions{
				Description: command.Update + " the incident: {actor, text}",
				Validator: func(_ workflow.Context, c incident.Command) error {
					if err := r.state.Check(kind, c); err != nil {
						return refuseIncident(err)
					}
					return nil
				},
			})
		if err != nil {
			return err
		}
	}
	workflow.Go(ctx, r.record)
	workflow.Go(ctx, r.receiveFacts)
	workflow.Go(ctx, r.keepLimits)
	r.show(ctx)
	return nil
}

// run waits until the incident is closed, or until the history has grown so long that it must begin anew.
func (r *incidentRun) run(ctx workflow.Context) (IncidentResult, error) {
	over := func() bool { return r.state.Status == incident.StatusClosed }
	err := workflow.Await(ctx, func() bool {
		return r.quiet(ctx) && (over() || workflow.GetInfo(ctx).GetContinueAsNewSuggested())
	})
	if err != nil {
		return IncidentResult{}, err
	}
	if !over() {
		return IncidentResult{}, workflow.NewContinueAsNewError(ctx, IncidentWorkflowName, activities.IncidentInput{State: r.state})
	}
	return IncidentResult{Incident: r.state}, nil
}

// quiet: nothing is on its way in or out, so that ending now loses nothing.
func (r *incidentRun) quiet(ctx workflow.Context) bool {
	return !r.busy && !r.stale && r.unwritten() == 0 && workflow.AllHandlersFinished(ctx) &&
		workflow.GetSignalChannel(ctx, incident.SignalFacts).Len() == 0
}

// ---------------------------------------------------------------- what people do

// refuseIncident turns a rule's refusal into an error that a client can tell apart.
func refuseIncident(err error) error {
	kind := ErrorUsage
	if errors.Is(err, incident.ErrConflict) {
		kind = ErrorConflict
	}
	return temporal.NewApplicationError(err.Error(), kind)
}

// command makes a change, waits until the vault holds it (or proved too slow), and answers with what
// stands then: somebody may have been faster in psql.
func (r *incidentRun) command(ctx workflow.Context, kind incident.Kind, c incident.Command) (incident.Answer, error) {
	if err := r.state.Check(kind, c); err != nil {
		return incident.Answer{}, refuseIncident(err) // it changed since the validator looked
	}
	change := r.change(ctx, incident.Change{Kind: kind, At: now(ctx), Actor: c.Actor, Via: c.Via, Text: strings.TrimSpace(c.Text)})
	if change == nil {
		return incident.Answer{Incident: r.state}, nil
	}
	mark := r.accepted
	if err := workflow.Await(ctx, func() bool { return r.written >= mark || r.late }); err != nil {
		return incident.Answer{}, err
	}
	if change.refused != nil {
		return incident.Answer{}, temporal.NewApplicationError("the vault refused it: "+rootMessage(change.refused), activities.ErrorVaultRefused)
	}
	return incident.Answer{Incident: r.state, Changed: change.changed}, nil
}

// change applies a change and has it recorded; nil: it changes nothing.
func (r *incidentRun) change(ctx workflow.Context, c incident.Change) *pendingChange {
	if !r.state.Apply(c) {
		return nil
	}
	pending := &pendingChange{Change: c, changed: true}
	r.queue = append(r.queue, pending)
	r.accepted++
	r.show(ctx)
	return pending
}

// ---------------------------------------------------------------- the vault

// receiveFacts takes news of the incident and of its alerts: reason to read.
func (r *incidentRun) receiveFacts(ctx workflow.Context) {
	channel := workflow.GetSignalChannel(ctx, incident.SignalFacts)
	for {
		var facts incident.Facts
		if !channel.Receive(ctx, &facts) {
			return
		}
		r.stale = true
	}
}

func (r *incidentRun) unwritten() int { return r.accepted - r.written }

// record writes changes, one after the other, and reads what stands, as long as the workflow lives.
func (r *incidentRun) record(ctx workflow.Context) {
	for {
		r.busy = false
		if err := workflow.Await(ctx, func() bool { return r.stale || len(r.queue) > 0 }); err != nil {
			return // cancelled: what is unwritten stands in the workflow's history
		}
		r.busy = true
		var next *pendingChange
		in := activities.RecordIncidentInput{HashKey: r.state.HashKey}
		if len(r.queue) > 0 {
			next, r.queue = r.queue[0], r.queue[1:]
			in.Change = &next.Change
		}
		r.stale = false
		out, err := r.write(ctx, in)
		r.late = false
		if next != nil {
			next.changed, next.refused = err == nil && out.Changed, err
			r.written++
		}
		switch {
		case temporal.IsCanceledError(err):
			return
		case err != nil:
			workflow.GetLogger(ctx).Error("the vault refused an incident's change", "incident", r.state.ID, "error", err)
			r.stale = next != nil // what stands without it; if that cannot be read either, the next fact tries again
		case len(r.queue) == 0:
			// With nothing left to write the vault's word is the newest there is.
			r.state = out.Incident
			r.follow(ctx)
		}
		r.show(ctx)
	}
}

// write offers a change to the vault with a budget of a second, and then waits for the vault.
func (r *incidentRun) write(ctx workflow.Context, in activities.RecordIncidentInput) (activities.RecordIncidentOutput, error) {
	var (
		incidents *activities.Incidents
		out       activities.RecordIncidentOutput
	)
	quick := workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                recordSummary(in, ""),
	})
	err := workflow.ExecuteLocalActivity(quick, incidents.RecordIncident, in).Get(ctx, &out)
	if err == nil || isRefused(err) || temporal.IsCanceledError(err) {
		return out, err
	}
	r.late = true
	r.show(ctx)
	patient := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 1.5, MaximumInterval: 3 * time.Second,
			NonRetryableErrorTypes: []string{activities.ErrorVaultRefused},
		},
		Summary: recordSummary(in, " when the vault is back"),
	})
	for {
		out = activities.RecordIncidentOutput{}
		err = workflow.ExecuteActivity(patient, incidents.RecordIncident, in).Get(ctx, &out)
		// Retries have no end of their own; whatever else ends them is no reason to lose history.
		if err == nil || isRefused(err) || temporal.IsCanceledError(err) {
			return out, err
		}
	}
}

func recordSummary(in activities.RecordIncidentInput, when string) string {
	if in.Change == nil {
		return "read the incident" + when
	}
	return "record " + string(in.Change.Kind) + when
}

// follow has the incident's alerts bring about what they bring about. What the vault refused once is not
// offered again.
func (r *incidentRun) follow(ctx workflow.Context) {
	for {
		c, ok := r.state.Follow()
		if !ok {
			return
		}
		this := fmt.Sprint(c.Kind, " ", c.At.UnixMicro())
		if this == r.followed {
			return
		}
		r.followed = this
		r.change(ctx, c)
	}
}

// ---------------------------------------------------------------- limits

// keepLimits waits for the moments at which something happens unless somebody acts before.
func (r *incidentRun) keepLimits(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return !r.next().At.IsZero() }); err != nil {
			return
		}
		deadline := r.next()
		changed, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      max(deadline.At.Sub(now(ctx)), 0),
			TimerOptions: workflow.TimerOptions{Summary: timerSummary(deadline)},
		}, func() bool { return r.next() != deadline })
		if err != nil {
			return
		}
		if !changed {
			r.handled = deadline.At
			at := now(ctx)
			if at.Before(deadline.At) { // timers are exact to a millisecond
				at = deadline.At
			}
			r.change(ctx, incident.Change{Kind: deadline.Kind, At: at, Actor: deadline.Actor, Via: "workflow"})
		}
	}
}

func (r *incidentRun) next() incident.Deadline { return r.state.Next(r.handled) }

func timerSummary(d incident.Deadline) string {
	if d.Kind == incident.Closed {
		return "close unless reopened"
	}
	return d.Actor + " unless somebody acts"
}

// ---------------------------------------------------------------- what people see

func (r *incidentRun) standing() incident.Standing {
	next := r.next()
	return incident.Standing{
		Incident: r.state, SLA: r.sla(), WaitsFor: r.waiting(), NextAt: next.At, Next: next.Actor, Unrecorded: r.unwritten(),
	}
}

// sla reads no clock: the timers say which limit has passed.
func (r *incidentRun) sla() incident.SLA {
	switch {
	case r.state.Status == incident.StatusOpen && !r.state.ResponseBreach.IsZero():
		return incident.OverdueResponse
	case r.state.Status == incident.StatusInvestigating && !r.state.ResolutionBreach.IsZero():
		return incident.OverdueResolution
	}
	return incident.OnTrack
}

const (
	waitsForResponse = "response"
	waitsForClosing  = "closing"
)

func (r *incidentRun) waiting() string {
	switch {
	case r.late:
		return waitsForVault
	case r.state.Status == incident.StatusOpen:
		return waitsForResponse
	case r.state.Status == incident.StatusInvestigating:
		return waitsForResolution
	case r.state.Status == incident.StatusResolved:
		return waitsForClosing
	}
	return waitsForNothing
}

// show keeps what the Temporal UI says about the incident true.
func (r *incidentRun) show(ctx workflow.Context) {
	if shown := fmt.Sprint(r.state.Status, " ", r.state.Severity, " ", r.waiting()); shown != r.shown {
		r.shown = shown
		err := workflow.UpsertTypedSearchAttributes(ctx,
			AttributeStatus.ValueSet(string(r.state.Status)),
			AttributeSeverity.ValueSet(string(r.state.Severity)),
			AttributeWaitsFor.ValueSet(r.waiting()))
		if err != nil {
			workflow.GetLogger(ctx).Warn("search attributes not set", "error", err)
		}
	}
	workflow.SetCurrentDetails(ctx, r.details())
}

func (r *incidentRun) details() string {
	const layout = "2006-01-02 15:04:05 UTC"
	var (
		i    = r.state
		text strings.Builder
	)
	fmt.Fprintf(&text, "**%s %s** %s, %s. Waits for %s.\n", i.ID, i.Title, i.Priority, i.Status, r.waiting())
	if sla := r.sla(); sla != incident.OnTrack {
		fmt.Fprintf(&text, "\n**%s**\n", sla)
	}
	if next := r.next(); !next.At.IsZero() {
		fmt.Fprintf(&text, "\nNext, at %s: %s.\n", next.At.UTC().Format(layout), timerSummary(next))
	}
	text.WriteString("\n")
	fmt.Fprintf(&text, "- created %s by %s\n", i.CreatedAt.UTC().Format(layout), i.CreatedBy)
	for _, moment := range []struct {
		what, who string
		at        time.Time
	}{
		{"first response", i.FirstResponseBy, i.FirstResponseAt},
		{"reopened", "", i.ReopenedAt},
		{"resolved", i.ResolvedBy, i.ResolvedAt},
		{"closed", i.ClosedBy, i.ClosedAt},
	} {
		if moment.at.IsZero() {
			continue
		}
		fmt.Fprintf(&text, "- %s %s", moment.what, moment.at.UTC().Format(layout))
		if moment.who != "" {
			text.WriteString(" by " + moment.who)
		}
		text.WriteString("\n")
	}
	if i.AssignedTo != "" {
		fmt.Fprintf(&text, "- assigned to %s\n", i.AssignedTo)
	}
	fmt.Fprintf(&text, "- %d of %d alerts go on\n", i.ActiveAlerts, i.Alerts)
	return text.String()
}

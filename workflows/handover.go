package workflows

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// changeStorms is the change by which an alert's workflow leaves its messages to a storm. One that told somebody
// before that tells of everything itself, to its end.
const changeStorms = "storms"

// stormPatience is how long a group waits for a storm before it looks whether there still is one. It is longer than
// a storm keeps quiet between two messages.
const stormPatience = alert.StormQuiet + 2*time.Minute

// storms is what an alert's workflow knows about storms.
type storms struct {
	handing []*alert.Tracked              // on their way to a storm
	reports map[string]*alert.StormReport // by handover; nil: it is awaited
	saying  int                           // signals to a storm under way
}

// tellsItself: this is no recipient for a storm, because it wants a message for each alert, or is shown each
// alert's life in a message of its own.
func (r *alertRun) tellsItself(to alert.Recipient) bool {
	return to.ExternalID != "" || r.group.Channels[to.Channel].PerAlert
}

// handOver leaves a message to the storm to which the group belongs, where there is one, and returns the channels
// that the group must tell itself: all of them, when there is no storm or nobody could say so in time.
func (r *alertRun) handOver(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked, hear []alert.Channel) []alert.Channel {
	var left, own []alert.Channel
	for _, channel := range hear {
		switch {
		case channel.PerAlert:
			own = append(own, channel)
		case len(channel.Recipients) > 0:
			left = append(left, channel)
		}
	}
	if len(left) == 0 || !forStorms(event, ledgerEvent) || workflow.GetVersion(ctx, changeStorms, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return hear
	}
	if !slices.ContainsFunc(alerts, (*alert.Tracked).Pages) {
		return hear // answered meanwhile; the ledger is told so where messages are sent
	}
	r.storms.handing = append(r.storms.handing, alerts...)
	defer func() {
		r.storms.handing = slices.DeleteFunc(r.storms.handing, func(t *alert.Tracked) bool { return slices.Contains(alerts, t) })
	}()
	storm := r.askStorm(ctx, alerts)
	if storm == nil {
		return hear
	}
	id := StormWorkflowID(*storm)
	h := alert.Handover{ID: alerts[0].Key + "/" + ledgerEvent, Members: r.membersOf(alerts), Event: event, LedgerEvent: ledgerEvent, Hearers: left}
	var activity *activities.Storms
	bring := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Second, ScheduleToCloseTimeout: 20 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 2 * time.Second},
		Summary:     "leave it to the storm",
	})
	if err := workflow.ExecuteActivity(bring, activity.BringToStorm, activities.BringToStormInput{WorkflowID: id, Storm: *storm, Handover: h}).Get(ctx, nil); err != nil {
		// Should the storm have it all the same, the ledger keeps one of the two from telling it again.
		workflow.GetLogger(ctx).Warn("a storm was not reached, so the group tells by itself", "storm", id, "error", err)
		return hear
	}
	for _, t := range alerts {
		t.Storm = &alert.InStorm{Workflow: id, Said: t.Standing()}
	}
	r.awaitStorm(ctx, id, h, alerts)
	return own
}

// forStorms: the message asks for somebody by itself. What a person asked for is told to everybody as it was asked.
func forStorms(event alert.Event, ledgerEvent string) bool {
	switch event {
	case alert.EventFired:
		return ledgerEvent == string(alert.EventFired)
	case alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered:
		return true
	case alert.EventResolved, alert.EventTest, alert.EventSilenceEnding, alert.EventAcknowledged, alert.EventDigest:
	}
	return false
}

// askStorm asks the vault whether the group belongs to a storm; nil: it does not, or the vault did not say within a
// second. Better too many messages than none.
func (r *alertRun) askStorm(ctx workflow.Context, alerts []*alert.Tracked) *alert.Storm {
	var (
		storms *activities.Storms
		out    activities.JoinStormOutput
	)
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "is there a storm",
	})
	fired := alerts[0].TriggeredAt
	for _, t := range alerts {
		fired = latest(fired, latest(t.TriggeredAt, t.ReopenedAt))
	}
	err := workflow.ExecuteLocalActivity(ctx, storms.JoinStorm, activities.JoinStormInput{
		Target: r.group.Target, Definition: r.group.Definition.Key, Tenant: r.group.Tenant, FiredAt: fired,
	}).Get(ctx, &out)
	if err != nil {
		workflow.GetLogger(ctx).Warn("whether there is a storm is not known, so the group tells by itself", "error", err)
		return nil
	}
	return out.Storm
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// membersOf is how alerts stand, as a storm is told it.
func (r *alertRun) membersOf(alerts []*alert.Tracked) alert.Members {
	members := alert.Members{Group: r.id, Definition: r.group.Definition}
	members.Definition.Policy = nil // a storm decides nothing by it
	named := map[string]bool{}
	for _, t := range alerts {
		m := alert.Member{Alert: t.Alert, Ending: t.Ending()}
		for _, to := range t.Told {
			if r.tellsItself(to) {
				continue
			}
			m.Told = append(m.Told, to)
			if !named[to.Channel] {
				named[to.Channel] = true
				members.Channels = append(members.Channels, r.group.Channels[to.Channel])
			}
		}
		members.Alerts = append(members.Alerts, m)
	}
	return members
}

// awaitStorm waits until the storm says whom it told. A storm that is gone, because somebody ended its workflow,
// leaves the message to the group; what it told by then the ledger knows.
func (r *alertRun) awaitStorm(ctx workflow.Context, id string, h alert.Handover, alerts []*alert.Tracked) {
	if r.storms.reports == nil {
		r.storms.reports = map[string]*alert.StormReport{}
	}
	r.storms.reports[h.ID] = nil
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() {
			r.announce--
			delete(r.storms.reports, h.ID)
		}()
		for r.storms.reports[h.ID] == nil {
			_, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
				Timeout: stormPatience, TimerOptions: workflow.TimerOptions{Summary: "is the storm still there"},
			}, func() bool { return r.storms.reports[h.ID] != nil })
			if err != nil {
				return
			}
			if r.storms.reports[h.ID] != nil {
				break
			}
			if err := workflow.SignalExternalWorkflow(ctx, id, "", alert.SignalMembers, r.membersOf(alerts)).Get(ctx, nil); isGone(err) {
				r.leaveStorm(ctx, id, alerts)
				r.tellChannels(ctx, h.Event, h.LedgerEvent, alerts, h.Hearers)
				return
			}
		}
		r.noteStorm(ctx, r.storms.reports[h.ID])
	})
}

// tellChannels tells some channels of alerts that still ask for somebody.
func (r *alertRun) tellChannels(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked, channels []alert.Channel) {
	alerts = slices.DeleteFunc(slices.Clone(alerts), func(t *alert.Tracked) bool { return !t.Pages() })
	if len(alerts) == 0 {
		return
	}
	var begun []*delivery
	for _, channel := range channels {
		for _, recipient := range channel.Recipients {
			begun = append(begun, r.deliveries(channel, recipient, event, ledgerEvent, alerts, now(ctx))...)
		}
	}
	r.deliver(ctx, begun, now(ctx))
}

// noteStorm remembers whom the storm told of the group's alerts, and has their counts recorded.
func (r *alertRun) noteStorm(ctx workflow.Context, report *alert.StormReport) {
	accepted := map[*alert.Tracked]int{}
	for _, told := range report.Told {
		for _, key := range told.Alerts {
			t := r.group.Find(key)
			if t == nil {
				continue
			}
			t.Tell(told.Recipient)
			if told.Accepted {
				accepted[t]++
			}
		}
		if told.Accepted {
			r.group.Delivered++
		}
	}
	for _, t := range r.group.Alerts {
		if accepted[t] > 0 {
			r.recorder.change(activities.Change{
				AlertKey: t.Key, DefinitionKey: r.group.Definition.Key, Target: t.Target, Change: "NOTIFIED", At: now(ctx), Count: accepted[t],
			})
		}
	}
}

// hearStorms receives what storms say, as long as the workflow lives.
func (r *alertRun) hearStorms(ctx workflow.Context) {
	channel := workflow.GetSignalChannel(ctx, alert.SignalStorm)
	for {
		var report alert.StormReport
		if !channel.Receive(ctx, &report) {
			return
		}
		if _, awaited := r.storms.reports[report.Handover]; awaited {
			r.storms.reports[report.Handover] = &report
		}
		if report.Over {
			var left []*alert.Tracked
			for _, t := range r.group.Alerts {
				if t.Storm != nil && t.Storm.Workflow == report.Storm {
					left = append(left, t)
				}
			}
			r.leaveStorm(ctx, report.Storm, left)
		}
		r.show(ctx)
	}
}

// leaveStorm has the group tell of alerts itself again, and at once of the end of those that ended.
func (r *alertRun) leaveStorm(ctx workflow.Context, id string, alerts []*alert.Tracked) {
	var ended []*alert.Tracked
	for _, t := range alerts {
		if t.Storm == nil || t.Storm.Workflow != id {
			continue
		}
		unsaid := t.Storm.Said != t.Standing()
		t.Storm = nil
		if !t.Active() && unsaid {
			ended = append(ended, t)
		}
	}
	r.tellResolved(ctx, ended)
}

// unsaid are alerts of storms that stand otherwise than their storm was told.
func (r *alertRun) unsaid() []*alert.Tracked {
	var list []*alert.Tracked
	for _, t := range r.group.Alerts {
		if t.Storm != nil && t.Storm.Said != t.Standing() {
			list = append(list, t)
		}
	}
	return list
}

// followStorms keeps storms up to date about the group's alerts. A storm that heard of the end of an alert tells
// people of it; one that is gone does not.
func (r *alertRun) followStorms(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return len(r.unsaid()) > 0 }); err != nil {
			return
		}
		byStorm := map[string][]*alert.Tracked{}
		for _, t := range r.unsaid() {
			byStorm[t.Storm.Workflow] = append(byStorm[t.Storm.Workflow], t)
		}
		for _, id := range workflow.DeterministicKeys(byStorm) {
			r.sayToStorm(ctx, id, byStorm[id])
		}
	}
}

func (r *alertRun) sayToStorm(ctx workflow.Context, id string, alerts []*alert.Tracked) {
	r.storms.saying++
	defer func() { r.storms.saying-- }()
	// It is said when the storm has it, and not before: a storm that ends meanwhile gives the alerts back, and of their
	// end the group tells then. Should both tell, the ledger keeps the second one back.
	stood := make([]string, len(alerts))
	for i, t := range alerts {
		stood[i] = t.Standing()
	}
	err := workflow.SignalExternalWorkflow(ctx, id, "", alert.SignalMembers, r.membersOf(alerts)).Get(ctx, nil)
	if err == nil {
		for i, t := range alerts {
			if t.Storm != nil && t.Storm.Workflow == id {
				t.Storm.Said = stood[i]
			}
		}
		return
	}
	if !isGone(err) {
		workflow.GetLogger(ctx).Warn("a storm did not hear how alerts stand", "storm", id, "error", err)
	}
	r.leaveStorm(ctx, id, alerts)
}

// ownEnd are those alerts of whose end the group itself tells a recipient: a storm tells of those that it carries.
func (r *alertRun) ownEnd(to alert.Recipient, alerts []*alert.Tracked) []*alert.Tracked {
	if r.tellsItself(to) {
		return alerts
	}
	return slices.DeleteFunc(slices.Clone(alerts), func(t *alert.Tracked) bool { return t.Storm != nil })
}

// beingHandedOver: some of the alerts are on their way to a storm, or their news is.
func (r *alertRun) beingHandedOver(alerts []*alert.Tracked) bool {
	return slices.ContainsFunc(alerts, func(t *alert.Tracked) bool { return slices.Contains(r.storms.handing, t) })
}

// quietWithStorms: storms know all that they must, and nothing of theirs waits to be heard.
func (r *alertRun) quietWithStorms(ctx workflow.Context) bool {
	return r.storms.saying == 0 && len(r.storms.handing) == 0 && len(r.unsaid()) == 0 &&
		workflow.GetSignalChannel(ctx, alert.SignalStorm).Len() == 0
}

// inStorm says in words that an alert's messages are a storm's.
func inStorm(t *alert.Tracked) string { return fmt.Sprintf("told by %s", t.Storm.Workflow) }

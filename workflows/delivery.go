package workflows

import (
	"fmt"
	"slices"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// delivery is one message on its way to one recipient of one channel.
type delivery struct {
	channel   alert.Channel
	recipient string
	event     string // the ledger's word
	message   activities.Message
	alerts    []*alert.Tracked
	cancel    workflow.CancelFunc
	onTheWire bool // an attempt is under way
	fate
}

// moot: the message asks people to act, and for none of its alerts is that needed any more, or wanted now; or it
// tells of an end, and all of its alerts have opened again; or of an acknowledgement that holds no more.
func (d *delivery) moot() bool { return !slices.ContainsFunc(d.alerts, d.isDue) }

// isDue: the message still has something to say of this alert.
func (d *delivery) isDue(t *alert.Tracked) bool {
	switch d.message.Event {
	case alert.EventResolved:
		return !t.Active()
	case alert.EventAcknowledged:
		return t.Status == alert.StatusAcknowledged
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered, alert.EventTest, alert.EventSilenceEnding, alert.EventDigest:
	}
	return t.Pages()
}

// asksToAct: the message wants somebody to do something, rather than to know that something was done.
func (d *delivery) asksToAct() bool {
	return d.message.Event != alert.EventResolved && d.message.Event != alert.EventAcknowledged
}

func (d *delivery) concerns(alerts []*alert.Tracked) bool {
	return slices.ContainsFunc(d.alerts, func(t *alert.Tracked) bool { return slices.Contains(alerts, t) })
}

// tell brings one message about alerts of one level to everybody whom the level pages.
func (r *alertRun) tell(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked) {
	level := alerts[0].Level
	r.tellTo(ctx, event, ledgerEvent, alerts, func() []string { return r.group.HearersAt(level) })
}

// tellTo brings one message about alerts to the channels with these keys, asked for once they are known anew: one
// per channel and recipient, each in a coroutine of its own, so that a slow provider delays nobody else.
func (r *alertRun) tellTo(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked, hearers func() []string) {
	at := now(ctx)
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		asked := r.askMutes(ctx, alerts)
		r.refreshChannels(ctx)
		r.learnMutes(ctx, asked, alerts)
		// A row before a message, as long as the vault answers; and it may answer that somebody was faster.
		if err := r.recorder.settle(ctx); err != nil {
			return
		}
		hear := hearers()
		held := r.hoursOf(ctx, hear)
		alerts := r.holdBack(ctx, event, ledgerEvent, alerts, hear)
		if len(alerts) == 0 {
			return
		}
		reached := r.holdForHours(ctx, held, hear, event, ledgerEvent, alerts)
		begun := []*delivery{}
		for _, channel := range r.handOver(ctx, event, ledgerEvent, alerts, reached) {
			key := channel.Key
			for _, recipient := range channel.Recipients {
				for _, part := range alert.ByMessage(alerts, alert.Recipient{Channel: key, Address: recipient}) {
					begun = append(begun, r.deliveries(channel, recipient, event, ledgerEvent, part, at)...)
				}
			}
		}
		r.deliver(ctx, begun, at)
	})
}

// tellResolved tells exactly those who were told of the alerts, once whatever is still under way to
// them has ended.
func (r *alertRun) tellResolved(ctx workflow.Context, alerts []*alert.Tracked) {
	if len(alerts) == 0 {
		return
	}
	at := now(ctx)
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		err := workflow.Await(ctx, func() bool {
			return !r.beingHandedOver(alerts) && !slices.ContainsFunc(r.sending, func(d *delivery) bool { return d.concerns(alerts) })
		})
		if err != nil || r.recorder.settle(ctx) != nil {
			return
		}
		begun := []*delivery{}
		for _, ending := range endingsOf(alerts) {
			for _, told := range toldOf(ending.alerts) {
				concerned := r.ownEnd(told, toldTo(told, ending.alerts))
				if len(concerned) == 0 || r.holdEnding(ctx, told, ending.ledger, concerned) {
					continue
				}
				begun = append(begun, r.deliveries(r.group.ChannelTo(told), told.Address, ending.event, ending.ledger, concerned, at)...)
			}
		}
		r.deliver(ctx, begun, at)
	})
}

func toldOf(alerts []*alert.Tracked) []alert.Recipient {
	var told []alert.Recipient
	for _, t := range alerts {
		for _, recipient := range t.Told {
			if !slices.Contains(told, recipient) {
				told = append(told, recipient)
			}
		}
	}
	return told
}

// message is built from the state at the moment of sending; its key is the same in every retry.
func (r *alertRun) message(event alert.Event, ledgerEvent string, alerts []*alert.Tracked, at time.Time) activities.Message {
	return activities.Message{
		Key: alerts[0].Key + "/" + ledgerEvent, Event: event, Definition: r.group.Definition, Target: r.group.Target,
		WorkflowID: r.id, Alerts: alert.WorstFirst(alerts), At: at,
	}
}

// deliver begins deliveries and, when all have ended, has the alerts' counts recorded. What got through nowhere goes
// onward.
func (r *alertRun) deliver(ctx workflow.Context, begun []*delivery, at time.Time) {
	outer, accepted := ctx, map[*alert.Tracked]int{}
	r.markBegun(begun)
	wait := workflow.NewWaitGroup(ctx)
	for _, d := range begun {
		deliveryCtx, cancel := workflow.WithCancel(ctx)
		d.cancel = cancel
		r.sending = append(r.sending, d)
		wait.Add(1)
		workflow.Go(deliveryCtx, func(ctx workflow.Context) {
			defer wait.Done()
			for _, t := range r.bringAbout(ctx, d) {
				accepted[t]++
				d.accepted = append(d.accepted, t)
			}
			onward := r.onward(outer, d)
			r.sending = slices.DeleteFunc(r.sending, func(other *delivery) bool { return other == d })
			r.bring(outer, onward)
			r.awaitReceipt(outer, d)
			r.show(ctx)
		})
	}
	r.show(ctx)
	wait.Wait(ctx)
	counted := map[*alert.Tracked]bool{}
	for _, d := range begun {
		for _, t := range d.alerts {
			if accepted[t] > 0 && !counted[t] {
				counted[t] = true
				r.recorder.change(activities.Change{
					AlertKey: t.Key, DefinitionKey: r.group.Definition.Key, Target: t.Target, Change: "NOTIFIED", At: at, Count: accepted[t],
				})
			}
		}
	}
}

// bringAbout sends until nothing is left to send, and returns the alerts of which a message was accepted.
func (r *alertRun) bringAbout(ctx workflow.Context, d *delivery) []*alert.Tracked {
	if d.each() {
		return r.attemptsEach(ctx, d)
	}
	if r.attempts(ctx, d) {
		return d.alerts
	}
	return nil
}

// attempts sends until the message is accepted, hopeless, out of attempts, or not needed any more.
func (r *alertRun) attempts(ctx workflow.Context, d *delivery) (accepted bool) {
	uncertain, mayHaveArrived := false, false
	var (
		last   activities.SendNotificationOutput
		tries  tries
		deaths int
	)
	for {
		if d.moot() {
			r.withdraw(ctx, d, tries.made, last, uncertain)
			return false
		}
		out, err := r.send(ctx, d, tries, uncertain, mayHaveArrived)
		if temporal.IsCanceledError(err) {
			r.withdraw(ctx, d, tries.made, last, uncertain)
			return false
		}
		if err != nil {
			// The worker died in the attempt. Once more, flagged; what was uncertain already is left so.
			deaths++
			if uncertain {
				r.giveUp(ctx, d, tries.made, deaths, err)
				return false
			}
			uncertain = true
			continue
		}
		last = out
		r.recorder.ledger(out.Entries...)
		if out.Digested {
			r.noteTold(ctx, d, activities.Receipt{}) // who hears of it by digest hears of its end
			return false
		}
		if out.Receipt.Class == activities.Accepted || out.Receipt.Class == activities.Uncertain {
			r.noteTold(ctx, d, out.Receipt)
		}
		if out.Final {
			r.count(out.Receipt.Class)
			d.ended(d.alerts, out.Receipt)
			return out.Receipt.Class == activities.Accepted
		}
		uncertain = uncertain || out.Receipt.Class == activities.Uncertain
		mayHaveArrived = mayHaveArrived || out.MayHaveArrived
		if err := workflow.NewTimerWithOptions(ctx, pause(d.channel, out.Receipt), workflow.TimerOptions{Summary: "retry " + d.channel.Key}).Get(ctx, nil); err != nil {
			r.withdraw(ctx, d, tries.made, last, uncertain)
			return false
		}
		tries.note(ctx, out)
	}
}

func (r *alertRun) send(ctx workflow.Context, d *delivery, tries tries, uncertain, mayHaveArrived bool) (activities.SendNotificationOutput, error) {
	var (
		notifications *activities.Notifications
		out           activities.SendNotificationOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 40 * time.Second,
		HeartbeatTimeout:    5 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1}, // retries are decided here, by what was proved
		Summary:             string(d.message.Event) + " to " + d.channel.Key,
		Priority:            temporal.Priority{PriorityKey: 5 - r.group.Definition.Severity.Rank()},
	})
	ended, err := r.awaitTurn(ctx, d)
	if err != nil {
		return out, err
	}
	defer ended()
	d.message.Alerts = alert.WorstFirst(d.alerts) // as they are now, not as they were before a pause
	d.message.Prior, d.message.Beside = r.group.Message(d.alerts, alert.Recipient{Channel: d.channel.Key, Address: d.recipient})
	err = workflow.ExecuteActivity(ctx, notifications.SendNotification, activities.SendNotificationInput{
		Channel: d.channel.For(d.recipient), Recipient: d.recipient, Message: d.message, Event: d.event,
		Attempt: tries.made, RefusedSince: tries.refusedSince, NextInLine: r.nextInLine(d), Uncertain: uncertain, PossibleDuplicate: mayHaveArrived,
		LedgerLater: r.recorder.late || r.recorder.unwrittenEntries > 0,
	}).Get(ctx, &out)
	return out, err
}

// pause is how long to wait before the next attempt: the provider's wish where it gave one.
func pause(channel alert.Channel, receipt activities.Receipt) time.Duration {
	if receipt.RetryAfter > 0 {
		return min(receipt.RetryAfter, time.Hour)
	}
	return max(channel.RetryDelay, time.Second)
}

func (r *alertRun) count(class activities.Class) {
	if class == activities.Accepted {
		r.group.Delivered++
	} else {
		r.group.Failed++
	}
}

// withdraw closes the ledger of a message that is not needed any more. One that was never begun has no
// ledger to close; one whose outcome nobody knows is not called withdrawn.
func (r *alertRun) withdraw(ctx workflow.Context, d *delivery, attempt int, last activities.SendNotificationOutput, uncertain bool) {
	if r.withdrawMuted(ctx, d, attempt, uncertain) {
		return
	}
	meanwhile := "the alert was answered"
	switch d.message.Event {
	case alert.EventResolved:
		meanwhile = "the alert had opened again"
	case alert.EventAcknowledged:
		meanwhile = "the alert had ended or opened again"
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered, alert.EventTest, alert.EventSilenceEnding, alert.EventDigest:
	}
	switch {
	case uncertain:
		// Who perhaps heard of the alert hears of its end.
		if workflow.GetVersion(ctx, changePerhapsTold, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
			for _, t := range d.alerts {
				t.Tell(alert.Recipient{Channel: d.channel.Key, Address: d.recipient})
			}
		}
		r.recorder.ledger(r.ledgerOf(ctx, d, attempt, "FAILED", activities.Receipt{Class: activities.Uncertain}, "an attempt ended without an answer, and "+meanwhile+" before another; the message may have arrived")...)
		return
	case last.Receipt.Class == "":
		return
	}
	r.recorder.ledger(r.ledgerOf(ctx, d, attempt, "SUPPRESSED", last.Receipt, meanwhile+" before another attempt; the last one said: "+last.Receipt.Reason)...)
}

// changePerhapsTold is the change by which a message that was withdrawn after an attempt without an answer counts as
// told. A workflow that withdrew one before goes on as it began.
const changePerhapsTold = "perhaps-told"

// giveUp closes the ledger of a delivery whose outcome nobody knows, after so many workers died in it: not silently,
// and not as delivered.
func (r *alertRun) giveUp(ctx workflow.Context, d *delivery, attempt, deaths int, err error) {
	r.group.Failed++
	for _, t := range d.alerts {
		t.Tell(alert.Recipient{Channel: d.channel.Key, Address: d.recipient}) // perhaps it was told
	}
	receipt := activities.Receipt{Class: activities.Uncertain}
	d.ended(d.alerts, activities.Receipt{Class: activities.Uncertain, Reason: "the worker ended during the attempts"})
	r.recorder.ledger(r.ledgerOf(ctx, d, attempt, "FAILED", receipt, died(deaths, "message", err))...)
}

func (r *alertRun) ledgerOf(ctx workflow.Context, d *delivery, attempt int, status string, receipt activities.Receipt, reason string) []activities.LedgerEntry {
	entries := make([]activities.LedgerEntry, 0, len(d.alerts))
	for _, t := range d.alerts {
		entries = append(entries, activities.LedgerEntry{
			AlertKey: t.Key, ChannelKey: d.channel.Key, ChannelType: d.channel.Type, Recipient: d.recipient, Event: d.event,
			DeliveryKey: d.message.Key, Status: status, Attempt: attempt, At: now(ctx), Class: string(receipt.Class), Reason: reason,
			PossibleDuplicate: receipt.Class == activities.Uncertain,
		})
	}
	return entries
}

// died says how often a worker ended while it sent a message or digest, and that nobody knows what became of it.
func died(times int, what string, err error) string {
	often := fmt.Sprintf("%d times", times)
	switch times {
	case 1:
		often = "once"
	case 2:
		often = "twice"
	}
	return fmt.Sprintf("the worker ended %s during the attempt; the %s may have arrived: %s", often, what, cause(err))
}

func cause(err error) string {
	var timeout *temporal.TimeoutError
	if ok := asTimeout(err, &timeout); ok && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_HEARTBEAT {
		return "no heartbeat"
	}
	return "no answer in time"
}

// stopPaging cancels what is under way and not needed any more.
func (r *alertRun) stopPaging() {
	for _, d := range r.sending {
		if d.moot() {
			d.cancel()
		}
	}
}

// refreshChannels asks who hears the definition now; without an answer within a second, those last
// known are told.
func (r *alertRun) refreshChannels(ctx workflow.Context) {
	var (
		alerts *activities.Alerts
		out    activities.ListChannelsOutput
	)
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "who hears this",
	})
	err := workflow.ExecuteLocalActivity(ctx, alerts.ListChannels, activities.ListChannelsInput{
		Definition: r.group.Definition.Key, Named: r.group.Definition.Policy.Named(),
	}).Get(ctx, &out)
	if err != nil {
		workflow.GetLogger(ctx).Warn("channels as last known are used", "error", err)
		return
	}
	r.group.Hear(out.Channels)
	r.group.HearNamed(out.Named)
}

package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// eachBatch is how many alerts one activity tells of, on a channel that wants a message for each.
const eachBatch = 500

// maxDeaths is how many workers one such activity may take with it.
const maxDeaths = 5

// deliveries are the messages that tell one recipient of alerts: one about all of them, or batches of single ones.
func (r *alertRun) deliveries(channel alert.Channel, recipient string, event alert.Event, ledgerEvent string, alerts []*alert.Tracked, at time.Time) []*delivery {
	size := len(alerts)
	if channel.PerAlert && len(alerts) > 1 {
		size = eachBatch
	}
	var begun []*delivery
	for batch := range slices.Chunk(alerts, max(size, 1)) {
		d := &delivery{channel: channel, recipient: recipient, event: ledgerEvent, alerts: batch}
		d.message = r.message(event, ledgerEvent, batch, at)
		begun = append(begun, d)
	}
	return begun
}

// each: the alerts of the delivery go out one by one.
func (d *delivery) each() bool { return d.channel.PerAlert && len(d.alerts) > 1 }

// attemptsEach is attempts for a delivery whose alerts go out one by one. It returns those whose message was
// accepted.
func (r *alertRun) attemptsEach(ctx workflow.Context, d *delivery) (accepted []*alert.Tracked) {
	var (
		left     = d.alerts
		tried    = map[string]bool{}
		in       = activities.SendEachInput{Attempts: map[string]int{}} // what earlier attempts leave to the next
		last     activities.Receipt
		deaths   int
		unproven bool // an attempt ended without an answer
	)
	for {
		r.withdrawEach(ctx, d, slices.DeleteFunc(slices.Clone(left), d.isDue), in.Attempts, tried, last, unproven)
		left = slices.DeleteFunc(slices.Clone(left), func(t *alert.Tracked) bool { return !d.isDue(t) })
		if len(left) == 0 {
			return accepted
		}
		in.LedgerLater = in.LedgerLater || r.recorder.late || r.recorder.unwrittenEntries > 0
		// Of what a dead worker sent the ledger would know, if it were asked.
		in.Uncertain = in.Uncertain || deaths > 0 && in.LedgerLater
		out, err := r.sendEach(ctx, d, left, in)
		if temporal.IsCanceledError(err) {
			r.withdrawEach(ctx, d, left, in.Attempts, tried, last, unproven)
			return accepted
		}
		if err != nil {
			// The worker died. What it had sent the ledger knows, so that the rest can be tried again; without the ledger
			// once more, as for a single message.
			if deaths++; deaths > maxDeaths || deaths > 1 && in.LedgerLater {
				for _, t := range left {
					r.giveUp(ctx, d.one(t), in.Attempts[t.Key], deaths, err)
				}
				return accepted
			}
			unproven = true
			continue
		}
		r.recorder.ledger(out.Entries...)
		accepted = append(accepted, r.note(d, left, out)...)
		left, last, in.Doubtful = keep(left, out.Again), out.Receipt, out.Doubtful
		in.Unknown = append(in.Unknown, out.Unknown...)
		for _, key := range out.Tried {
			tried[key] = true
			in.Attempts[key]++
		}
		for _, key := range out.Refused {
			in.Attempts[key]--
			in.RefusedSince = orNow(ctx, in.RefusedSince)
		}
		if out.VaultSilent {
			in.LedgerLater = true
			continue
		}
		if len(left) == 0 {
			return accepted
		}
		wait := pause(d.channel, activities.Receipt{RetryAfter: out.RetryAfter})
		if err := workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: "retry " + d.channel.Key}).Get(ctx, nil); err != nil {
			r.withdrawEach(ctx, d, left, in.Attempts, tried, last, unproven)
			return accepted
		}
	}
}

// note remembers who was told, or may have been, and returns the alerts whose message was accepted.
func (r *alertRun) note(d *delivery, sent []*alert.Tracked, out activities.SendEachOutput) []*alert.Tracked {
	recipient := alert.Recipient{Channel: d.channel.Key, Address: d.recipient}
	delivered := keep(sent, out.Delivered)
	for _, t := range slices.Concat(delivered, keep(sent, out.Unknown)) {
		t.Tell(recipient)
	}
	r.group.Delivered += len(out.Delivered)
	r.group.Failed += len(out.Failed)
	d.ended(keep(sent, out.Failed), out.Receipt)
	return delivered
}

// keep returns those of some alerts that keys name.
func keep(alerts []*alert.Tracked, keys []string) []*alert.Tracked {
	named := make(map[string]bool, len(keys))
	for _, key := range keys {
		named[key] = true
	}
	return slices.DeleteFunc(slices.Clone(alerts), func(t *alert.Tracked) bool { return !named[t.Key] })
}

// one is the delivery of the message about one of the alerts.
func (d *delivery) one(t *alert.Tracked) *delivery {
	one := &delivery{channel: d.channel, recipient: d.recipient, event: d.event, message: d.message, alerts: []*alert.Tracked{t}}
	one.message.Key = t.Key + "/" + d.event
	return one
}

// withdrawEach closes the ledger of messages that are not needed any more, as far as one was begun, and owes those
// that a mute stopped. unproven: an attempt ended without an answer, and the ledger knows what it told of.
func (r *alertRun) withdrawEach(ctx workflow.Context, d *delivery, alerts []*alert.Tracked, attempts map[string]int, tried map[string]bool, last activities.Receipt, unproven bool) {
	for _, t := range alerts {
		if unproven && r.owes(ctx, d, t) {
			t.Owe(d.message.Event, d.event) // whom the ledger holds as told is not told again
			continue
		}
		if unproven {
			t.Tell(alert.Recipient{Channel: d.channel.Key, Address: d.recipient}) // perhaps it was told
		}
		receipt := last
		if !tried[t.Key] {
			receipt = activities.Receipt{}
		}
		r.withdraw(ctx, d.one(t), attempts[t.Key], activities.SendNotificationOutput{Receipt: receipt}, unproven)
	}
}

func (r *alertRun) sendEach(ctx workflow.Context, d *delivery, left []*alert.Tracked, in activities.SendEachInput) (activities.SendEachOutput, error) {
	var (
		notifications *activities.Notifications
		out           activities.SendEachOutput
	)
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Minute, // each message has its own; a dead worker is noticed by its heartbeat
		HeartbeatTimeout:    5 * time.Second,
		WaitForCancellation: true,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
		Summary:             string(d.message.Event) + " to " + d.channel.Key + ", one by one",
		Priority:            temporal.Priority{PriorityKey: 5 - r.group.Definition.Severity.Rank()},
	})
	in.Channel, in.Recipient, in.Event = d.channel.For(d.recipient), d.recipient, d.event
	in.Message = d.message
	in.Message.Alerts = alert.WorstFirst(left)
	err := workflow.ExecuteActivity(ctx, notifications.SendEach, in).Get(ctx, &out)
	return out, err
}

package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// The changes by which an alert's workflow heeds the hours of channels and contacts, and brings onward what did not get
// through. A history that is older tells everybody at any hour, and once.
const (
	changeHours  = "hours"
	changeOnward = "onward"
)

// people is what an alert's workflow remembers of whom it tells.
type people struct {
	attempts map[string]map[alert.Recipient]alert.Attempt // by message and place
	receipts int                                          // how many are waited for
}

// fate is what became of a delivery, and where it comes from when another one failed.
type fate struct {
	accepted []*alert.Tracked
	lost     []*alert.Tracked // of which no attempt is known to have got through
	why      string
	missing  bool    // it was accepted, and the receipt did not come
	origin   *origin // nil: it is the first
	last     bool    // it goes to those who look after OneVault: nobody comes after them
}

// origin is the recipient whom the first delivery was for.
type origin struct {
	channel   alert.Channel
	recipient string
}

func (d *delivery) first() origin {
	if d.origin != nil {
		return *d.origin
	}
	return origin{d.channel, d.recipient}
}

// ended notes the last attempt.
func (d *delivery) ended(alerts []*alert.Tracked, receipt activities.Receipt) {
	if receipt.Class == activities.Accepted || len(alerts) == 0 {
		return
	}
	d.lost = append(d.lost, alerts...)
	d.why = receipt.Reason
}

// unfinished: alerts are active, or an end is still to be told.
func (r *alertRun) unfinished() bool { return r.group.Active() || !r.group.NextHeld().IsZero() }

// ---------------------------------------------------------------- hours

// heldNow is one recipient that is not told now.
type heldNow struct {
	To   alert.Recipient `json:"to"`
	Hold alert.Hold      `json:"hold"`
}

// hoursOf answers which recipients of channels are not told now. Time zones are a worker's and change with it, so the
// answer is kept in the history.
func (r *alertRun) hoursOf(ctx workflow.Context, keys []string) func(channel, address string) *alert.Hold {
	var channels []alert.Channel
	for _, key := range keys {
		channels = append(channels, r.group.Channels[key])
	}
	return r.hoursOfChannels(ctx, channels)
}

func (r *alertRun) hoursOfChannels(ctx workflow.Context, channels []alert.Channel) func(channel, address string) *alert.Hold {
	severity, at := r.group.Definition.Severity, now(ctx)
	channels = slices.DeleteFunc(channels, func(c alert.Channel) bool { return !c.HasHours(severity) })
	if len(channels) == 0 || workflow.GetVersion(ctx, changeHours, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return func(string, string) *alert.Hold { return nil }
	}
	var answer struct {
		Held   []heldNow `json:"held"`
		Errors []string  `json:"errors,omitempty"`
	}
	encoded := workflow.SideEffect(ctx, func(workflow.Context) any {
		found := answer
		for _, c := range channels {
			for _, recipient := range addressees(c) {
				hold, err := c.HoldOf(recipient, severity, at)
				if err != nil {
					found.Errors = append(found.Errors, err.Error())
				} else if hold != nil {
					found.Held = append(found.Held, heldNow{alert.Recipient{Channel: c.Key, Address: recipient}, *hold})
				}
			}
		}
		return found
	})
	if err := encoded.Get(&answer); err != nil {
		answer.Errors = append(answer.Errors, err.Error())
	}
	for _, text := range answer.Errors { // a page at the wrong hour is better than none
		workflow.GetLogger(ctx).Warn("the hours of a recipient are not known, so nothing is held", "error", text)
	}
	return func(channel, address string) *alert.Hold {
		at := slices.IndexFunc(answer.Held, func(h heldNow) bool { return h.To == alert.Recipient{Channel: channel, Address: address} })
		if at < 0 {
			return nil
		}
		return &answer.Held[at].Hold
	}
}

// addressees are the recipients of a channel, and the contacts whom it is to reach for another.
func addressees(c alert.Channel) []string {
	c.Recipients = slices.Clone(c.Recipients)
	c.Join()
	return c.Recipients
}

// holdFor keeps a message for later where hours say so, and has the ledger say why nobody was told now.
func (r *alertRun) holdFor(ctx workflow.Context, hold *alert.Hold, channel alert.Channel, recipient string, event alert.Event, ledgerEvent string, alerts []*alert.Tracked) bool {
	if hold == nil {
		return false
	}
	if !hold.Until.IsZero() {
		r.group.Hold(alert.Recipient{Channel: channel.Key, Address: recipient}, hold.Until, event, ledgerEvent, alerts)
	}
	d := &delivery{channel: channel, recipient: recipient, event: ledgerEvent, alerts: alerts, message: r.message(event, ledgerEvent, alerts, now(ctx))}
	r.recorder.ledger(r.ledgerOf(ctx, d, 0, "SUPPRESSED", activities.Receipt{Class: activities.NotSent}, hold.Reason)...)
	return true
}

// holdForHours keeps a message for those who are not told at this hour, and returns the channels with the others.
func (r *alertRun) holdForHours(ctx workflow.Context, held func(channel, address string) *alert.Hold, keys []string, event alert.Event, ledgerEvent string, alerts []*alert.Tracked) []alert.Channel {
	channels := make([]alert.Channel, 0, len(keys))
	for _, key := range keys {
		channel := r.group.Channels[key]
		channel.Recipients = slices.DeleteFunc(slices.Clone(channel.Recipients), func(recipient string) bool {
			return r.holdFor(ctx, held(key, recipient), channel, recipient, event, ledgerEvent, alerts)
		})
		channels = append(channels, channel)
	}
	return channels
}

// holdEnding keeps the news of an end for later. Where a channel holds nothing back, an end is told at any hour to those
// who were told of the beginning.
func (r *alertRun) holdEnding(ctx workflow.Context, to alert.Recipient, ledgerEvent string, alerts []*alert.Tracked) bool {
	channel := r.group.ChannelTo(to)
	hold := r.hoursOfChannels(ctx, []alert.Channel{channel})(to.Channel, to.Address)
	if hold == nil || hold.Until.IsZero() {
		return false
	}
	return r.holdFor(ctx, hold, channel, to.Address, alert.EventResolved, ledgerEvent, alerts)
}

// followHours tells what was held when its hour comes, as long as the workflow lives.
func (r *alertRun) followHours(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return !r.group.NextHeld().IsZero() }); err != nil {
			return
		}
		deadline := r.group.NextHeld()
		changed, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      max(deadline.Sub(now(ctx)), time.Millisecond),
			TimerOptions: workflow.TimerOptions{Summary: "tell what was held for the hour"},
		}, func() bool { return !r.group.NextHeld().Equal(deadline) })
		if err != nil {
			return
		}
		if !changed {
			r.tellHeld(ctx, r.group.Release(now(ctx)))
		}
	}
}

// tellHeld tells what is still true: one message to each recipient of all that was held.
func (r *alertRun) tellHeld(ctx workflow.Context, due []alert.Held) {
	at := now(ctx)
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		var about []*alert.Tracked
		for _, h := range due {
			about = append(about, r.group.Waiting(h)...)
		}
		if len(about) == 0 {
			return
		}
		asked := r.askMutes(ctx, nil)
		r.refreshChannels(ctx)
		r.learnMutes(ctx, asked, nil)
		if err := r.recorder.settle(ctx); err != nil {
			return
		}
		begun := []*delivery{}
		for _, h := range due {
			begun = append(begun, r.release(ctx, h, at)...)
		}
		r.deliver(ctx, begun, at)
	})
}

// release makes the deliveries of one held message. What is muted by now is asked for again a little later, and what the
// hours still forbid, because they have changed, goes on waiting.
func (r *alertRun) release(ctx workflow.Context, h alert.Held, at time.Time) []*delivery {
	channel := r.group.ChannelTo(h.To)
	event, ledgerEvent := h.Event, h.Ledger
	if event != alert.EventResolved {
		ledgerEvent = "HELD:" + stampOf(at)
	}
	var alerts, muted []*alert.Tracked
	for _, t := range r.group.Waiting(h) {
		if event != alert.EventResolved && t.Mute != nil {
			muted = append(muted, t)
		} else {
			alerts = append(alerts, t)
		}
	}
	if len(muted) > 0 {
		r.group.Hold(h.To, at.Add(recheckInhibited), event, ledgerEvent, muted)
	}
	if len(alerts) == 0 || r.holdFor(ctx, r.hoursOfChannels(ctx, []alert.Channel{channel})(h.To.Channel, h.To.Address), channel, h.To.Address, event, ledgerEvent, alerts) {
		return nil
	}
	begun := r.deliveries(channel, h.To.Address, event, ledgerEvent, alerts, at)
	for _, d := range begun {
		d.message.Note = "This was held until now, for the hours in which you are told."
	}
	return begun
}

// ---------------------------------------------------------------- onward

// place is where a delivery goes; addresses of mail do not regard case.
func place(channel, address string) alert.Recipient {
	return alert.Recipient{Channel: channel, Address: strings.ToLower(address)}
}

func (r *alertRun) mark(d *delivery, attempt alert.Attempt) {
	if len(d.channel.Contacts) == 0 && d.channel.ConfirmWithin == 0 && d.origin == nil {
		return // it goes nowhere else
	}
	if r.people.attempts == nil {
		r.people.attempts = map[string]map[alert.Recipient]alert.Attempt{}
	}
	if r.people.attempts[d.message.Key] == nil {
		r.people.attempts[d.message.Key] = map[alert.Recipient]alert.Attempt{}
	}
	r.people.attempts[d.message.Key][place(d.channel.Key, d.recipient)] = attempt
}

func (r *alertRun) markBegun(begun []*delivery) {
	for _, d := range begun {
		r.mark(d, alert.AttemptUnderWay)
	}
}

// onward says where a delivery goes that has ended: nowhere, as long as it got through or nobody needs it any more.
func (r *alertRun) onward(ctx workflow.Context, d *delivery) []*delivery {
	switch {
	case len(d.lost) > 0:
		r.mark(d, alert.AttemptFailed)
	case len(d.accepted) > 0:
		r.mark(d, alert.AttemptTold)
	default:
		r.mark(d, alert.AttemptNone) // withdrawn
	}
	from := d.first()
	alerts := slices.DeleteFunc(slices.Clone(d.lost), func(t *alert.Tracked) bool { return !t.Pages() })
	if len(alerts) == 0 || d.last || !pages(d.message.Event) || len(from.channel.Contacts) == 0 && from.channel.ConfirmWithin == 0 {
		return nil
	}
	if workflow.GetVersion(ctx, changeOnward, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	tried := r.people.attempts[d.message.Key]
	for {
		next, to, found, settled := from.channel.Onward(from.recipient, func(p alert.Recipient) alert.Attempt { return tried[place(p.Channel, p.Address)] })
		if settled {
			return nil
		}
		if !found {
			return r.toOwners(ctx, d, from, alerts)
		}
		channel := r.reaching(from.channel, next, to)
		hold := r.hoursOfChannels(ctx, []alert.Channel{channel})(next.Channel, next.Address)
		if r.holdFor(ctx, hold, channel, next.Address, d.message.Event, d.event, alerts) {
			if !hold.Until.IsZero() {
				return nil // the next place has it, for its hour
			}
			tried[place(next.Channel, next.Address)] = alert.AttemptFailed
			continue
		}
		begun := r.deliveries(channel, next.Address, d.message.Event, d.event, alerts, d.message.At)
		for _, next := range begun {
			next.origin, next.message.Note = &from, from.channel.Lost(from.recipient, to, d.missing)
		}
		return begun
	}
}

// nextInLine reports whether another place is left for a delivery, and nobody told yet.
func (r *alertRun) nextInLine(d *delivery) bool {
	if d.last || !pages(d.message.Event) {
		return false
	}
	from := d.first()
	own, tried := place(d.channel.Key, d.recipient), r.people.attempts[d.message.Key]
	_, _, found, settled := from.channel.Onward(from.recipient, func(p alert.Recipient) alert.Attempt {
		if place(p.Channel, p.Address) == own {
			return alert.AttemptFailed
		}
		return tried[place(p.Channel, p.Address)]
	})
	return found && !settled
}

// pages: the event wants somebody to act.
func pages(event alert.Event) bool {
	switch event {
	case alert.EventFired, alert.EventEscalated, alert.EventReopened, alert.EventFlapping, alert.EventUnanswered:
		return true
	case alert.EventResolved, alert.EventAcknowledged, alert.EventTest, alert.EventSilenceEnding, alert.EventDigest:
	}
	return false
}

// reaching is the channel of a place, as one that reaches the contact there.
func (r *alertRun) reaching(from alert.Channel, to alert.Recipient, contact alert.Contact) alert.Channel {
	if from.Key == to.Channel {
		return from
	}
	at := slices.IndexFunc(from.StandBy, func(c alert.Channel) bool { return c.Key == to.Channel })
	return from.StandBy[at].With(contact)
}

// toOwners tells those who look after OneVault that nobody of a channel's groups could be told.
func (r *alertRun) toOwners(ctx workflow.Context, d *delivery, from origin, alerts []*alert.Tracked) []*delivery {
	why := d.why
	if d.missing {
		why = fmt.Sprintf("no receipt came within %s", d.channel.ConfirmWithin)
	}
	var begun []*delivery
	for _, owner := range from.channel.Owners {
		for _, recipient := range owner.Recipients {
			if r.people.attempts[d.message.Key][place(owner.Key, recipient)] != alert.AttemptNone {
				continue
			}
			begun = append(begun, r.deliveries(owner, recipient, d.message.Event, d.event, alerts, d.message.At)...)
		}
	}
	for _, next := range begun {
		next.origin, next.last, next.message.Note = &from, true, from.channel.NobodyTold(from.recipient, why)
	}
	if len(begun) == 0 {
		workflow.GetLogger(ctx).Error("an alert reached nobody of its recipient groups, and no channel of category SYSTEM is left",
			"channel", from.channel.Key, "alerts", len(alerts))
	}
	return begun
}

// bring sends what goes onward.
func (r *alertRun) bring(ctx workflow.Context, begun []*delivery) {
	if len(begun) == 0 {
		return
	}
	r.markBegun(begun)
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		r.deliver(ctx, begun, begun[0].message.At)
	})
}

// awaitReceipt brings a message onward whose receipt does not come in time.
func (r *alertRun) awaitReceipt(ctx workflow.Context, d *delivery) {
	within := d.channel.ConfirmWithin
	if within == 0 || len(d.accepted) == 0 || d.last || !pages(d.message.Event) {
		return
	}
	if workflow.GetVersion(ctx, changeOnward, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	r.people.receipts++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.people.receipts-- }()
		needless, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout: within, TimerOptions: workflow.TimerOptions{Summary: "receipt of " + d.channel.Key},
		}, d.moot)
		if err != nil || needless || r.confirmed(ctx, d) {
			return
		}
		d.lost, d.accepted, d.missing = d.accepted, nil, true
		r.bring(ctx, r.onward(ctx, d))
	})
}

// confirmed asks the ledger. A vault that does not answer has heard of no receipt.
func (r *alertRun) confirmed(ctx workflow.Context, d *delivery) bool {
	var (
		alerts *activities.Alerts
		out    activities.FindReceiptOutput
	)
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "whether a receipt came",
	})
	in := activities.FindReceiptInput{Channel: d.channel.Key, Recipient: d.recipient, Event: d.event}
	for _, t := range d.accepted {
		in.Alerts = append(in.Alerts, t.Key)
	}
	if err := workflow.ExecuteLocalActivity(ctx, alerts.FindReceipt, in).Get(ctx, &out); err != nil {
		workflow.GetLogger(ctx).Warn("whether a receipt came is not known, so none did", "error", err)
		return false
	}
	return out.Confirmed
}

package workflows

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// changeMutes is the change by which an alert's workflow asks what mutes it. A workflow that told somebody before
// that goes on as it began, and heeds no mute.
const changeMutes = "mutes"

// changeOwedAsk is the change by which only a message that asks people to act is owed when a mute stops it. A
// workflow that owed another one before goes on as it began.
const changeOwedAsk = "owed-ask"

// recheckInhibited is how often an alert that another one speaks for asks again, should the news of that one's
// end be lost.
const recheckInhibited = 15 * time.Minute

// mutes is what an alert's workflow knows about its asking. Answers may overtake each other.
type mutes struct {
	asked   int       // the last question
	learned int       // the last one whose answer counts
	looked  time.Time // when that was
}

// question is one that is on its way to the vault.
type question struct {
	number int
	about  []*alert.Tracked
	answer workflow.Future
}

// askMutes asks the vault what mutes the alerts that ask for somebody, and those of a message. nil: this history
// is older than mutes.
func (r *alertRun) askMutes(ctx workflow.Context, message []*alert.Tracked) *question {
	if workflow.GetVersion(ctx, changeMutes, workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	about := r.group.Asking()
	for _, t := range message {
		if !slices.Contains(about, t) {
			about = append(about, t)
		}
	}
	in := activities.FindMutesInput{At: now(ctx)}
	for _, t := range about {
		in.Alerts = append(in.Alerts, t.Key)
	}
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout:    900 * time.Millisecond,
		ScheduleToCloseTimeout: time.Second,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 50 * time.Millisecond, MaximumAttempts: 2},
		Summary:                "what mutes this",
	})
	var alerts *activities.Alerts
	r.mutes.asked++
	return &question{number: r.mutes.asked, about: about, answer: workflow.ExecuteLocalActivity(ctx, alerts.FindMutes, in)}
}

// learnMutes takes the answer. A vault that does not answer within a second mutes nothing: a page too many is
// better than one too few. Whoever is owed a message that is not about to be sent is told.
func (r *alertRun) learnMutes(ctx workflow.Context, q *question, aboutToBeTold []*alert.Tracked) {
	if q == nil {
		return
	}
	var out activities.FindMutesOutput
	if err := q.answer.Get(ctx, &out); err != nil {
		if temporal.IsCanceledError(err) {
			return
		}
		workflow.GetLogger(ctx).Warn("what mutes the alerts is not known, so nothing does", "error", err)
		out = activities.FindMutesOutput{}
	}
	if q.number < r.mutes.learned {
		return // a later question was answered before
	}
	r.mutes.learned, r.mutes.looked = q.number, now(ctx)
	var owed []*alert.Tracked
	muteOf := out.Of()
	for _, t := range q.about {
		m := muteOf(t.Key)
		switch {
		case m != nil && (m.Until.IsZero() || m.Until.After(now(ctx))):
			r.group.Mute(t, *m)
		case t.Mute != nil:
			r.group.Unmute(t, now(ctx))
			if t.Asks() && t.Owed != nil && !slices.Contains(aboutToBeTold, t) {
				owed = append(owed, t)
			}
		}
	}
	r.stopPaging()
	r.tellOwed(ctx, owed)
	r.show(ctx)
}

// tellOwed tells what was held back, each message once.
func (r *alertRun) tellOwed(ctx workflow.Context, owed []*alert.Tracked) {
	for len(owed) > 0 {
		what := *owed[0].Owed
		var together, rest []*alert.Tracked
		for _, t := range owed {
			if *t.Owed == what {
				together = append(together, t)
			} else {
				rest = append(rest, t)
			}
		}
		for _, t := range together {
			t.Owed = nil
		}
		r.tellLevels(ctx, what.Event, what.LedgerEvent, together)
		owed = rest
	}
}

// reconsider asks the vault what mutes the group now, and acts on it.
func (r *alertRun) reconsider(ctx workflow.Context) {
	r.announce++
	defer func() { r.announce-- }()
	r.learnMutes(ctx, r.askMutes(ctx, nil), nil)
}

func (r *alertRun) reconsiderSoon(ctx workflow.Context) {
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		r.reconsider(ctx)
	})
}

// followMutes asks again when a mute ends.
func (r *alertRun) followMutes(ctx workflow.Context) {
	r.mutes.looked = now(ctx)
	next := func() time.Time { return r.group.NextUnmute(r.mutes.looked, recheckInhibited) }
	for {
		if err := workflow.Await(ctx, func() bool { return !next().IsZero() }); err != nil {
			return
		}
		deadline := next()
		changed, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
			Timeout:      max(deadline.Sub(now(ctx)), time.Second),
			TimerOptions: workflow.TimerOptions{Summary: "tell when the mute ends"},
		}, func() bool { return !next().Equal(deadline) })
		if err != nil {
			return
		}
		if !changed {
			r.reconsider(ctx)
		}
	}
}

// holdBack keeps the muted alerts out of a message, and has the ledger say why nobody was told of them.
func (r *alertRun) holdBack(ctx workflow.Context, event alert.Event, ledgerEvent string, alerts []*alert.Tracked, hearers []string) []*alert.Tracked {
	told := make([]*alert.Tracked, 0, len(alerts))
	for _, t := range alerts {
		if t.Mute == nil || !t.Asks() {
			t.Owed = nil // this message says it
			told = append(told, t)
			continue
		}
		t.Owe(event, ledgerEvent)
		for _, key := range hearers {
			channel := r.group.Channels[key]
			for _, recipient := range channel.Recipients {
				r.recorder.ledger(activities.LedgerEntry{
					AlertKey: t.Key, ChannelKey: channel.Key, ChannelType: channel.Type, Recipient: recipient, Event: ledgerEvent,
					DeliveryKey: t.Key + "/" + ledgerEvent, Status: "SUPPRESSED", At: now(ctx), Class: string(activities.NotSent), Reason: t.Mute.Reason(),
				})
			}
		}
	}
	return told
}

// owes: the message would be told once the mute of one of its alerts ends. News of an end or an acknowledgement that
// an alert outlived are owed to nobody: they would be wrong by then, and stand in the place of what is true.
func (r *alertRun) owes(ctx workflow.Context, d *delivery, t *alert.Tracked) bool {
	if !t.Asks() || t.Mute == nil {
		return false
	}
	return d.asksToAct() || workflow.GetVersion(ctx, changeOwedAsk, workflow.DefaultVersion, 1) == workflow.DefaultVersion
}

// withdrawMuted closes the ledger of a message that a mute stopped between two attempts, and owes it. False: it is
// no mute that stopped it, or it may have arrived.
func (r *alertRun) withdrawMuted(ctx workflow.Context, d *delivery, attempt int, uncertain bool) bool {
	if uncertain {
		return false
	}
	owed := false
	for _, t := range d.alerts {
		if !r.owes(ctx, d, t) {
			continue
		}
		owed = true
		t.Owe(d.message.Event, d.event)
		entries := r.ledgerOf(ctx, &delivery{channel: d.channel, recipient: d.recipient, event: d.event, message: d.message, alerts: []*alert.Tracked{t}},
			attempt, "SUPPRESSED", activities.Receipt{Class: activities.NotSent}, t.Mute.Reason())
		r.recorder.ledger(entries...)
	}
	return owed
}

package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"onevault/alert"
)

// changeFollow is the change by which an alert's workflow tells channels that show an alert's life in one
// place of its acknowledgement.
const changeFollow = "follow"

// follow tells of acknowledgements, as long as the workflow lives: those made by command, in psql or
// elsewhere, and also when the channel's first message arrives only after the acknowledgement.
func (r *alertRun) follow(ctx workflow.Context) {
	for {
		if err := workflow.Await(ctx, func() bool { return len(r.group.Unfollowed()) > 0 }); err != nil {
			return
		}
		acknowledged := r.group.Unfollowed()
		for _, t := range acknowledged {
			t.MarkFollowed()
		}
		if workflow.GetVersion(ctx, changeFollow, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
			r.tellFollowers(ctx, acknowledged)
		}
	}
}

// tellFollowers tells exactly those channels that were told of the alerts and follow them, once whatever is
// still under way to them has ended: an acknowledgement must not overtake what it answers.
func (r *alertRun) tellFollowers(ctx workflow.Context, alerts []*alert.Tracked) {
	at := now(ctx)
	r.announce++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { r.announce-- }()
		err := workflow.Await(ctx, func() bool {
			return !slices.ContainsFunc(r.sending, func(d *delivery) bool {
				return d.channel.Following(alert.EventAcknowledged) && d.concerns(alerts)
			})
		})
		if err != nil || r.recorder.settle(ctx) != nil {
			return
		}
		var messages []told
		for _, t := range alerts {
			messages = addTo(messages, alert.EventAcknowledged, t.Acknowledgement(), t)
		}
		begun := []*delivery{}
		for _, m := range messages {
			for _, recipient := range toldOf(m.alerts) {
				channel := r.group.ChannelTo(recipient)
				if !channel.Following(m.event) {
					continue
				}
				if concerned := r.ownEnd(recipient, toldTo(recipient, m.alerts)); len(concerned) > 0 {
					begun = append(begun, r.deliveries(channel, recipient.Address, m.event, m.ledger, concerned, at)...)
				}
			}
		}
		r.deliver(ctx, begun, at)
	})
}

// toldTo are those of the alerts of which a recipient was told.
func toldTo(recipient alert.Recipient, alerts []*alert.Tracked) []*alert.Tracked {
	return slices.DeleteFunc(slices.Clone(alerts), func(t *alert.Tracked) bool { return !slices.Contains(t.Told, recipient) })
}

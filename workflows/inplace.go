package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"onevault/activities"
	"onevault/alert"
)

// changeInPlace guards that messages are edited in place: a run that began without it tells by new messages
// to its end, because editing one message for some alerts and another for others makes other deliveries.
const changeInPlace = "tell-in-place"

// noteTold notes who was told, and by which message where later events can be told in its place.
func (r *alertRun) noteTold(ctx workflow.Context, d *delivery, receipt activities.Receipt) {
	told := alert.Recipient{Channel: d.channel.Key, Address: d.recipient}
	if d.channel.InPlace && receipt.ExternalID != "" && workflow.GetVersion(ctx, changeInPlace, workflow.DefaultVersion, 1) != workflow.DefaultVersion {
		told.ExternalID = receipt.ExternalID
	}
	for _, t := range d.alerts {
		t.Tell(told)
	}
}

// awaitTurn lets one attempt at a time write to a recipient whose messages are edited in place: what is told
// second continues the message of the first, and shows what is true then. Other channels do not wait.
func (r *alertRun) awaitTurn(ctx workflow.Context, d *delivery) (ended func(), err error) {
	if !d.channel.InPlace {
		return func() {}, nil
	}
	err = workflow.Await(ctx, func() bool {
		return !slices.ContainsFunc(r.sending, func(other *delivery) bool {
			return other.onTheWire && other.channel.Key == d.channel.Key && other.recipient == d.recipient
		})
	})
	if err != nil {
		return nil, err
	}
	d.onTheWire = true
	return func() { d.onTheWire = false }, nil
}

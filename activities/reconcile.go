package activities

import (
	"context"
	"time"

	"onevault/alert"
	"onevault/notify"
	"onevault/vault"
)

// reconcileBudget bounds the question to a provider; together with the attempt it stays below the time that
// workflows give an attempt.
const reconcileBudget = 10 * time.Second

// reconcile finds out whether a message arrived whose answer was lost, where its provider can be asked: nothing is
// sent then. false: no answer was lost, the provider has no such message, cannot be asked, or did not say.
func (n *Notifications) reconcile(ctx context.Context, in SendNotificationInput, message notify.Message, finding vault.Finding) (notify.Receipt, bool) {
	if !in.Uncertain && finding != vault.FindingUnknownOutcome {
		return notify.Receipt{}, false
	}
	channel, err := n.Channels.Open(ctx, in.Channel)
	if err != nil {
		return notify.Receipt{}, false // the attempt says so
	}
	return n.ask(ctx, channel, in, message)
}

func (n *Notifications) ask(ctx context.Context, channel notify.Channel, in SendNotificationInput, message notify.Message) (notify.Receipt, bool) {
	reconciler, able := notify.As[notify.Reconciler](channel)
	if !able {
		return notify.Receipt{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileBudget)
	defer cancel()
	found, receipt, err := reconciler.Reconcile(ctx, in.Recipient, message)
	if err != nil {
		n.Log.WarnContext(ctx, "provider does not say whether it has the message; it is sent again, flagged", "channel", in.Channel.Key, "error", err)
		return notify.Receipt{}, false
	}
	if found {
		receipt.Class = notify.Accepted
	}
	return receipt, found
}

// acceptedStatus is the ledger's word for what a provider took: DELIVERED where that is its last word, SENT
// where a receipt is to follow.
func acceptedStatus(channel alert.Channel) string {
	if notify.MeaningOf(notify.Type(channel.Type)).Final {
		return "DELIVERED"
	}
	return "SENT"
}

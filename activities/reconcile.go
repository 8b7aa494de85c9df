package activities

import (
	"context"
	"time"

	"onevault/alert"
	"onevault/notify"
)

// reconcileBudget bounds the question to a provider; together with the attempt it stays below the time that
// workflows give an attempt.
const reconcileBudget = 10 * time.Second

// reconcile asks a provider whether it has a message whose answer was lost. false: it has not, it cannot be
// asked, or it did not answer.
func (n *Notifications) reconcile(ctx context.Context, channel notify.Channel, in SendNotificationInput, message notify.Message) (notify.Receipt, bool) {
	reconciler, able := channel.(notify.Reconciler)
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

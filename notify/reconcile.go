package notify

import "context"

// Reconciler is a Channel that can find out whether a message arrived whose answer was lost. It is asked
// before the one time that such a message is sent again. E-mail, webhooks and Slack's incoming webhooks
// offer nothing to ask (see MeaningOf).
type Reconciler interface {
	// Reconcile looks for a message by its key. found: the provider has it, and the receipt says what proves
	// that, with its external id; nothing is sent then. An error means that it could not be found out, which
	// is as good as not found: the message is sent again, flagged.
	Reconcile(ctx context.Context, recipient string, m Message) (found bool, receipt Receipt, err error)
}

package activities

import (
	"context"

	"onevault/vault"
)

// deliveredAs is the provider's id of the message that an earlier attempt delivered, for channels whose later
// events continue it. Without it they begin a new message, which is no reason to fail.
func (n *Notifications) deliveredAs(ctx context.Context, in SendNotificationInput, intents []vault.LedgerEntry) string {
	if !in.Channel.InPlace || len(intents) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerBudget)
	defer cancel()
	id, err := n.Vault.DeliveredAs(ctx, intents[0])
	if err != nil {
		n.Log.WarnContext(ctx, "message of an earlier attempt not found", "channel", in.Channel.Key, "error", err)
	}
	return id
}

package vault

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// DeliveredAs is the provider's id of the message that delivered an entry's notification; empty: the ledger
// holds none. An attempt whose worker died before it could say so left it there.
func (s *Store) DeliveredAs(ctx context.Context, e LedgerEntry) (string, error) {
	id, err := one(ctx, s, pgx.RowTo[string], `
		SELECT coalesce(max(l.external_message_id), '')
		  FROM monitoring.notification_log_h h
		  JOIN monitoring.notification_log_s l USING (notification_log_hk)
		 WHERE h.alert_instance_hk = util.hash_binary($1)
		   AND h.notification_config_hk = util.hash_binary($2)
		   AND l.load_end_date IS NULL
		   AND l.delivery_status = 'DELIVERED'
		   AND l.event = $3
		   AND l.recipient_address = $4`, e.AlertKey, e.ChannelKey, e.Event, e.Recipient)
	if err != nil {
		return "", fmt.Errorf("find the message of %s: %w", e.DeliveryKey, err)
	}
	return id, nil
}

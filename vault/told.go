package vault

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/told_number.sql
	toldNumberSQL string
	//go:embed sql/told_delivery.sql
	toldDeliverySQL string
)

// AlertsToldTo lists the short ids of the alerts that somebody has yet to resolve, of which a telephone was told, the
// newest first.
func (s *Store) AlertsToldTo(ctx context.Context, number string) ([]string, error) {
	ids, err := all(ctx, s, pgx.RowTo[string], toldNumberSQL, number)
	if err != nil {
		return nil, fmt.Errorf("read what a telephone was told: %w", err)
	}
	return ids, nil
}

// ToldMessage is what one message to one recipient told.
type ToldMessage struct {
	Alerts  []string // short ids
	Content string   // as it was sent
}

// ToldBy reads what the message with a delivery key told a recipient; ErrNotFound when the ledger has none.
func (s *Store) ToldBy(ctx context.Context, delivery, channel, recipient string) (ToldMessage, error) {
	told, err := one(ctx, s, pgx.RowToStructByPos[ToldMessage], toldDeliverySQL, delivery, channel, recipient)
	if err != nil {
		return ToldMessage{}, fmt.Errorf("read what a message told: %w", err)
	}
	if len(told.Alerts) == 0 {
		return ToldMessage{}, fmt.Errorf("read what a message told: %w", ErrNotFound)
	}
	return told, nil
}

// ChannelsOf returns the enabled channels of some types, by key.
func (s *Store) ChannelsOf(ctx context.Context, types ...string) ([]Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT h.notification_config_bk, c.channel_name, c.channel_type, c.configuration, c.retry_attempts, c.retry_delay_seconds
		  FROM monitoring.notification_config_h h
		  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
		 WHERE c.channel_type = ANY ($1) AND c.is_enabled
		 ORDER BY h.notification_config_bk`, types)
	if err != nil {
		return nil, fmt.Errorf("read the channels: %w", err)
	}
	return channels, nil
}

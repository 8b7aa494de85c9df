package vault

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/notifications.sql
	notificationsSQL string
	//go:embed sql/notification_entries.sql
	notificationEntriesSQL string
)

// Notification is one notification of the ledger as it stands: one alert, one event, one recipient of one
// channel. Times are UTC; a zero time means that it has not happened.
type Notification struct {
	ID                string    `json:"id"`    // N-7F3K9QXM
	Alert             string    `json:"alert"` // short id
	AlertKey          string    `json:"alert_key"`
	At                time.Time `json:"at"` // when the last attempt began
	Event             string    `json:"event"`
	Channel           string    `json:"channel"`
	ChannelType       string    `json:"channel_type"`
	Recipient         string    `json:"recipient"`
	Status            string    `json:"status"`
	Certainty         string    `json:"certainty,omitempty"` // empty: it was held back or withdrawn
	Class             string    `json:"class,omitempty"`     // of the last attempt
	Attempt           int       `json:"attempt"`             // 0 for the first
	PossibleDuplicate bool      `json:"possible_duplicate"`
	Proof             string    `json:"proof,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	ExternalID        string    `json:"external_id,omitempty"`
	DurationMS        int       `json:"duration_ms,omitempty"`
	ReceiptProvider   string    `json:"receipt_provider,omitempty"`
	ReceiptStatus     string    `json:"receipt_status,omitempty"`
	ReceiptAt         time.Time `json:"receipt_at,omitzero"`
	HashKey           string    `json:"hash_key"` // hex
}

// NotificationFilter restricts a list of notifications; the zero value lists all.
type NotificationFilter struct {
	AlertKey    string
	Channel     string
	Statuses    []string
	Certainties []string
	Since       time.Time
	Limit       int // 0: no limit
}

// Notifications lists the ledger, the newest first. more says that the limit cut something off.
func (s *Store) Notifications(ctx context.Context, f NotificationFilter) (list []Notification, more bool, err error) {
	var (
		alertKey []byte
		limit    *int
	)
	if f.AlertKey != "" {
		alertKey = hashKey(f.AlertKey)
	}
	if f.Limit > 0 {
		limit = new(f.Limit + 1)
	}
	list, err = all(ctx, s, scanNotification, notificationsSQL, alertKey, optional(f.Channel), f.Statuses, f.Certainties, optional(f.Since), nil, limit)
	if err != nil {
		return nil, false, fmt.Errorf("list notifications: %w", err)
	}
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true, nil
	}
	return list, false, nil
}

// FindNotification finds one by its short id or more of it, its hash key in hex, or its business key. The
// error is ErrNotFound or ErrAmbiguous where no single one is meant.
func (s *Store) FindNotification(ctx context.Context, id string) (Notification, error) {
	found, err := one(ctx, s, pgx.RowTo[[]byte], "SELECT monitoring.find_notification($1)", id)
	if err != nil {
		return Notification{}, fmt.Errorf("find notification: %w", err)
	}
	n, err := one(ctx, s, scanNotification, notificationsSQL, nil, nil, nil, nil, nil, found, nil)
	if err != nil {
		return Notification{}, fmt.Errorf("read notification %s: %w", id, err)
	}
	return n, nil
}

func scanNotification(row pgx.CollectableRow) (Notification, error) {
	var (
		n       Notification
		receipt Timestamp
	)
	err := row.Scan(&n.ID, &n.Alert, &n.AlertKey, &n.At, &n.Event, &n.Channel, &n.ChannelType, &n.Recipient, &n.Status, &n.Certainty,
		&n.Class, &n.Attempt, &n.PossibleDuplicate, &n.Proof, &n.Reason, &n.ExternalID, &n.DurationMS,
		&n.ReceiptProvider, &n.ReceiptStatus, &receipt, &n.HashKey)
	n.At, n.ReceiptAt = n.At.UTC(), receipt.Time
	return n, err
}

// NotificationEntry is one version of a notification: an intent, an outcome, or a receipt.
type NotificationEntry struct {
	RecordedAt        time.Time       `json:"recorded_at"`
	At                time.Time       `json:"at"`   // when the attempt began, or what the receipt tells of happened
	Kind              string          `json:"kind"` // INTENT, OUTCOME, RECEIPT
	Late              bool            `json:"late,omitempty"`
	Status            string          `json:"status"` // of the notification from then on
	Class             string          `json:"class,omitempty"`
	Attempt           int             `json:"attempt"`
	Reason            string          `json:"reason,omitempty"`
	Proof             string          `json:"proof,omitempty"`
	ExternalID        string          `json:"external_id,omitempty"`
	DurationMS        int             `json:"duration_ms,omitempty"`
	PossibleDuplicate bool            `json:"possible_duplicate,omitempty"`
	Provider          string          `json:"provider,omitempty"` // RECEIPT: who sent it
	Receipt           string          `json:"receipt,omitempty"`  // RECEIPT: what it says
	Details           json.RawMessage `json:"details,omitempty"`
	Content           string          `json:"content,omitempty"`
}

// NotificationEntries returns all versions of a notification in the order of recording.
func (s *Store) NotificationEntries(ctx context.Context, n Notification) ([]NotificationEntry, error) {
	key, err := hex.DecodeString(n.HashKey)
	if err != nil {
		return nil, fmt.Errorf("read the entries of %s: its hash key: %w", n.ID, err)
	}
	entries, err := all(ctx, s, func(row pgx.CollectableRow) (NotificationEntry, error) {
		var e NotificationEntry
		err := row.Scan(&e.RecordedAt, &e.At, &e.Kind, &e.Late, &e.Status, &e.Class, &e.Attempt, &e.Reason, &e.Proof,
			&e.ExternalID, &e.DurationMS, &e.PossibleDuplicate, &e.Provider, &e.Receipt, &e.Details, &e.Content)
		e.RecordedAt, e.At = e.RecordedAt.UTC(), e.At.UTC()
		return e, err
	}, notificationEntriesSQL, key)
	if err != nil {
		return nil, fmt.Errorf("read the entries of %s: %w", n.ID, err)
	}
	return entries, nil
}

// DeliveryReceipt is what a provider says of a message after it took it.
type DeliveryReceipt struct {
	Provider  string // EMAIL, TWILIO, PAGERDUTY, SLACK, WEBHOOK
	Reference string // the provider's id of the message, or our delivery key
	Status    string // SENT, DELAYED, DELIVERED, BOUNCED, FAILED
	At        time.Time
	// Details may hold reason (why it failed), said (the provider's own word), and, with a delivery key,
	// recipient and channel. No secrets.
	Details map[string]string
}

// ReceiptEffect is what a receipt did to one notification.
type ReceiptEffect struct {
	ID     string `json:"id"`     // of the notification; empty: WAITING
	Effect string `json:"effect"` // RECORDED, LATE, KNOWN; or WAITING, where the vault does not know the message yet
}

// RecordReceipt records a receipt for each notification that its message stands for. Recording it again,
// late or in the wrong order is harmless.
func (s *Store) RecordReceipt(ctx context.Context, r DeliveryReceipt) ([]ReceiptEffect, error) {
	details := r.Details
	if details == nil {
		details = map[string]string{}
	}
	effects, err := all(ctx, s, pgx.RowToStructByPos[ReceiptEffect],
		"SELECT coalesce(notification_id, ''), effect FROM monitoring.record_receipt($1, $2, $3, $4, $5)",
		r.Provider, r.Reference, r.Status, r.At.UTC().Truncate(time.Microsecond), details)
	if err != nil {
		return nil, fmt.Errorf("record a receipt of %s: %w", r.Provider, err)
	}
	return effects, nil
}

// DeliveryRate is how much of what a channel was given within 24 hours arrived.
type DeliveryRate struct {
	Channel   string   `json:"channel"`
	Type      string   `json:"type"`
	Ended     int      `json:"ended"`
	Arrived   int      `json:"arrived"`
	Confirmed int      `json:"confirmed"` // by a receipt
	Failed    int      `json:"failed"`
	Uncertain int      `json:"uncertain"`
	Percent   *float64 `json:"percent,omitempty"` // nil: too few ended to make a rate
}

// DeliveryRates lists the channels that were given anything, by key.
func (s *Store) DeliveryRates(ctx context.Context) ([]DeliveryRate, error) {
	rates, err := all(ctx, s, pgx.RowToStructByPos[DeliveryRate], `
		SELECT channel, coalesce(channel_type, ''), ended, arrived, confirmed, failed, uncertain, delivery_pct::float8
		  FROM monitoring.channel_delivery_rate`)
	if err != nil {
		return nil, fmt.Errorf("read the delivery rates: %w", err)
	}
	return rates, nil
}

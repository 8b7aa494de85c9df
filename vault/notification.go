package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// LedgerEntry is one version of one notification in monitoring.notification_log_s: an intent (status
// PENDING, no class) or an outcome.
type LedgerEntry struct {
	AlertKey          string    `json:"alert_key"`
	ChannelKey        string    `json:"channel_key"`
	ChannelType       string    `json:"channel_type"`
	Recipient         string    `json:"recipient"`
	Event             string    `json:"event"` // FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>, REOPENED:<n>, FLAPPING, UNANSWERED:<moment>, REPEATED:<level>:<moment>
	DeliveryKey       string    `json:"delivery_key"`
	Status            string    `json:"status"` // PENDING, DIGESTED, SENT, DELIVERED, FAILED, SUPPRESSED
	Attempt           int       `json:"attempt"`
	At                time.Time `json:"at"`
	Class             string    `json:"class,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Proof             string    `json:"proof,omitempty"`
	ExternalID        string    `json:"external_id,omitempty"`
	Content           string    `json:"content,omitempty"`
	DurationMS        int64     `json:"duration_ms"`
	PossibleDuplicate bool      `json:"possible_duplicate,omitempty"`
}

// Finding is what the ledger knew of a delivery when its attempt began.
type Finding string

const (
	FindingNew            Finding = "NEW"
	FindingUnknownOutcome Finding = "UNKNOWN_OUTCOME" // an earlier attempt may have arrived
	FindingDelivered      Finding = "DELIVERED"       // do not send again
	FindingDigested       Finding = "DIGESTED"        // over the limit of its channel: a digest tells of it
)

// Begun is what the ledger knew of a notification, and whether it may have arrived before.
type Begun struct {
	AlertKey          string
	Finding           Finding
	PossibleDuplicate bool
}

// BeginEachNotification writes the intents of notifications that go out one by one, in one transaction, and
// says of each, in their order, what the ledger knew.
func (s *Store) BeginEachNotification(ctx context.Context, entries []LedgerEntry) ([]Begun, error) {
	begun, err := all(ctx, s, pgx.RowToStructByPos[Begun],
		"SELECT alert_key, finding, possible_duplicate FROM monitoring.begin_each_notification($1)", entries)
	if err != nil {
		return nil, fmt.Errorf("record the intents to notify: %w", err)
	}
	return begun, nil
}

// BeginNotifications writes the intents of one delivery (one entry per alert it tells of) before its
// attempt, in one transaction, and says what the ledger knew.
func (s *Store) BeginNotifications(ctx context.Context, entries []LedgerEntry) (Finding, error) {
	finding, err := one(ctx, s, pgx.RowTo[string], "SELECT monitoring.begin_notifications($1)", entries)
	if err != nil {
		return "", fmt.Errorf("record the intent to notify: %w", err)
	}
	return Finding(finding), nil
}

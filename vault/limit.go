package vault

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/alerts_now.sql
var alertsNowSQL string

//go:embed sql/refused_channels.sql
var refusedChannelsSQL string

//go:embed sql/confirmed_channels.sql
var confirmedChannelsSQL string

// BeginWithinLimit is BeginNotifications for a message that counts against the rate_limit_per_hour of its channel.
// regardless is why it goes whatever the limit, such as "it is CRITICAL"; empty: it does not. said is what the ledger
// is to say of the limit beside the outcome; empty: nothing.
func (s *Store) BeginWithinLimit(ctx context.Context, entries []LedgerEntry, regardless string) (finding Finding, said string, err error) {
	type turn struct {
		Finding Finding
		Said    *string
	}
	found, err := one(ctx, s, pgx.RowToStructByPos[turn], "SELECT finding, said FROM monitoring.begin_within_limit($1, $2)", entries, optional(regardless))
	if err != nil {
		return "", "", fmt.Errorf("record the intent to notify: %w", err)
	}
	if found.Said != nil {
		said = *found.Said
	}
	return found.Finding, said, nil
}

// BeginDigest writes the intents of a digest, one entry for each event that it tells of, and says of each, in their
// order, what the ledger knew. The digest counts against the limit and is not held up by it.
func (s *Store) BeginDigest(ctx context.Context, entries []LedgerEntry) ([]Begun, error) {
	begun, err := all(ctx, s, pgx.RowToStructByPos[Begun],
		"SELECT alert_key, finding, possible_duplicate FROM monitoring.begin_digest($1)", entries)
	if err != nil {
		return nil, fmt.Errorf("record the intents of a digest: %w", err)
	}
	return begun, nil
}

// DigestRoom is when the limit of a channel lets its next message to a recipient through; zero: now.
func (s *Store) DigestRoom(ctx context.Context, channelKey, recipient string) (time.Time, error) {
	at, err := one(ctx, s, pgx.RowTo[*time.Time],
		"SELECT nullif(monitoring.digest_room($1, $2), '-infinity')", channelKey, recipient)
	if err != nil {
		return time.Time{}, fmt.Errorf("read when channel %s has room: %w", channelKey, err)
	}
	if at == nil {
		return time.Time{}, nil
	}
	return at.UTC(), nil
}

// AlertNow is how an alert stands that somebody is about to be told of.
type AlertNow struct {
	Key            string
	Status         alert.Status
	AcknowledgedBy string
	ResolvedBy     string
	ResolvedAt     *time.Time
	FalsePositive  bool
}

// AlertsNow reads how alerts stand, by their business keys; those that the vault does not know are left out.
func (s *Store) AlertsNow(ctx context.Context, keys []string) (map[string]AlertNow, error) {
	rows, err := all(ctx, s, pgx.RowToStructByPos[AlertNow], alertsNowSQL, keys)
	if err != nil {
		return nil, fmt.Errorf("read how alerts stand: %w", err)
	}
	now := make(map[string]AlertNow, len(rows))
	for _, row := range rows {
		now[row.Key] = row
	}
	return now, nil
}

// RefusedChannel is a channel whose destination is left alone because it failed several times in a row.
type RefusedChannel struct {
	Channel string
	Refused int       // attempts that were not made, of the last ten minutes
	LastAt  time.Time // when the last of them was
	Reason  string    // what it said
}

// RefusedChannels lists the channels of which a circuit refused messages lately and that delivered none since.
func (s *Store) RefusedChannels(ctx context.Context) ([]RefusedChannel, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[RefusedChannel], refusedChannelsSQL)
	if err != nil {
		return nil, fmt.Errorf("read whose messages are refused: %w", err)
	}
	return list, nil
}

// ConfirmedChannel is a channel that requires receipts, and whether they come.
type ConfirmedChannel struct {
	Channel   string
	Type      string
	Asked     bool // EMAIL: its configuration asks the mail servers for them
	Minutes   int  // that one may take before the message goes on
	Sent      int  // messages of a week, or since the configuration changed, whose receipt should be here by now
	Confirmed int  // those of them that have one
}

// ConfirmedChannels lists the channels that require receipts, by key.
func (s *Store) ConfirmedChannels(ctx context.Context) ([]ConfirmedChannel, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[ConfirmedChannel], confirmedChannelsSQL)
	if err != nil {
		return nil, fmt.Errorf("read whose receipts come: %w", err)
	}
	return list, nil
}

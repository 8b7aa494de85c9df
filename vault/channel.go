package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Channel is one version of a notification channel, as its row holds it.
type Channel struct {
	Key               string
	Name              string
	Type              string
	Configuration     json.RawMessage
	SeverityFilter    []string // nil: every severity
	CategoryFilter    []string // nil: every category
	RetryAttempts     int
	RetryDelaySeconds int
	RecordSource      string
}

// MatchingChannels returns the enabled channels that hear the alerts of a definition, by its current
// version; none when the definition is unknown.
func (s *Store) MatchingChannels(ctx context.Context, definitionKey string) ([]Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT m.channel_key, m.channel_name, m.channel_type, m.configuration, m.retry_attempts, m.retry_delay_seconds
		  FROM monitoring.alert_definition_h h
		  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL,
		       LATERAL monitoring.matching_channels(h.alert_definition_hk, d.alert_severity, d.alert_category, d.notification_channels) AS m
		 WHERE h.alert_definition_bk = $1`, definitionKey)
	if err != nil {
		return nil, fmt.Errorf("read the channels of %s: %w", definitionKey, err)
	}
	return channels, nil
}

// NamedChannels returns, of the enabled channels with these keys or types, those whose own filters let the
// definition through, by its current version.
func (s *Store) NamedChannels(ctx context.Context, definitionKey string, names []string) ([]Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT m.channel_key, m.channel_name, m.channel_type, m.configuration, m.retry_attempts, m.retry_delay_seconds
		  FROM monitoring.alert_definition_h h
		  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL,
		       LATERAL monitoring.matching_channels(h.alert_definition_hk, d.alert_severity, d.alert_category, $2) AS m
		 WHERE h.alert_definition_bk = $1`, definitionKey, names)
	if err != nil {
		return nil, fmt.Errorf("read the channels that the policy of %s names: %w", definitionKey, err)
	}
	return channels, nil
}

// Channel returns the current version of a channel, enabled or not; ErrNotFound when there is none.
func (s *Store) Channel(ctx context.Context, key string) (Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT h.notification_config_bk, c.channel_name, c.channel_type, c.configuration, c.retry_attempts, c.retry_delay_seconds
		  FROM monitoring.notification_config_h h
		  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
		 WHERE h.notification_config_bk = $1`, key)
	if err != nil {
		return Channel{}, fmt.Errorf("read channel %s: %w", key, err)
	}
	if len(channels) == 0 {
		return Channel{}, fmt.Errorf("channel %s: %w", key, ErrNotFound)
	}
	return channels[0], nil
}

func scanChannel(row pgx.CollectableRow) (Channel, error) {
	var c Channel
	err := row.Scan(&c.Key, &c.Name, &c.Type, &c.Configuration, &c.RetryAttempts, &c.RetryDelaySeconds)
	return c, err
}

// PutChannel writes a version of a channel; writing the current content again is no new version. A
// configuration that could never deliver is refused with a *Refusal.
func (s *Store) PutChannel(ctx context.Context, c Channel) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, record_source)
			VALUES (util.hash_binary($1), $1, $2) ON CONFLICT DO NOTHING`, c.Key, c.RecordSource); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO monitoring.notification_config_s (
			    notification_config_hk, hash_diff, channel_name, channel_type, configuration,
			    severity_filter, category_filter, retry_attempts, retry_delay_seconds, record_source)
			VALUES (util.hash_binary($1), '\x', $2, $3, $4, $5, $6, $7, $8, $9)`,
			c.Key, c.Name, c.Type, c.Configuration, c.SeverityFilter, c.CategoryFilter, c.RetryAttempts, c.RetryDelaySeconds, c.RecordSource)
		return err
	})
	if err != nil {
		return fmt.Errorf("put channel %s: %w", c.Key, refusal(err))
	}
	return nil
}

// What a channel has that says nothing else, as the columns of its row.
const (
	DefaultRateLimit         = 100
	DefaultRetryAttempts     = 3
	DefaultRetryDelaySeconds = 300
)

// ChannelSpec is a channel as a file says it.
type ChannelSpec struct {
	Key                  string
	Name                 string
	Type                 string
	Configuration        json.RawMessage
	RecipientGroups      []string        // nil: none
	SeverityFilter       []string        // nil: every severity
	CategoryFilter       []string        // nil: every category
	TimeRestrictions     json.RawMessage // nil: none
	Enabled              bool
	RateLimitPerHour     *int // nil, 0: no limit
	DeliveryConfirmation bool
	RetryAttempts        int
	RetryDelaySeconds    int
}

// String keeps the configuration, and any secret in it, out of logs.
func (c ChannelSpec) String() string { return c.Type + " " + c.Key }

// GoString is String, for %#v.
func (c ChannelSpec) GoString() string { return c.String() }

// ChannelChange is what became of a channel that was put.
type ChannelChange string

// The changes of a channel that is put.
const (
	ChannelAdded     ChannelChange = "+"
	ChannelChanged   ChannelChange = "~"
	ChannelUnchanged ChannelChange = "="
)

// PutChannels writes a version of each channel, all or none; author stands in each row. changes are by key. With dryRun,
// or when one is refused, nothing is left.
func (s *Store) PutChannels(ctx context.Context, specs []ChannelSpec, author string, dryRun bool) (changes map[string]ChannelChange, refused []DefinitionRefusal, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("write channels: %w", err)
	}
	defer tx.Rollback(ctx) // after a commit there is nothing to take back
	changes = map[string]ChannelChange{}
	for _, spec := range specs {
		changes[spec.Key], err = putChannel(ctx, tx, spec, author)
		switch {
		case Unreachable(err) || errors.Is(err, context.Canceled):
			return nil, nil, fmt.Errorf("write channel %s: %w", spec.Key, err)
		case err != nil:
			refused = append(refused, DefinitionRefusal{spec.Key, refusal(err)})
		}
	}
	if dryRun || len(refused) > 0 {
		return changes, refused, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, nil, fmt.Errorf("write channels: %w", refusal(err))
	}
	return changes, nil, nil
}

func putChannel(ctx context.Context, tx pgx.Tx, c ChannelSpec, author string) (change ChannelChange, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		hub, err := tx.Exec(ctx, `
			INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, record_source)
			VALUES (util.hash_binary($1), $1, 'CHANNEL_FILE') ON CONFLICT DO NOTHING`, c.Key)
		if err != nil {
			return err
		}
		satellite, err := tx.Exec(ctx, `
			INSERT INTO monitoring.notification_config_s (
			    notification_config_hk, hash_diff, channel_name, channel_type, configuration, recipient_groups, severity_filter, category_filter,
			    time_restrictions, is_enabled, rate_limit_per_hour, delivery_confirmation_required, retry_attempts, retry_delay_seconds,
			    created_by, record_source)
			VALUES (util.hash_binary($1), '\x', $2, $3, $4, $5, $6, $7, $8, $9, nullif($10::integer, 0), $11, $12, $13, $14, 'CHANNEL_FILE')`,
			c.Key, c.Name, c.Type, c.Configuration, c.RecipientGroups, c.SeverityFilter, c.CategoryFilter, c.TimeRestrictions, c.Enabled,
			c.RateLimitPerHour, c.DeliveryConfirmation, c.RetryAttempts, c.RetryDelaySeconds, author)
		switch {
		case hub.RowsAffected() > 0:
			change = ChannelAdded
		case satellite.RowsAffected() > 0:
			change = ChannelChanged
		default:
			change = ChannelUnchanged
		}
		return err
	})
	return change, err
}

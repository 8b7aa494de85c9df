package vault

import (
	"context"
	"encoding/json"
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

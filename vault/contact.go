package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/contacts.sql
var contactsSQL string

//go:embed sql/recipient_groups.sql
var groupsSQL string

// Reach is whom a channel tells besides the recipients of its configuration, and when.
type Reach struct {
	Channel       string
	Contacts      []alert.Contact
	Restrictions  *alert.Restrictions // nil: at any hour
	ConfirmWithin time.Duration       // zero: no receipt is asked for
}

// Reach reads it for the channels with these keys.
func (s *Store) Reach(ctx context.Context, channels []string) ([]Reach, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (Reach, error) {
		var (
			r            Reach
			restrictions []byte
			minutes      int
		)
		if err := row.Scan(&r.Channel, &r.Contacts, &restrictions, &minutes); err != nil {
			return r, err
		}
		r.ConfirmWithin = time.Duration(minutes) * time.Minute
		if restrictions == nil {
			return r, nil
		}
		return r, json.Unmarshal(restrictions, &r.Restrictions)
	}, "SELECT channel_key, contacts, time_restrictions, confirmation_minutes FROM monitoring.channel_reach($1)", channels)
	if err != nil {
		return nil, fmt.Errorf("read whom channels reach: %w", err)
	}
	return list, nil
}

// OwnerChannels are those that hear of the category SYSTEM by name: of what OneVault itself could not do.
func (s *Store) OwnerChannels(ctx context.Context, definitionKey string) ([]Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT m.channel_key, m.channel_name, m.channel_type, m.configuration, m.retry_attempts, m.retry_delay_seconds
		  FROM monitoring.matching_channels(util.hash_binary($1), 'CRITICAL', 'SYSTEM', NULL) AS m
		  JOIN monitoring.notification_config_s c ON c.notification_config_hk = m.notification_config_hk AND c.load_end_date IS NULL
		 WHERE 'SYSTEM' = ANY (c.category_filter)`, definitionKey)
	if err != nil {
		return nil, fmt.Errorf("read the channels of category SYSTEM: %w", err)
	}
	return channels, nil
}

// StillReached are those of some addresses at which an enabled contact is reached by a type of channel.
func (s *Store) StillReached(ctx context.Context, channelType string, addresses []string) ([]string, error) {
	list, err := all(ctx, s, pgx.RowTo[string], `
		SELECT DISTINCT a.address
		  FROM unnest($2::text[]) AS a (address)
		  JOIN monitoring.contact_s c ON lower(monitoring.contact_addresses(c) ->> $1) = lower(a.address)
		 WHERE c.load_end_date IS NULL AND c.is_enabled`, channelType, addresses)
	if err != nil {
		return nil, fmt.Errorf("read whose addresses these are: %w", err)
	}
	return list, nil
}

// Confirmed reports whether each of the notifications of a message to a recipient is known to have arrived: by a
// receipt, or by the provider's word where the channel's type knows no receipts.
func (s *Store) Confirmed(ctx context.Context, alertKeys []string, channel, recipient, event string) (bool, error) {
	confirmed, err := one(ctx, s, pgx.RowTo[bool], `
		SELECT count(*) FILTER (WHERE s.delivery_confirmation_received OR s.delivery_status = 'DELIVERED' AND c.channel_type NOT IN ('EMAIL', 'SMS', 'VOICE'))
		       = cardinality($1::text[])
		  FROM monitoring.alert_instance_h a
		  JOIN monitoring.notification_log_h h ON h.alert_instance_hk = a.alert_instance_hk
		  JOIN monitoring.notification_log_s s ON s.notification_log_hk = h.notification_log_hk AND s.load_end_date IS NULL
		  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
		 WHERE a.alert_instance_bk = ANY ($1) AND h.notification_config_hk = util.hash_binary($2) AND s.recipient_address = $3 AND s.event = $4`,
		alertKeys, channel, recipient, event)
	if err != nil {
		return false, fmt.Errorf("read whether %s was told by %s: %w", recipient, channel, err)
	}
	return confirmed, nil
}

// ContactOf gives the key of the enabled contact behind an account of a provider: slack (user id), pagerduty (user id),
// twilio (telephone number), email (address). ok is false where it is nobody's, or that of several.
func (s *Store) ContactOf(ctx context.Context, provider, id string) (contact string, ok bool, err error) {
	column, known := map[string]string{
		"slack": "slack_user_id", "pagerduty": "pagerduty_user_id", "twilio": "phone_number", "email": "email_address",
	}[strings.ToLower(provider)]
	if !known {
		return "", false, fmt.Errorf("provider %q of an account is unknown; use slack, pagerduty, twilio or email", provider)
	}
	keys, err := all(ctx, s, pgx.RowTo[string], `
		SELECT h.contact_bk
		  FROM monitoring.contact_s c
		  JOIN monitoring.contact_h h USING (contact_hk)
		 WHERE c.load_end_date IS NULL AND c.is_enabled AND lower(to_jsonb(c) ->> $1) = lower($2)
		 LIMIT 2`, column, id)
	if err != nil {
		return "", false, fmt.Errorf("read whose account %s of %s is: %w", id, provider, err)
	}
	if len(keys) != 1 {
		return "", false, nil
	}
	return keys[0], true, nil
}

// ContactSpec is what a version of a contact says.
type ContactSpec struct {
	Key        string   `json:"key"`
	Name       string   `json:"name"`
	Email      string   `json:"email,omitempty"`
	Phone      string   `json:"phone,omitempty"`
	Slack      string   `json:"slack,omitempty"`
	PagerDuty  string   `json:"pagerduty,omitempty"`
	TimeZone   string   `json:"time_zone"`
	QuietFrom  string   `json:"quiet_from,omitempty"`
	QuietUntil string   `json:"quiet_until,omitempty"`
	Prefers    []string `json:"prefers,omitempty"`
	Enabled    bool     `json:"enabled"`
}

// GroupSpec is a recipient group with its members in their order.
type GroupSpec struct {
	Key     string   `json:"key"`
	Members []string `json:"members"`
}

// ListedContact is a contact as it stands.
type ListedContact struct {
	ContactSpec
	WrittenAt time.Time `json:"written_at"`
	Author    string    `json:"author"`
	Groups    []string  `json:"groups"`
}

// ListedGroup is a group as it stands, with the channels that name it.
type ListedGroup struct {
	GroupSpec
	Exists   bool     `json:"exists"` // false: channels name it, and there is none
	Channels []string `json:"channels"`
}

// Contacts lists the contacts with these keys (none: all) by key.
func (s *Store) Contacts(ctx context.Context, keys []string) ([]ListedContact, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (ListedContact, error) {
		var c ListedContact
		err := row.Scan(&c.Key, &c.Name, &c.Email, &c.Phone, &c.Slack, &c.PagerDuty, &c.TimeZone, &c.QuietFrom, &c.QuietUntil, &c.Prefers,
			&c.Enabled, &c.WrittenAt, &c.Author, &c.Groups)
		c.WrittenAt = c.WrittenAt.UTC()
		return c, err
	}, contactsSQL, keys)
	if err != nil {
		return nil, fmt.Errorf("list contacts: %w", err)
	}
	return list, nil
}

// RecipientGroups lists the groups that there are and those that enabled channels name, by key.
func (s *Store) RecipientGroups(ctx context.Context) ([]ListedGroup, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (ListedGroup, error) {
		var g ListedGroup
		err := row.Scan(&g.Key, &g.Exists, &g.Members, &g.Channels)
		return g, err
	}, groupsSQL)
	if err != nil {
		return nil, fmt.Errorf("list recipient groups: %w", err)
	}
	return list, nil
}

// PutContacts writes contacts and groups, all or none; what is equal to what stands is no new version. A group's
// members are exactly those given. With dryRun, or when one is refused, nothing is left.
func (s *Store) PutContacts(ctx context.Context, contacts []ContactSpec, groups []GroupSpec, author string, dryRun bool) (refused []DefinitionRefusal, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("write contacts: %w", err)
	}
	defer tx.Rollback(ctx) // after a commit there is nothing to take back
	put := func(key string, write func(pgx.Tx) error) error {
		err := pgx.BeginFunc(ctx, tx, write)
		switch {
		case Unreachable(err) || errors.Is(err, context.Canceled):
			return fmt.Errorf("write %s: %w", key, err)
		case err != nil:
			refused = append(refused, DefinitionRefusal{key, refusal(err)})
		}
		return nil
	}
	for _, c := range contacts {
		if err := put(c.Key, func(tx pgx.Tx) error { return putContact(ctx, tx, c, author) }); err != nil {
			return nil, err
		}
	}
	for _, g := range groups {
		if err := put(g.Key, func(tx pgx.Tx) error { return putGroup(ctx, tx, g, author) }); err != nil {
			return nil, err
		}
	}
	if dryRun || len(refused) > 0 {
		return refused, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("write contacts: %w", refusal(err))
	}
	return nil, nil
}

func putContact(ctx context.Context, tx pgx.Tx, c ContactSpec, author string) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO monitoring.contact_h (contact_hk, contact_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, c.Key); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO monitoring.contact_s (
		    contact_hk, hash_diff, contact_name, email_address, phone_number, slack_user_id, pagerduty_user_id,
		    time_zone, quiet_from, quiet_until, preferred_channels, is_enabled, changed_by, record_source)
		VALUES (util.hash_binary($1), '\x', $2, $3, $4, $5, $6, $7, $8::text::time, $9::text::time, $10::text[], $11, $12, 'CONTACT_FILE')`,
		c.Key, c.Name, optional(c.Email), optional(c.Phone), optional(c.Slack), optional(c.PagerDuty), c.TimeZone,
		optional(c.QuietFrom), optional(c.QuietUntil), optionalList(c.Prefers), c.Enabled, author)
	return err
}

func putGroup(ctx context.Context, tx pgx.Tx, g GroupSpec, author string) error {
	if _, err := tx.Exec(ctx, `
		INSERT INTO monitoring.recipient_group_h (recipient_group_hk, recipient_group_bk) VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, g.Key); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "SELECT monitoring.set_group_members($1, $2, $3)", g.Key, g.Members, author)
	return err
}

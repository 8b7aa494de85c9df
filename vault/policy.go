package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/policies.sql
var policiesSQL string

// PolicySpec is what a version of an escalation policy says: everything but who wrote it and when.
type PolicySpec struct {
	Key         string        `json:"key"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Enabled     bool          `json:"enabled"`
	DefaultFor  []string      `json:"default_for,omitempty"` // severities
	Levels      []alert.Level `json:"levels"`
	RepeatTimes int           `json:"repeat_times,omitempty"`
	RepeatEvery int           `json:"repeat_every_minutes,omitempty"`
}

// ListedPolicy is an escalation policy as it stands.
type ListedPolicy struct {
	PolicySpec
	WrittenAt   time.Time `json:"written_at"`
	Author      string    `json:"author"`
	Definitions []string  `json:"definitions"` // keys of the enabled definitions that follow it now
}

// Policies lists the escalation policies of these keys (none: all) by key.
func (s *Store) Policies(ctx context.Context, keys []string) ([]ListedPolicy, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (ListedPolicy, error) {
		var p ListedPolicy
		err := row.Scan(&p.Key, &p.Name, &p.Description, &p.Enabled, &p.DefaultFor, &p.Levels, &p.RepeatTimes, &p.RepeatEvery,
			&p.WrittenAt, &p.Author, &p.Definitions)
		p.WrittenAt = p.WrittenAt.UTC()
		return p, err
	}, policiesSQL, keys)
	if err != nil {
		return nil, fmt.Errorf("list escalation policies: %w", err)
	}
	return list, nil
}

// PutPolicies writes a version of each policy, all or none; what is equal to what stands is no new version.
// With dryRun, or when one is refused, nothing is left.
func (s *Store) PutPolicies(ctx context.Context, specs []PolicySpec, author string, dryRun bool) (refused []DefinitionRefusal, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("write escalation policies: %w", err)
	}
	defer tx.Rollback(ctx) // after a commit there is nothing to take back
	for _, spec := range specs {
		err := putPolicy(ctx, tx, spec, author)
		switch {
		case Unreachable(err) || errors.Is(err, context.Canceled):
			return nil, fmt.Errorf("write escalation policy %s: %w", spec.Key, err)
		case err != nil:
			refused = append(refused, DefinitionRefusal{spec.Key, refusal(err)})
		}
	}
	if dryRun || len(refused) > 0 {
		return refused, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("write escalation policies: %w", refusal(err))
	}
	return nil, nil
}

func putPolicy(ctx context.Context, tx pgx.Tx, p PolicySpec, author string) error {
	levels, err := json.Marshal(p.Levels)
	if err != nil {
		return fmt.Errorf("write the levels of %s: %w", p.Key, err)
	}
	return pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO monitoring.escalation_policy_h (escalation_policy_hk, escalation_policy_bk)
			VALUES (util.hash_binary($1), $1) ON CONFLICT DO NOTHING`, p.Key); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO monitoring.escalation_policy_s (
			    escalation_policy_hk, hash_diff, policy_name, policy_description, escalation_levels, repeat_times, repeat_every_minutes,
			    default_for_severities, is_enabled, changed_by, record_source)
			VALUES (util.hash_binary($1), '\x', $2, $3, $4::jsonb, $5, $6, $7::text[], $8, $9, 'POLICY_FILE')`,
			p.Key, p.Name, optional(p.Description), levels, p.RepeatTimes, p.RepeatEvery, optionalList(p.DefaultFor), p.Enabled, author)
		return err
	})
}

// RouteOf is how an alert would be routed: its definition as far as that matters, who hears it, and whom its
// escalation policy names.
type RouteOf struct {
	Definition alert.Definition
	Hearers    []Channel
	Named      []Channel
	Reach      []Reach // of all of them
}

// RouteOfDefinition reads how an alert of a definition would be routed; a severity, when given, is taken for the
// definition's. ErrNotFound when there is none.
func (s *Store) RouteOfDefinition(ctx context.Context, key, severity string) (RouteOf, error) {
	definition, err := one(ctx, s, scanRoute, `
		SELECT h.alert_definition_bk, v.alert_name, v.alert_severity, v.alert_category, v.escalation_enabled, v.escalation_delay_minutes,
		       monitoring.escalation_policy_of(v, clock_timestamp()), v.notification_channels
		  FROM monitoring.alert_definition_h h
		  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL,
		       LATERAL jsonb_populate_record(d, jsonb_build_object('alert_severity', coalesce($2, d.alert_severity))) AS v
		 WHERE h.alert_definition_bk = $1`, key, optional(severity))
	if errors.Is(err, pgx.ErrNoRows) {
		return RouteOf{}, fmt.Errorf("alert definition %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return RouteOf{}, fmt.Errorf("read the route of %s: %w", key, err)
	}
	return s.withChannels(ctx, key, definition)
}

type routed struct {
	definition alert.Definition
	channels   []string
}

func scanRoute(row pgx.CollectableRow) (routed, error) {
	var (
		r       routed
		minutes int
		d       = &r.definition
	)
	err := row.Scan(&d.Key, &d.Name, &d.Severity, &d.Category, &d.EscalationEnabled, &minutes, &d.Policy, &r.channels)
	d.EscalationDelay = time.Duration(minutes) * time.Minute
	return r, err
}

func (s *Store) withChannels(ctx context.Context, key string, r routed) (RouteOf, error) {
	matching := func(names []string) ([]Channel, error) {
		return all(ctx, s, scanChannel, `
			SELECT m.channel_key, m.channel_name, m.channel_type, m.configuration, m.retry_attempts, m.retry_delay_seconds
			  FROM monitoring.matching_channels(util.hash_binary($1), $2, $3, $4) AS m`, key, r.definition.Severity, r.definition.Category, names)
	}
	route := RouteOf{Definition: r.definition}
	var err error
	if route.Hearers, err = matching(r.channels); err != nil {
		return RouteOf{}, fmt.Errorf("read who hears %s: %w", key, err)
	}
	if names := r.definition.Policy.Named(); len(names) > 0 {
		if route.Named, err = matching(names); err != nil {
			return RouteOf{}, fmt.Errorf("read whom the policy of %s names: %w", key, err)
		}
	}
	var keys []string
	for _, c := range slices.Concat(route.Hearers, route.Named) {
		keys = append(keys, c.Key)
	}
	route.Reach, err = s.Reach(ctx, keys)
	return route, err
}

package vault

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/storms.sql
var stormsSQL string

// ListedStorm is a storm as it stands.
type ListedStorm struct {
	Key     string          `json:"key"`
	Kind    alert.StormKind `json:"kind"`
	Name    string          `json:"name"` // the target, or the key of the definition
	Tenant  string          `json:"tenant,omitempty"`
	BeganAt time.Time       `json:"began_at"`
	EndedAt *time.Time      `json:"ended_at"` // null: it is on
	Limit   int             `json:"group_limit"`
	Groups  int             `json:"group_count"` // at its beginning; once it ended those that it told of
	Alerts  *int            `json:"alert_count"` // that it told of; null: it is on
}

// Storms lists the storms, the newest first: those that are on, and with over all that there were.
func (s *Store) Storms(ctx context.Context, over bool) ([]ListedStorm, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[ListedStorm], stormsSQL, over)
	if err != nil {
		return nil, fmt.Errorf("list storms: %w", err)
	}
	return list, nil
}

// JoinStorm returns the storm to which a group of alerts belongs that fired at a moment: one that is on, or one that
// begins because the group passes the limit. False: there is none. tenant is a hash key in hex; empty: none.
func (s *Store) JoinStorm(ctx context.Context, target, definition, tenant string, firedAt time.Time) (alert.Storm, bool, error) {
	found, err := one(ctx, s, func(row pgx.CollectableRow) (alert.Storm, error) {
		storm := alert.Storm{Tenant: tenant}
		err := row.Scan(&storm.Key, &storm.Kind, &storm.Name, &storm.BeganAt, &storm.Limit, &storm.AtOnce)
		storm.BeganAt = storm.BeganAt.UTC()
		return storm, err
	}, `
		SELECT storm_bk, storm_kind, storm_name, began_at, group_limit, at_once
		  FROM monitoring.join_storm($1, $2, decode($3, 'hex'), $4)`, target, definition, optional(tenant), firedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return alert.Storm{}, false, nil
	}
	if err != nil {
		return alert.Storm{}, false, fmt.Errorf("ask whether %s on %s belongs to a storm: %w", definition, target, err)
	}
	return found, true, nil
}

// EndStorm notes that a storm is over, and how many groups and alerts it told of.
func (s *Store) EndStorm(ctx context.Context, key string, at time.Time, groups, alerts int) error {
	if _, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.end_storm($1, $2, $3, $4)", key, at, groups, alerts); err != nil {
		return fmt.Errorf("end storm %s: %w", key, err)
	}
	return nil
}

package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// Mutes returns what mutes the alerts with these business keys, at the vault's moment or at `at` where that is
// later; of an alert that nothing mutes there is no entry.
func (s *Store) Mutes(ctx context.Context, keys []string, at time.Time) (map[string]alert.Mute, error) {
	type row struct {
		Key  string
		Mute alert.Mute
	}
	rows, err := all(ctx, s, func(r pgx.CollectableRow) (row, error) {
		var (
			found row
			until Timestamp
		)
		err := r.Scan(&found.Key, &found.Mute.Kind, &found.Mute.ID, &until, &found.Mute.By, &found.Mute.Comment)
		found.Mute.Until = until.Time
		return found, err
	}, `
		SELECT alert_key, mute_kind, mute_id, until, muted_by, comment
		  FROM monitoring.mutes_of($1, greatest(clock_timestamp(), $2))`, keys, optional(at))
	if err != nil {
		return nil, fmt.Errorf("read what mutes alerts: %w", err)
	}
	found := make(map[string]alert.Mute, len(rows))
	for _, r := range rows {
		found[r.Key] = r.Mute
	}
	return found, nil
}

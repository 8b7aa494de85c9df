package vault

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/pulse.sql
var pulseSQL string

// Pulse reads what is known about alerting as a whole. every is the cadence of evaluation; 0: each definition has
// its own.
func (s *Store) Pulse(ctx context.Context, every time.Duration) (alert.Pulse, error) {
	p, err := one(ctx, s, func(row pgx.CollectableRow) (alert.Pulse, error) {
		var (
			p            alert.Pulse
			now, unheard Timestamp
		)
		err := row.Scan(&now, &p.Enabled, &unheard, &p.Arrived, &p.Failed)
		p.Now, p.OldestUnrelayed = now.Time, unheard.Time
		return p, err
	}, pulseSQL)
	if err != nil {
		return alert.Pulse{}, fmt.Errorf("read the pulse: %w", err)
	}
	p.Overdue, err = all(ctx, s, func(row pgx.CollectableRow) (alert.OverdueLook, error) {
		var look alert.OverdueLook
		err := row.Scan(&look.Definition, &look.Target, &look.Since, &look.Every)
		look.Since = look.Since.UTC()
		return look, err
	}, "SELECT definition_key, target_name, since, every FROM monitoring.overdue_looks($1, $2, $3)", optional(every), alert.PulseCycles, alert.PulseSlack)
	if err != nil {
		return alert.Pulse{}, fmt.Errorf("look for looks that are overdue: %w", err)
	}
	return p, nil
}

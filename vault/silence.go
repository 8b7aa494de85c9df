package vault

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/silence_reminder.sql
var silenceReminder string

// SilencedAlerts returns the unanswered alerts of which people will be told when a silence ends, the worst first and
// at most 100: those that nothing else mutes for longer.
func (s *Store) SilencedAlerts(ctx context.Context, id string) ([]OutboxRow, error) {
	rows, err := all(ctx, s, scanOutboxRow, silenceReminder, id)
	if err != nil {
		return nil, fmt.Errorf("read what silence %s mutes: %w", id, err)
	}
	return rows, nil
}

// SilenceNews is that a silence was made, extended or ended.
type SilenceNews struct {
	ID  string // short id
	Seq []int64
}

// UnrelayedSilences returns the silences of which their workflows have not heard.
func (o *Outbox) UnrelayedSilences(ctx context.Context) ([]SilenceNews, error) {
	rows, err := o.conn.Query(ctx, `
		SELECT h.short_id, array_agg(o.outbox_id)
		  FROM monitoring.outbox o
		  JOIN monitoring.silence_h h ON h.silence_hk = decode(o.payload ->> 'silence', 'hex')
		 WHERE o.relayed_at IS NULL AND o.kind = 'SILENCE'
		 GROUP BY h.short_id
		 ORDER BY h.short_id`)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return collectSilences(rows)
}

// ActiveSilences returns the silences that have not ended: those whose workflows must be running.
func (o *Outbox) ActiveSilences(ctx context.Context) ([]SilenceNews, error) {
	rows, err := o.conn.Query(ctx, `
		SELECT short_id, '{}'::bigint[] FROM monitoring.silence_current
		 WHERE silence_state <> 'ENDED' AND made_at < clock_timestamp() - interval '10 seconds'
		 ORDER BY short_id`)
	if err != nil {
		return nil, fmt.Errorf("read the silences: %w", err)
	}
	return collectSilences(rows)
}

func collectSilences(rows pgx.Rows) ([]SilenceNews, error) {
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SilenceNews])
	if err != nil {
		return nil, fmt.Errorf("read silences: %w", err)
	}
	return list, nil
}

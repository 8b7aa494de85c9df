package vault

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/server.sql
	serverSQL string
	//go:embed sql/inspection.sql
	inspectionSQL string
	//go:embed sql/failing_deliveries.sql
	failingDeliveriesSQL string
	//go:embed sql/overdue.sql
	overdueSQL string
	//go:embed sql/disabled_triggers.sql
	disabledTriggersSQL string
)

// Server is what the vault's server is and what our role may do there.
type Server struct {
	Version             string
	Role                string
	Database            string
	Superuser           bool
	Monitor             bool  // member of pg_monitor
	MayInsert           *bool // nil: the schema is not there
	StatementsInstalled bool  // the extension pg_stat_statements is created in this database
	StatementsLoaded    bool  // as far as the role may see shared_preload_libraries
	// StatementsError is why pg_stat_statements cannot be read; empty: it can, or it is not installed.
	StatementsError string `db:"-"`
}

// Server asks the vault's server about itself; it needs no schema.
func (s *Store) Server(ctx context.Context) (Server, error) {
	server, err := one(ctx, s, pgx.RowToStructByPos[Server], serverSQL)
	if err != nil {
		return Server{}, fmt.Errorf("ask the vault's server about itself: %w", err)
	}
	if server.StatementsInstalled {
		if _, err := s.pool.Exec(ctx, "SELECT FROM pg_stat_statements LIMIT 1"); err != nil {
			server.StatementsError = err.Error()
		}
	}
	return server, nil
}

// Inspection is what the vault knows about the work of OneVault itself. Times are UTC, zero: never.
type Inspection struct {
	Now                time.Time // the vault's clock
	LastCollection     time.Time
	CollectionInterval time.Duration // as the samples of the last hour say; 0: there were none
	LastEvaluation     time.Time
	EvaluationInterval time.Duration // the shortest of the enabled definitions; 0: none is enabled
	Unrelayed          int           // outbox rows that no workflow heard of for a minute
	OldestUnrelayed    time.Time
}

// Inspect reads the vault's own marks of activity.
func (s *Store) Inspect(ctx context.Context) (Inspection, error) {
	found, err := one(ctx, s, func(row pgx.CollectableRow) (Inspection, error) {
		var (
			i                                  Inspection
			now, collected, evaluated, unheard Timestamp
			intervalSeconds, evaluationMinutes int
		)
		err := row.Scan(&now, &collected, &intervalSeconds, &evaluated, &evaluationMinutes, &i.Unrelayed, &unheard)
		i.Now, i.LastCollection, i.LastEvaluation, i.OldestUnrelayed = now.Time, collected.Time, evaluated.Time, unheard.Time
		i.CollectionInterval = time.Duration(intervalSeconds) * time.Second
		i.EvaluationInterval = time.Duration(evaluationMinutes) * time.Minute
		return i, err
	}, inspectionSQL)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect the vault: %w", err)
	}
	return found, nil
}

// FailingDelivery counts the notifications of one channel that did not certainly arrive.
type FailingDelivery struct {
	Channel    string
	Failed     int
	Uncertain  int
	LastReason string
}

// FailingDeliveries looks at the last hour.
func (s *Store) FailingDeliveries(ctx context.Context) ([]FailingDelivery, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[FailingDelivery], failingDeliveriesSQL)
	if err != nil {
		return nil, fmt.Errorf("read failed notifications: %w", err)
	}
	return list, nil
}

// Overdue is what retention should have taken of a table.
type Overdue struct {
	Table string
	Parts int           // partitions, or months of closed versions
	By    time.Duration // the oldest, since it was due
}

// Overdue lists what has been due to leave the vault for longer than a while.
func (s *Store) Overdue(ctx context.Context, longer time.Duration) ([]Overdue, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[Overdue], overdueSQL, longer)
	if err != nil {
		return nil, fmt.Errorf("look for what has expired: %w", err)
	}
	return list, nil
}

// DisabledTriggers names the tables of the vault whose discipline somebody has switched off, and how.
func (s *Store) DisabledTriggers(ctx context.Context) ([]string, error) {
	list, err := all(ctx, s, pgx.RowTo[string], disabledTriggersSQL)
	if err != nil {
		return nil, fmt.Errorf("look at the triggers: %w", err)
	}
	return list, nil
}

// KeepsOutbox is how long a relayed row of the outbox is kept.
func (s *Store) KeepsOutbox(ctx context.Context) (time.Duration, error) {
	seconds, err := one(ctx, s, pgx.RowTo[float64], "SELECT extract(epoch FROM keep)::float8 FROM monitoring.retention_setting('outbox')")
	if err != nil {
		return 0, fmt.Errorf("read how long the outbox is kept: %w", err)
	}
	return time.Duration(seconds) * time.Second, nil
}

package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// Change is one thing that an alert's workflow did, to be written into the vault: OPEN, ACKNOWLEDGED,
// ESCALATED, RESOLVED, UNACKNOWLEDGED, SNOOZED or NOTIFIED. Its content is deterministic, so that writing it twice is harmless.
type Change struct {
	AlertKey      string          `json:"alert_key"`
	DefinitionKey string          `json:"definition_key"`
	Target        string          `json:"target"`
	Change        string          `json:"change"`
	At            time.Time       `json:"at"`
	Actor         string          `json:"actor,omitempty"`
	Via           string          `json:"via,omitempty"`
	Notes         string          `json:"notes,omitempty"`
	Level         int             `json:"level,omitempty"`          // ESCALATED
	Count         int             `json:"count,omitempty"`          // NOTIFIED: messages delivered
	Value         *float64        `json:"value,omitempty"`          // OPEN
	Severity      alert.Severity  `json:"severity,omitempty"`       // OPEN
	Details       json.RawMessage `json:"details,omitempty"`        // OPEN
	Until         time.Time       `json:"until,omitzero"`           // ACKNOWLEDGED (zero: until the end), SNOOZED
	Expired       bool            `json:"expired,omitempty"`        // UNACKNOWLEDGED: because the time of the acknowledgement was over
	FalsePositive bool            `json:"false_positive,omitempty"` // RESOLVED
}

// ChangeResult says what stands in the vault after a change of status was offered.
type ChangeResult struct {
	AlertKey string       `json:"alert_key"`
	Changed  bool         `json:"changed"`
	Status   alert.Status `json:"status"`
	Actor    string       `json:"actor,omitempty"`
	At       time.Time    `json:"at,omitzero"`
	Until    time.Time    `json:"until,omitzero"` // of an acknowledgement that ends by itself
	Message  string       `json:"message"`
}

// RecordHistory writes changes and ledger entries in one transaction, in their order. The results
// answer the changes of status; one that was refused says who was first.
func (s *Store) RecordHistory(ctx context.Context, changes []Change, entries []LedgerEntry) ([]ChangeResult, error) {
	var results []ChangeResult
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if len(changes) > 0 {
			rows, err := tx.Query(ctx, `
				SELECT alert_key, changed, coalesce(alert_status, ''), coalesce(actor, ''), coalesce(at, '-infinity'), message, until
				  FROM monitoring.record_alert_changes($1)`, changes)
			if err != nil {
				return err
			}
			results, err = pgx.CollectRows(rows, scanChangeResult)
			if err != nil {
				return err
			}
		}
		if len(entries) == 0 {
			return nil
		}
		_, err := tx.Exec(ctx, "SELECT monitoring.record_notifications($1)", entries)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("record history: %w", err)
	}
	return results, nil
}

func scanChangeResult(row pgx.CollectableRow) (ChangeResult, error) {
	var (
		r         ChangeResult
		at, until Timestamp
	)
	err := row.Scan(&r.AlertKey, &r.Changed, &r.Status, &r.Actor, &at, &r.Message, &until)
	r.At, r.Until = at.Time, until.Time
	return r, err
}

package vault

import (
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// Timestamp reads a timestamptz that may be NULL or infinite as the zero time, in UTC.
type Timestamp struct{ time.Time }

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *Timestamp) ScanTimestamptz(v pgtype.Timestamptz) error {
	t.Time = time.Time{}
	if v.Valid && v.InfinityModifier == pgtype.Finite {
		t.Time = v.Time.UTC()
	}
	return nil
}

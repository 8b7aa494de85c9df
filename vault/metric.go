package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Sample is one measured value, or the error that stands in its place.
type Sample struct {
	Name     string          `json:"name"`
	Category string          `json:"category"`
	Unit     string          `json:"unit,omitempty"`
	Value    *float64        `json:"value"`
	Warning  *float64        `json:"warning"`
	Critical *float64        `json:"critical"`
	LowIsBad bool            `json:"low_is_bad"`
	Source   string          `json:"source"`
	Counter  json.RawMessage `json:"counter,omitempty"` // cumulative; the vault makes a rate of two
	Error    string          `json:"error,omitempty"`
}

// RecordHealth writes one collection of a target and returns how many samples it holds.
func (s *Store) RecordHealth(ctx context.Context, target string, at time.Time, interval time.Duration, samples []Sample) (int64, error) {
	tag, err := s.pool.Exec(ctx, "SELECT FROM monitoring.record_health_samples($1, NULL, $2, $3, $4)",
		target, at, int(interval.Seconds()), samples)
	if err != nil {
		return 0, fmt.Errorf("record health of %s: %w", target, refusal(err))
	}
	return tag.RowsAffected(), nil
}

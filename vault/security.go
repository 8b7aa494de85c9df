package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// SecurityDetector is the function that the guide names. Whoever runs OneVault may put their own in its
// place.
const SecurityDetector = "monitoring.detect_security_events()"

// KnownDetector is the name under which OneVault's own checks are recorded.
const KnownDetector = "monitoring.detect_known_security_events"

// SecurityCount is one kind of security event, as a detector counts it.
type SecurityCount struct {
	EventType string `json:"event_type"`
	Count     int    `json:"count"`
	Severity  string `json:"severity"`
}

// DetectSecurityEvents runs the guide's function, whatever it is.
func (s *Store) DetectSecurityEvents(ctx context.Context) ([]SecurityCount, error) {
	return s.detect(ctx, "SELECT event_type, event_count, severity FROM monitoring.detect_security_events()")
}

// DetectKnownSecurityEvents runs OneVault's own checks.
func (s *Store) DetectKnownSecurityEvents(ctx context.Context, target string) ([]SecurityCount, error) {
	return s.detect(ctx, "SELECT event_type, event_count, severity FROM monitoring.detect_known_security_events($1)", target)
}

func (s *Store) detect(ctx context.Context, sql string, args ...any) ([]SecurityCount, error) {
	counts, err := all(ctx, s, pgx.RowToStructByPos[SecurityCount], sql, args...)
	if err != nil {
		return nil, fmt.Errorf("detect security events: %w", err)
	}
	return counts, nil
}

// RecordDetectorFailure notes that a detector failed as a whole, so that a silence of it is explained.
func (s *Store) RecordDetectorFailure(ctx context.Context, target, detector string, at time.Time, cause error) error {
	failed, err := json.Marshal(map[string]string{"": cause.Error()})
	if err != nil {
		return fmt.Errorf("record the failure of %s: %w", detector, err)
	}
	if _, err := s.pool.Exec(ctx, `
		INSERT INTO monitoring.security_detection (target_name, detected_at, detector, failed) VALUES ($1, $2, $3, $4)`,
		target, at, detector, json.RawMessage(failed)); err != nil {
		return fmt.Errorf("record the failure of %s: %w", detector, refusal(err))
	}
	return nil
}

// ReplacedFunction is a function of OneVault whose body is not the one that the migrations put.
type ReplacedFunction struct {
	Signature string // as monitoring.detect_security_events()
	State     string // REPLACED or MISSING
	Owner     string // empty: it is gone
}

// ReplacedFunctions lists them.
func (s *Store) ReplacedFunctions(ctx context.Context) ([]ReplacedFunction, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[ReplacedFunction],
		"SELECT function_signature, function_state, coalesce(function_owner, '')::text FROM monitoring.replaced_functions()")
	if err != nil {
		return nil, fmt.Errorf("look for replaced functions: %w", err)
	}
	return list, nil
}

// LastDetection is the newest look for security events, with what it could not look for.
type LastDetection struct {
	At      time.Time
	Failed  map[string]string // why, by check; the empty name stands for a whole detector
	Skipped map[string]string
}

// LastDetections returns the newest look of each detector at a target within the last day.
func (s *Store) LastDetections(ctx context.Context, target string) (map[string]LastDetection, error) {
	type row struct {
		Detector        string
		At              Timestamp
		Failed, Skipped map[string]string
	}
	rows, err := all(ctx, s, pgx.RowToStructByPos[row], `
		SELECT DISTINCT ON (d.detector) d.detector, d.detected_at, d.failed, d.skipped
		  FROM monitoring.security_detection d
		 WHERE d.target_name = $1 AND d.detected_at > clock_timestamp() - interval '1 day'
		 ORDER BY d.detector, d.detected_at DESC`, target)
	if err != nil {
		return nil, fmt.Errorf("read the last look for security events: %w", err)
	}
	last := map[string]LastDetection{}
	for _, r := range rows {
		last[r.Detector] = LastDetection{At: r.At.Time, Failed: r.Failed, Skipped: r.Skipped}
	}
	return last, nil
}

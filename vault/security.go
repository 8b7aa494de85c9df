package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

var (
	//go:embed sql/security_events.sql
	securityEventsSQL string
	//go:embed sql/security_event_history.sql
	securityEventHistorySQL string
	//go:embed sql/security_status.sql
	securityStatusSQL string
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

func (s *Store) detect(ctx context.Context, sql string, args ...any) ([]SecurityCount, error) {
	counts, err := all(ctx, s, pgx.RowToStructByPos[SecurityCount], sql, args...)
	if err != nil {
		return nil, fmt.Errorf("detect security events: %w", err)
	}
	return counts, nil
}

// LogPosition is how far the log of a target was read, as it was recorded; nil: never.
func (s *Store) LogPosition(ctx context.Context, target string) (json.RawMessage, error) {
	position, err := one(ctx, s, pgx.RowTo[json.RawMessage], "SELECT log_position FROM monitoring.security_log_position WHERE target_name = $1", target)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read how far the log of %s was read: %w", target, err)
	}
	return position, nil
}

// SecurityRun is what recording a look at a target came to.
type SecurityRun struct {
	Findings int
	Events   int               // versions of events that were written
	Skipped  map[string]string // checks that do not apply, or looked at a part only: why
	Failed   map[string]string // checks that failed, on the target or in the vault: why
	Counts   []SecurityCount   // events that are not settled
}

// RecordSecurity writes one look at a target: what each check found (as monitoring.record_security_results
// takes it), what was skipped and what failed. Looking again adds what is new.
func (s *Store) RecordSecurity(ctx context.Context, target string, at time.Time, results json.RawMessage, took time.Duration) (SecurityRun, error) {
	run, err := one(ctx, s, func(row pgx.CollectableRow) (run SecurityRun, err error) {
		return run, row.Scan(&run.Findings, &run.Events, &run.Skipped, &run.Failed)
	}, "SELECT findings, new_events, skipped, failed FROM monitoring.record_security_results($1, $2, $3, $4)", target, at, results, float64(took.Microseconds())/1000)
	if err != nil {
		return SecurityRun{}, fmt.Errorf("record the security events of %s: %w", target, err)
	}
	run.Counts, err = s.detect(ctx, "SELECT event_type, event_count, severity FROM monitoring.unsettled_security_events($1, $2)", target, at)
	return run, err
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

// DetectorFailure is the newest failure of a detector as a whole.
type DetectorFailure struct {
	At     time.Time
	Reason string
}

// DetectorFailures returns, by detector, what was recorded by RecordDetectorFailure of a target within a day.
func (s *Store) DetectorFailures(ctx context.Context, target string) (map[string]DetectorFailure, error) {
	type row struct {
		Detector string
		At       Timestamp
		Reason   string
	}
	rows, err := all(ctx, s, pgx.RowToStructByPos[row], `
		SELECT DISTINCT ON (d.detector) d.detector, d.detected_at, d.failed ->> ''
		  FROM monitoring.security_detection d
		 WHERE d.target_name = $1 AND d.failed ? '' AND d.detected_at > clock_timestamp() - interval '1 day'
		 ORDER BY d.detector, d.detected_at DESC`, target)
	if err != nil {
		return nil, fmt.Errorf("read which detectors failed: %w", err)
	}
	failures := map[string]DetectorFailure{}
	for _, r := range rows {
		failures[r.Detector] = DetectorFailure{At: r.At.Time, Reason: r.Reason}
	}
	return failures, nil
}

// CheckStatus is how a security check stands on a target.
type CheckStatus struct {
	Target      string    `json:"target"`
	Check       string    `json:"check"`
	Kind        string    `json:"kind"`
	Description string    `json:"description"`
	TriedAt     time.Time `json:"tried_at"`           // its newest run
	LookedAt    time.Time `json:"looked_at,omitzero"` // the newest run in which it could look; zero: in none of the week
	// Skipped is why it does not apply; where it looked all the same, which part it could not see.
	Skipped string `json:"skipped,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Open    int    `json:"open_events"`
}

// State is OK, PARTIAL, SKIPPED or FAILED.
func (c CheckStatus) State() string {
	switch {
	case c.Failed != "":
		return "FAILED"
	case c.Skipped != "" && c.LookedAt.Equal(c.TriedAt):
		return "PARTIAL"
	case c.Skipped != "":
		return "SKIPPED"
	}
	return "OK"
}

// SecurityStatus lists the checks of a target, empty: of all that were looked at within a week.
func (s *Store) SecurityStatus(ctx context.Context, target string) ([]CheckStatus, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (c CheckStatus, err error) {
		var tried, looked Timestamp
		err = row.Scan(&c.Target, &c.Check, &c.Kind, &c.Description, &tried, &looked, &c.Skipped, &c.Failed, &c.Open)
		c.TriedAt, c.LookedAt = tried.Time, looked.Time
		return c, err
	}, securityStatusSQL, optional(target))
	if err != nil {
		return nil, fmt.Errorf("read how the security checks stand: %w", err)
	}
	return list, nil
}

// SecurityEvent is a security event as it stands.
type SecurityEvent struct {
	ID         string          `json:"id"` // short id, S-7F3K
	Key        string          `json:"key"`
	Target     string          `json:"target"`
	Type       string          `json:"type"`
	Severity   alert.Severity  `json:"severity"`
	Status     string          `json:"status"` // OPEN, INVESTIGATING, RESOLVED, FALSE_POSITIVE
	At         time.Time       `json:"at"`
	User       string          `json:"user,omitempty"`
	Source     string          `json:"source,omitempty"` // address, or what the log names
	Database   string          `json:"database,omitempty"`
	Tables     []string        `json:"tables"`
	Evidence   json.RawMessage `json:"evidence"`
	Check      string          `json:"check"`
	Likelihood *float64        `json:"false_positive_likelihood,omitempty"` // per cent
	Actions    []string        `json:"mitigation_actions"`
	Notes      string          `json:"notes,omitempty"`
	SameAs     string          `json:"false_positive_of,omitempty"` // the event that somebody called harmless
	ChangedAt  time.Time       `json:"changed_at,omitzero"`         // by a person
	ChangedBy  string          `json:"changed_by,omitempty"`
	ChangedVia string          `json:"changed_via,omitempty"`
	Incidents  []string        `json:"incidents"` // short ids
}

// SecurityFilter restricts a list of security events; the zero value lists all that are not settled.
type SecurityFilter struct {
	All    bool      // settled ones too
	Target string    // empty: any
	Since  time.Time // zero: ever
	Keep   func(SecurityEvent) bool
	Limit  int // 0: no limit
}

// SecurityEvents lists security events, the gravest first, or with All the newest first. more says that
// the limit cut something off.
func (s *Store) SecurityEvents(ctx context.Context, f SecurityFilter) (list []SecurityEvent, more bool, err error) {
	rows, err := s.pool.Query(ctx, securityEventsSQL, f.All, optional(f.Target), optional(f.Since), nil)
	if err != nil {
		return nil, false, fmt.Errorf("list security events: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		event, err := scanSecurityEvent(rows)
		if err != nil {
			return nil, false, fmt.Errorf("list security events: %w", err)
		}
		if f.Keep != nil && !f.Keep(event) {
			continue
		}
		if f.Limit > 0 && len(list) == f.Limit {
			return list, true, nil
		}
		list = append(list, event)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list security events: %w", err)
	}
	return list, false, nil
}

func scanSecurityEvent(row scanner) (e SecurityEvent, err error) {
	var at, changed Timestamp
	err = row.Scan(&e.ID, &e.Key, &e.Target, &e.Type, &e.Severity, &e.Status, &at, &e.User, &e.Source, &e.Database, &e.Tables, &e.Evidence,
		&e.Check, &e.Likelihood, &e.Actions, &e.Notes, &e.SameAs, &changed, &e.ChangedBy, &e.ChangedVia, &e.Incidents)
	e.At, e.ChangedAt = at.Time, changed.Time
	return e, err
}

// FindSecurityEvent finds one event by its short id or more of it, its hash key in hex, or its business
// key. The error is ErrNotFound or ErrAmbiguous where no single one is meant.
func (s *Store) FindSecurityEvent(ctx context.Context, id string) (SecurityEvent, error) {
	hk, err := one(ctx, s, pgx.RowTo[[]byte], "SELECT monitoring.find_security_event($1)", id)
	if err != nil {
		return SecurityEvent{}, fmt.Errorf("find security event: %w", err)
	}
	found, err := one(ctx, s, func(row pgx.CollectableRow) (SecurityEvent, error) { return scanSecurityEvent(row) }, securityEventsSQL, true, nil, nil, [][]byte{hk})
	if err != nil {
		return SecurityEvent{}, fmt.Errorf("read security event %s: %w", id, err)
	}
	return found, nil
}

// SecurityVersion is a security event as it stood from a moment on.
type SecurityVersion struct {
	At       time.Time       `json:"at"`
	Type     string          `json:"type"`
	Severity alert.Severity  `json:"severity"`
	Status   string          `json:"status"`
	Evidence json.RawMessage `json:"evidence"`
	Actor    string          `json:"actor,omitempty"` // empty: the detection
	Via      string          `json:"via,omitempty"`
}

// SecurityEventHistory tells how an event came to be what it is, the oldest version first.
func (s *Store) SecurityEventHistory(ctx context.Context, e SecurityEvent) ([]SecurityVersion, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (v SecurityVersion, err error) {
		var at Timestamp
		err = row.Scan(&at, &v.Type, &v.Severity, &v.Status, &v.Evidence, &v.Actor, &v.Via)
		v.At = at.Time
		return v, err
	}, securityEventHistorySQL, hashKey(e.Key))
	if err != nil {
		return nil, fmt.Errorf("read the history of %s: %w", e.ID, err)
	}
	return list, nil
}

// SecurityVerdict is what a person says of a security event.
type SecurityVerdict string

// The verdicts, in the vault's words for the status that follows.
const (
	Investigating SecurityVerdict = "INVESTIGATING"
	Settled       SecurityVerdict = "RESOLVED"
	FalsePositive SecurityVerdict = "FALSE_POSITIVE"
)

var verdictFunctions = map[SecurityVerdict]string{
	Investigating: "SELECT monitoring.investigate_security_event($1, $2, $3, $4)",
	Settled:       "SELECT monitoring.resolve_security_event($1, $2, $3, $4)",
	FalsePositive: "SELECT monitoring.mark_security_event_false_positive($1, $2, $3, $4)",
}

// JudgeSecurityEvent records a verdict; false: it stood so before.
func (s *Store) JudgeSecurityEvent(ctx context.Context, e SecurityEvent, verdict SecurityVerdict, actor, via, notes string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], verdictFunctions[verdict], hashKey(e.Key), actor, optional(notes), via)
	if err != nil {
		return false, fmt.Errorf("change %s: %w", e.ID, err)
	}
	return changed, nil
}

func eventKeys(events []SecurityEvent) [][]byte {
	keys := make([][]byte, len(events))
	for i, e := range events {
		keys[i] = hashKey(e.Key)
	}
	return keys
}

// LinkSecurityEvents has events belong to an incident and returns how many came.
func (s *Store) LinkSecurityEvents(ctx context.Context, i ListedIncident, events []SecurityEvent, actor, via string) (int, error) {
	n, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.add_security_events_to_incident($1, $2, $3, $4)", hashKey(i.Key), eventKeys(events), actor, via)
	if err != nil {
		return 0, fmt.Errorf("link security events to %s: %w", i.ID, err)
	}
	return n, nil
}

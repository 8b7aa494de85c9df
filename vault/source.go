package vault

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// The states of a source.
const (
	SourceEnabled = "ENABLED"
	SourceRemoved = "REMOVED"
)

// Source is the current version of a system that sends alerts. It holds no secret: it says where one is.
type Source struct {
	Name           string    `json:"name"`
	State          string    `json:"state"`
	TokenEnv       string    `json:"token_env,omitempty"`
	TokenFile      string    `json:"token_file,omitempty"`
	SecretEnv      string    `json:"secret_env,omitempty"`
	SecretFile     string    `json:"secret_file,omitempty"`
	TargetLabel    string    `json:"target_label,omitempty"`
	MaxDefinitions int       `json:"max_definitions"`
	Description    string    `json:"description,omitempty"`
	ChangedBy      string    `json:"changed_by,omitempty"`
	Version        time.Time `json:"version,omitzero"`
	Definitions    int       `json:"definitions"` // that its alerts have created
}

const sourcesSQL = `
	SELECT source_name, source_state, coalesce(token_env, ''), coalesce(token_file, ''), coalesce(secret_env, ''), coalesce(secret_file, ''),
	       coalesce(target_label, ''), max_definitions, coalesce(description, ''), changed_by, version, definition_count
	  FROM monitoring.alert_source_current
	 WHERE ($1::text IS NULL OR upper(source_name) = upper($1)) AND (source_state = 'ENABLED' OR $2)
	 ORDER BY source_name`

// Sources lists the systems that may send alerts, by name, and removed ones only when asked for.
func (s *Store) Sources(ctx context.Context, removed bool) ([]Source, error) {
	list, err := all(ctx, s, scanSource, sourcesSQL, nil, removed)
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	return list, nil
}

// Source finds a source that was not removed; nil: there is none of that name.
func (s *Store) Source(ctx context.Context, name string) (*Source, error) {
	list, err := all(ctx, s, scanSource, sourcesSQL, name, false)
	if err != nil {
		return nil, fmt.Errorf("read source: %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	return &list[0], nil
}

func scanSource(row pgx.CollectableRow) (Source, error) {
	var (
		src     Source
		version Timestamp
	)
	err := row.Scan(&src.Name, &src.State, &src.TokenEnv, &src.TokenFile, &src.SecretEnv, &src.SecretFile, &src.TargetLabel,
		&src.MaxDefinitions, &src.Description, &src.ChangedBy, &version, &src.Definitions)
	src.Version = version.Time
	return src, err
}

// PutSource lets a system send alerts, or changes how, and reports whether anything differs from before.
// What could never work is a Refusal with its remedy.
func (s *Store) PutSource(ctx context.Context, src Source, by string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.put_source($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		src.Name, optional(src.TokenEnv), optional(src.TokenFile), optional(src.SecretEnv), optional(src.SecretFile),
		optional(src.TargetLabel), src.MaxDefinitions, optional(src.Description), by)
	if err != nil {
		return false, fmt.Errorf("apply source %s: %w", src.Name, err)
	}
	return changed, nil
}

// RemoveSource has everything refused that a source sends from now on.
func (s *Store) RemoveSource(ctx context.Context, name, by string) error {
	if _, err := s.pool.Exec(ctx, "SELECT monitoring.remove_source($1, $2)", name, by); err != nil {
		return fmt.Errorf("remove source %s: %w", name, refusal(err))
	}
	return nil
}

// SourceAlert is one alert as a source reports it.
type SourceAlert struct {
	Name        string            `json:"name"`
	Status      string            `json:"status"` // firing or resolved
	Severity    string            `json:"severity"`
	Fingerprint string            `json:"fingerprint"`         // the same for the same series of firings
	StartsAt    *time.Time        `json:"starts_at,omitempty"` // nil: now
	EndsAt      *time.Time        `json:"ends_at,omitempty"`   // of a resolved one; nil: now
	Labels      map[string]string `json:"labels,omitempty"`    // silences match on them
	Reason      string            `json:"reason,omitempty"`    // what people read
	Value       *float64          `json:"value,omitempty"`     // what was measured, where the source says it
	Description string            `json:"description,omitempty"`
	RunbookURL  string            `json:"runbook_url,omitempty"`
	Link        string            `json:"link,omitempty"` // where the source shows it
}

// SourceOutcome says what became of one alert that a source sent: OPENED, OPENED_SHARED (under the definition
// for what is beyond the source's limit), HELD (open already), RESOLVED, MISSED (over before it was heard of),
// ENDED (it had ended here), OLDER (about an earlier firing), UNKNOWN (over, and never heard of), DISABLED.
type SourceOutcome struct {
	Fingerprint string `json:"fingerprint"`
	Name        string `json:"name"`
	Outcome     string `json:"outcome"`
	ID          string `json:"id,omitempty"` // A-7F3K
	Definition  string `json:"definition"`
}

// takenAtOnce is how many alerts of a request one transaction takes in: a storm holds no lock for long, and
// each step of it ends within the timeout of a statement on a busy server, too.
const takenAtOnce = 100

// TakeIn opens and ends alerts as a source says, by hundreds, each of them all or nothing; the outbox wakes
// their workflows. What was taken in before changes nothing: after an error the same request goes on where
// it ended.
func (s *Store) TakeIn(ctx context.Context, source string, alerts []SourceAlert, via string) ([]SourceOutcome, error) {
	outcomes := make([]SourceOutcome, 0, len(alerts))
	for some := range slices.Chunk(alerts, takenAtOnce) {
		taken, err := s.takeIn(ctx, source, some, via)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, taken...)
	}
	return outcomes, nil
}

func (s *Store) takeIn(ctx context.Context, source string, alerts []SourceAlert, via string) ([]SourceOutcome, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (SourceOutcome, error) {
		var o SourceOutcome
		err := row.Scan(&o.Fingerprint, &o.Name, &o.Outcome, &o.ID, &o.Definition)
		return o, err
	}, `SELECT fingerprint, name, outcome, coalesce(short_id, ''), definition_key FROM monitoring.take_in_alerts($1, $2, $3)`, source, alerts, via)
	if err != nil {
		return nil, fmt.Errorf("take in alerts of %s: %w", source, err)
	}
	return list, nil
}

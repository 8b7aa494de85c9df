package vault

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/targets.sql
var targetsSQL string

// LocalTarget is the vault's own server, which is watched without a row.
const LocalTarget = "local"

// The states of a target.
const (
	TargetEnabled  = "ENABLED"
	TargetDisabled = "DISABLED"
	TargetRemoved  = "REMOVED"
)

// Target is the current version of a watched server. It holds no secret: it says where one is.
type Target struct {
	Name         string        `json:"name"`
	State        string        `json:"state"`
	URL          string        `json:"url,omitempty"` // without a password; empty: URLEnv or URLFile says where it is
	PasswordEnv  string        `json:"password_env,omitempty"`
	PasswordFile string        `json:"password_file,omitempty"`
	URLEnv       string        `json:"url_env,omitempty"`
	URLFile      string        `json:"url_file,omitempty"`
	CollectEvery time.Duration `json:"-"` // 0: as the workers' setting says
	Tenant       string        `json:"tenant,omitempty"`
	Description  string        `json:"description,omitempty"`
	ChangedBy    string        `json:"changed_by,omitempty"`
	Version      time.Time     `json:"version,omitzero"` // since when it stands like this
	AddedAt      time.Time     `json:"added_at,omitzero"`
}

// ListedTarget is a target with what the newest looks at it found.
type ListedTarget struct {
	Target
	LastSampleAt  time.Time     // zero: none within 8 days
	Interval      time.Duration // that the newest sample promised; 0: there is none
	Reachable     *bool         // nil: there is no sample
	Reason        string        // why it is not reachable
	ServerVersion int           // server_version_num; 0: unknown
	OpenAlerts    int
}

// Targets lists the watched servers by name, the vault's own first, and removed ones only when asked for.
func (s *Store) Targets(ctx context.Context, removed bool) ([]ListedTarget, error) {
	list, err := all(ctx, s, scanTarget, targetsSQL, removed)
	if err != nil {
		return nil, fmt.Errorf("list targets: %w", err)
	}
	return list, nil
}

func scanTarget(row pgx.CollectableRow) (ListedTarget, error) {
	var (
		t                      ListedTarget
		every                  int
		version, added, sample Timestamp
		interval               int
	)
	err := row.Scan(&t.Name, &t.State, &t.URL, &t.PasswordEnv, &t.PasswordFile, &t.URLEnv, &t.URLFile, &every, &t.Tenant, &t.Description,
		&t.ChangedBy, &version, &added, &sample, &interval, &t.Reachable, &t.Reason, &t.ServerVersion, &t.OpenAlerts)
	t.CollectEvery, t.Interval = time.Duration(every)*time.Second, time.Duration(interval)*time.Second
	t.Version, t.AddedAt, t.LastSampleAt = version.Time, added.Time, sample.Time
	return t, err
}

// WatchedTargets lists what workers act on: the current version of every target but local, removed ones too.
func (s *Store) WatchedTargets(ctx context.Context) ([]Target, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (Target, error) {
		var (
			t       Target
			every   int
			version Timestamp
		)
		err := row.Scan(&t.Name, &t.State, &t.URL, &t.PasswordEnv, &t.PasswordFile, &t.URLEnv, &t.URLFile, &every, &version)
		t.CollectEvery, t.Version = time.Duration(every)*time.Second, version.Time
		return t, err
	}, `
		SELECT target_name, target_state, coalesce(target_url, ''), coalesce(password_env, ''), coalesce(password_file, ''),
		       coalesce(url_env, ''), coalesce(url_file, ''), coalesce(extract(epoch FROM collect_every), 0)::integer, version
		  FROM monitoring.target_current
		 ORDER BY target_name`)
	if err != nil {
		return nil, fmt.Errorf("read the targets: %w", err)
	}
	return list, nil
}

// AddTarget has a server watched. What could never work is a Refusal with its remedy.
func (s *Store) AddTarget(ctx context.Context, t Target, by string) error {
	_, err := s.pool.Exec(ctx, "SELECT monitoring.add_target($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		t.Name, optional(t.URL), optional(t.PasswordEnv), optional(t.PasswordFile), optional(t.URLEnv), optional(t.URLFile),
		optional(t.Tenant), optional(t.CollectEvery), optional(t.Description), by)
	if err != nil {
		return fmt.Errorf("add target %s: %w", t.Name, refusal(err))
	}
	return nil
}

// TargetChange is what is to be different; nil leaves it, an empty text or a cadence of 0 clears it.
type TargetChange struct {
	URL, PasswordEnv, PasswordFile, URLEnv, URLFile, Description *string
	Enabled                                                      *bool
	CollectEvery                                                 *time.Duration
}

// ChangeTarget writes a new version of a target, and reports whether it differs from the one before.
func (s *Store) ChangeTarget(ctx context.Context, name string, c TargetChange, by string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.change_target($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		name, c.URL, c.PasswordEnv, c.PasswordFile, c.URLEnv, c.URLFile, c.Enabled, c.CollectEvery, c.Description, by)
	if err != nil {
		return false, fmt.Errorf("change target %s: %w", name, err)
	}
	return changed, nil
}

// RemoveTarget ends the watching of a server and its alerts, and returns how many those were.
func (s *Store) RemoveTarget(ctx context.Context, name, by string) (int, error) {
	ended, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.remove_target($1, $2)", name, by)
	if err != nil {
		return 0, fmt.Errorf("remove target %s: %w", name, err)
	}
	return ended, nil
}

// silentRounds is how many rounds of measurement may be missing before a target counts as unwatched.
const silentRounds = 2

// Silent reports whether nobody has measured an enabled target for two rounds. One that was added or changed a
// moment ago is given that long.
func (t ListedTarget) Silent(now time.Time) bool {
	if t.State != TargetEnabled {
		return false
	}
	every := t.Interval
	if every == 0 {
		every = t.CollectEvery
	}
	if every == 0 {
		every = 5 * time.Minute
	}
	since := t.LastSampleAt
	if t.Version.After(since) {
		since = t.Version
	}
	return t.Reachable == nil && since.IsZero() || now.Sub(since) > silentRounds*every+time.Minute
}

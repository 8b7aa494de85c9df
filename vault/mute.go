package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// Mutes returns what mutes the alerts with these business keys, at the vault's moment or at `at` where that is
// later; of an alert that nothing mutes there is no entry.
func (s *Store) Mutes(ctx context.Context, keys []string, at time.Time) (map[string]alert.Mute, error) {
	type row struct {
		Key  string
		Mute alert.Mute
	}
	rows, err := all(ctx, s, func(r pgx.CollectableRow) (row, error) {
		var (
			found row
			until Timestamp
		)
		err := r.Scan(&found.Key, &found.Mute.Kind, &found.Mute.ID, &until, &found.Mute.By, &found.Mute.Comment)
		found.Mute.Until = until.Time
		return found, err
	}, `
		SELECT alert_key, mute_kind, mute_id, until, muted_by, comment
		  FROM monitoring.mutes_of($1, greatest(clock_timestamp(), $2))`, keys, optional(at))
	if err != nil {
		return nil, fmt.Errorf("read what mutes alerts: %w", err)
	}
	found := make(map[string]alert.Mute, len(rows))
	for _, r := range rows {
		found[r.Key] = r.Mute
	}
	return found, nil
}

// AddMutes notes on the alerts that ask for somebody what mutes them now.
func (s *Store) AddMutes(ctx context.Context, list []ListedAlert) error {
	var keys []string
	for _, a := range list {
		if a.State == alert.StatusOpen || a.State == alert.StatusEscalated {
			keys = append(keys, a.Key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := s.Mutes(ctx, keys, time.Time{})
	if err != nil {
		return err
	}
	for i, a := range list {
		if m, muted := found[a.Key]; muted && (a.State == alert.StatusOpen || a.State == alert.StatusEscalated) {
			list[i].Mute = &m
		}
	}
	return nil
}

// Silence is a silence as it stands.
type Silence struct {
	ID              string    `json:"id"`    // S-7F3K
	State           string    `json:"state"` // PLANNED, ACTIVE, ENDED
	Matchers        []string  `json:"matchers"`
	StartsAt        time.Time `json:"starts_at"`
	EndsAt          time.Time `json:"ends_at"`
	IncludeCritical bool      `json:"include_critical"`
	Comment         string    `json:"comment"`
	By              string    `json:"by"`
	Via             string    `json:"via,omitempty"`
	ChangedBy       string    `json:"changed_by,omitempty"`
	EndedBy         string    `json:"ended_by,omitempty"` // who ended it before its time
	MadeAt          time.Time `json:"made_at"`
	OpenAlerts      int       `json:"open_alerts"` // that it mutes, or would mute
	// Request names the wish for it, so that one that is sent again makes no second silence; empty: none does.
	Request string `json:"-"`
}

const silencesSQL = `
	SELECT c.short_id, c.silence_state, c.matchers, c.starts_at, c.ends_at, c.include_critical, c.silence_comment, c.silenced_by,
	       c.silenced_via, coalesce(c.changed_by, ''), coalesce(c.ended_by, ''), c.made_at,
	       (SELECT count(*)
	          FROM monitoring.alert_facts f
	         WHERE c.silence_state <> 'ENDED' AND f.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
	           AND (c.include_critical OR f.facts ->> 'severity' <> 'CRITICAL') AND monitoring.matches(c.matchers, f.facts))
	  FROM monitoring.silence_current c`

func scanSilence(row pgx.CollectableRow) (Silence, error) {
	var (
		s                    Silence
		starts, ends, madeAt Timestamp
	)
	err := row.Scan(&s.ID, &s.State, &s.Matchers, &starts, &ends, &s.IncludeCritical, &s.Comment, &s.By, &s.Via, &s.ChangedBy, &s.EndedBy,
		&madeAt, &s.OpenAlerts)
	s.StartsAt, s.EndsAt, s.MadeAt = starts.Time, ends.Time, madeAt.Time
	return s, err
}

// Silences lists the silences, the first to end first; with ended also those that are over.
func (s *Store) Silences(ctx context.Context, ended bool) ([]Silence, error) {
	list, err := all(ctx, s, scanSilence, silencesSQL+" WHERE $1 OR c.silence_state <> 'ENDED' ORDER BY c.ends_at, c.short_id", ended)
	if err != nil {
		return nil, fmt.Errorf("list silences: %w", err)
	}
	return list, nil
}

// FindSilence returns one by its short id.
func (s *Store) FindSilence(ctx context.Context, id string) (Silence, error) {
	found, err := one(ctx, s, scanSilence, silencesSQL+" WHERE c.silence_hk = monitoring.find_silence($1)", id)
	if err != nil {
		return Silence{}, fmt.Errorf("find silence: %w", err)
	}
	return found, nil
}

// AddSilence mutes what matches and returns the short id. What cannot be meant is a Refusal with its remedy.
func (s *Store) AddSilence(ctx context.Context, n Silence) (string, error) {
	id, err := one(ctx, s, pgx.RowTo[string], "SELECT monitoring.add_silence($1, $2, $3, $4, $5, $6, $7, $8)",
		n.Matchers, n.EndsAt, n.Comment, optional(n.StartsAt), n.IncludeCritical, n.By, optional(n.Via), optional(n.Request))
	if err != nil {
		return "", fmt.Errorf("add the silence: %w", err)
	}
	return id, nil
}

// ExtendSilence gives a silence another end; false: it had that one.
func (s *Store) ExtendSilence(ctx context.Context, id string, endsAt time.Time, by string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.extend_silence($1, $2, $3)", id, endsAt, by)
	if err != nil {
		return false, fmt.Errorf("extend silence %s: %w", id, err)
	}
	return changed, nil
}

// EndSilence ends a silence now; false: it had ended.
func (s *Store) EndSilence(ctx context.Context, id, by string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.end_silence($1, $2)", id, by)
	if err != nil {
		return false, fmt.Errorf("end silence %s: %w", id, err)
	}
	return changed, nil
}

// Preview is what a silence would do.
type Preview struct {
	Muted    []PreviewedAlert `json:"muted"`  // open alerts of which nobody would be told
	Spared   []PreviewedAlert `json:"spared"` // open alerts that match and are CRITICAL
	CanMute  int              `json:"can_mute"`
	CanFire  int              `json:"can_fire"` // definitions times targets
	Examples []string         `json:"-"`        // keys of definitions that it can mute
}

// PreviewedAlert is an open alert that a silence matches.
type PreviewedAlert struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Target   string         `json:"target"`
	Severity alert.Severity `json:"severity"`
}

// Broad reports whether a silence mutes more than half of all that can fire.
func (p Preview) Broad() bool { return 2*p.CanMute > p.CanFire }

// PreviewSilence says what matchers would mute now, and of what can fire.
func (s *Store) PreviewSilence(ctx context.Context, matchers []string, includeCritical bool) (Preview, error) {
	type row struct {
		What, ID, Name, Target, Severity string
		Muted                            bool
	}
	rows, err := all(ctx, s, pgx.RowToStructByPos[row], `
		SELECT what, id, name, target, severity, muted FROM monitoring.would_mute($1, $2) ORDER BY what, target, id`, matchers, includeCritical)
	if err != nil {
		return Preview{}, fmt.Errorf("look what the silence would mute: %w", err)
	}
	p := Preview{Muted: []PreviewedAlert{}, Spared: []PreviewedAlert{}}
	for _, r := range rows {
		previewed := PreviewedAlert{ID: r.ID, Name: r.Name, Target: r.Target, Severity: alert.Severity(r.Severity)}
		switch {
		case r.What == "DEFINITION":
			p.CanFire++
			if r.Muted {
				p.CanMute++
			}
		case r.Muted:
			p.Muted = append(p.Muted, previewed)
		default:
			p.Spared = append(p.Spared, previewed)
		}
	}
	return p, nil
}

// Window is one time in which a maintenance mutes.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Maintenance is a maintenance as it stands.
type Maintenance struct {
	Name            string        `json:"name"`
	State           string        `json:"state"` // PLANNED, REMOVED
	Matchers        []string      `json:"matchers"`
	StartsOn        time.Time     `json:"-"` // calendar and clock in TimeZone; the zone of the value says nothing
	Duration        time.Duration `json:"-"`
	TimeZone        string        `json:"time_zone"`
	RRule           string        `json:"rrule,omitempty"`
	Comment         string        `json:"comment"`
	IncludeCritical bool          `json:"include_critical"`
	Windows         []Window      `json:"windows"` // that have not ended, as far as they are written ahead
	WindowsUntil    time.Time     `json:"windows_until,omitzero"`
	WindowsError    string        `json:"windows_error,omitempty"`
	By              string        `json:"by"`
	Via             string        `json:"via,omitempty"`
	Version         time.Time     `json:"version"`
}

const maintenanceSQL = `
	SELECT c.maintenance_name, c.maintenance_state, c.matchers, c.starts_on, c.duration_seconds, c.time_zone, coalesce(c.rrule, ''),
	       c.maintenance_comment, c.include_critical,
	       ARRAY(SELECT lower(w) FROM unnest(c.windows) AS w WHERE upper(w) > clock_timestamp() ORDER BY 1),
	       ARRAY(SELECT upper(w) FROM unnest(c.windows) AS w WHERE upper(w) > clock_timestamp() ORDER BY 1),
	       c.windows_until, coalesce(c.windows_error, ''), c.changed_by, c.changed_via, c.version
	  FROM monitoring.maintenance_current c`

func scanMaintenance(row pgx.CollectableRow) (Maintenance, error) {
	var (
		m              Maintenance
		seconds        int
		from, to       []time.Time
		until, version Timestamp
	)
	err := row.Scan(&m.Name, &m.State, &m.Matchers, &m.StartsOn, &seconds, &m.TimeZone, &m.RRule, &m.Comment, &m.IncludeCritical,
		&from, &to, &until, &m.WindowsError, &m.By, &m.Via, &version)
	m.Duration, m.WindowsUntil, m.Version = time.Duration(seconds)*time.Second, until.Time, version.Time
	m.Windows = []Window{}
	for i := range from {
		m.Windows = append(m.Windows, Window{From: from[i].UTC(), To: to[i].UTC()})
	}
	return m, err
}

// Maintenances lists the maintenances by name; with removed also those.
func (s *Store) Maintenances(ctx context.Context, removed bool) ([]Maintenance, error) {
	list, err := all(ctx, s, scanMaintenance, maintenanceSQL+" WHERE $1 OR c.maintenance_state = 'PLANNED' ORDER BY c.maintenance_name", removed)
	if err != nil {
		return nil, fmt.Errorf("list maintenances: %w", err)
	}
	return list, nil
}

// MaintenancesToWrite lists those whose windows are written ahead less far than `until`.
func (s *Store) MaintenancesToWrite(ctx context.Context, until time.Time) ([]Maintenance, error) {
	list, err := all(ctx, s, scanMaintenance, maintenanceSQL+`
		 WHERE c.maintenance_state = 'PLANNED' AND c.rrule IS NOT NULL AND c.windows_error IS NULL AND coalesce(c.windows_until, '-infinity') < $1
		 ORDER BY c.maintenance_name`, until)
	if err != nil {
		return nil, fmt.Errorf("list maintenances whose windows are to be written: %w", err)
	}
	return list, nil
}

// AddMaintenance plans a maintenance, with its windows as far as WindowsUntil; a zero WindowsUntil leaves them to
// the vault, which knows one that does not recur, or to the workers. What could never be is a Refusal.
func (s *Store) AddMaintenance(ctx context.Context, m Maintenance) error {
	var windows *string
	if !m.WindowsUntil.IsZero() {
		windows = optional(multirange(m.Windows))
	}
	_, err := s.pool.Exec(ctx, "SELECT monitoring.add_maintenance($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::tstzmultirange, $12)",
		m.Name, m.Matchers, wallClock(m.StartsOn), m.Duration, m.Comment, optional(m.RRule), m.TimeZone, m.IncludeCritical, m.By, optional(m.Via),
		windows, optional(m.WindowsUntil))
	if err != nil {
		return fmt.Errorf("add maintenance %s: %w", m.Name, refusal(err))
	}
	return nil
}

// RemoveMaintenance ends a maintenance.
func (s *Store) RemoveMaintenance(ctx context.Context, name, by string) error {
	if _, err := s.pool.Exec(ctx, "SELECT monitoring.remove_maintenance($1, $2)", name, by); err != nil {
		return fmt.Errorf("remove maintenance %s: %w", name, refusal(err))
	}
	return nil
}

// WriteWindows writes the windows of a maintenance ahead, or why they cannot be; false: it was changed meanwhile.
func (s *Store) WriteWindows(ctx context.Context, m Maintenance) (bool, error) {
	written, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.write_windows($1, $2, $3::text::tstzmultirange, $4, $5)",
		m.Name, m.Version, multirange(m.Windows), optional(m.WindowsUntil), optional(m.WindowsError))
	if err != nil {
		return false, fmt.Errorf("write the windows of maintenance %s: %w", m.Name, err)
	}
	return written, nil
}

// wallClock is what PostgreSQL takes for a timestamp without a zone.
func wallClock(at time.Time) time.Time {
	return time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
}

// multirange writes windows as PostgreSQL reads them.
func multirange(windows []Window) string {
	texts := make([]string, len(windows))
	for i, w := range windows {
		texts[i] = "[" + w.From.UTC().Format(time.RFC3339) + "," + w.To.UTC().Format(time.RFC3339) + ")"
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// Inhibition is an inhibition as it stands.
type Inhibition struct {
	Key      string    `json:"key"`
	Source   string    `json:"source_definition"`
	Muted    []string  `json:"muted_matchers"`
	Equal    []string  `json:"equal_fields"`
	Enabled  bool      `json:"enabled"`
	Comment  string    `json:"comment"`
	By       string    `json:"by"`
	Version  time.Time `json:"version"`
	InEffect int       `json:"in_effect"` // active alerts that speak for others now
}

// Inhibitions lists the inhibitions by key.
func (s *Store) Inhibitions(ctx context.Context) ([]Inhibition, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (Inhibition, error) {
		var (
			i       Inhibition
			version Timestamp
		)
		err := row.Scan(&i.Key, &i.Source, &i.Muted, &i.Equal, &i.Enabled, &i.Comment, &i.By, &version, &i.InEffect)
		i.Version = version.Time
		return i, err
	}, `
		SELECT c.inhibition_bk, c.source_definition, c.muted_matchers, c.equal_fields, c.is_enabled, c.inhibition_comment, c.changed_by, c.version,
		       (SELECT count(*) FROM monitoring.inhibitors() AS n WHERE n.inhibition_bk = c.inhibition_bk)
		  FROM monitoring.inhibition_current c
		 ORDER BY c.inhibition_bk`)
	if err != nil {
		return nil, fmt.Errorf("list inhibitions: %w", err)
	}
	return list, nil
}

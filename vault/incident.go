package vault

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/incident"
)

var (
	//go:embed sql/incidents.sql
	incidentsSQL string
	//go:embed sql/incident_alerts.sql
	incidentAlertsSQL string
	//go:embed sql/incident_timeline.sql
	incidentTimelineSQL string
)

// ListedIncident is an incident as it stands, with the texts that its workflow does not carry.
type ListedIncident struct {
	incident.Incident
	Description string `json:"description,omitempty"`
	Summary     string `json:"resolution_summary,omitempty"`
	RootCause   string `json:"root_cause,omitempty"`
}

// IncidentFilter restricts a list of incidents; the zero value lists all that are not closed.
type IncidentFilter struct {
	All   bool                      // closed ones too
	Since time.Time                 // created since; zero: ever
	Keep  func(ListedIncident) bool // nil: every incident
	Limit int                       // 0: no limit
}

// Incidents lists incidents, the most urgent first and the resolved ones last, or with All the newest
// first. more says that the limit cut something off.
func (s *Store) Incidents(ctx context.Context, f IncidentFilter) (list []ListedIncident, more bool, err error) {
	rows, err := s.pool.Query(ctx, incidentsSQL, f.All, optional(f.Since), nil)
	if err != nil {
		return nil, false, fmt.Errorf("list incidents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		i, err := scanListedIncident(rows)
		if err != nil {
			return nil, false, fmt.Errorf("list incidents: %w", err)
		}
		if f.Keep != nil && !f.Keep(i) {
			continue
		}
		if f.Limit > 0 && len(list) == f.Limit {
			return list, true, nil
		}
		list = append(list, i)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list incidents: %w", err)
	}
	return list, false, nil
}

// FindIncident finds one incident, closed or not, by its short id or more of it, its workflow's id, its
// hash key in hex, or its business key. The error is ErrNotFound or ErrAmbiguous where no single one is
// meant.
func (s *Store) FindIncident(ctx context.Context, id string) (ListedIncident, error) {
	hk, err := one(ctx, s, pgx.RowTo[[]byte], "SELECT monitoring.find_incident($1)", id)
	if err != nil {
		return ListedIncident{}, fmt.Errorf("find incident: %w", err)
	}
	found, err := one(ctx, s, scanListedIncident, incidentsSQL, true, nil, [][]byte{hk})
	if err != nil {
		return ListedIncident{}, fmt.Errorf("read incident %s: %w", id, err)
	}
	return found, nil
}

// scanner is a row of either kind that pgx hands out.
type scanner interface{ Scan(dest ...any) error }

func scanListedIncident(row pgx.CollectableRow) (ListedIncident, error) { return scanIncident(row) }

func scanIncident(row scanner) (ListedIncident, error) {
	var (
		l                                                     ListedIncident
		i                                                     = &l.Incident
		created, responded, resolved, closed, reopened        Timestamp
		responseBreach, resolutionBreach, changed, last, acks Timestamp
	)
	err := row.Scan(&i.ID, &i.Key, &i.HashKey, &i.WorkflowID, &i.Tenant, &i.Title, &i.Status, &i.Severity, &i.Priority, &i.AssignedTo,
		&i.Services, &created, &i.CreatedBy, &responded, &i.FirstResponseBy, &resolved, &i.ResolvedBy, &closed, &i.ClosedBy, &reopened,
		&i.SLABreach, &responseBreach, &resolutionBreach, &i.ResponseMinutes, &i.ResolutionMinutes, &changed, &i.ChangedBy, &i.ChangedVia,
		&i.Alerts, &i.ActiveAlerts, &last, &acks, &i.AlertAcknowledgedBy, &i.AcknowledgedAlert,
		&l.Description, &l.Summary, &l.RootCause)
	i.CreatedAt, i.FirstResponseAt, i.ResolvedAt, i.ClosedAt, i.ReopenedAt = created.Time, responded.Time, resolved.Time, closed.Time, reopened.Time
	i.ResponseBreach, i.ResolutionBreach, i.ChangedAt = responseBreach.Time, resolutionBreach.Time, changed.Time
	i.LastAlertResolvedAt, i.AlertAcknowledgedAt = last.Time, acks.Time
	return l, err
}

// NewIncident is what an incident is created from: alerts, security events, or both.
type NewIncident struct {
	Alerts      []ListedAlert
	Events      []SecurityEvent
	Title       string
	Description string
	AssignedTo  string
	Actor       string
	Via         string // how the client names itself
}

// CreateIncident creates an incident. created is false when these alerts (without alerts: these events) have
// one that is not closed: then that is returned, with the events linked to it.
func (s *Store) CreateIncident(ctx context.Context, n NewIncident) (made ListedIncident, created bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var (
			began time.Time
			hk    []byte
		)
		// The vault's clock on both sides, so that the comparison below is exact.
		if err := tx.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&began); err != nil {
			return err
		}
		if len(n.Alerts) > 0 || len(n.Events) == 0 {
			err = tx.QueryRow(ctx, "SELECT monitoring.create_incident_from_alerts($1, $2, $3, $4, NULL, $5)",
				hashKeys(n.Alerts), n.Title, optional(n.Description), optional(n.AssignedTo), n.Actor).Scan(&hk)
			if err == nil && len(n.Events) > 0 {
				_, err = tx.Exec(ctx, "SELECT monitoring.add_security_events_to_incident($1, $2, $3, $4)", hk, eventKeys(n.Events), n.Actor, n.Via)
			}
		} else {
			err = tx.QueryRow(ctx, "SELECT monitoring.create_incident_from_security_events($1, $2, $3, $4, $5, $6)",
				eventKeys(n.Events), n.Title, optional(n.Description), optional(n.AssignedTo), n.Actor, n.Via).Scan(&hk)
		}
		if err != nil {
			return err
		}
		if made, err = readIncident(ctx, tx, hk); err != nil {
			return err
		}
		created = !made.CreatedAt.Before(began)
		return nil
	})
	if err != nil {
		return ListedIncident{}, false, fmt.Errorf("create the incident: %w", refusal(err))
	}
	return made, created, nil
}

func hashKeys(alerts []ListedAlert) [][]byte {
	keys := make([][]byte, len(alerts))
	for i, a := range alerts {
		keys[i] = hashKey(a.Key)
	}
	return keys
}

func readIncident(ctx context.Context, tx pgx.Tx, hk []byte) (ListedIncident, error) {
	return scanIncident(tx.QueryRow(ctx, incidentsSQL, true, nil, [][]byte{hk}))
}

// LinkAlerts has alerts belong to an incident and returns how many came; those that belong to it already
// stay as they are.
func (s *Store) LinkAlerts(ctx context.Context, i ListedIncident, alerts []ListedAlert, actor, reason string) (int, error) {
	n, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.add_alerts_to_incident($1, $2, $3, $4)",
		hashKey(i.Key), hashKeys(alerts), actor, optional(reason))
	if err != nil {
		return 0, fmt.Errorf("link alerts to %s: %w", i.ID, err)
	}
	return n, nil
}

// UnlinkAlerts ends that alerts belong to an incident and returns how many left.
func (s *Store) UnlinkAlerts(ctx context.Context, i ListedIncident, alerts []ListedAlert, actor, reason string) (int, error) {
	n, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.remove_alerts_from_incident($1, $2, $3, $4)",
		hashKey(i.Key), hashKeys(alerts), actor, optional(reason))
	if err != nil {
		return 0, fmt.Errorf("unlink alerts from %s: %w", i.ID, err)
	}
	return n, nil
}

// The functions by which people change an incident in psql, all called with hash key, actor and text.
var incidentFunctions = map[incident.Kind]string{
	incident.Taken:    "SELECT monitoring.investigate_incident($1, $2, $3)",
	incident.Reopened: "SELECT monitoring.reopen_incident($1, $2, $3)",
	incident.Resolved: "SELECT monitoring.resolve_incident($1, $2, $3)",
	incident.Closed:   "SELECT monitoring.close_incident($1, $2, $3)",
	incident.Noted:    "SELECT monitoring.incident_note($1, $2, $3)",
	incident.Assigned: "SELECT monitoring.assign_incident($1, $2, $3)",
}

// CommandIncident changes an incident in the vault alone, as psql does: the relay tells the workflow when
// it runs. False: it changed nothing.
func (s *Store) CommandIncident(ctx context.Context, i ListedIncident, kind incident.Kind, c incident.Command) (bool, error) {
	function, known := incidentFunctions[kind]
	if !known {
		return false, fmt.Errorf("change %s in the vault: %s is no command", i.ID, kind)
	}
	changed, err := one(ctx, s, pgx.RowTo[bool], function, hashKey(i.Key), c.Actor, optional(c.Text))
	if err != nil {
		return false, fmt.Errorf("change %s in the vault: %w", i.ID, err)
	}
	return changed, nil
}

// IncidentRecord is what stands after a change was offered.
type IncidentRecord struct {
	Incident incident.Incident `json:"incident"`
	Changed  bool              `json:"changed"` // the change took effect, now or when it was offered before
	Message  string            `json:"message,omitempty"`
}

// RecordIncident writes what an incident's workflow did, and reads how the incident stands, in one
// transaction. Without a change it only reads.
func (s *Store) RecordIncident(ctx context.Context, hexKey string, change *incident.Change) (IncidentRecord, error) {
	var record IncidentRecord
	hk, err := hex.DecodeString(hexKey)
	if err != nil {
		return record, &Refusal{Message: fmt.Sprintf("%q is no hash key: %v", hexKey, err), Code: "22023"}
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if change != nil {
			if err := tx.QueryRow(ctx, "SELECT changed, message FROM monitoring.record_incident_change($1, $2)", hk, change).
				Scan(&record.Changed, &record.Message); err != nil {
				return err
			}
		}
		listed, err := readIncident(ctx, tx, hk)
		if errors.Is(err, pgx.ErrNoRows) { // a vault restored from an older backup
			return &Refusal{Message: "the vault knows no incident with hash key " + hexKey, Code: "P0002"}
		}
		record.Incident = listed.Incident
		return err
	})
	if err != nil {
		return IncidentRecord{}, fmt.Errorf("record incident: %w", refusal(err))
	}
	return record, nil
}

// IncidentAlert is an alert of an incident.
type IncidentAlert struct {
	ID          string         `json:"id"`
	Severity    alert.Severity `json:"severity"`
	State       alert.Status   `json:"state"`
	Target      string         `json:"target"`
	Name        string         `json:"name"`
	TriggeredAt time.Time      `json:"triggered_at"`
	ResolvedAt  time.Time      `json:"resolved_at,omitzero"`
	Since       time.Time      `json:"since"`            // belongs to the incident
	Until       time.Time      `json:"until,omitzero"`   // zero: still
	Reason      string         `json:"reason,omitempty"` // why it came or left
}

// IncidentAlerts lists the alerts that belong to an incident, and those that left it.
func (s *Store) IncidentAlerts(ctx context.Context, i ListedIncident) ([]IncidentAlert, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (a IncidentAlert, err error) {
		var triggered, resolved, since, until Timestamp
		err = row.Scan(&a.ID, &a.Severity, &a.State, &a.Target, &a.Name, &triggered, &resolved, &since, &until, &a.Reason)
		a.TriggeredAt, a.ResolvedAt, a.Since, a.Until = triggered.Time, resolved.Time, since.Time, until.Time
		return a, err
	}, incidentAlertsSQL, hashKey(i.Key))
	if err != nil {
		return nil, fmt.Errorf("list the alerts of %s: %w", i.ID, err)
	}
	return list, nil
}

// IncidentMoment is one entry in the life of an incident.
type IncidentMoment struct {
	At         time.Time `json:"at"`          // when it happened
	RecordedAt time.Time `json:"recorded_at"` // when the vault learned of it
	Kind       string    `json:"kind"`        // STATE, NOTE, ASSIGNED, PRIORITY, LIMIT, ALERT
	What       string    `json:"what"`        // the state, to whom, which priority, which limit, JOINED or LEFT
	Actor      string    `json:"actor,omitempty"`
	Via        string    `json:"via,omitempty"`
	Details    string    `json:"details,omitempty"` // the note, the summary, which alerts
}

// IncidentTimeline returns the life of an incident in the order in which it happened.
func (s *Store) IncidentTimeline(ctx context.Context, i ListedIncident) ([]IncidentMoment, error) {
	moments, err := all(ctx, s, func(row pgx.CollectableRow) (m IncidentMoment, err error) {
		var at, recorded Timestamp
		err = row.Scan(&at, &recorded, &m.Kind, &m.What, &m.Actor, &m.Via, &m.Details)
		m.At, m.RecordedAt = at.Time, recorded.Time
		return m, err
	}, incidentTimelineSQL, hashKey(i.Key))
	if err != nil {
		return nil, fmt.Errorf("read the timeline of %s: %w", i.ID, err)
	}
	return moments, nil
}

package vault

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"onevault/alert"
	"onevault/incident"
)

//go:embed sql/outbox_waiting.sql
var outboxWaiting string

// outboxRows follows what says which facts are asked for.
//
//go:embed sql/outbox_rows.sql
var outboxRows string

//go:embed sql/alerts_active.sql
var alertsActive string

//go:embed sql/groups_active.sql
var groupsActive string

// OutboxRow is one fact about an alert on its way to the alert's workflow.
type OutboxRow struct {
	ID         int64
	Kind       alert.TransitionKind
	Payload    OutboxPayload
	Alert      alert.Alert
	Definition alert.Definition
}

// OutboxPayload is what the fact itself says.
type OutboxPayload struct {
	At            time.Time `json:"at"`
	Actor         string    `json:"actor"`
	Via           string    `json:"via"`
	Notes         string    `json:"notes"`
	Value         *float64  `json:"value"`
	Until         time.Time `json:"until"`
	Level         int       `json:"level"`
	FalsePositive bool      `json:"false_positive"`
	// Of FIRED: how the alert stood when it opened; by now it may have ended and opened again.
	Reopened       int       `json:"reopened"`
	FlappingSince  time.Time `json:"flapping_since"`
	FlappingReason string    `json:"flapping_reason"`
}

// opened gives the alert of a FIRED the openings that the fact is about.
func (p OutboxPayload) opened(a *alert.Alert) {
	a.Reopened = p.Reopened
	if p.Reopened > 0 {
		a.ReopenedAt = p.At.UTC()
	}
	if !p.FlappingSince.IsZero() {
		a.Flapping = &alert.Flapping{Since: p.FlappingSince.UTC(), Reason: p.FlappingReason}
	}
}

// Outbox is the one relay's hold on the outbox: a session with the relay's lock, which also listens.
type Outbox struct {
	conn *pgxpool.Conn
}

// TakeOutbox takes the relay's lock; nil without error means that another worker holds it. The hold
// ends with Release or with the session.
func (s *Store) TakeOutbox(ctx context.Context) (*Outbox, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the outbox: %w", err)
	}
	var taken bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended('onevault.outbox', 0))").Scan(&taken); err != nil {
		conn.Release()
		return nil, fmt.Errorf("take the outbox: %w", err)
	}
	if !taken {
		conn.Release()
		return nil, nil
	}
	if _, err := conn.Exec(ctx, "LISTEN onevault_outbox"); err != nil {
		discard(conn)
		return nil, fmt.Errorf("listen to the outbox: %w", err)
	}
	return &Outbox{conn: conn}, nil
}

// Release ends the session, and with it lock and LISTEN.
func (o *Outbox) Release() { discard(o.conn) }

// discard closes a session that holds a lock instead of giving it back to the pool.
func discard(conn *pgxpool.Conn) {
	hijacked := conn.Hijack()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// The server ends the session when the socket closes, whatever the farewell says.
	_ = hijacked.Close(ctx)
}

// Wait returns when the outbox was written, or after the poll interval: LISTEN for speed, polling for
// certainty. Only a lost session is an error.
func (o *Outbox) Wait(ctx context.Context, poll time.Duration) error {
	waitCtx, cancel := context.WithTimeout(ctx, poll)
	defer cancel()
	if _, err := o.conn.Conn().WaitForNotification(waitCtx); err != nil && waitCtx.Err() == nil {
		return fmt.Errorf("wait for the outbox: %w", err)
	}
	return ctx.Err()
}

// planAnew has a statement planned for what the tables hold now. A session that lives as long as the relay's would keep
// the plan that was right before the storm, and read thousands of rows once for each of them.
const planAnew = pgx.QueryExecModeCacheDescribe

// Unrelayed returns the oldest rows that no workflow has heard of, in order.
func (o *Outbox) Unrelayed(ctx context.Context, limit int) ([]OutboxRow, error) {
	var waiting bool
	if err := o.conn.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM monitoring.outbox WHERE relayed_at IS NULL AND alert_instance_hk IS NOT NULL)`).Scan(&waiting); err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	if !waiting {
		return nil, nil // as at nearly every poll
	}
	rows, err := o.conn.Query(ctx, outboxWaiting+outboxRows, planAnew, limit)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanOutboxRow)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return list, nil
}

func scanOutboxRow(row pgx.CollectableRow) (OutboxRow, error) {
	var (
		r                   OutboxRow
		a                   = &r.Alert
		d                   = &r.Definition
		acked, resolved     Timestamp
		ackedUntil, snoozed Timestamp
		minutes             int
		payload             []byte
	)
	err := row.Scan(&r.ID, &r.Kind, &payload,
		&a.Key, &a.ShortID, &a.Target, &a.Tenant, &a.Status, &a.Level, &a.Value, &a.Unit, &a.TriggeredAt,
		&acked, &a.AcknowledgedBy, &resolved, &a.ResolvedBy, &ackedUntil, &snoozed, &a.FalsePositive, &a.Reason,
		&d.Key, &d.Version, &d.Name, &d.Description, &d.Category, &d.Severity, &d.Condition, &d.Threshold, &d.Operator, &d.RunbookURL, &d.Runbook,
		&d.AutoResolve, &d.EscalationEnabled, &minutes, &d.Policy, &a.Labels)
	if err != nil {
		return r, err
	}
	a.TriggeredAt, d.Version = a.TriggeredAt.UTC(), d.Version.UTC()
	a.AcknowledgedAt, a.ResolvedAt = acked.Time, resolved.Time
	a.AcknowledgedUntil, a.SnoozedUntil = ackedUntil.Time, snoozed.Time
	d.EscalationDelay = time.Duration(minutes) * time.Minute
	if err := json.Unmarshal(payload, &r.Payload); err != nil {
		return r, fmt.Errorf("outbox row %d: %w", r.ID, err)
	}
	if r.Kind == alert.TransitionFired {
		r.Payload.opened(a)
	}
	return r, nil
}

// Group is what one workflow carries: the alerts of a definition on a target, of a tenant (hex) or of all.
type Group struct {
	Target, Definition, Tenant string
}

// ActiveGroups returns every group that needs a workflow, the longest open first. It is asked again and again,
// and says nothing of the alerts themselves, which may be many.
func (o *Outbox) ActiveGroups(ctx context.Context) ([]Group, error) {
	rows, err := o.conn.Query(ctx, groupsActive)
	if err != nil {
		return nil, fmt.Errorf("read the active groups: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Group])
	if err != nil {
		return nil, fmt.Errorf("read the active groups: %w", err)
	}
	return list, nil
}

// Active returns every alert of a group that needs a workflow, in the shape of its opening: what a workflow that was
// lost with its cluster is started anew with.
func (o *Outbox) Active(ctx context.Context, g Group) ([]OutboxRow, error) {
	rows, err := o.conn.Query(ctx, alertsActive+outboxRows, planAnew, g.Target, g.Definition, g.Tenant)
	if err != nil {
		return nil, fmt.Errorf("read the active alerts: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanOutboxRow)
	if err != nil {
		return nil, fmt.Errorf("read the active alerts: %w", err)
	}
	return list, nil
}

// MarkRelayed notes that the workflows heard of rows, and what became of it.
func (o *Outbox) MarkRelayed(ctx context.Context, ids []int64, outcome string) error {
	if _, err := o.conn.Exec(ctx, `
		UPDATE monitoring.outbox SET relayed_at = clock_timestamp(), outcome = $2
		 WHERE outbox_id = ANY ($1) AND relayed_at IS NULL`, ids, outcome); err != nil {
		return fmt.Errorf("mark outbox rows relayed: %w", err)
	}
	return nil
}

// Look is a wish to have the definitions of some sources evaluated on a target.
type Look struct {
	Target  string
	Sources []string
	IDs     []int64 // of the rows that ask for it
}

// Looks returns the wishes that wait, one for each target. A row that is committed later is another wish, since what
// it is about was not seen yet.
func (o *Outbox) Looks(ctx context.Context) ([]Look, error) {
	rows, err := o.conn.Query(ctx, `
		SELECT target_name, array_agg(DISTINCT payload ->> 'source'), array_agg(outbox_id)
		  FROM monitoring.outbox
		 WHERE relayed_at IS NULL AND kind = 'LOOK'
		 GROUP BY target_name
		 ORDER BY target_name`)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Look])
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return looks, nil
}

// IncidentNews is what an incident's workflow is to hear: facts in order, and the incident as it stands,
// for a workflow that has yet to start; without a key where only its hub was ever written.
type IncidentNews struct {
	Incident incident.Incident
	Facts    []incident.Fact
}

// UnrelayedIncidents returns the oldest facts about incidents that no workflow has heard of, by incident,
// in the order of their first fact.
func (o *Outbox) UnrelayedIncidents(ctx context.Context, limit int) ([]IncidentNews, error) {
	rows, err := o.conn.Query(ctx, `
		SELECT encode(incident_hk, 'hex'), outbox_id, kind, payload
		  FROM monitoring.outbox
		 WHERE relayed_at IS NULL AND incident_hk IS NOT NULL
		 ORDER BY outbox_id
		 LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	var (
		keys  []string
		facts = map[string][]incident.Fact{}
	)
	var (
		key     string
		fact    incident.Fact
		payload []byte
	)
	_, err = pgx.ForEachRow(rows, []any{&key, &fact.Seq, &fact.Kind, &payload}, func() error {
		heard := incident.Fact{}
		if err := json.Unmarshal(payload, &heard); err != nil {
			return fmt.Errorf("outbox row %d: %w", fact.Seq, err)
		}
		heard.Seq, heard.Kind = fact.Seq, fact.Kind
		if facts[key] == nil {
			keys = append(keys, key)
		}
		facts[key] = append(facts[key], heard)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	return o.incidentNews(ctx, keys, facts)
}

// ActiveIncidents returns every incident that is not closed and of which no fact waits: those whose
// workflow must be running.
func (o *Outbox) ActiveIncidents(ctx context.Context) ([]IncidentNews, error) {
	rows, err := o.conn.Query(ctx, `
		SELECT encode(s.incident_hk, 'hex')
		  FROM monitoring.incident_s s
		 WHERE s.load_end_date IS NULL AND s.incident_status <> 'CLOSED'
		   AND s.load_date < clock_timestamp() - interval '10 seconds'
		   AND NOT EXISTS (SELECT FROM monitoring.outbox o WHERE o.incident_hk = s.incident_hk AND o.relayed_at IS NULL)
		 ORDER BY s.created_timestamp, s.incident_hk`)
	if err != nil {
		return nil, fmt.Errorf("read the active incidents: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the active incidents: %w", err)
	}
	return o.incidentNews(ctx, keys, nil)
}

func (o *Outbox) incidentNews(ctx context.Context, keys []string, facts map[string][]incident.Fact) ([]IncidentNews, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	hks := make([][]byte, len(keys))
	for i, key := range keys {
		hk, err := hex.DecodeString(key)
		if err != nil {
			return nil, fmt.Errorf("read incident %s: %w", key, err)
		}
		hks[i] = hk
	}
	rows, err := o.conn.Query(ctx, incidentsSQL, true, nil, hks)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanListedIncident)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	byKey := map[string]incident.Incident{}
	for _, l := range list {
		byKey[l.HashKey] = l.Incident
	}
	news := make([]IncidentNews, 0, len(keys))
	for _, key := range keys {
		news = append(news, IncidentNews{Incident: byKey[key], Facts: facts[key]})
	}
	return news, nil
}

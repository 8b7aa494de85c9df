package vault

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// The read side of the store: what the command line shows. Each statement is a file, to be read.
var (
	//go:embed sql/alerts.sql
	alertsSQL string
	//go:embed sql/alert_told.sql
	alertToldSQL string
	//go:embed sql/alert_timeline.sql
	alertTimelineSQL string
	//go:embed sql/definitions.sql
	definitionsSQL string
	//go:embed sql/channels.sql
	channelsSQL string
)

// ListedAlert is an alert as it stands now, with the definition's version that it fired under. Times are
// UTC; a zero time means that it has not happened.
type ListedAlert struct {
	ID         string         `json:"id"` // short id, A-7F3K
	Key        string         `json:"key"`
	HashKey    string         `json:"hash_key"` // hex
	WorkflowID string         `json:"workflow_id"`
	Tenant     string         `json:"tenant,omitempty"` // hex tenant hash key
	Target     string         `json:"target"`
	State      alert.Status   `json:"state"`
	Level      int            `json:"level"`
	Severity   alert.Severity `json:"severity"`
	Value      *float64       `json:"value,omitempty"` // what fired it
	Unit       string         `json:"unit,omitempty"`

	TriggeredAt       time.Time `json:"triggered_at"`
	ChangedAt         time.Time `json:"changed_at,omitzero"` // of the last change of state
	ChangedVia        string    `json:"changed_via,omitempty"`
	AcknowledgedAt    time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy    string    `json:"acknowledged_by,omitempty"`
	AcknowledgedNotes string    `json:"acknowledged_notes,omitempty"`
	ResolvedAt        time.Time `json:"resolved_at,omitzero"`
	ResolvedBy        string    `json:"resolved_by,omitempty"`
	ResolvedNotes     string    `json:"resolved_notes,omitempty"`
	SuppressionReason string    `json:"suppression_reason,omitempty"`
	AcknowledgedUntil time.Time `json:"acknowledged_until,omitzero"` // zero: it holds until the end
	SnoozedUntil      time.Time `json:"snoozed_until,omitzero"`      // nobody is paged before then
	FalsePositive     bool      `json:"false_positive,omitempty"`
	ChangedBy         string    `json:"changed_by,omitempty"` // who took it back, snoozed or escalated it, where the last change was that
	ChangeNotes       string    `json:"change_notes,omitempty"`
	Notifications     int       `json:"notifications"` // messages delivered
	LastNotifiedAt    time.Time `json:"last_notified_at,omitzero"`

	Definition        string          `json:"definition"` // business key
	DefinitionVersion time.Time       `json:"definition_version"`
	Name              string          `json:"name"`
	Description       string          `json:"description,omitempty"`
	Category          string          `json:"category"`
	Condition         string          `json:"condition"`
	Inputs            json.RawMessage `json:"inputs,omitempty"` // the metrics that the condition saw
	Reason            string          `json:"reason,omitempty"`
	Threshold         *float64        `json:"threshold,omitempty"`
	ThresholdUnit     string          `json:"threshold_unit,omitempty"`
	Operator          string          `json:"operator,omitempty"`
	RunbookURL        string          `json:"runbook_url,omitempty"`
	Runbook           string          `json:"runbook,omitempty"` // one line: what it means, what to look at, what to do
	AutoResolve       bool            `json:"auto_resolve"`

	Policy         string    `json:"policy,omitempty"`   // the escalation policy that it follows while nobody answers
	Reopened       int       `json:"reopened,omitempty"` // how often it fired again and went on
	ReopenedAt     time.Time `json:"reopened_at,omitzero"`
	FlappingSince  time.Time `json:"flapping_since,omitzero"` // zero: it is not flapping
	FlappingReason string    `json:"flapping_reason,omitempty"`

	Labels alert.Labels `json:"labels,omitempty"` // which label set of the target it is about; none: the target

	// NextLevel is the escalation that comes at NextAt unless somebody answers; 0: none will.
	NextLevel int       `json:"next_level,omitempty"`
	NextAt    time.Time `json:"next_at,omitzero"`

	// Mute is why nobody is told of it for now; nil: nothing keeps them, or AddMutes was not asked.
	Mute *alert.Mute `json:"mute,omitempty"`
}

// Title is what the alert is called, with the label set that it is about: Inactive Replication Slot (slot=archive).
func (a ListedAlert) Title() string {
	if len(a.Labels) == 0 {
		return a.Name
	}
	return a.Name + " (" + a.Labels.String() + ")"
}

// AlertFilter restricts a list of alerts; the zero value lists all that still need somebody.
type AlertFilter struct {
	All    bool                   // resolved and suppressed ones too
	Since  time.Time              // opened since; zero: ever
	Target string                 // empty: every target
	Keep   func(ListedAlert) bool // nil: every alert
	Limit  int                    // 0: no limit
	// AsOf lists what was true at that moment, as known at KnownAt; zero: now.
	AsOf, KnownAt time.Time
}

// Alerts lists alerts, the worst first, or with All the newest first. more says that the limit cut
// something off.
func (s *Store) Alerts(ctx context.Context, f AlertFilter) (list []ListedAlert, more bool, err error) {
	rows, err := s.pool.Query(ctx, alertsSQL, f.All, optional(f.Since), optional(f.Target), nil, optional(f.AsOf), optional(f.KnownAt))
	if err != nil {
		return nil, false, fmt.Errorf("list alerts: %w", refusal(err))
	}
	defer rows.Close()
	for rows.Next() {
		a, err := scanListedAlert(rows)
		if err != nil {
			return nil, false, fmt.Errorf("list alerts: %w", err)
		}
		if f.Keep != nil && !f.Keep(a) {
			continue
		}
		if f.Limit > 0 && len(list) == f.Limit {
			return list, true, nil
		}
		list = append(list, a)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list alerts: %w", refusal(err))
	}
	return list, false, nil
}

// FindAlert finds one alert, ended or not, by its short id or more of it, its hash key in hex, or its
// business key. The error is ErrNotFound or ErrAmbiguous where no single alert is meant.
func (s *Store) FindAlert(ctx context.Context, id string) (ListedAlert, error) {
	hashKey, err := one(ctx, s, pgx.RowTo[[]byte], "SELECT monitoring.find_alert($1)", id)
	if err != nil {
		return ListedAlert{}, fmt.Errorf("find alert: %w", err)
	}
	found, err := one(ctx, s, scanListedAlert, alertsSQL, true, nil, nil, hashKey, nil, nil)
	if err != nil {
		return ListedAlert{}, fmt.Errorf("read alert %s: %w", id, err)
	}
	return found, nil
}

func scanListedAlert(row pgx.CollectableRow) (ListedAlert, error) {
	var (
		a             ListedAlert
		changed       Timestamp
		acknowledged  Timestamp
		resolved      Timestamp
		lastNotified  Timestamp
		until         Timestamp
		snoozed       Timestamp
		reopened      Timestamp
		flapping      Timestamp
		waiting       Timestamp
		escalates     bool
		delayMinutes  int
		policy        *alert.Policy
		notifications *int
	)
	err := row.Scan(&a.ID, &a.Key, &a.HashKey, &a.WorkflowID, &a.Tenant, &a.Target, &a.State, &a.Level, &a.Severity, &a.Value, &a.Unit,
		&a.TriggeredAt, &changed, &a.ChangedVia, &acknowledged, &a.AcknowledgedBy, &a.AcknowledgedNotes,
		&resolved, &a.ResolvedBy, &a.ResolvedNotes, &a.SuppressionReason, &notifications, &lastNotified,
		&a.Definition, &a.DefinitionVersion, &a.Name, &a.Description, &a.Category, &a.Condition, &a.Inputs, &a.Reason,
		&a.Threshold, &a.ThresholdUnit, &a.Operator, &a.RunbookURL, &a.Runbook, &a.AutoResolve, &escalates, &delayMinutes,
		&a.Reopened, &reopened, &flapping, &a.FlappingReason,
		&until, &snoozed, &a.FalsePositive, &a.ChangedBy, &a.ChangeNotes, &policy, &a.Labels, &waiting)
	if err != nil {
		return a, err
	}
	if notifications != nil {
		a.Notifications = *notifications
	}
	a.TriggeredAt, a.DefinitionVersion = a.TriggeredAt.UTC(), a.DefinitionVersion.UTC()
	a.ChangedAt, a.AcknowledgedAt, a.ResolvedAt, a.LastNotifiedAt = changed.Time, acknowledged.Time, resolved.Time, lastNotified.Time
	a.AcknowledgedUntil, a.SnoozedUntil = until.Time, snoozed.Time
	a.ReopenedAt, a.FlappingSince = reopened.Time, flapping.Time
	if policy != nil {
		gap, more := policy.Gap(a.Level)
		a.Policy = policy.Key
		if more {
			a.expectEscalation(waiting.Time, gap)
		}
	} else if escalates {
		a.expectEscalation(waiting.Time, time.Duration(delayMinutes)*time.Minute)
	}
	return a, nil
}

// expectEscalation follows the workflow's rule: the delay counts from the opening (of what another system sent,
// from when that was heard of), then from each escalation, until somebody answers; a snooze puts it off.
func (a *ListedAlert) expectEscalation(from time.Time, delay time.Duration) {
	if a.State != alert.StatusOpen && a.State != alert.StatusEscalated {
		return
	}
	if from.IsZero() {
		from = a.TriggeredAt
	}
	if a.SnoozedUntil.After(from) {
		from = a.SnoozedUntil
	}
	a.NextLevel, a.NextAt = a.Level+1, from.Add(delay)
}

// Told is the newest state of one notification of an alert.
type Told struct {
	At                time.Time `json:"at"`
	Event             string    `json:"event"` // FIRED, ESCALATED:<level>, RESOLVED, REQUESTED:<n>, REOPENED:<n>, FLAPPING, UNANSWERED:<moment>, REPEATED:<level>:<moment>
	Channel           string    `json:"channel"`
	Type              string    `json:"type"`
	Recipient         string    `json:"recipient"`
	Status            string    `json:"status"` // PENDING, SENT, DELIVERED, FAILED, BOUNCED, SUPPRESSED
	Attempt           int       `json:"attempt"`
	Class             string    `json:"class,omitempty"`
	Reason            string    `json:"reason,omitempty"`
	Proof             string    `json:"proof,omitempty"`
	ExternalID        string    `json:"external_id,omitempty"`
	PossibleDuplicate bool      `json:"possible_duplicate"`
	InStorm           bool      `json:"in_storm,omitempty"` // told as a part of a storm
}

// AlertTold lists who was told of an alert, oldest first.
func (s *Store) AlertTold(ctx context.Context, a ListedAlert) ([]Told, error) {
	told, err := all(ctx, s, func(row pgx.CollectableRow) (Told, error) {
		t, err := pgx.RowToStructByPos[Told](row)
		t.At = t.At.UTC()
		return t, err
	}, alertToldSQL, hashKey(a.Key))
	if err != nil {
		return nil, fmt.Errorf("read who was told of %s: %w", a.ID, err)
	}
	return told, nil
}

// Moment is one entry in the life of an alert.
type Moment struct {
	At         time.Time `json:"at"`          // when it happened
	RecordedAt time.Time `json:"recorded_at"` // when the vault learned of it
	Kind       string    `json:"kind"`        // EVALUATION, STATE, NOTIFICATION, RECEIPT
	// Status is the evaluation's decision, the alert's state (NOTIFIED: only messages were counted; SNOOZED;
	// FALSE_POSITIVE: called one after its end), the notification's delivery status, or what a receipt says.
	Status            string          `json:"status"`
	Result            string          `json:"result,omitempty"` // EVALUATION: TRUE, FALSE, NO_DATA, ERROR
	Actor             string          `json:"actor,omitempty"`
	Via               string          `json:"via,omitempty"`
	Level             int             `json:"level,omitempty"`
	Notes             string          `json:"notes,omitempty"` // NOTIFICATION: why it failed
	Value             *float64        `json:"value,omitempty"`
	Inputs            json.RawMessage `json:"inputs,omitempty"`
	DefinitionVersion time.Time       `json:"definition_version,omitzero"`
	Event             string          `json:"event,omitempty"`
	Channel           string          `json:"channel,omitempty"`
	ChannelType       string          `json:"channel_type,omitempty"`
	Recipient         string          `json:"recipient,omitempty"`
	Attempt           int             `json:"attempt,omitempty"`
	Class             string          `json:"class,omitempty"` // NOTIFICATION: empty for an intent
	Proof             string          `json:"proof,omitempty"`
	ExternalID        string          `json:"external_id,omitempty"`
	DurationMS        int             `json:"duration_ms,omitempty"`
	PossibleDuplicate bool            `json:"possible_duplicate,omitempty"`
	Messages          int             `json:"messages,omitempty"` // STATE: delivered so far
}

// AlertTimeline returns the life of an alert in the order in which it happened.
func (s *Store) AlertTimeline(ctx context.Context, a ListedAlert) ([]Moment, error) {
	moments, err := all(ctx, s, scanMoment, alertTimelineSQL, hashKey(a.Key))
	if err != nil {
		return nil, fmt.Errorf("read the timeline of %s: %w", a.ID, err)
	}
	return moments, nil
}

func scanMoment(row pgx.CollectableRow) (Moment, error) {
	var (
		m                 Moment
		at, recorded, ver Timestamp
		rank              int
		messages          *int
	)
	err := row.Scan(&at, &recorded, &m.Kind, &rank, &m.Status, &m.Result, &m.Actor, &m.Via, &m.Level, &m.Notes,
		&m.Value, &m.Inputs, &ver, &m.Event, &m.Channel, &m.ChannelType, &m.Recipient, &m.Attempt, &m.Class, &m.Proof,
		&m.ExternalID, &m.DurationMS, &m.PossibleDuplicate, &messages)
	m.At, m.RecordedAt, m.DefinitionVersion = at.Time, recorded.Time, ver.Time
	if messages != nil {
		m.Messages = *messages
	}
	return m, err
}

// ListedDefinition is the current version of a definition, with its newest evaluation: the worst of its
// targets'.
type ListedDefinition struct {
	Key                string    `json:"key"`
	Name               string    `json:"name"`
	Description        string    `json:"description,omitempty"`
	Category           string    `json:"category"`
	Severity           string    `json:"severity"`
	MetricSource       string    `json:"metric_source"`
	Condition          string    `json:"condition"`
	ClearCondition     string    `json:"clear_condition,omitempty"`
	Threshold          *float64  `json:"threshold,omitempty"`
	Operator           string    `json:"operator,omitempty"`
	EveryMinutes       int       `json:"every_minutes"`
	Enabled            bool      `json:"enabled"`
	AutoResolve        bool      `json:"auto_resolve"`
	EscalationEnabled  bool      `json:"escalation_enabled"`
	EscalationMinutes  int       `json:"escalation_minutes"`
	SuppressionMinutes int       `json:"suppression_minutes"`
	RunbookURL         string    `json:"runbook_url,omitempty"`
	Runbook            string    `json:"runbook,omitempty"`
	Version            time.Time `json:"version"`
	ModifiedBy         string    `json:"modified_by,omitempty"`
	LastTarget         string    `json:"last_target,omitempty"`
	LastResult         string    `json:"last_result,omitempty"` // empty: not evaluated within 8 days
	LastReason         string    `json:"last_reason,omitempty"`
	LastEvaluatedAt    time.Time `json:"last_evaluated_at,omitzero"`
	ResultSince        time.Time `json:"result_since,omitzero"`
	NoDataMinutes      int       `json:"no_data_minutes"`
	NoDataState        string    `json:"no_data_state"` // NO_DATA, ALERT, OK (missing data is fine), KEEP
	OpenAlerts         int       `json:"open_alerts"`
	Channels           []string  `json:"channels"` // keys of the channels that hear it
}

// Definitions lists the definitions, the most severe first; disabled ones only when asked for.
func (s *Store) Definitions(ctx context.Context, disabled bool) ([]ListedDefinition, error) {
	list, err := all(ctx, s, scanListedDefinition, definitionsSQL, disabled)
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	return list, nil
}

func scanListedDefinition(row pgx.CollectableRow) (ListedDefinition, error) {
	var (
		d                         ListedDefinition
		version, evaluated, since Timestamp
	)
	err := row.Scan(&d.Key, &d.Name, &d.Description, &d.Category, &d.Severity, &d.MetricSource, &d.Condition, &d.ClearCondition,
		&d.Threshold, &d.Operator, &d.EveryMinutes, &d.Enabled, &d.AutoResolve, &d.EscalationEnabled, &d.EscalationMinutes,
		&d.SuppressionMinutes, &d.RunbookURL, &d.Runbook, &version, &d.ModifiedBy, &d.LastTarget, &d.LastResult, &d.LastReason,
		&evaluated, &since, &d.NoDataMinutes, &d.NoDataState, &d.OpenAlerts, &d.Channels)
	d.Version, d.LastEvaluatedAt, d.ResultSince = version.Time, evaluated.Time, since.Time
	return d, err
}

// ListedChannel is the current version of a channel with its newest notification. Configuration is the
// row's own and may hold a secret: whoever shows it removes that first.
type ListedChannel struct {
	Key               string
	Name              string
	Type              string
	Configuration     json.RawMessage
	Severities        []string // empty: every severity
	Categories        []string // empty: every category
	Enabled           bool
	RetryAttempts     int
	RetryDelaySeconds int
	Version           time.Time
	LastStatus        string // empty: nothing was ever sent
	LastClass         string
	LastReason        string
	LastAt            time.Time
}

// String keeps the configuration, and any secret in it, out of logs.
func (c ListedChannel) String() string { return c.Type + " " + c.Key }

// GoString is String, for %#v.
func (c ListedChannel) GoString() string { return c.String() }

// Channels lists the channels by key; disabled ones only when asked for.
func (s *Store) Channels(ctx context.Context, disabled bool) ([]ListedChannel, error) {
	list, err := all(ctx, s, scanListedChannel, channelsSQL, disabled)
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	return list, nil
}

func scanListedChannel(row pgx.CollectableRow) (ListedChannel, error) {
	var (
		c             ListedChannel
		version, last Timestamp
	)
	err := row.Scan(&c.Key, &c.Name, &c.Type, &c.Configuration, &c.Severities, &c.Categories, &c.Enabled,
		&c.RetryAttempts, &c.RetryDelaySeconds, &version, &c.LastStatus, &c.LastClass, &c.LastReason, &last)
	c.Version, c.LastAt = version.Time, last.Time
	return c, err
}

// AcknowledgeAlert acknowledges in the vault alone, as psql does: the relay tells the workflow when it
// runs. False: it was acknowledged or resolved before, or it is suppressed.
func (s *Store) AcknowledgeAlert(ctx context.Context, a ListedAlert, actor, notes string) (bool, error) {
	return s.answer(ctx, a, "acknowledge", "SELECT monitoring.acknowledge_alert($1, $2, $3)", actor, optional(notes))
}

// AcknowledgeAlertFor acknowledges for a time; see AcknowledgeAlert.
func (s *Store) AcknowledgeAlertFor(ctx context.Context, a ListedAlert, actor string, lasts time.Duration, notes string) (bool, error) {
	return s.answer(ctx, a, "acknowledge", "SELECT monitoring.acknowledge_alert_for($1, $2, $3, $4)", actor, lasts, optional(notes))
}

// UnacknowledgeAlert takes an acknowledgement back; see AcknowledgeAlert.
func (s *Store) UnacknowledgeAlert(ctx context.Context, a ListedAlert, actor, notes string) (bool, error) {
	return s.answer(ctx, a, "take back", "SELECT monitoring.unacknowledge_alert($1, $2, $3)", actor, optional(notes))
}

// SnoozeAlert keeps an alert from paging for a time; see AcknowledgeAlert.
func (s *Store) SnoozeAlert(ctx context.Context, a ListedAlert, actor string, lasts time.Duration, reason string) (bool, error) {
	return s.answer(ctx, a, "snooze", "SELECT monitoring.snooze_alert($1, $2, $3, $4)", actor, lasts, reason)
}

// EscalateAlert raises an alert to its next level; see AcknowledgeAlert.
func (s *Store) EscalateAlert(ctx context.Context, a ListedAlert, actor, notes string) (bool, error) {
	return s.answer(ctx, a, "escalate", "SELECT monitoring.escalate_alert($1, $2, $3)", actor, optional(notes))
}

// MarkFalsePositive says that an alert should not have fired, and ends it where it had not ended; see
// AcknowledgeAlert.
func (s *Store) MarkFalsePositive(ctx context.Context, a ListedAlert, actor, reason string) (bool, error) {
	return s.answer(ctx, a, "mark", "SELECT monitoring.mark_alert_false_positive($1, $2, $3)", actor, reason)
}

func (s *Store) answer(ctx context.Context, a ListedAlert, verb, sql string, args ...any) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], sql, append([]any{hashKey(a.Key)}, args...)...)
	if err != nil {
		return false, fmt.Errorf("%s %s in the vault: %w", verb, a.ID, err)
	}
	return changed, nil
}

// ResolveAlert resolves in the vault alone; see AcknowledgeAlert.
func (s *Store) ResolveAlert(ctx context.Context, a ListedAlert, actor, notes string) (bool, error) {
	return s.answer(ctx, a, "resolve", "SELECT monitoring.resolve_alert($1, $2, $3)", actor, optional(notes))
}

// hashKey is the key of the hub row with a business key, as util.hash_binary gives it.
func hashKey(businessKey string) []byte {
	sum := sha256.Sum256([]byte(businessKey))
	return sum[:]
}

// optional turns a zero value into NULL.
func optional[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Comparison is one comparison of a condition, with what its sides amounted to.
type Comparison struct {
	Text     string `json:"comparison"`
	Left     string `json:"left,omitempty"` // empty: it could not be computed
	Operator string `json:"operator"`
	Right    string `json:"right,omitempty"`
	Result   string `json:"result"`  // TRUE, FALSE, NO_DATA, ERROR
	Decided  bool   `json:"decided"` // the whole rests on it
	Alone    bool   `json:"alone"`   // without it the whole would be another
}

// Verdict is one evaluation as it was recorded, done again from its recorded inputs.
type Verdict struct {
	At          time.Time       `json:"at,omitzero"`
	Condition   string          `json:"condition,omitempty"`
	Inputs      json.RawMessage `json:"inputs,omitempty"`
	Recorded    string          `json:"recorded,omitempty"` // TRUE, FALSE, NO_DATA, ERROR
	Value       *float64        `json:"value,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	Decision    string          `json:"decision,omitempty"`
	ResultSince time.Time       `json:"result_since,omitzero"`
	Again       string          `json:"again,omitempty"`  // what the same inputs give now
	Agrees      *bool           `json:"agrees,omitempty"` // nil: there is nothing that could be done again
	Version     time.Time       `json:"version,omitzero"` // of the definition
	Comparisons []Comparison    `json:"comparisons"`      // empty: nothing was evaluated
}

// AlertExplanation is why an alert fired, and what came of it.
type AlertExplanation struct {
	Evidence     string `json:"evidence"` // EVALUATION, TRIGGER_DETAILS (a copy of it), WORKER, SOURCE, NONE
	Note         string `json:"note,omitempty"`
	Disagreement string `json:"disagreement,omitempty"`
	Verdict

	PendingMinutes     int       `json:"pending_minutes"`
	NoDataMinutes      int       `json:"no_data_minutes"`
	SuppressionMinutes int       `json:"suppression_minutes"`
	SuppressionReason  string    `json:"suppression_reason,omitempty"`
	UnsuppressedAt     time.Time `json:"unsuppressed_at,omitzero"`
	ChangedAt          time.Time `json:"definition_changed_at,omitzero"` // when the next version came
	NewerVersions      int       `json:"newer_versions"`

	Looks       int `json:"looks"` // evaluations since, until its end
	LooksTrue   int `json:"looks_true"`
	LooksFalse  int `json:"looks_false"`
	LooksNoData int `json:"looks_no_data"`
	LooksError  int `json:"looks_error"`

	HeldUntil    time.Time `json:"held_until,omitzero"`
	FirstFalseAt time.Time `json:"first_false_at,omitzero"`
	ClearedAt    time.Time `json:"cleared_at,omitzero"`
	LastAt       time.Time `json:"last_evaluated_at,omitzero"`
	LastResult   string    `json:"last_result,omitempty"`
	LastValue    *float64  `json:"last_value,omitempty"`
	LastDecision string    `json:"last_decision,omitempty"`
	LastReason   string    `json:"last_decision_reason,omitempty"` // why that was decided

	FireLooks      int       `json:"fire_looks"` // it fires with so many TRUE looks of OfLooks
	OfLooks        int       `json:"of_looks"`
	CountedTrue    *int      `json:"counted_true,omitempty"` // when it fired; nil: each look decides alone
	CountedOf      *int      `json:"counted_of,omitempty"`
	DecisionReason string    `json:"decision_reason,omitempty"`
	Reopened       int       `json:"reopened"`
	ReopenedAt     time.Time `json:"reopened_at,omitzero"`
	ReopenedReason string    `json:"reopened_reason,omitempty"`
	FlappingSince  time.Time `json:"flapping_since,omitzero"`
	FlappingReason string    `json:"flapping_reason,omitempty"`
}

// ExplainAlert evaluates again what opened an alert.
func (s *Store) ExplainAlert(ctx context.Context, a ListedAlert) (AlertExplanation, error) {
	e, err := one(ctx, s, func(row pgx.CollectableRow) (AlertExplanation, error) {
		var (
			e                                                                      AlertExplanation
			at, since, unsuppressed, version, changed, held, missed, cleared, last Timestamp
			reopened, flapping                                                     Timestamp
		)
		err := row.Scan(&e.Evidence, &e.Note, &at, &e.Decision, &e.Condition, &e.Inputs, &e.Recorded, &e.Value, &e.Reason,
			&e.Again, &e.Agrees, &e.Disagreement, &since, &e.PendingMinutes, &e.NoDataMinutes, &e.SuppressionMinutes, &e.SuppressionReason,
			&unsuppressed, &version, &changed, &e.NewerVersions, &e.Looks, &e.LooksTrue, &e.LooksFalse, &e.LooksNoData, &e.LooksError,
			&held, &missed, &cleared, &last, &e.LastResult, &e.LastValue, &e.LastDecision,
			&e.FireLooks, &e.OfLooks, &e.CountedTrue, &e.CountedOf, &e.DecisionReason, &e.Reopened, &reopened, &e.ReopenedReason,
			&flapping, &e.FlappingReason, &e.LastReason)
		e.ReopenedAt, e.FlappingSince = reopened.Time, flapping.Time
		e.At, e.ResultSince, e.UnsuppressedAt, e.Version, e.ChangedAt = at.Time, since.Time, unsuppressed.Time, version.Time, changed.Time
		e.HeldUntil, e.FirstFalseAt, e.ClearedAt, e.LastAt = held.Time, missed.Time, cleared.Time, last.Time
		return e, err
	}, `
		SELECT evidence, coalesce(evidence_note, ''), evaluated_at, coalesce(decision, ''), coalesce(condition, ''), inputs,
		       coalesce(recorded_result, ''), recorded_value::float8, coalesce(recorded_reason, ''),
		       coalesce(result, ''), agrees, coalesce(disagreement, ''), result_since, pending_minutes, no_data_minutes, suppression_minutes,
		       coalesce(suppression_reason, ''), unsuppressed_at, definition_version, definition_changed_at, newer_versions,
		       looks, looks_true, looks_false, looks_no_data, looks_error, held_until, first_false_at, cleared_at,
		       last_evaluated_at, coalesce(last_result, ''), last_value::float8, coalesce(last_decision, ''),
		       fire_looks, of_looks, counted_true, counted_of, coalesce(decision_reason, ''), coalesce(reopened_count, 0), reopened_at,
		       coalesce(reopened_reason, ''), flapping_since, coalesce(flapping_reason, ''), coalesce(last_decision_reason, '')
		  FROM monitoring.explain_alert($1)`, hashKey(a.Key))
	if err == nil {
		err = s.compare(ctx, &e.Verdict)
	}
	if err != nil {
		return AlertExplanation{}, fmt.Errorf("explain %s: %w", a.ID, err)
	}
	return e, nil
}

// DefinitionExplanation is why a definition fires on a target, or why not.
type DefinitionExplanation struct {
	Target string `json:"target,omitempty"` // empty: it was never looked at
	Tenant string `json:"tenant,omitempty"`
	// State is FIRING, NOT_MET, PENDING, DUE, SUPPRESSED, NO_DATA, ERROR, DISABLED, WORKER (decided by the
	// worker itself), SOURCE (by the one that sends its alerts) or NOBODY_LOOKED (three looks or more are missing: that there is no alert means nothing).
	State          string    `json:"state"`
	Enabled        bool      `json:"enabled"`
	CurrentVersion time.Time `json:"current_version"`
	EveryMinutes   int       `json:"every_minutes"`
	PendingMinutes int       `json:"pending_minutes"`
	NoDataMinutes  int       `json:"no_data_minutes"`
	NoDataState    string    `json:"no_data_state"`
	Verdict
	NextDue         time.Time `json:"next_due,omitzero"`
	Missed          int       `json:"missed_looks"`
	FiresAt         time.Time `json:"fires_at,omitzero"` // PENDING: unless it ends before
	SuppressedUntil time.Time `json:"suppressed_until,omitzero"`
	Alert           string    `json:"alert,omitempty"` // that has not ended
	AlertState      string    `json:"alert_state,omitempty"`
	AlertSince      time.Time `json:"alert_since,omitzero"`
	LastAlert       string    `json:"last_alert,omitempty"`
	LastAlertAt     time.Time `json:"last_alert_at,omitzero"`
	DecisionReason  string    `json:"decision_reason,omitempty"` // why that was decided, where the result does not say it
}

// ExplainDefinition says for each target on which a definition was looked at, or for one, why it fires or
// not; ErrNotFound when there is no such definition.
func (s *Store) ExplainDefinition(ctx context.Context, key, target string) ([]DefinitionExplanation, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (DefinitionExplanation, error) {
		var (
			e                                                                   DefinitionExplanation
			at, version, current, due, since, fires, suppressed, opened, lastAt Timestamp
		)
		err := row.Scan(&e.Target, &e.Tenant, &e.State, &e.Enabled, &current, &e.EveryMinutes, &e.PendingMinutes, &e.NoDataMinutes, &e.NoDataState,
			&at, &version, &due, &e.Missed, &e.Condition, &e.Inputs, &e.Recorded, &e.Value, &e.Reason, &since, &e.Decision, &e.Again, &e.Agrees,
			&fires, &suppressed, &e.Alert, &e.AlertState, &opened, &e.LastAlert, &lastAt, &e.DecisionReason)
		e.At, e.Version, e.CurrentVersion, e.NextDue, e.ResultSince = at.Time, version.Time, current.Time, due.Time, since.Time
		e.FiresAt, e.SuppressedUntil, e.AlertSince, e.LastAlertAt = fires.Time, suppressed.Time, opened.Time, lastAt.Time
		return e, err
	}, `
		SELECT coalesce(target_name, ''), coalesce(tenant, ''), verdict, is_enabled, definition_version, every_minutes, pending_minutes,
		       no_data_minutes, no_data_state, evaluated_at, evaluated_version, next_due, coalesce(missed, 0), coalesce(condition, ''), inputs,
		       coalesce(recorded_result, ''), recorded_value::float8, coalesce(recorded_reason, ''), result_since, coalesce(decision, ''),
		       coalesce(result, ''), agrees, fires_at, suppressed_until, coalesce(open_alert, ''), coalesce(open_status, ''), open_since,
		       coalesce(last_alert, ''), last_alert_at, coalesce(decision_reason, '')
		  FROM monitoring.explain_definition($1, $2)`, key, optional(target))
	for i := range list {
		if err == nil {
			err = s.compare(ctx, &list[i].Verdict)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("explain definition %s: %w", key, err)
	}
	return list, nil
}

// compare takes the condition apart over the inputs that were recorded.
func (s *Store) compare(ctx context.Context, v *Verdict) error {
	v.Comparisons = []Comparison{} // [], not null
	if v.Again == "" || v.Agrees == nil {
		return nil
	}
	list, err := all(ctx, s, pgx.RowToStructByPos[Comparison], `
		SELECT comparison, coalesce(left_value, ''), operator, coalesce(right_value, ''), result, decided, alone
		  FROM monitoring.explain_condition($1, $2)
		 ORDER BY ordinal`, v.Condition, v.Inputs)
	if refused := (*Refusal)(nil); v.Again == "ERROR" && errors.As(err, &refused) {
		return nil // a condition that cannot even be read has no comparisons; Again says so
	}
	if err != nil {
		return err
	}
	v.Comparisons = append(v.Comparisons, list...)
	return nil
}

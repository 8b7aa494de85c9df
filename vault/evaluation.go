package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

// Evaluation is the outcome of one look at one definition.
type Evaluation struct {
	DefinitionKey string
	Result        string // TRUE, FALSE, NO_DATA, ERROR
	Decision      string // see monitoring.alert_evaluation_s.decision
}

// EvaluateDue evaluates the definitions that are due on a target and records each. every 0: each by its
// own frequency; otherwise all whose last evaluation is that old.
func (s *Store) EvaluateDue(ctx context.Context, target string, every time.Duration) ([]Evaluation, error) {
	var interval *time.Duration
	if every > 0 {
		interval = &every
	}
	evaluations, err := all(ctx, s, pgx.RowToStructByPos[Evaluation], `
		SELECT definition_key, result, decision FROM monitoring.evaluate_due($1, $2)`, target, interval)
	if err != nil {
		return nil, fmt.Errorf("evaluate definitions: %w", err)
	}
	return evaluations, nil
}

// EvaluateSources evaluates at once the definitions of some metric sources on a target, whenever they were
// looked at last, and records each.
func (s *Store) EvaluateSources(ctx context.Context, target string, sources []string) ([]Evaluation, error) {
	evaluations, err := all(ctx, s, pgx.RowToStructByPos[Evaluation], `
		SELECT definition_key, result, decision FROM monitoring.evaluate_due($1, '0', $2)`, target, sources)
	if err != nil {
		return nil, fmt.Errorf("evaluate definitions of %v: %w", sources, err)
	}
	return evaluations, nil
}

// Definition returns the current version of a definition and whether it is enabled; ErrNotFound when
// there is none.
func (s *Store) Definition(ctx context.Context, key string) (alert.Definition, bool, error) {
	type row struct {
		definition alert.Definition
		enabled    bool
	}
	found, err := one(ctx, s, func(r pgx.CollectableRow) (row, error) {
		var (
			out     row
			minutes int
			d       = &out.definition
		)
		err := r.Scan(&d.Key, &d.Version, &d.Name, &d.Description, &d.Category, &d.Severity, &d.Condition, &d.Threshold, &d.Operator,
			&d.RunbookURL, &d.Runbook, &d.AutoResolve, &d.EscalationEnabled, &minutes, &out.enabled, &d.Policy)
		d.Version = d.Version.UTC()
		d.EscalationDelay = time.Duration(minutes) * time.Minute
		return out, err
	}, `
		SELECT h.alert_definition_bk, d.load_date, d.alert_name, coalesce(d.alert_description, ''), d.alert_category, d.alert_severity,
		       d.condition_logic, d.threshold_value::float8, coalesce(d.threshold_operator, ''), coalesce(d.runbook_url, ''), coalesce(d.runbook, ''),
		       d.auto_resolve, d.escalation_enabled, d.escalation_delay_minutes, d.is_enabled,
		       monitoring.escalation_policy_of(d, clock_timestamp())
		  FROM monitoring.alert_definition_h h
		  JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
		 WHERE h.alert_definition_bk = $1`, key)
	if errors.Is(err, pgx.ErrNoRows) {
		return alert.Definition{}, false, fmt.Errorf("alert definition %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return alert.Definition{}, false, fmt.Errorf("read alert definition %s: %w", key, err)
	}
	return found.definition, found.enabled, nil
}

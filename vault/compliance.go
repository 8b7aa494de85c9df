package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/compliance.sql
	complianceSQL string
	//go:embed sql/compliance_history.sql
	complianceHistorySQL string
)

// ControlResult is what one control found, as record_compliance_results takes it.
type ControlResult struct {
	Control     string          `json:"control"`
	Title       string          `json:"title"`
	Asks        string          `json:"asks"`
	Category    string          `json:"category"`
	Severity    string          `json:"severity"`
	Remediation string          `json:"remediation"`
	Source      string          `json:"source,omitempty"`
	Status      string          `json:"status"`
	Score       *float64        `json:"score,omitempty"` // percent; nil: not tested
	Evidence    map[string]any  `json:"evidence"`
	Clauses     []ControlClause `json:"clauses"`
}

// ControlClause is what one framework asks of a control.
type ControlClause struct {
	Framework string `json:"framework,omitempty"`
	Clause    string `json:"clause"`
	Text      string `json:"text"`
}

// RecordCompliance writes one run of the controls on a target, once, and returns how many versions were new.
// A whole run says of the controls that are not among its results that they are run no more.
func (s *Store) RecordCompliance(ctx context.Context, target string, at time.Time, run string, results []ControlResult, whole bool) (int, error) {
	if results == nil {
		results = []ControlResult{} // [], not null
	}
	written, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.record_compliance_results($1, $2, $3, $4, $5)", target, at, run, results, whole)
	if err != nil {
		return 0, fmt.Errorf("record the controls of %s: %w", target, err)
	}
	return written, nil
}

// ListedControl is how a control of a framework stands on a target.
type ListedControl struct {
	Target      string          `json:"target"`
	Framework   string          `json:"framework"`
	Control     string          `json:"control"`
	Title       string          `json:"title"`
	Asks        string          `json:"asks,omitempty"`
	Category    string          `json:"category,omitempty"`
	Severity    string          `json:"severity,omitempty"`
	Clauses     []ControlClause `json:"clauses"`
	Status      string          `json:"status"` // COMPLIANT, PARTIALLY_COMPLIANT, NON_COMPLIANT, NOT_TESTED
	Score       *float64        `json:"score,omitempty"`
	Since       time.Time       `json:"status_since,omitzero"`
	CheckedAt   time.Time       `json:"checked_at,omitzero"`
	Required    bool            `json:"remediation_required"`
	Deadline    string          `json:"remediation_deadline,omitempty"` // YYYY-MM-DD
	Overdue     bool            `json:"overdue"`
	Remediation string          `json:"remediation,omitempty"`
	Evidence    json.RawMessage `json:"evidence,omitempty"`
	Source      string          `json:"evidence_location,omitempty"`
	Run         string          `json:"run,omitempty"` // the workflow's, for the audit trail
}

// Compliance lists how the controls of a target, empty: of all, stand, the worst first.
func (s *Store) Compliance(ctx context.Context, target string, now time.Time) ([]ListedControl, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (c ListedControl, err error) {
		var since, checked Timestamp
		err = row.Scan(&c.Target, &c.Framework, &c.Control, &c.Title, &c.Asks, &c.Category, &c.Severity, &c.Clauses, &c.Status, &c.Score,
			&since, &checked, &c.Required, &c.Deadline, &c.Overdue, &c.Remediation, &c.Evidence, &c.Source, &c.Run)
		c.Since, c.CheckedAt = since.Time, checked.Time
		return c, err
	}, complianceSQL, optional(target), now)
	if err != nil {
		return nil, fmt.Errorf("list the controls: %w", err)
	}
	return list, nil
}

// ControlPeriod is a time in which each run of a control found the same status.
type ControlPeriod struct {
	Target string    `json:"target"`
	Status string    `json:"status"`
	From   time.Time `json:"from"`
	Last   time.Time `json:"last"` // the last run that found it
	Runs   int       `json:"runs"`
}

// ControlHistory tells which statuses a control had on the targets, the newest first.
func (s *Store) ControlHistory(ctx context.Context, target, control string) ([]ControlPeriod, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (p ControlPeriod, err error) {
		var from, last Timestamp
		err = row.Scan(&p.Target, &p.Status, &from, &last, &p.Runs)
		p.From, p.Last = from.Time, last.Time
		return p, err
	}, complianceHistorySQL, optional(target), control)
	if err != nil {
		return nil, fmt.Errorf("read the history of control %s: %w", control, err)
	}
	return list, nil
}

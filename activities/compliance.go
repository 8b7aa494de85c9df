package activities

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"onevault/collect"
	"onevault/vault"
)

// CheckComplianceInput names a target, and the moment and the run that its results are recorded under: the
// same at a retry, so that they are recorded once. A framework restricts the run to its controls.
type CheckComplianceInput struct {
	Target    string    `json:"target"`
	Framework string    `json:"framework,omitempty"`
	At        time.Time `json:"at"`
	Run       string    `json:"run"`
}

// CheckComplianceOutput counts what the controls found.
type CheckComplianceOutput struct {
	Controls     int              `json:"controls"`
	Compliant    int              `json:"compliant"`
	Partial      int              `json:"partial"`
	NonCompliant int              `json:"non_compliant"`
	NotTested    int              `json:"not_tested"`
	Recorded     int              `json:"recorded"` // versions, one for each framework; 0: an earlier attempt recorded them
	Findings     []ControlFinding `json:"findings,omitempty"`
	Problems     []string         `json:"problems,omitempty"` // files of controls that are none
	Error        string           `json:"error,omitempty"`    // why nothing was run
}

// ControlFinding is a control that is not met.
type ControlFinding struct {
	Control  string `json:"control"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Status   string `json:"status"`
}

// CheckCompliance runs the controls on a target, those of ControlsDir among them, and records what they
// found. A target that does not answer is an error: the controls are run once a day, so it is tried again.
func (c *Collection) CheckCompliance(ctx context.Context, in CheckComplianceInput) (CheckComplianceOutput, error) {
	controls, problems, err := c.controls()
	if err != nil {
		return CheckComplianceOutput{}, err
	}
	out := CheckComplianceOutput{Problems: problems}
	target, err := c.target(in.Target)
	if err != nil {
		out.Error = err.Error()
		return out, nil
	}
	if in.Framework != "" {
		controls = slices.DeleteFunc(controls, func(control collect.Control) bool {
			return !slices.ContainsFunc(control.Frameworks(), func(f string) bool { return collect.SameFramework(f, in.Framework) })
		})
		if len(controls) == 0 {
			out.Error = fmt.Sprintf("no control has a clause of framework %q", in.Framework)
			return out, nil
		}
	}
	found, err := target.CheckControls(ctx, controls)
	if err != nil {
		return CheckComplianceOutput{}, err
	}
	results := make([]vault.ControlResult, len(found))
	for i, result := range found {
		results[i] = recordedResult(result)
		out.count(result)
	}
	// A directory with a problem is no proof that a control is gone.
	whole := in.Framework == "" && len(problems) == 0
	out.Recorded, err = c.Vault.RecordCompliance(ctx, in.Target, in.At, in.Run, results, whole)
	return out, classify(err)
}

func (c *Collection) controls() (controls []collect.Control, problems []string, err error) {
	if controls, err = collect.Controls(); err != nil || c.ControlsDir == "" {
		return controls, nil, err
	}
	custom, problems := collect.CustomControls(c.ControlsDir)
	return append(controls, custom...), problems, nil
}

func (out *CheckComplianceOutput) count(result collect.ControlResult) {
	out.Controls++
	switch result.Status {
	case collect.Compliant:
		out.Compliant++
		return
	case collect.NotTested:
		out.NotTested++
		return
	case collect.PartiallyCompliant:
		out.Partial++
	default:
		out.NonCompliant++
	}
	out.Findings = append(out.Findings, ControlFinding{result.Control.ID, result.Control.Title, result.Control.Severity, result.Status})
}

func recordedResult(r collect.ControlResult) vault.ControlResult {
	clauses := make([]vault.ControlClause, len(r.Control.Clauses))
	for i, clause := range r.Control.Clauses {
		clauses[i] = vault.ControlClause{Framework: clause.Framework, Clause: clause.Clause, Text: clause.Text}
	}
	source := r.Control.Evidence
	if r.Control.Custom {
		source = strings.TrimSuffix("custom control; "+source, "; ")
	}
	return vault.ControlResult{
		Control: r.Control.ID, Title: r.Control.Title, Asks: r.Control.Asks, Category: r.Control.Category, Severity: r.Control.Severity,
		Remediation: r.Control.Remediation, Source: source, Status: r.Status, Score: r.Score, Evidence: r.Evidence, Clauses: clauses,
	}
}

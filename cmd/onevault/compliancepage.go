package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"onevault/cmd/onevault/output"
	"onevault/collect"
	"onevault/report"
	"onevault/vault"
)

// page is a framework's report as a document: how it stands, what is to be done, and each clause with what
// was found.
func (r complianceReport) page() report.Document {
	d := report.Document{
		Title:  r.Framework + " on " + r.Target,
		Period: output.Moment(r.At) + ", as the newest run of each control found it",
	}
	d.Sections = append(d.Sections, r.summary(), r.findings())
	for i, clause := range r.Clauses {
		table := controlTable(clause.Controls)
		table.Title = clause.Text
		d.Sections = append(d.Sections, report.Section{ID: "clause-" + strconv.Itoa(i+1), Title: r.Framework + " " + clause.Clause, Tables: []report.Table{table}})
	}
	return d
}

func (r complianceReport) summary() report.Section {
	score := report.Fact{Label: "Score", Value: output.None, Tone: report.Faint}
	if r.Score != nil {
		score = report.Fact{Label: "Score", Value: output.Number(r.Score, "%")}
	}
	return report.Section{
		ID: "summary", Title: "How it stands",
		Facts: []report.Fact{
			score,
			{Label: "Compliant", Value: strconv.Itoa(r.Compliant), Tone: report.Good},
			{Label: "Partially", Value: strconv.Itoa(r.Partial), Tone: toneOf(r.Partial, report.Fair)},
			{Label: "Non-compliant", Value: strconv.Itoa(r.NonCompliant), Tone: toneOf(r.NonCompliant, report.Bad)},
			{Label: "Not tested", Value: strconv.Itoa(r.NotTested), Tone: report.Faint},
			{Label: "Overdue", Value: strconv.Itoa(r.Overdue), Tone: toneOf(r.Overdue, report.Bad)},
		},
		Notes: []string{
			fmt.Sprintf("The score is the mean over the %d controls that could be tested; what was not tested is neither good nor bad.", r.Controls-r.NotTested),
			"A control sees what a database server can show. It is a part of an auditor's evidence and not their judgement.",
		},
	}
}

func toneOf(n int, tone report.Tone) report.Tone {
	if n == 0 {
		return report.Faint
	}
	return tone
}

// findings are the controls that are not met, each once, with what to do, and those that nobody could test.
func (r complianceReport) findings() report.Section {
	todo := report.Table{
		Title: "Not met", Empty: "Each control that could be tested is met.",
		Columns: []report.Column{{Name: "CONTROL"}, {Name: "SEVERITY"}, {Name: "DEADLINE"}, {Name: "TITLE", Long: true}, {Name: "WHAT TO DO", Long: true}, {Name: "FOUND", Long: true}},
	}
	untested := report.Table{
		Title: "Not tested", Empty: "Each control could be tested.",
		Columns: []report.Column{{Name: "CONTROL"}, {Name: "TITLE", Long: true}, {Name: "WHY", Long: true}},
	}
	seen := map[string]bool{}
	for _, clause := range r.Clauses {
		for _, c := range clause.Controls {
			if seen[c.Control] {
				continue
			}
			seen[c.Control] = true
			switch c.Status {
			case collect.Compliant:
			case collect.NotTested:
				untested.Rows = append(untested.Rows, []report.Cell{{Text: c.Control}, {Text: c.Title}, {Text: evidenceWords(c)}})
			default:
				deadline := deadlineCell(c)
				todo.Rows = append(todo.Rows, []report.Cell{
					{Text: c.Control}, {Text: c.Severity}, {Text: deadline.Text, Tone: tones[deadline.Style]}, {Text: c.Title}, {Text: c.Remediation}, {Text: evidenceWords(c)},
				})
			}
		}
	}
	byControl := func(x, y []report.Cell) int { return strings.Compare(x[0].Text, y[0].Text) }
	slices.SortStableFunc(todo.Rows, byControl)
	slices.SortStableFunc(untested.Rows, byControl)
	return report.Section{ID: "findings", Title: "What is to be done", Tables: []report.Table{todo, untested}}
}

var tones = map[output.Style]report.Tone{output.Good: report.Good, output.Fair: report.Fair, output.Bad: report.Bad, output.Faint: report.Faint}

func controlTable(controls []vault.ListedControl) report.Table {
	t := report.Table{Columns: []report.Column{
		{Name: "CONTROL"}, {Name: "STATUS"}, {Name: "SEVERITY"}, {Name: "CHECKED"}, {Name: "SINCE"}, {Name: "TITLE", Long: true}, {Name: "ASKS", Long: true}, {Name: "SCORE", Right: true},
	}}
	for _, c := range controls {
		status := complianceCell(c.Status)
		t.Rows = append(t.Rows, []report.Cell{
			{Text: c.Control},
			{Text: status.Text, Tone: tones[status.Style]},
			{Text: c.Severity},
			{Text: output.Moment(c.CheckedAt)},
			{Text: output.Moment(c.Since)},
			{Text: c.Title},
			{Text: c.Asks},
			{Text: cmp.Or(scoreText(c), output.None)},
		})
	}
	return t
}

// evidenceWords are the parts of the evidence in one line.
func evidenceWords(c vault.ListedControl) string {
	var words []string
	for _, pair := range evidencePairs(c.Evidence) {
		words = append(words, pair[0]+" "+pair[1])
	}
	return cmp.Or(strings.Join(words, "; "), output.None)
}

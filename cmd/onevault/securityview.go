package main

import (
	"fmt"
	"strings"
	"time"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// securityFields are what matchers of security events can name.
var securityFields = []string{"id", "severity", "status", "target", "type", "user", "source", "database", "check"}

func securityField(e vault.SecurityEvent, field string) string {
	switch field {
	case "id":
		return e.ID
	case "severity":
		return string(e.Severity)
	case "status":
		return e.Status
	case "target":
		return e.Target
	case "type":
		return e.Type
	case "user":
		return e.User
	case "source":
		return e.Source
	case "database":
		return e.Database
	}
	return e.Check
}

func severityText(severity string) output.Cell { return severityCell(alert.Severity(severity)) }

func securityColumns(now time.Time) []output.Column[vault.SecurityEvent] {
	type row = vault.SecurityEvent
	return []output.Column[row]{
		{Name: "ID", Cell: func(e row) output.Cell { return output.Text(e.ID) }},
		{Name: "SEV", Cell: func(e row) output.Cell { return severityCell(e.Severity) }},
		{Name: "STATUS", Cell: func(e row) output.Cell { return securityStatusCell(e.Status) }},
		{Name: "TARGET", Cell: func(e row) output.Cell { return output.Text(e.Target) }},
		{Name: "EVENT", Cell: func(e row) output.Cell { return output.Text(e.Type) }},
		{Name: "WHO", Cell: func(e row) output.Cell { return output.Text(output.OrNone(shorten(e.User, 30))) }},
		{Name: "FROM", Cell: func(e row) output.Cell { return output.Text(output.OrNone(shorten(e.Source, 40))) }},
		{Name: "WHAT", Cell: func(e row) output.Cell { return output.Text(output.OrNone(shorten(whatHappened(e), 60))) }},
		{Name: "AGE", Cell: func(e row) output.Cell { return output.Text(output.Age(now, e.At)) }},
		{Name: "FALSE?", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.Number(e.Likelihood, "%")) }},
		{Name: "DATABASE", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Database)) }},
		{Name: "CHECK", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.Check)) }},
		{Name: "CHANGED BY", Wide: true, Cell: func(e row) output.Cell { return output.Text(output.OrNone(e.ChangedBy)) }},
	}
}

func securityStatusCell(status string) output.Cell {
	style := map[string]output.Style{"INVESTIGATING": output.Note, "RESOLVED": output.Good, "FALSE_POSITIVE": output.Faint}[status]
	return output.Cell{Text: status, Style: style}
}

// whatHappened is the part of the evidence that a list has room for.
func whatHappened(e vault.SecurityEvent) string {
	parts := map[string]string{}
	for _, pair := range evidencePairs(e.Evidence) {
		parts[pair[0]] = pair[1]
	}
	switch {
	case parts["failures"] != "" && parts["succeeded_afterwards"] != "":
		return parts["failures"] + " failures, then a log-in"
	case parts["failures"] != "" && parts["users"] != "":
		return parts["failures"] + " failures, " + parts["users"] + " users"
	case parts["failures"] != "" && parts["addresses"] != "":
		return parts["failures"] + " failures, " + parts["addresses"] + " addresses"
	case parts["failures"] != "":
		return parts["failures"] + " failures"
	case parts["provider"] != "" && parts["reason"] != "":
		return parts["provider"] + ": " + parts["reason"] + ", " + parts["count"] + " times"
	case parts["where"] != "":
		return parts["where"] + ", objects changed: " + parts["objects"]
	}
	for _, name := range []string{"what", "function", "table", "rule", "setting", "schema", "network", "object", "role"} {
		if parts[name] != "" {
			return parts[name]
		}
	}
	return strings.Join(e.Tables, ", ")
}

// wholeEvent is `security show` for programs.
type wholeEvent struct {
	vault.SecurityEvent
	History []vault.SecurityVersion `json:"history"`
}

func (a *app) showSecurityEvent(e vault.SecurityEvent, history []vault.SecurityVersion) error {
	p := a.printer()
	if done, err := p.Whole(wholeEvent{e, history}, e.ID); done {
		return err
	}
	fmt.Fprintf(a.out, "%s  %s  %s  %s on %s\n\n", e.ID, p.Paint(severityCell(e.Severity)), p.Paint(securityStatusCell(e.Status)), output.Printable(e.Type), output.Printable(e.Target))
	if err := p.Pairs([][2]string{
		{"when", output.Moment(e.At) + " (" + output.Age(a.now(), e.At) + " ago)"},
		{"who", e.User},
		{"from", e.Source},
		{"database", e.Database},
		{"tables", strings.Join(e.Tables, ", ")},
		{"found by", e.Check},
		{"likely harmless", output.Number(e.Likelihood, "%")},
		{"harmless as", e.SameAs},
		{"incidents", strings.Join(e.Incidents, ", ")},
	}); err != nil {
		return err
	}
	if err := a.section("evidence", evidencePairs(e.Evidence)); err != nil {
		return err
	}
	var actions [][2]string
	for i, action := range e.Actions {
		actions = append(actions, [2]string{fmt.Sprintf("%d.", i+1), action})
	}
	if err := a.section("what to do", actions); err != nil {
		return err
	}
	if e.Notes != "" {
		fmt.Fprintln(a.out, "\nnotes")
		for line := range strings.SplitSeq(e.Notes, "\n") {
			fmt.Fprintln(a.out, output.Printable(line))
		}
	}
	fmt.Fprintln(a.out, "\nhistory")
	return output.List(p, history, []output.Column[vault.SecurityVersion]{
		{Name: "AT", Cell: func(v vault.SecurityVersion) output.Cell { return output.Text(output.Moment(v.At)) }},
		{Name: "EVENT", Cell: func(v vault.SecurityVersion) output.Cell { return output.Text(v.Type) }},
		{Name: "SEV", Cell: func(v vault.SecurityVersion) output.Cell { return severityCell(v.Severity) }},
		{Name: "STATUS", Cell: func(v vault.SecurityVersion) output.Cell { return securityStatusCell(v.Status) }},
		{Name: "BY", Cell: func(v vault.SecurityVersion) output.Cell { return output.Text(output.OrNone(v.Actor)) }},
		{Name: "VIA", Wide: true, Cell: func(v vault.SecurityVersion) output.Cell { return output.Text(output.OrNone(v.Via)) }},
	}, func(v vault.SecurityVersion) string { return v.Status })
}

// shownCheck is a check with its state in a word.
type shownCheck struct {
	vault.CheckStatus
	State string `json:"state"` // OK, PARTIAL, SKIPPED, FAILED
}

func shownChecks(list []vault.CheckStatus) []shownCheck {
	shown := make([]shownCheck, len(list))
	for i, c := range list {
		shown[i] = shownCheck{c, c.State()}
	}
	return shown
}

func checkColumns(now time.Time) []output.Column[shownCheck] {
	type row = shownCheck
	return []output.Column[row]{
		{Name: "TARGET", Cell: func(c row) output.Cell { return output.Text(c.Target) }},
		{Name: "CHECK", Cell: func(c row) output.Cell { return output.Text(c.Check) }},
		{Name: "STATE", Cell: func(c row) output.Cell {
			style := map[string]output.Style{"OK": output.Good, "PARTIAL": output.Fair, "SKIPPED": output.Faint, "FAILED": output.Bad}[c.State]
			return output.Cell{Text: c.State, Style: style}
		}},
		{Name: "LOOKED", Cell: func(c row) output.Cell {
			if c.LookedAt.IsZero() {
				return output.Text(output.None)
			}
			return output.Text(output.Age(now, c.LookedAt) + " ago")
		}},
		{Name: "OPEN", Cell: func(c row) output.Cell { return output.Text(fmt.Sprint(c.Open)) }},
		{Name: "WHY", Cell: func(c row) output.Cell { return output.Text(output.OrNone(c.Failed + c.Skipped)) }},
		{Name: "LOOKS FOR", Wide: true, Cell: func(c row) output.Cell { return output.Text(c.Description) }},
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"onevault/alert"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// alertFields are what matchers can name.
func alertFields() []string {
	return []string{"id", "severity", "state", "target", "alert", "definition", "category", "level", "acked_by", "tenant", "labels"}
}

func alertField(l vault.ListedAlert, field string) string {
	switch field {
	case "id":
		return l.ID
	case "severity":
		return string(l.Severity)
	case "state":
		return string(l.State)
	case "target":
		return l.Target
	case "alert":
		return l.Name
	case "definition":
		return l.Definition
	case "category":
		return l.Category
	case "level":
		return strconv.Itoa(l.Level)
	case "acked_by":
		return l.AcknowledgedBy
	case "labels":
		return l.Labels.String()
	}
	return l.Tenant
}

func alertColumns(now time.Time) []output.Column[vault.ListedAlert] {
	type row = vault.ListedAlert
	return []output.Column[row]{
		{Name: "ID", Cell: func(l row) output.Cell { return output.Text(l.ID) }},
		{Name: "SEV", Cell: func(l row) output.Cell { return severityCell(l.Severity) }},
		{Name: "STATE", Cell: stateOf},
		{Name: "TARGET", Cell: func(l row) output.Cell { return output.Text(l.Target) }},
		{Name: "ALERT", Cell: func(l row) output.Cell { return output.Text(l.Title()) }},
		{Name: "VALUE", Cell: func(l row) output.Cell { return output.Text(output.Number(l.Value, l.Unit)) }},
		{Name: "THRESHOLD", Cell: func(l row) output.Cell { return output.Text(threshold(l)) }},
		{Name: "AGE", Cell: func(l row) output.Cell { return output.Text(output.Age(now, l.TriggeredAt)) }},
		{Name: "ACKED BY", Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.AcknowledgedBy)) }},
		{Name: "NEXT", Cell: func(l row) output.Cell { return nextCell(now, l) }},
		{Name: "DEFINITION", Wide: true, Cell: func(l row) output.Cell { return output.Text(l.Definition) }},
		{Name: "CATEGORY", Wide: true, Cell: func(l row) output.Cell { return output.Text(l.Category) }},
		{Name: "LEVEL", Wide: true, Cell: func(l row) output.Cell { return output.Text(strconv.Itoa(l.Level)) }},
		{Name: "TOLD", Wide: true, Cell: func(l row) output.Cell { return output.Text(strconv.Itoa(l.Notifications)) }},
		{Name: "RESOLVED BY", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.ResolvedBy)) }},
		{Name: "OPENED", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.Moment(l.TriggeredAt)) }},
	}
}

func severityCell(s alert.Severity) output.Cell {
	style := output.Plain
	switch s {
	case alert.SeverityCritical:
		style = output.Bad
	case alert.SeverityHigh:
		style = output.Poor
	case alert.SeverityMedium:
		style = output.Fair
	case alert.SeverityLow:
		style = output.Note
	}
	return output.Cell{Text: string(s), Style: style}
}

func stateCell(s alert.Status) output.Cell {
	style := output.Plain
	switch s {
	case alert.StatusEscalated:
		style = output.Bad
	case alert.StatusAcknowledged:
		style = output.Note
	case alert.StatusResolved:
		style = output.Good
	case alert.StatusSuppressed:
		style = output.Faint
	case alert.StatusOpen:
	}
	return output.Cell{Text: string(s), Style: style}
}

// stateOf is the state of an alert, and whether it comes and goes.
func stateOf(l vault.ListedAlert) output.Cell {
	cell := stateCell(l.State)
	if !l.FlappingSince.IsZero() {
		cell.Text += " flapping"
	}
	return cell
}

func threshold(l vault.ListedAlert) string {
	if l.Threshold == nil {
		return output.None
	}
	return strings.TrimSpace(l.Operator + " " + output.Number(l.Threshold, l.ThresholdUnit))
}

// lateAfter is how long an escalation may be behind before it is said: the vault learns of it a moment
// after it happened.
const lateAfter = 5 * time.Second

// nextCell says what happens unless somebody answers. It comes from the vault's own marks, so that a list
// costs the workflows nothing; an escalation that should have come means that no worker runs.
func nextCell(now time.Time, l vault.ListedAlert) output.Cell {
	for _, until := range []time.Time{l.AcknowledgedUntil, l.SnoozedUntil} {
		if until.After(now) {
			return output.Text("pages again in " + output.Span(until.Sub(now)))
		}
	}
	if m := l.Mute; m != nil {
		if m.Until.IsZero() {
			return output.Cell{Text: fmt.Sprintf("muted by %s (%s)", m.By, m.ID), Style: output.Faint}
		}
		return output.Cell{Text: fmt.Sprintf("muted for %s (%s)", output.Span(m.Until.Sub(now)), m.ID), Style: output.Faint}
	}
	if l.NextLevel == 0 {
		return output.Text(output.None)
	}
	left := l.NextAt.Sub(now)
	switch {
	case left < -lateAfter:
		return output.Cell{Text: fmt.Sprintf("level %d late by %s", l.NextLevel, output.Span(-left)), Style: output.Bad}
	case left <= 0:
		return output.Text(fmt.Sprintf("level %d now", l.NextLevel))
	}
	return output.Text(fmt.Sprintf("level %d in %s", l.NextLevel, output.Span(left)))
}

// shownAlert is `alert show` for programs.
type shownAlert struct {
	vault.ListedAlert
	Told []vault.Told `json:"told"`
}

func (a *app) showAlert(l vault.ListedAlert, told []vault.Told) error {
	p := a.printer()
	switch {
	case p.Structured():
		if told == nil {
			told = []vault.Told{}
		}
		return p.Value(shownAlert{l, told})
	case p.Format == output.Name:
		_, err := fmt.Fprintln(a.out, l.ID)
		return err
	}
	now := a.now()
	fmt.Fprintf(a.out, "%s  %s  %s  %s on %s\n\n", l.ID, p.Paint(severityCell(l.Severity)), p.Paint(stateOf(l)),
		output.Printable(l.Title()), output.Printable(l.Target))
	if err := p.Pairs(alertPairs(now, l)); err != nil {
		return err
	}
	if len(told) == 0 {
		fmt.Fprintln(a.out, "\nnobody was told")
		return nil
	}
	fmt.Fprintln(a.out, "\ntold:")
	return output.List(p, told, toldColumns(now), nil)
}

func muteText(m *alert.Mute) string {
	if m == nil {
		return ""
	}
	return m.Reason()
}

func alertPairs(now time.Time, l vault.ListedAlert) [][2]string {
	ago := func(at time.Time, words ...string) string {
		if at.IsZero() {
			return ""
		}
		return strings.Join(append(words, output.Moment(at), "("+output.Age(now, at)+" ago)"), " ")
	}
	by := func(at time.Time, who, notes string) string {
		if at.IsZero() {
			return ""
		}
		text := "by " + who + ", " + ago(at)
		if notes != "" {
			text += ": " + notes
		}
		return text
	}
	next := nextCell(now, l).Text
	if next == output.None {
		next = ""
	}
	pairs := [][2]string{
		{"what", l.Description},
		{"opened", ago(l.TriggeredAt)},
		{"opened again", reopenedText(l, ago(l.ReopenedAt))},
		{"flapping", flappingText(l, ago(l.FlappingSince, "since"))},
		{"value", strings.TrimSpace(output.Number(l.Value, l.Unit) + ", threshold " + threshold(l))},
		{"condition", l.Condition},
		{"inputs", inputsText(l.Inputs)},
		{"reason", l.Reason},
		{"suppressed", l.SuppressionReason},
		{"muted", muteText(l.Mute)},
		{"acknowledged", by(l.AcknowledgedAt, l.AcknowledgedBy, l.AcknowledgedNotes)},
		{"until", when(l.AcknowledgedUntil)},
		{"snoozed", snoozed(l)},
		{"resolved", by(l.ResolvedAt, l.ResolvedBy, l.ResolvedNotes)},
		{"false positive", falsePositive(l)},
		{"level", strings.TrimSpace(strconv.Itoa(l.Level) + " " + ofPolicy(l.Policy))},
		{"next", next},
		{"last change", ago(l.ChangedAt) + via(l.ChangedVia)},
	}
	pairs = append(pairs, runbookPairs(l.Runbook, l.RunbookURL)...)
	return append(pairs,
		[2]string{"definition", l.Definition + ", version of " + output.Moment(l.DefinitionVersion)},
		[2]string{"workflow", l.WorkflowID},
		[2]string{"hash key", l.HashKey},
	)
}

func ofPolicy(key string) string {
	if key == "" {
		return ""
	}
	return "of " + key
}

func when(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return output.Moment(at)
}

func snoozed(l vault.ListedAlert) string {
	if l.SnoozedUntil.IsZero() {
		return ""
	}
	return "until " + output.Moment(l.SnoozedUntil) + " by " + l.ChangedBy + ": " + l.ChangeNotes
}

func falsePositive(l vault.ListedAlert) string {
	switch {
	case !l.FalsePositive:
		return ""
	case l.ChangedBy != "": // said after its end
		return "by " + l.ChangedBy + ": " + l.ChangeNotes
	}
	return "by " + l.ResolvedBy
}

// runbookPairs breaks a runbook that has the form of ours, "<meaning> Look: ... Do: ...", into its lines.
func runbookPairs(text, url string) [][2]string {
	means, rest, looks := strings.Cut(text, " Look: ")
	look, do, acts := strings.Cut(rest, " Do: ")
	if !looks || !acts {
		return [][2]string{{"runbook", strings.TrimSpace(text + " " + url)}}
	}
	return [][2]string{{"means", means}, {"look at", look}, {"to do", do}, {"runbook", url}}
}

func reopenedText(l vault.ListedAlert, last string) string {
	switch l.Reopened {
	case 0:
		return ""
	case 1:
		return "once, " + last
	}
	return fmt.Sprintf("%d times, last %s", l.Reopened, last)
}

func flappingText(l vault.ListedAlert, since string) string {
	if since == "" {
		return ""
	}
	return since + ": " + l.FlappingReason + "; it ends when it is stable"
}

func via(text string) string {
	if text == "" {
		return ""
	}
	return " via " + text
}

// inputsText prints what a condition saw: name=value, in the order of the names.
func inputsText(inputs json.RawMessage) string {
	var values map[string]json.RawMessage
	if json.Unmarshal(inputs, &values) != nil {
		return string(inputs) // no object: shown as it is
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, name+"="+trimZeros(string(values[name])))
	}
	return strings.Join(parts, "  ")
}

// trimZeros prints the vault's 75.0000 as 75.
func trimZeros(value string) string {
	if _, err := strconv.ParseFloat(value, 64); err != nil || !strings.Contains(value, ".") {
		return value
	}
	return strings.TrimSuffix(strings.TrimRight(value, "0"), ".")
}

func toldColumns(now time.Time) []output.Column[vault.Told] {
	type row = vault.Told
	return []output.Column[row]{
		{Name: "EVENT", Cell: func(t row) output.Cell { return output.Text(t.Event) }},
		{Name: "CHANNEL", Cell: func(t row) output.Cell { return output.Text(t.Channel) }},
		{Name: "RECIPIENT", Cell: func(t row) output.Cell { return output.Text(output.OrNone(t.Recipient)) }},
		{Name: "STATUS", Cell: func(t row) output.Cell { return deliveryCell(t.Status) }},
		{Name: "AGE", Cell: func(t row) output.Cell { return output.Text(output.Age(now, t.At)) }},
		{Name: "PROOF OR REASON", Cell: func(t row) output.Cell {
			text := proofOrReason(t.Proof, t.Reason, t.PossibleDuplicate)
			if t.InStorm {
				text = strings.TrimSuffix("as part of a storm: "+text, ": ")
			}
			return output.Text(text)
		}},
	}
}

func deliveryCell(status string) output.Cell {
	style := output.Plain
	switch status {
	case "DELIVERED":
		style = output.Good
	case "FAILED", "BOUNCED":
		style = output.Bad
	case "PENDING", "SENT", "DELAYED":
		style = output.Fair
	}
	return output.Cell{Text: status, Style: style}
}

func proofOrReason(proof, reason string, possibleDuplicate bool) string {
	text := proof
	if text == "" {
		text = reason
	}
	if possibleDuplicate {
		text = strings.TrimSpace(text + " (possible duplicate)")
	}
	return output.OrNone(text)
}

func momentName(m vault.Moment) string {
	return m.At.UTC().Format(time.RFC3339Nano) + " " + m.Kind + " " + m.Status
}

func momentColumns(l vault.ListedAlert) []output.Column[vault.Moment] {
	type row = vault.Moment
	return []output.Column[row]{
		{Name: "WHEN (UTC)", Cell: func(m row) output.Cell { return output.Text(m.At.UTC().Format("2006-01-02 15:04:05.000")) }},
		{Name: "WHAT", Cell: momentCell},
		{Name: "WHO", Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Actor)) }},
		{Name: "DETAILS", Cell: func(m row) output.Cell { return output.Text(output.OrNone(momentDetails(m, l.Unit))) }},
		{Name: "RECORDED", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.Moment(m.RecordedAt)) }},
		{Name: "VIA", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Via)) }},
	}
}

func momentCell(m vault.Moment) output.Cell {
	switch m.Kind {
	case "EVALUATION":
		return output.Cell{Text: "decided " + m.Status, Style: output.Faint}
	case "NOTIFICATION":
		return output.Cell{Text: m.Event + " to " + m.Channel, Style: deliveryCell(m.Status).Style}
	case "RECEIPT":
		return output.Cell{Text: "receipt for " + m.Event + " to " + m.Channel, Style: deliveryCell(m.Status).Style}
	}
	switch m.Status {
	case "NOTIFIED":
		return output.Text("messages counted")
	case "SNOOZED":
		return output.Cell{Text: "snoozed", Style: output.Note}
	case "FALSE_POSITIVE":
		return output.Cell{Text: "called a false positive", Style: output.Note}
	}
	cell := stateCell(alert.Status(m.Status))
	if m.Status == string(alert.StatusEscalated) {
		cell.Text += " to level " + strconv.Itoa(m.Level)
	}
	return cell
}

func momentDetails(m vault.Moment, unit string) string {
	switch {
	case m.Kind == "EVALUATION":
		return strings.TrimSpace(m.Result + "  " + inputsText(m.Inputs) + "  " + m.Notes)
	case m.Kind == "NOTIFICATION":
		return notificationDetails(m)
	case m.Kind == "RECEIPT":
		return strings.TrimSuffix(m.Status+", "+m.Recipient+", "+m.Notes, ", ")
	case m.Status == "NOTIFIED":
		return fmt.Sprintf("%d delivered so far", m.Messages)
	case m.Notes != "":
		return m.Notes
	case m.Status == string(alert.StatusOpen):
		return "value " + output.Number(m.Value, unit)
	}
	return ""
}

// notificationDetails tells an intent, an attempt that failed and will be repeated, and an end apart.
func notificationDetails(m vault.Moment) string {
	attempt := "attempt " + strconv.Itoa(m.Attempt+1) // the ledger counts retries
	var text string
	switch {
	case m.Status == "PENDING" && m.Class == "":
		text = attempt + " begun"
	case m.Status == "PENDING":
		text = attempt + " " + m.Class + ", will be repeated"
	default:
		text = m.Status + " by " + attempt
		if m.Class != "" {
			text += " " + m.Class
		}
	}
	if m.DurationMS > 0 {
		text += fmt.Sprintf(" in %d ms", m.DurationMS)
	}
	for _, part := range []string{m.Recipient, m.Proof, m.Notes} {
		if part != "" {
			text += ", " + part
		}
	}
	if m.ExternalID != "" {
		text += ", provider's id " + m.ExternalID
	}
	if m.PossibleDuplicate {
		text += ", possible duplicate"
	}
	return text
}

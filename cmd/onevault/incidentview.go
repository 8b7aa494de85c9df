package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"onevault/cmd/onevault/output"
	"onevault/command"
	"onevault/incident"
	"onevault/vault"
)

// shownIncident is an incident for programs: with how it stands to its limits now.
type shownIncident struct {
	vault.ListedIncident
	SLA incident.SLA `json:"sla"`
}

func shownIncidents(now time.Time, list []vault.ListedIncident) []shownIncident {
	shown := make([]shownIncident, len(list))
	for i, l := range list {
		shown[i] = shownIncident{l, l.Incident.SLA(now)}
	}
	return shown
}

// incidentFields are what matchers can name.
func incidentFields() []string {
	return []string{"id", "priority", "severity", "state", "sla", "breached", "title", "assigned", "service", "created_by", "tenant"}
}

func incidentField(now time.Time, l vault.ListedIncident, field string) string {
	switch field {
	case "id":
		return l.ID
	case "priority":
		return l.Priority
	case "severity":
		return string(l.Severity)
	case "state":
		return string(l.Status)
	case "sla":
		return string(l.Incident.SLA(now))
	case "breached":
		return strconv.FormatBool(l.SLABreach)
	case "title":
		return l.Title
	case "assigned":
		return l.AssignedTo
	case "service":
		return strings.Join(l.Services, ",")
	case "created_by":
		return l.CreatedBy
	}
	return l.Tenant
}

func incidentColumns(now time.Time) []output.Column[shownIncident] {
	type row = shownIncident
	return []output.Column[row]{
		{Name: "ID", Cell: func(l row) output.Cell { return output.Text(l.ID) }},
		{Name: "PRI", Cell: func(l row) output.Cell {
			return output.Cell{Text: l.Priority, Style: severityCell(l.Severity).Style}
		}},
		{Name: "STATE", Cell: func(l row) output.Cell { return incidentStateCell(l.Status) }},
		{Name: "SLA", Cell: func(l row) output.Cell { return slaCell(now, l.Incident) }},
		{Name: "TITLE", Cell: func(l row) output.Cell { return output.Text(shorten(l.Title, 60)) }},
		{Name: "ALERTS", Cell: func(l row) output.Cell { return output.Text(fmt.Sprintf("%d of %d", l.ActiveAlerts, l.Alerts)) }},
		{Name: "AGE", Cell: func(l row) output.Cell { return output.Text(output.Age(now, l.CreatedAt)) }},
		{Name: "ASSIGNED", Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.AssignedTo)) }},
		{Name: "RESPONDED BY", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.FirstResponseBy)) }},
		{Name: "RESPONSE", Wide: true, Cell: func(l row) output.Cell { return output.Text(minutesText(l.ResponseMinutes)) }},
		{Name: "RESOLVED BY", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(l.ResolvedBy)) }},
		{Name: "RESOLUTION", Wide: true, Cell: func(l row) output.Cell { return output.Text(minutesText(l.ResolutionMinutes)) }},
		{Name: "SERVICES", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.OrNone(strings.Join(l.Services, ","))) }},
		{Name: "CREATED", Wide: true, Cell: func(l row) output.Cell { return output.Text(output.Moment(l.CreatedAt)) }},
	}
}

// shorten cuts a text for a table, at a character.
func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-3]) + "..."
}

func minutesText(minutes *int) string {
	if minutes == nil {
		return output.None
	}
	return strconv.Itoa(*minutes) + "m"
}

func incidentStateCell(s incident.Status) output.Cell {
	style := output.Plain
	switch s {
	case incident.StatusInvestigating:
		style = output.Note
	case incident.StatusResolved:
		style = output.Good
	case incident.StatusClosed:
		style = output.Faint
	case incident.StatusOpen:
	}
	return output.Cell{Text: string(s), Style: style}
}

// slaCell says how long a limit still holds, or for how long it has not held.
func slaCell(now time.Time, i incident.Incident) output.Cell {
	limit, what := incident.ResponseLimit, "response"
	switch i.Status {
	case incident.StatusInvestigating:
		limit, what = incident.ResolutionLimit, "resolution"
	case incident.StatusResolved, incident.StatusClosed:
		if i.SLABreach {
			return output.Cell{Text: "breached", Style: output.Poor}
		}
		return output.Cell{Text: "kept", Style: output.Good}
	case incident.StatusOpen:
	}
	left := limit - now.Sub(i.CreatedAt)
	switch {
	case left < 0:
		return output.Cell{Text: what + " overdue by " + output.Span(-left), Style: output.Bad}
	case left < limit/3:
		return output.Cell{Text: what + " due in " + output.Span(left), Style: output.Fair}
	}
	return output.Text(what + " due in " + output.Span(left))
}

// wholeIncident is `incident show` for programs.
type wholeIncident struct {
	shownIncident
	LinkedAlerts []vault.IncidentAlert  `json:"linked_alerts"`
	Timeline     []vault.IncidentMoment `json:"timeline"`
}

func (a *app) showIncident(l vault.ListedIncident, alerts []vault.IncidentAlert, moments []vault.IncidentMoment) error {
	p := a.printer()
	now := a.now()
	switch {
	case p.Structured():
		if alerts == nil {
			alerts = []vault.IncidentAlert{} // [], not null
		}
		return p.Value(wholeIncident{shownIncident{l, l.Incident.SLA(now)}, alerts, moments})
	case p.Format == output.Name:
		_, err := fmt.Fprintln(a.out, l.ID)
		return err
	}
	fmt.Fprintf(a.out, "%s  %s  %s  %s\n\n", l.ID, p.Paint(output.Cell{Text: l.Priority, Style: severityCell(l.Severity).Style}),
		p.Paint(incidentStateCell(l.Status)), output.Printable(l.Title))
	if err := p.Pairs(incidentPairs(now, l)); err != nil {
		return err
	}
	if len(alerts) == 0 {
		fmt.Fprintln(a.out, "\nno alerts")
	} else {
		fmt.Fprintln(a.out, "\nalerts:")
		if err := output.List(p, alerts, incidentAlertColumns(now), nil); err != nil {
			return err
		}
	}
	var notes []vault.IncidentMoment
	for _, m := range moments {
		if m.Kind == "NOTE" {
			notes = append(notes, m)
		}
	}
	if len(notes) == 0 {
		return nil
	}
	fmt.Fprintln(a.out, "\nnotes:")
	return output.List(p, notes, noteColumns(now), nil)
}

func incidentPairs(now time.Time, l vault.ListedIncident) [][2]string {
	by := func(at time.Time, who, text string) string {
		if at.IsZero() {
			return ""
		}
		line := output.Moment(at) + " (" + output.Age(now, at) + " ago)"
		if who != "" {
			line = "by " + who + ", " + line
		}
		if text != "" {
			line += ": " + text
		}
		return line
	}
	breach := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return "at " + output.Moment(at)
	}
	after := func(minutes *int) string {
		if minutes == nil {
			return ""
		}
		return "after " + strconv.Itoa(*minutes) + "m"
	}
	return [][2]string{
		{"what", l.Description},
		{"severity", string(l.Severity)},
		{"services", strings.Join(l.Services, ", ")},
		{"assigned to", l.AssignedTo},
		{"created", by(l.CreatedAt, l.CreatedBy, "")},
		{"first response", by(l.FirstResponseAt, l.FirstResponseBy, after(l.ResponseMinutes))},
		{"reopened", by(l.ReopenedAt, "", "")},
		{"resolved", by(l.ResolvedAt, l.ResolvedBy, strings.TrimPrefix(after(l.ResolutionMinutes)+", "+l.Summary, ", "))},
		{"closed", by(l.ClosedAt, l.ClosedBy, "")},
		{"root cause", l.RootCause},
		{"sla", slaCell(now, l.Incident).Text},
		{"response limit passed", breach(l.ResponseBreach)},
		{"resolution limit passed", breach(l.ResolutionBreach)},
		{"last change", by(l.ChangedAt, l.ChangedBy, "") + via(l.ChangedVia)},
		{"workflow", l.WorkflowID},
		{"hash key", l.HashKey},
	}
}

func incidentAlertColumns(now time.Time) []output.Column[vault.IncidentAlert] {
	type row = vault.IncidentAlert
	return []output.Column[row]{
		{Name: "ID", Cell: func(r row) output.Cell { return output.Text(r.ID) }},
		{Name: "SEV", Cell: func(r row) output.Cell { return severityCell(r.Severity) }},
		{Name: "STATE", Cell: func(r row) output.Cell {
			cell := stateCell(r.State)
			if !r.Until.IsZero() {
				cell = output.Cell{Text: cell.Text + " (left)", Style: output.Faint}
			}
			return cell
		}},
		{Name: "TARGET", Cell: func(r row) output.Cell { return output.Text(r.Target) }},
		{Name: "ALERT", Cell: func(r row) output.Cell { return output.Text(r.Name) }},
		{Name: "AGE", Cell: func(r row) output.Cell { return output.Text(output.Age(now, r.TriggeredAt)) }},
		{Name: "ENDED", Cell: func(r row) output.Cell {
			if r.ResolvedAt.IsZero() {
				return output.Text(output.None)
			}
			return output.Text(output.Age(now, r.ResolvedAt) + " ago")
		}},
	}
}

func noteColumns(now time.Time) []output.Column[vault.IncidentMoment] {
	type row = vault.IncidentMoment
	return []output.Column[row]{
		{Name: "AGE", Cell: func(m row) output.Cell { return output.Text(output.Age(now, m.At)) }},
		{Name: "WHO", Cell: func(m row) output.Cell { return output.Text(m.Actor) }},
		{Name: "NOTE", Cell: func(m row) output.Cell { return output.Text(m.Details) }},
	}
}

func incidentMomentName(m vault.IncidentMoment) string {
	return m.At.UTC().Format(time.RFC3339Nano) + " " + m.Kind + " " + m.What
}

func incidentMomentColumns() []output.Column[vault.IncidentMoment] {
	type row = vault.IncidentMoment
	return []output.Column[row]{
		{Name: "WHEN (UTC)", Cell: func(m row) output.Cell { return output.Text(m.At.UTC().Format("2006-01-02 15:04:05.000")) }},
		{Name: "WHAT", Cell: incidentMomentCell},
		{Name: "WHO", Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Actor)) }},
		{Name: "DETAILS", Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Details)) }},
		{Name: "RECORDED", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.Moment(m.RecordedAt)) }},
		{Name: "VIA", Wide: true, Cell: func(m row) output.Cell { return output.Text(output.OrNone(m.Via)) }},
	}
}

func incidentMomentCell(m vault.IncidentMoment) output.Cell {
	switch m.Kind {
	case "NOTE":
		return output.Text("note")
	case "ASSIGNED":
		return output.Text("assigned to " + m.What)
	case "PRIORITY":
		return output.Text("priority " + m.What)
	case "ALERT":
		return output.Text("alerts " + strings.ToLower(m.What))
	case "LIMIT":
		return output.Cell{Text: m.What, Style: output.Bad}
	}
	return incidentStateCell(incident.Status(m.What))
}

// describeIncidentOutcome is what the person who acted reads.
func describeIncidentOutcome(now time.Time, action incidentAction, c incident.Command, o command.IncidentOutcome) string {
	i := o.Incident
	if !o.Changed {
		return unchangedIncident(now, action.kind, c, i)
	}
	var text string
	switch action.kind {
	case incident.Noted:
		text = fmt.Sprintf("noted on %s by %s", i.ID, c.Actor)
	case incident.Assigned:
		text = fmt.Sprintf("assigned %s to %s", i.ID, c.Text)
	case incident.Taken:
		text = fmt.Sprintf("%s is taken by %s%s", i.ID, i.FirstResponseBy, minutesAfter(i.ResponseMinutes))
	case incident.Reopened:
		text = fmt.Sprintf("reopened %s by %s", i.ID, c.Actor)
	case incident.Resolved:
		text = fmt.Sprintf("resolved %s by %s%s", i.ID, i.ResolvedBy, minutesAfter(i.ResolutionMinutes))
	case incident.Closed:
		text = fmt.Sprintf("closed %s by %s", i.ID, i.ClosedBy)
	case incident.Limit:
	}
	if o.OnlyInVault() {
		text += " in the vault; its workflow hears of it when it runs"
	}
	return text
}

func unchangedIncident(now time.Time, kind incident.Kind, c incident.Command, i incident.Incident) string {
	already := func(what, who string, at time.Time) string {
		return fmt.Sprintf("%s was %s by %s %s ago already (%s)", i.ID, what, who, output.Age(now, at), output.Moment(at))
	}
	switch kind {
	case incident.Taken:
		return already("taken", i.FirstResponseBy, i.FirstResponseAt)
	case incident.Resolved:
		return already("resolved", i.ResolvedBy, i.ResolvedAt)
	case incident.Closed:
		return already("closed", i.ClosedBy, i.ClosedAt)
	case incident.Assigned:
		return fmt.Sprintf("%s is assigned to %s already", i.ID, c.Text)
	case incident.Noted, incident.Reopened, incident.Limit:
	}
	return fmt.Sprintf("%s is %s: nothing was changed", i.ID, i.Status)
}

func minutesAfter(minutes *int) string {
	if minutes == nil {
		return ""
	}
	return fmt.Sprintf(", %dm after its creation", *minutes)
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

func goes(n int) string {
	if n == 1 {
		return "goes"
	}
	return "go"
}

package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"onevault/alert"
)

// status answers the query: what a person asks first.
func (r *alertRun) status() alert.GroupStatus {
	status := alert.GroupStatus{
		WorkflowID: r.id, Target: r.group.Target, Definition: r.group.Definition, WaitsFor: r.waiting(),
		NextEscalation: r.group.NextEscalation(), Unrecorded: r.recorder.unwritten(), Sending: len(r.sending),
	}
	for _, t := range r.group.Alerts {
		status.Alerts = append(status.Alerts, t.Alert)
	}
	return status
}

// waiting says what the group waits for.
func (r *alertRun) waiting() string {
	switch r.group.Status() {
	case alert.StatusOpen, alert.StatusEscalated:
		switch {
		case r.group.Snoozed():
			return waitsForSnooze
		case !r.group.Pages():
			return waitsForUnmute
		}
		return waitsForAnswer
	case alert.StatusAcknowledged:
		return waitsForResolution
	case alert.StatusResolved, alert.StatusSuppressed:
	}
	switch {
	case r.announce > 0 || len(r.sending) > 0:
		return waitsForDelivery
	case r.recorder.unwritten() > 0:
		return waitsForVault
	}
	return waitsForNothing
}

// show keeps what the Temporal UI says about the group true: search attributes when the state changed,
// and details that a person reads without JSON.
func (r *alertRun) show(ctx workflow.Context) {
	waitsFor := r.waiting()
	if shown := string(r.group.Status()) + " " + waitsFor; shown != r.shown {
		r.shown = shown
		if err := workflow.UpsertTypedSearchAttributes(ctx, attributesOf(r.group, waitsFor)...); err != nil {
			workflow.GetLogger(ctx).Warn("search attributes not set", "error", err)
		}
	}
	workflow.SetCurrentDetails(ctx, details(r.group, waitsFor))
}

func details(g *alert.Group, waitsFor string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "**%s** on **%s**, %s. Waits for %s.\n", g.Definition.Name, g.Target, g.Status(), waitsFor)
	if next := g.NextEscalation(); !next.IsZero() {
		fmt.Fprintf(&text, "\nEscalates at %s unless acknowledged.\n", next.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	text.WriteString("\n")
	for i, t := range g.Alerts {
		if i == maxListed {
			fmt.Fprintf(&text, "- and %d more\n", len(g.Alerts)-maxListed)
			break
		}
		text.WriteString("- " + line(t) + "\n")
	}
	return text.String()
}

// line says in one sentence how an alert stands.
func line(t *alert.Tracked) string {
	parts := []string{fmt.Sprintf("**%s** %s since %s", t.ShortID, t.Status, t.TriggeredAt.UTC().Format("2006-01-02 15:04:05 UTC"))}
	if t.Value != nil {
		parts = append(parts, "value "+valueOf(*t.Value, t.Unit))
	}
	if t.Level > 0 {
		parts = append(parts, fmt.Sprintf("level %d", t.Level))
	}
	if t.AcknowledgedBy != "" {
		parts = append(parts, "acknowledged by "+t.AcknowledgedBy)
	}
	if !t.AcknowledgedUntil.IsZero() {
		parts = append(parts, "until "+t.AcknowledgedUntil.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if !t.SnoozedUntil.IsZero() {
		parts = append(parts, "snoozed until "+t.SnoozedUntil.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if t.Asks() && t.Mute != nil {
		parts = append(parts, t.Mute.Reason())
	}
	if t.Storm != nil {
		parts = append(parts, inStorm(t))
	}
	if t.ResolvedBy != "" {
		parts = append(parts, "resolved by "+t.ResolvedBy)
	}
	if t.FalsePositive {
		parts = append(parts, "a false positive")
	}
	return strings.Join(append(parts, fmt.Sprintf("%d told", len(t.Told))), ", ")
}

func valueOf(value float64, unit string) string {
	if unit == "" || unit == "%" {
		return fmt.Sprintf("%g%s", value, unit)
	}
	return fmt.Sprintf("%g %s", value, unit)
}

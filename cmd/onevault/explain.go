package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/cmd/onevault/output"
	"onevault/vault"
)

func (a *app) alertExplainCommand() *cobra.Command {
	var definition, target string
	cmd := &cobra.Command{
		Use:   "explain ID | explain --definition KEY",
		Short: "Say why an alert fired, or why a definition does not: what was measured, and which comparison decided",
		Long: `Evaluate again what opened an alert, from the inputs that were recorded then, and say which comparison
decided. What is recorded and what comes out now must agree; where they do not, the exit code is 1.

With --definition: why it does not fire now. That there is no alert and that nobody looked are told apart.`,
		Example: "  onevault alert explain A-7F3K\n  onevault alert explain --definition PG_REPLICATION_LAG --target pg-prod-3",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case definition == "" && len(args) == 1 && target == "":
				return a.explainAlert(cmd.Context(), args[0])
			case definition == "" && len(args) == 1:
				return usage(errors.New("--target goes with --definition: an alert has its target"))
			case definition != "" && len(args) == 0:
				return a.explainDefinition(cmd.Context(), definition, target)
			}
			return usage(errors.New("say which alert (explain A-7F3K), or which definition (explain --definition KEY)"))
		},
	}
	cmd.Flags().StringVar(&definition, "definition", "", "explain why this definition fires or not")
	cmd.Flags().StringVar(&target, "target", "", "with --definition: on this target only")
	return cmd
}

// explainedAlert is `alert explain` for programs.
type explainedAlert struct {
	Alert       vault.ListedAlert      `json:"alert"`
	Explanation vault.AlertExplanation `json:"explanation"`
}

func (a *app) explainAlert(ctx context.Context, id string) error {
	store, found, err := a.findAlert(ctx, id)
	if err != nil {
		return err
	}
	e, err := store.ExplainAlert(ctx, found)
	if err != nil {
		return err
	}
	p := a.printer()
	switch {
	case p.Structured():
		err = p.Value(explainedAlert{found, e})
	case p.Format == output.Name:
		_, err = fmt.Fprintln(a.out, found.ID)
	default:
		err = a.printAlertExplanation(found, e)
	}
	if err == nil && e.Agrees != nil && !*e.Agrees {
		return &silent{exitError} // the output says what does not agree
	}
	return err
}

func (a *app) printAlertExplanation(l vault.ListedAlert, e vault.AlertExplanation) error {
	p := a.printer()
	fmt.Fprintf(a.out, "%s  %s  %s  %s on %s\n\n", l.ID, p.Paint(severityCell(l.Severity)), p.Paint(stateCell(l.State)),
		output.Printable(l.Title()), output.Printable(l.Target))
	fmt.Fprintln(a.out, output.Printable(firedBecause(a.now(), l, e)))
	if err := a.printComparisons(e.Verdict); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if err := p.Pairs(explanationPairs(a.now(), l, e)); err != nil {
		return err
	}
	if e.Disagreement != "" {
		fmt.Fprintln(a.out, "\n"+p.Paint(output.Cell{Text: "does not agree: " + e.Disagreement, Style: output.Bad}))
	}
	return nil
}

func (a *app) printComparisons(v vault.Verdict) error {
	if len(v.Comparisons) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	return output.List(output.Printer{Out: a.out, Format: output.Table, Color: a.printer().Color}, v.Comparisons, comparisonColumns(), nil)
}

func comparisonColumns() []output.Column[vault.Comparison] {
	type row = vault.Comparison
	return []output.Column[row]{
		{Name: "COMPARISON", Cell: func(c row) output.Cell { return output.Text(c.Text) }},
		{Name: "LEFT", Cell: func(c row) output.Cell { return output.Text(output.OrNone(c.Left)) }},
		{Name: "", Cell: func(c row) output.Cell { return output.Text(c.Operator) }},
		{Name: "RIGHT", Cell: func(c row) output.Cell { return output.Text(output.OrNone(c.Right)) }},
		{Name: "RESULT", Cell: func(c row) output.Cell { return output.Cell{Text: c.Result, Style: resultStyle(c.Result)} }},
		{Name: "DECIDED", Cell: func(c row) output.Cell {
			switch {
			case c.Alone:
				return output.Text("yes")
			case c.Decided:
				return output.Text("any of these")
			}
			return output.Text(output.None)
		}},
	}
}

// firedBecause is the sentence that somebody wants to read first.
func firedBecause(now time.Time, l vault.ListedAlert, e vault.AlertExplanation) string {
	when := fmt.Sprintf("at %s (%s ago)", output.Moment(l.TriggeredAt), output.Age(now, l.TriggeredAt))
	did := "It fired " + when
	if e.Decision == "SUPPRESSED" {
		did = "It fired " + when + " and was suppressed"
	}
	switch e.Evidence {
	case "WORKER":
		return did + ": " + e.Note + ". " + e.Reason
	case "SOURCE":
		return did + ": " + e.Note + ". " + e.Reason
	case "NONE":
		return "It was opened " + when + "; " + e.Note + ". It cannot be evaluated again."
	}
	return did + ", because " + because(e.Verdict) + "."
}

// because says what decided: "a > 10 (12 > 10)", or "any of ..." where each alone would have done.
func because(v vault.Verdict) string {
	var alone, anyOf []string
	for _, c := range v.Comparisons {
		switch {
		case c.Alone:
			alone = append(alone, comparisonText(c))
		case c.Decided:
			anyOf = append(anyOf, comparisonText(c))
		}
	}
	if len(anyOf) > 0 {
		alone = append(alone, "any of: "+strings.Join(anyOf, ", "))
	}
	if len(alone) == 0 {
		return output.OrNone(v.Reason)
	}
	return strings.Join(alone, " and ")
}

func comparisonText(c vault.Comparison) string {
	if c.Result == "NO_DATA" {
		return c.Text + " has no data"
	}
	if c.Result == "ERROR" {
		return c.Text + " cannot be computed"
	}
	sides := c.Left + " " + c.Operator + " " + c.Right
	if c.Result == "FALSE" {
		return c.Text + " is false: " + sides
	}
	if sides == c.Text {
		return c.Text
	}
	return c.Text + ": " + sides
}

func explanationPairs(now time.Time, l vault.ListedAlert, e vault.AlertExplanation) [][2]string {
	pairs := [][2]string{
		{"measured", inputsText(e.Inputs)},
		{"because", saidText(e)},
		{"condition", e.Condition},
		{"lasting since", lastingText(e)},
		{"looks", countedText(e)},
		{"opened again", reopeningText(e)},
		{"flapping", flapsText(e)},
		{"suppression", suppressionText(e)},
		{"definition", versionText(now, l, e)},
		{"since then", looksText(e)},
		{"last look", lookText(now, e.LastAt, e.LastResult, e.LastDecision, output.Number(e.LastValue, "")) + said(e.LastReason)},
		{"evidence", e.Note},
	}
	if e.Agrees != nil && *e.Agrees {
		pairs = append(pairs, [2]string{"agrees", "evaluated again it is " + e.Again + ", as recorded"})
	}
	return pairs
}

// saidText is what the source of a true condition said in words, as recorded: it cannot be computed again.
func saidText(e vault.AlertExplanation) string {
	if e.Recorded != "TRUE" {
		return "" // said already: why there is no data
	}
	return e.Reason
}

// lastingText says how long the condition had held when the alert fired, and how long it had to.
func lastingText(e vault.AlertExplanation) string {
	if e.ResultSince.IsZero() {
		return ""
	}
	wait := e.PendingMinutes
	if e.Recorded == "NO_DATA" {
		wait = e.NoDataMinutes
	}
	text := output.Moment(e.ResultSince)
	if held := e.At.Sub(e.ResultSince); held > 0 {
		text += ", " + output.Span(held) + " before"
	}
	if wait > 0 {
		text += fmt.Sprintf("; it fires after %dm", wait)
	}
	return text
}

// countedText says how many looks were TRUE when it fired, where they are counted.
func countedText(e vault.AlertExplanation) string {
	if e.CountedTrue == nil || e.CountedOf == nil {
		return ""
	}
	return fmt.Sprintf("%d of %d were TRUE; it fires with %d of %d", *e.CountedTrue, *e.CountedOf, e.FireLooks, e.OfLooks)
}

func reopeningText(e vault.AlertExplanation) string {
	if e.Reopened == 0 {
		return ""
	}
	times := "once, at "
	if e.Reopened > 1 {
		times = fmt.Sprintf("%d times, last at ", e.Reopened)
	}
	return times + output.Moment(e.ReopenedAt) + said(e.ReopenedReason)
}

func flapsText(e vault.AlertExplanation) string {
	if e.FlappingSince.IsZero() {
		return ""
	}
	return "since " + output.Moment(e.FlappingSince) + said(e.FlappingReason)
}

// said adds a reason to what was decided, where there is one.
func said(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func suppressionText(e vault.AlertExplanation) string {
	text := e.SuppressionReason
	if !e.UnsuppressedAt.IsZero() {
		text += "; people were called at " + output.Moment(e.UnsuppressedAt)
	}
	if text == "" && e.SuppressionMinutes > 0 && e.Decision == "FIRED" {
		return fmt.Sprintf("none: nobody had been called within %dm", e.SuppressionMinutes)
	}
	return text
}

func versionText(now time.Time, l vault.ListedAlert, e vault.AlertExplanation) string {
	text := l.Definition + ", version of " + output.Moment(e.Version)
	switch e.NewerVersions {
	case 0:
		return text + ", unchanged since"
	case 1:
		return text + ", changed " + output.Age(now, e.ChangedAt) + " ago"
	}
	return fmt.Sprintf("%s, changed %d times since, first %s ago", text, e.NewerVersions, output.Age(now, e.ChangedAt))
}

func looksText(e vault.AlertExplanation) string {
	if e.Looks == 0 {
		return ""
	}
	var parts []string
	for _, c := range []struct {
		n    int
		name string
	}{{e.LooksTrue, "TRUE"}, {e.LooksFalse, "FALSE"}, {e.LooksNoData, "NO_DATA"}, {e.LooksError, "ERROR"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	text := fmt.Sprintf("looked at %d times (%s)", e.Looks, strings.Join(parts, ", "))
	if e.Looks == 1 {
		text = "looked at once (" + strings.Join(parts, ", ") + ")"
	}
	if e.HeldUntil.After(e.At) {
		text += "; " + e.Recorded + " until " + output.Moment(e.HeldUntil)
	}
	if !e.ClearedAt.IsZero() {
		text += "; cleared at " + output.Moment(e.ClearedAt)
	} else if !e.FirstFalseAt.IsZero() {
		text += "; not met at " + output.Moment(e.FirstFalseAt) + ", not cleared yet"
	}
	return text
}

func lookText(now, at time.Time, result, decision, value string) string {
	if at.IsZero() {
		return ""
	}
	text := fmt.Sprintf("%s ago: %s, %s", output.Age(now, at), result, decision)
	if value != output.None {
		text += ", value " + value
	}
	return text
}

func (a *app) explainDefinition(ctx context.Context, key, target string) error {
	store, err := a.vault(ctx)
	if err != nil {
		return err
	}
	list, err := store.ExplainDefinition(ctx, key, target)
	if err != nil {
		return err
	}
	p := a.printer()
	switch {
	case p.Structured():
		err = p.Value(list)
	case p.Format == output.Name:
		_, err = fmt.Fprintln(a.out, key)
	default:
		for i, e := range list {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			if err := a.printDefinitionExplanation(key, e); err != nil {
				return err
			}
		}
	}
	if err == nil && slices.ContainsFunc(list, func(e vault.DefinitionExplanation) bool { return e.Agrees != nil && !*e.Agrees }) {
		return &silent{exitError}
	}
	return err
}

func (a *app) printDefinitionExplanation(key string, e vault.DefinitionExplanation) error {
	p, now := a.printer(), a.now()
	where := ""
	if e.Target != "" {
		where = " on " + e.Target
	}
	fmt.Fprintf(a.out, "%s%s: %s\n", output.Printable(key), output.Printable(where), p.Paint(verdictCell(now, e)))
	if err := a.printComparisons(e.Verdict); err != nil {
		return err
	}
	fmt.Fprintln(a.out)
	if err := p.Pairs(definitionPairs(now, e)); err != nil {
		return err
	}
	if e.Agrees != nil && !*e.Agrees {
		fmt.Fprintln(a.out, "\n"+p.Paint(output.Cell{Text: "does not agree: recorded was " + e.Recorded + ", evaluated again it is " + e.Again, Style: output.Bad}))
	}
	return nil
}

// verdictCell tells "no alert" from "nobody looked".
func verdictCell(now time.Time, e vault.DefinitionExplanation) output.Cell {
	switch e.State {
	case "FIRING":
		return output.Cell{Text: fmt.Sprintf("it fires: %s is %s since %s", e.Alert, e.AlertState, output.Moment(e.AlertSince)), Style: output.Bad}
	case "WORKER":
		return output.Text("the worker decides it by itself, when the vault cannot be used; it is not evaluated here")
	case "SOURCE":
		return output.Text("its source decides it, outside; it is not evaluated here")
	case "DISABLED":
		return output.Cell{Text: "nobody looks: the definition is disabled", Style: output.Fair}
	case "NOBODY_LOOKED":
		if e.At.IsZero() {
			return output.Cell{Text: "nobody has looked yet; that there is no alert means nothing", Style: output.Bad}
		}
		return output.Cell{Text: fmt.Sprintf("nobody looked since %s (%s ago, %d looks are missing); that there is no alert means nothing",
			output.Moment(e.At), output.Age(now, e.At), e.Missed), Style: output.Bad}
	case "SUPPRESSED":
		return output.Cell{Text: "the condition holds, but nobody is called: " + e.Alert + " is suppressed" + until(e.SuppressedUntil), Style: output.Fair}
	case "PENDING":
		return output.Cell{Text: "not yet: " + because(e.Verdict) + "; it fires unless that ends" + before(e.FiresAt), Style: output.Fair}
	case "DUE":
		return output.Cell{Text: "the condition holds and its alert was ended by hand: the next look fires" + until(e.SuppressedUntil), Style: output.Fair}
	case "NO_DATA":
		return output.Cell{Text: "unknown: " + e.Reason + " at the last look", Style: output.Fair}
	case "ERROR":
		return output.Cell{Text: "unknown: the last look ended in an error: " + e.Reason, Style: output.Bad}
	}
	return output.Cell{Text: "it does not fire, because " + because(e.Verdict), Style: output.Good}
}

// until and before end a sentence where the moment is known.
func until(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " until " + output.Moment(at)
}

func before(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return " before " + output.Moment(at)
}

func definitionPairs(now time.Time, e vault.DefinitionExplanation) [][2]string {
	pairs := [][2]string{
		{"condition", e.Condition},
		{"measured", inputsText(e.Inputs)},
		{"last look", lookText(now, e.At, e.Recorded, e.Decision, output.Number(e.Value, "")) + said(e.DecisionReason)},
	}
	if !e.ResultSince.IsZero() {
		pairs = append(pairs, [2]string{"lasting since", output.Moment(e.ResultSince)})
	}
	if !e.NextDue.IsZero() && e.Enabled {
		pairs = append(pairs, [2]string{"next look", fmt.Sprintf("due %s, every %dm", output.Moment(e.NextDue), e.EveryMinutes)})
	}
	if !e.SuppressedUntil.IsZero() {
		pairs = append(pairs, [2]string{"muted", "another firing calls nobody until " + output.Moment(e.SuppressedUntil)})
	}
	if e.LastAlert != "" {
		pairs = append(pairs, [2]string{"last alert", e.LastAlert + ", " + output.Moment(e.LastAlertAt)})
	}
	if !e.Version.Equal(e.CurrentVersion) && !e.Version.IsZero() {
		pairs = append(pairs, [2]string{"definition", "changed at " + output.Moment(e.CurrentVersion) + ", after the last look"})
	}
	return pairs
}

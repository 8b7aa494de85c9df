package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/cmd/onevault/definitions"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// testResult is how one test of definitions ended.
type testResult struct {
	Name       string       `json:"name"`
	Definition string       `json:"definition"`
	Labels     alert.Labels `json:"labels,omitempty"`
	OK         bool         `json:"ok"`
	Differs    []string     `json:"differs,omitempty"`
	Timeline   []testLook   `json:"timeline"`
}

// testLook is one look of a test.
type testLook struct {
	After    string   `json:"after"` // since the beginning
	Result   string   `json:"result"`
	Value    *float64 `json:"value,omitempty"`
	Decision string   `json:"decision"`
	State    string   `json:"state"`

	at time.Duration
}

func (a *app) definitionTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE",
		Short: "Run unit tests of definitions: what is measured, and what shall fire (exit 1 when one fails)",
		Long: `Run unit tests of definitions. A file says what is measured and what shall fire; the vault's own evaluator says what does,
in a transaction that is rolled back. It needs a vault that it may write to; nothing stays in it.`,
		Example: "  onevault definition test definitions.test.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			results, err := a.testDefinitions(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if err := a.printTests(results); err != nil {
				return err
			}
			if slices.ContainsFunc(results, func(r testResult) bool { return !r.OK }) {
				return &silent{exitError}
			}
			return nil
		},
	}
}

func (a *app) testDefinitions(ctx context.Context, name string) ([]testResult, error) {
	tests, err := a.readTests(name)
	if err != nil {
		return nil, err
	}
	file := tests.Inline
	if tests.File != "" {
		if !filepath.IsAbs(tests.File) && name != "-" {
			tests.File = filepath.Join(filepath.Dir(name), tests.File)
		}
		if file, err = a.readDefinitions(tests.File); err != nil {
			return nil, err
		}
	}
	store, err := a.vault(ctx)
	if err != nil {
		return nil, err
	}
	stands, err := store.DefinitionVersions(ctx, nil, true)
	if err != nil {
		return nil, err
	}
	known := map[string]vault.DefinitionSpec{}
	for _, v := range stands {
		known[v.Key] = v.DefinitionSpec
	}
	for _, d := range file {
		known[d.Key] = d.DefinitionSpec
	}
	var problems []definitions.Problem
	for _, t := range tests.Tests {
		if _, ok := known[t.Definition]; !ok {
			problems = append(problems, definitions.Problem{Line: t.Line, Key: t.Definition, Field: "definition", Text: "there is no such definition, neither in the file nor in the vault"})
			continue
		}
		if by, given := slices.Sorted(slices.Values(known[t.Definition].AlertBy)), slices.Sorted(maps.Keys(t.Labels)); !slices.Equal(by, given) {
			problem := definitions.Problem{Line: t.Line, Key: t.Definition, Field: "labels", Text: "the definition alerts by no labels", Remedy: "leave labels out"}
			if len(by) > 0 {
				problem.Text = "the definition alerts by " + strings.Join(by, ", ")
				problem.Remedy = "say what the expectations are about: labels: {" + strings.Join(by, ": ..., ") + ": ...}"
			}
			problems = append(problems, problem)
		}
	}
	if len(problems) > 0 {
		return nil, a.fileProblems(name, problems)
	}
	order, err := restingOrder(ctx, store, tests.Tests, known)
	if err != nil {
		return nil, err
	}
	var results []testResult
	refused, err := store.Rehearse(ctx, specsOf(file), func(r *vault.Rehearsal) error {
		for i, t := range tests.Tests {
			result, err := a.playTest(ctx, r, t, known, order[i])
			if err != nil {
				return fmt.Errorf("test %q: %w", t.Name, err)
			}
			results = append(results, result)
		}
		return nil
	})
	problems = append(problems, problemsOf(refused, func(string) int { return 0 })...)
	if len(problems) > 0 {
		return nil, a.fileProblems(name, problems)
	}
	return results, err
}

func (a *app) readTests(name string) (definitions.Tests, error) {
	text, err := a.readFile(name, "docs/backtesting.md shows one")
	if err != nil {
		return definitions.Tests{}, err
	}
	tests, problems := definitions.ParseTests(text)
	if len(problems) > 0 {
		return definitions.Tests{}, a.fileProblems(name, problems)
	}
	return tests, nil
}

// restingOrder lists for each test what is looked at: its definition, after those on which it rests.
func restingOrder(ctx context.Context, store *vault.Store, tests []definitions.Test, known map[string]vault.DefinitionSpec) ([][]string, error) {
	h, err := store.History(ctx)
	if err != nil {
		return nil, err
	}
	defer h.Close(ctx)
	var visit func(key string, order, above []string) ([]string, error)
	visit = func(key string, order, above []string) ([]string, error) {
		d, ok := known[key]
		if !ok || slices.Contains(order, key) {
			return order, nil
		}
		if slices.Contains(above, key) {
			return nil, &failure{exitError, "definition " + key + " rests on itself", "take firing(...) of one of them out of its condition"}
		}
		names, err := h.Names(ctx, d)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if other := vault.FiringKey(name); other != "" {
				if order, err = visit(other, order, append(above, key)); err != nil {
					return nil, err
				}
			}
		}
		return append(order, key), nil
	}
	orders := make([][]string, len(tests))
	for i, t := range tests {
		if orders[i], err = visit(t.Definition, nil, nil); err != nil {
			return nil, err
		}
	}
	return orders, nil
}

// playTest runs one test and holds what came of it against what is expected.
func (a *app) playTest(ctx context.Context, r *vault.Rehearsal, t definitions.Test, known map[string]vault.DefinitionSpec, keys []string) (testResult, error) {
	d := known[t.Definition]
	every := time.Duration(d.EveryMinutes) * time.Minute
	step := t.Step
	if step == 0 {
		step = every
	}
	lasts := t.For
	for _, s := range t.Series {
		lasts = max(lasts, time.Duration(len(s.Values)-1)*step)
	}
	for _, e := range t.Expect {
		lasts = max(lasts, e.To)
	}
	for _, at := range slices.Concat(t.Fires, t.Clears) {
		lasts = max(lasts, at)
	}
	count := int(lasts/every) + 1
	// It ends before today began, so that no look lies in the future.
	begin := a.now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1-int(lasts/(24*time.Hour)))
	var (
		series []vault.Series
		direct = make([]map[string]float64, count)
	)
	for n := range direct {
		direct[n] = map[string]float64{}
	}
	lookback := time.Duration(d.LookbackMinutes) * time.Minute
	for _, s := range t.Series {
		series = append(series, vault.Series{Metric: s.Metric, Labels: s.Labels, Step: step, Values: s.Values})
		for n := range direct {
			// The newest value that is not older than the look-back.
			at := time.Duration(n) * every
			if i := min(int(at/step), len(s.Values)-1); s.Values[i] != nil && at-time.Duration(i)*step < lookback {
				direct[n][s.Metric] = *s.Values[i]
			}
		}
	}
	looks, err := r.Play(ctx, vault.Play{
		Keys: keys, Begin: begin, Every: every, Count: count, Series: series, Direct: direct, About: t.Definition, Labels: t.Labels,
	})
	if err != nil {
		return testResult{}, err
	}
	result := testResult{Name: t.Name, Definition: t.Definition, Labels: t.Labels, Timeline: []testLook{}}
	state := "OK"
	for _, l := range looks {
		state = stateAfter(state, l.Decision)
		at := time.Duration(l.N) * every
		result.Timeline = append(result.Timeline, testLook{After: clock(at), Result: l.Result, Value: l.Value, Decision: l.Decision, State: state, at: at})
	}
	result.compare(t, every)
	result.OK = len(result.Differs) == 0
	return result, nil
}

// stateAfter is the state of the alert after a decision.
func stateAfter(before, decision string) string {
	switch d := alert.Decision(decision); {
	case d.Opens():
		return "FIRING"
	case d == alert.DecisionSuppressed, d == alert.DecisionPending:
		return decision
	case d == alert.DecisionHolding:
		return before
	}
	return "OK"
}

func (r *testResult) compare(t definitions.Test, every time.Duration) {
	differs := func(format string, args ...any) { r.Differs = append(r.Differs, fmt.Sprintf(format, args...)) }
	for _, e := range t.Expect {
		looked := false
		for _, l := range r.Timeline {
			if l.at < e.From || l.at > e.To {
				continue
			}
			looked = true
			if l.State != e.State {
				differs("at %s it is %s, expected %s", l.After, l.State, e.State)
				break
			}
		}
		if !looked {
			differs("nobody looks at %s: the definition is looked at every %s", clock(e.From), clock(every))
		}
	}
	for _, kind := range []struct {
		word string
		want []time.Duration
		is   func(alert.Decision) bool
	}{{"fires", t.Fires, alert.Decision.Opens}, {"clears", t.Clears, func(d alert.Decision) bool { return d == alert.DecisionResolved }}} {
		if kind.want == nil {
			continue
		}
		var got []time.Duration
		for _, l := range r.Timeline {
			if kind.is(alert.Decision(l.Decision)) {
				got = append(got, l.at)
			}
		}
		if !slices.Equal(got, kind.want) {
			differs("it %s at %s, expected %s", kind.word, clocks(got), clocks(kind.want))
		}
	}
}

func clocks(list []time.Duration) string {
	words := make([]string, len(list))
	for i, at := range list {
		words[i] = clock(at)
	}
	if len(words) == 0 {
		return "no time"
	}
	return strings.Join(words, ", ")
}

// clock is a time after the beginning, as a file says it: 90m, 36h, 45s.
func clock(at time.Duration) string {
	if at%time.Minute != 0 {
		return fmt.Sprintf("%ds", int(at/time.Second))
	}
	return fmt.Sprintf("%dm", int(at/time.Minute))
}

// about is what the test is about: a definition, and which label set of it.
func (r testResult) about() string {
	if len(r.Labels) == 0 {
		return r.Definition
	}
	return r.Definition + ", " + output.Printable(r.Labels.String())
}

// printTests writes as `go test` does: what is in order in one line, what is not with what happened.
func (a *app) printTests(results []testResult) error {
	p := a.printer()
	if p.Structured() {
		return p.Value(results)
	}
	failed := 0
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(a.out, "%s    %s  (%s)\n", p.Paint(output.Cell{Text: "ok", Style: output.Good}), output.Printable(r.Name), r.about())
			continue
		}
		failed++
		fmt.Fprintf(a.out, "%s  %s  (%s)\n", p.Paint(output.Cell{Text: "FAIL", Style: output.Bad}), output.Printable(r.Name), r.about())
		for _, d := range r.Differs {
			fmt.Fprintf(a.out, "      %s\n", d)
		}
		// Looks that are like the one before say nothing new.
		var before testLook
		for i, l := range r.Timeline {
			value := output.Number(l.Value, "")
			if i == 0 || l.Result != before.Result || l.State != before.State || l.Decision != before.Decision || l.Value != nil && value != output.Number(before.Value, "") {
				fmt.Fprintf(a.out, "      %6s  %-8s %10s  %-12s %s\n", l.After, l.Result, value, l.Decision, l.State)
			}
			before = l
		}
	}
	if failed > 0 {
		fmt.Fprintf(a.out, "%d of %d tests failed\n", failed, len(results))
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onevault/alert"
	"onevault/backtest"
	"onevault/cmd/onevault/definitions"
	"onevault/cmd/onevault/output"
	"onevault/vault"
)

// Definitions are tried on what the vault remembers, before they may page anybody.

// trialReport is what a backtest found.
type trialReport struct {
	Since       time.Time      `json:"since"`
	Until       time.Time      `json:"until"`
	Pages       map[string]int `json:"pages"`         // by channel, of the versions that are tried
	PagesBefore map[string]int `json:"pages_present"` // by channel, of the versions that stand
	Trials      []trial        `json:"definitions"`
	Skipped     []skipped      `json:"skipped"`
	Seconds     float64        `json:"seconds"` // that it took
}

// trial is one definition on one target.
type trial struct {
	Key      string   `json:"key"`
	Name     string   `json:"name"`
	Severity string   `json:"severity"`
	Target   string   `json:"target"`
	Kind     string   `json:"version"` // NEW, CHANGED, PRESENT: what is tried against what stands
	Channels []string `json:"channels"`
	// ByHand says that people end its alerts, which the run takes to happen as soon as they have cleared.
	ByHand  bool          `json:"resolved_by_people,omitempty"`
	Run     backtest.Run  `json:"run"`
	Present *backtest.Run `json:"present,omitempty"` // of the version that stands; absent: there is none, or it is the one tried
	backtest.Comparison

	presentChannels []string
}

type skipped struct {
	Key string `json:"key"`
	Why string `json:"why"`
}

const (
	trialNew     = "NEW"
	trialChanged = "CHANGED"
	trialPresent = "PRESENT"
)

func (a *app) definitionBacktestCommand() *cobra.Command {
	var since, until, target string
	cmd := &cobra.Command{
		Use:   "backtest [FILE | KEY...]",
		Short: "Try definitions on the vault's history: whom they would have called, and which real alerts they would have missed",
		Long: `Try definitions on the vault's history: a file against the versions that stand, or those that stand against the alerts that
were. The vault's own evaluator is run over its measurements as it would have been at each look; pending times, clear
conditions, N of M, suppression, reopening and flapping follow, silences, maintenance and inhibition as they stood, and the channels
that would have heard it. Nothing is written.`,
		Example: "  onevault definition backtest definitions.yaml --since 30d\n  onevault definition backtest PG_REPLICATION_LAG --since 2026-05-01 --until 2026-05-08",
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := a.trialSpan(since, until)
			if err != nil {
				return usage(err)
			}
			report, err := a.backtest(cmd.Context(), args, target, in)
			if err != nil {
				return err
			}
			return a.printTrials(report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "30d", "how far back: a duration (24h, 30d) or a time (2026-05-04 or RFC 3339)")
	flags.StringVar(&until, "until", "", "up to this moment (default now)")
	flags.StringVar(&target, "target", "", "on this target (default: on each that is watched)")
	return cmd
}

// trialSpan reads the span of time; only its Since and Until are set.
func (a *app) trialSpan(since, until string) (vault.Subject, error) {
	from, err := sinceTime(a.now(), since)
	if err != nil {
		return vault.Subject{}, err
	}
	to := a.now()
	if until != "" {
		if to, err = sinceTime(a.now(), until); err != nil {
			return vault.Subject{}, errors.New(strings.Replace(err.Error(), "--since", "--until", 1))
		}
	}
	if from.IsZero() || !from.Before(to) {
		return vault.Subject{}, fmt.Errorf("--since %q is not before --until %q: there is nothing to look at", since, until)
	}
	if to.Sub(from) > maxTrial {
		return vault.Subject{}, fmt.Errorf("--since %q is more than 366 days before --until", since)
	}
	return vault.Subject{Since: from.UTC(), Until: to.UTC()}, nil
}

const maxTrial = 366 * 24 * time.Hour

// bench is one backtest under way.
type bench struct {
	history  *vault.History
	proposed map[string]vault.DefinitionSpec
	present  map[string]vault.DefinitionSpec
	runs     map[string]backtest.Run // by target, version and key
	visiting []string
	subjects []vault.Subject // all that is tried
	sources  []string        // definitions whose alerts speak for others
}

func (a *app) backtest(ctx context.Context, args []string, target string, span vault.Subject) (trialReport, error) {
	began := time.Now()
	store, err := a.vault(ctx)
	if err != nil {
		return trialReport{}, err
	}
	stands, err := store.DefinitionVersions(ctx, nil, true)
	if err != nil {
		return trialReport{}, err
	}
	b := &bench{proposed: map[string]vault.DefinitionSpec{}, present: map[string]vault.DefinitionSpec{}, runs: map[string]backtest.Run{}}
	for _, v := range stands {
		b.present[v.Key] = v.DefinitionSpec
	}
	file, err := a.triedDefinitions(args, b)
	if err != nil {
		return trialReport{}, err
	}
	if b.history, err = store.History(ctx); err != nil {
		return trialReport{}, err
	}
	defer b.history.Close(ctx)
	if b.subjects, err = trialTargets(ctx, store, b.history, target, span); err != nil {
		return trialReport{}, err
	}
	if b.sources, err = b.history.InhibitionSources(ctx); err != nil {
		return trialReport{}, err
	}
	keys := slices.Sorted(maps.Keys(b.proposed))
	if err := a.checkTried(ctx, args, file, keys, b); err != nil {
		return trialReport{}, err
	}

	perAlert, err := b.history.OneByOne(ctx)
	if err != nil {
		return trialReport{}, err
	}
	report := trialReport{Since: span.Since, Until: span.Until, Pages: map[string]int{}, PagesBefore: map[string]int{}, Trials: []trial{}, Skipped: []skipped{}}
	for i, key := range keys {
		a.progress(i, len(keys), key)
		d := b.proposed[key]
		if !d.Enabled {
			report.Skipped = append(report.Skipped, skipped{key, "it is disabled"})
			continue
		}
		for _, subject := range b.subjects {
			if !concerns(d, subject.Target) {
				continue
			}
			t, err := b.try(ctx, d, subject)
			if none := (*vault.NoHistoryError)(nil); errors.As(err, &none) {
				report.Skipped = append(report.Skipped, skipped{key, none.Why})
				break
			}
			if err != nil {
				return trialReport{}, err
			}
			report.count(t, perAlert)
		}
	}
	a.progress(len(keys), len(keys), "")
	report.Seconds = time.Since(began).Seconds()
	return report, nil
}

// concerns reports whether a definition says anything of a target: what is read in the vault is looked at on local
// alone, and so is SQL that does not ask for the target.
func concerns(d vault.DefinitionSpec, target string) bool {
	switch d.Source {
	case "backup_failures", "notifications", "incidents":
		return target == vault.LocalTarget
	case "sql":
		return target == vault.LocalTarget || strings.Contains(d.SQL, "$1")
	}
	return true
}

// triedDefinitions fills in what is proposed: a file's, or those that stand. It returns the file's.
func (a *app) triedDefinitions(args []string, b *bench) ([]definitions.Definition, error) {
	if len(args) == 1 && isDefinitionFile(args[0]) {
		file, err := a.readDefinitions(args[0])
		for _, d := range file {
			b.proposed[d.Key] = d.DefinitionSpec
		}
		return file, err
	}
	for _, key := range args {
		d, ok := b.present[key]
		if !ok {
			f := noDefinition(key)
			return nil, f
		}
		b.proposed[key] = d
	}
	if len(args) == 0 {
		for key, d := range b.present {
			if d.Enabled {
				b.proposed[key] = d
			}
		}
	}
	return nil, nil
}

// isDefinitionFile tells a file from a key, which has no slash and mostly no dot.
func isDefinitionFile(arg string) bool {
	if arg == "-" || strings.ContainsAny(arg, "/\\") || strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml") {
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

// checkTried refuses a file that the vault would not take, with the line of each problem.
func (a *app) checkTried(ctx context.Context, args []string, file []definitions.Definition, keys []string, b *bench) error {
	var problems []definitions.Problem
	for _, d := range file {
		err := b.history.CheckDefinition(ctx, d.DefinitionSpec, keys)
		if refusal := (*vault.Refusal)(nil); errors.As(err, &refusal) {
			problems = append(problems, definitions.Problem{Line: d.Line, Key: d.Key, Text: refusal.Message, Remedy: refusal.Hint})
		} else if err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return a.fileProblems(args[0], problems)
	}
	return nil
}

func trialTargets(ctx context.Context, store *vault.Store, h *vault.History, name string, span vault.Subject) ([]vault.Subject, error) {
	targets, err := store.Targets(ctx, name != "")
	if err != nil {
		return nil, err
	}
	var subjects []vault.Subject
	for _, t := range targets {
		if name != "" && t.Name != name || name == "" && t.State != vault.TargetEnabled {
			continue
		}
		tenant, err := h.TenantOf(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, vault.Subject{Target: t.Name, Tenant: tenant, Since: span.Since, Until: span.Until})
	}
	if len(subjects) == 0 {
		return nil, &failure{exitNotFound, "there is no target " + name, "see `onevault target list`"}
	}
	return subjects, nil
}

// progress tells a person at a terminal how far it is; done counts what is finished.
func (a *app) progress(done, of int, key string) {
	if !a.errIsTerminal || a.printer().Structured() {
		return
	}
	const erase = "\r\x1b[K"
	if done == of {
		fmt.Fprint(a.errOut, erase)
		return
	}
	fmt.Fprintf(a.errOut, "%s%d of %d: %s", erase, done+1, of, output.Printable(key))
}

// try runs one definition on one target beside the version that stands, and beside what was.
func (b *bench) try(ctx context.Context, d vault.DefinitionSpec, subject vault.Subject) (trial, error) {
	t := trial{Key: d.Key, Name: d.Name, Severity: d.Severity, Target: subject.Target, Kind: trialNew, ByHand: !d.AutoResolve}
	var err error
	if t.Run, err = b.told(ctx, d, false, subject); err != nil {
		return trial{}, err
	}
	if t.Channels, err = b.history.Hearers(ctx, d); err != nil {
		return trial{}, err
	}
	if present, ok := b.present[d.Key]; ok {
		t.Kind, t.presentChannels = trialPresent, t.Channels
		if len(definitions.ChangesBetween(present, d)) > 0 {
			t.Kind = trialChanged
			if present.Enabled {
				run, err := b.told(ctx, present, true, subject)
				if none := (*vault.NoHistoryError)(nil); err != nil && !errors.As(err, &none) {
					return trial{}, err
				}
				t.Present = &run
			}
			if t.presentChannels, err = b.history.Hearers(ctx, present); err != nil {
				return trial{}, err
			}
		}
	}
	real, err := b.history.Alerts(ctx, []string{d.Key}, subject)
	if err != nil {
		return trial{}, err
	}
	t.Comparison = backtest.Compare(t.Run, t.Present, real, time.Duration(d.EveryMinutes)*time.Minute)
	return t, nil
}

// run is what a version did on a target; those that it rests on are run before it.
func (b *bench) run(ctx context.Context, key string, present bool, subject vault.Subject) (backtest.Run, error) {
	name := fmt.Sprintf("%s|%v|%s", subject.Target, present, key)
	if run, ok := b.runs[name]; ok {
		return run, nil
	}
	if slices.Contains(b.visiting, name) {
		return backtest.Run{}, &failure{exitError, "definition " + key + " rests on itself", "take firing(...) of one of them out of its condition"}
	}
	b.visiting = append(b.visiting, name)
	defer func() { b.visiting = b.visiting[:len(b.visiting)-1] }()

	d, _ := b.version(key, present)
	names, err := b.history.Names(ctx, d)
	if err != nil {
		return backtest.Run{}, err
	}
	rests := map[string]backtest.Run{}
	for _, input := range names {
		other := vault.FiringKey(input)
		if of, ok := b.version(other, present); !ok || !of.Enabled {
			continue // nobody looks at it, so nothing is known
		}
		if rests[other], err = b.run(ctx, other, present, subject); err != nil {
			return backtest.Run{}, fmt.Errorf("%s, on which %s rests: %w", other, key, err)
		}
	}
	run, err := b.follow(ctx, d, subject, func(other string, at time.Time) (int, bool) {
		of, _ := b.version(other, present)
		return rests[other].FiringAt(at, time.Duration(of.EveryMinutes)*time.Minute)
	})
	if err == nil {
		b.runs[name] = run
	}
	return run, err
}

// follow repeats the looks of a version, and the life that its alerts would have had.
func (b *bench) follow(ctx context.Context, d vault.DefinitionSpec, subject vault.Subject, firing vault.Firing) (backtest.Run, error) {
	if len(d.AlertBy) > 0 {
		whole, sets, err := b.history.LabelLooks(ctx, d, subject, firing)
		if err != nil {
			return backtest.Run{}, err
		}
		return backtest.FollowLabels(d.Timing(), whole, sets, subject.Until), nil
	}
	looks, err := b.history.Looks(ctx, d, subject, firing)
	if err != nil {
		return backtest.Run{}, err
	}
	return backtest.Follow(d.Timing(), looks, subject.Until), nil
}

// version is what a key means in a run: what is proposed, else what stands.
func (b *bench) version(key string, present bool) (vault.DefinitionSpec, bool) {
	if d, ok := b.proposed[key]; ok && !present {
		return d, true
	}
	d, ok := b.present[key]
	return d, ok
}

// count adds a trial and its pages; perAlert are the channels that want a message about each alert.
func (r *trialReport) count(t trial, perAlert map[string]bool) {
	r.Trials = append(r.Trials, t)
	add := func(to map[string]int, channels []string, run backtest.Run) {
		for _, c := range channels {
			if perAlert[c] {
				to[c] += run.Messages
			} else {
				to[c] += run.Pages
			}
		}
	}
	add(r.Pages, t.Channels, t.Run)
	switch {
	case t.Present != nil:
		add(r.PagesBefore, t.presentChannels, *t.Present)
	case t.Kind == trialPresent:
		add(r.PagesBefore, t.Channels, t.Run)
	}
}

func total(pages map[string]int) int {
	sum := 0
	for _, n := range pages {
		sum += n
	}
	return sum
}

// ---------------------------------------------------------------- what people read

func (a *app) printTrials(r trialReport) error {
	p := a.printer()
	if p.Structured() {
		return p.Value(r)
	}
	shown := r.Trials
	if p.Format == output.Table {
		shown = slices.DeleteFunc(slices.Clone(shown), trial.quiet)
	}
	if err := output.List(p, shown, trialColumns(), func(t trial) string { return t.Key }); err != nil || p.Format == output.Name {
		return err
	}
	if quiet := len(r.Trials) - len(shown); quiet > 0 {
		fmt.Fprintf(a.out, "%d more: no alert, then or now, and no look failed (-o wide shows them)\n", quiet)
	}
	fmt.Fprintln(a.out)
	for _, line := range r.sentences() {
		fmt.Fprintln(a.out, output.Printable(line))
	}
	return nil
}

// quiet: there is nothing to say of it.
func (t trial) quiet() bool {
	return len(t.Run.Alerts)+t.Run.Suppressed+t.Run.Errors+len(t.Caught)+len(t.Lost)+len(t.Unknown)+len(t.Spared) == 0 &&
		(t.Present == nil || len(t.Present.Alerts) == 0) && t.Run.Kept == t.Run.Looks && t.Run.NoData == 0
}

func trialColumns() []output.Column[trial] {
	count := func(n int, style output.Style) output.Cell {
		if n == 0 {
			return output.Text(output.None)
		}
		return output.Cell{Text: strconv.Itoa(n), Style: style}
	}
	return []output.Column[trial]{
		{Name: "DEFINITION", Cell: func(t trial) output.Cell { return output.Text(t.Key) }},
		{Name: "TARGET", Cell: func(t trial) output.Cell { return output.Text(t.Target) }},
		{Name: "SEV", Cell: func(t trial) output.Cell { return severityCell(alert.Severity(t.Severity)) }},
		{Name: "TRIED", Cell: func(t trial) output.Cell { return output.Text(strings.ToLower(t.Kind)) }},
		{Name: "ALERTS", Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(len(r.Alerts)) }))
		}},
		{Name: "PAGES", Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(r.Pages) }))
		}},
		{Name: "FIRING", Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return output.Span(time.Duration(r.Firing) * time.Second) }))
		}},
		{Name: "SUPPRESSED", Wide: true, Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(r.Suppressed) }))
		}},
		{Name: "REOPENED", Wide: true, Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(r.Reopened) }))
		}},
		{Name: "FLAPPING", Wide: true, Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(r.Flapping) }))
		}},
		{Name: "MUTED", Wide: true, Cell: func(t trial) output.Cell {
			return output.Text(t.becomes(func(r backtest.Run) string { return strconv.Itoa(r.Held) }))
		}},
		{Name: "CAUGHT", Cell: func(t trial) output.Cell { return count(len(t.Caught), output.Good) }},
		{Name: "LOST", Cell: func(t trial) output.Cell { return count(len(t.Lost), output.Bad) }},
		{Name: "NEW", Cell: func(t trial) output.Cell { return count(len(t.New), output.Fair) }},
		{Name: "ERRORS", Wide: true, Cell: func(t trial) output.Cell { return count(t.Run.Errors, output.Bad) }},
		{Name: "LOOKS", Wide: true, Cell: func(t trial) output.Cell { return output.Text(strconv.Itoa(t.Run.Looks)) }},
		{Name: "DATA", Cell: dataCell},
		{Name: "CHANNELS", Wide: true, Cell: func(t trial) output.Cell { return output.Text(output.OrNone(strings.Join(t.Channels, ", "))) }},
	}
}

// about says what an alert of the trial is about.
func (t trial) about(labels alert.Labels) string {
	about := t.Key + " on " + t.Target
	if len(labels) > 0 {
		about += ", " + labels.String()
	}
	return about
}

func (t trial) becomes(of func(backtest.Run) string) string {
	if t.Present == nil {
		return of(t.Run)
	}
	return of(*t.Present) + " -> " + of(t.Run)
}

// dataCell is the share of the looks that found a value.
func dataCell(t trial) output.Cell {
	if t.Run.Looks == 0 {
		return output.Text(output.None)
	}
	found := t.Run.Kept - t.Run.NoData
	cell := output.Text(share(found, t.Run.Looks))
	if found < t.Run.Looks {
		cell.Style = output.Fair
	}
	return cell
}

// share is a part in percent; only the whole is 100 %, and only nothing is 0 %.
func share(part, whole int) string {
	percent := (200*part + whole) / (2 * whole)
	switch {
	case percent >= 100 && part < whole:
		return "99%"
	case percent == 0 && part > 0:
		return "1%"
	}
	return strconv.Itoa(percent) + "%"
}

// sentences say the whole in words: pages first, then what of the real alerts remains, then what is not known.
func (r trialReport) sentences() []string {
	var lines []string
	changed := slices.ContainsFunc(r.Trials, func(t trial) bool { return t.Kind != trialPresent })
	pages := fmt.Sprintf("%d pages", total(r.Pages))
	if changed {
		pages = fmt.Sprintf("%d pages become %d", total(r.PagesBefore), total(r.Pages))
	}
	var by []string
	channels := maps.Clone(r.PagesBefore)
	maps.Copy(channels, r.Pages)
	for _, c := range slices.Sorted(maps.Keys(channels)) {
		if changed {
			by = append(by, fmt.Sprintf("%s %d -> %d", c, r.PagesBefore[c], r.Pages[c]))
		} else {
			by = append(by, fmt.Sprintf("%s %d", c, r.Pages[c]))
		}
	}
	if len(by) > 0 {
		pages += " (" + strings.Join(by, ", ") + ")"
	} else {
		pages += ": no enabled channel hears them"
	}
	lines = append(lines, fmt.Sprintf("%s from %s to %s.", pages, output.Moment(r.Since), output.Moment(r.Until)))

	var (
		caught, lost, unknown, spared, created, looks, kept, data, errs, held int
		late                                                                  int64
		detail                                                                []string
		byHand                                                                []string
	)
	for _, t := range r.Trials {
		caught, lost, unknown, spared, created = caught+len(t.Caught), lost+len(t.Lost), unknown+len(t.Unknown), spared+len(t.Spared), created+len(t.New)
		looks, kept, data, errs = looks+t.Run.Looks, kept+t.Run.Kept, data+t.Run.Kept-t.Run.NoData, errs+t.Run.Errors
		held += t.Run.Held
		for _, c := range t.Caught {
			late = max(late, c.Later)
			if t.Present != nil && c.Later != 0 {
				detail = append(detail, fmt.Sprintf("  %s of %s (%s) is still caught, %s", c.ShortID, output.Moment(c.TriggeredAt), t.about(c.Labels), sooner(c.Later)))
			}
		}
		for _, l := range t.Lost {
			detail = append(detail, fmt.Sprintf("  %s of %s (%s) is lost", l.ShortID, output.Moment(l.TriggeredAt), t.about(l.Labels)))
		}
		if t.ByHand && len(t.Run.Alerts) > 0 {
			byHand = append(byHand, t.Key)
		}
	}
	if n := caught + lost; n > 0 {
		line := fmt.Sprintf("%d of %d real alerts are still caught", caught, n)
		if late > 0 {
			line += ", at the latest " + sooner(late)
		}
		lines = append(lines, line+fmt.Sprintf("; %d are lost.", lost))
	} else {
		lines = append(lines, "There was no real alert of which anything is known.")
	}
	lines = append(lines, limit(detail, 20)...)
	if spared > 0 {
		lines = append(lines, fmt.Sprintf("%d that were marked false positive would not come again.", spared))
	}
	if created > 0 {
		lines = append(lines, fmt.Sprintf("%d alerts are new: nothing was opened then.", created))
	}
	if unknown > 0 {
		lines = append(lines, fmt.Sprintf("%d real alerts are of a time of which no single measurements are kept: nothing can be said of them.", unknown))
	}
	if looks > 0 && kept < looks {
		lines = append(lines, fmt.Sprintf("%s of the looks reach into a time of which no single measurements are kept; they count as if nobody had looked.", share(looks-kept, looks)))
	}
	if data < kept {
		lines = append(lines, fmt.Sprintf("%s of the others lacked a value; each definition's no_data says what that means.", share(kept-data, kept)))
	}
	if errs > 0 {
		lines = append(lines, fmt.Sprintf("%d looks failed (-o json has the reasons): a condition that fails clears nothing and opens nothing.", errs))
	}
	if len(byHand) > 0 {
		slices.Sort(byHand)
		lines = append(lines, "People end the alerts of "+strings.Join(slices.Compact(byHand), ", ")+": they are taken to do so as soon as the condition has cleared.")
	}
	for _, s := range r.Skipped {
		lines = append(lines, "Not tried: "+s.Key+": "+s.Why+".")
	}
	if held > 0 {
		lines = append(lines, fmt.Sprintf("%d openings were told to nobody: silences, maintenance and inhibition muted them to their end.", held))
	}
	lines = append(lines,
		"Escalations are not counted, since nobody knows who would have answered; nothing was written.")
	return lines
}

func sooner(seconds int64) string {
	if seconds < 0 {
		return output.Span(time.Duration(-seconds)*time.Second) + " earlier"
	}
	return output.Span(time.Duration(seconds)*time.Second) + " later"
}

func limit(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("  and %d more (-o json lists all)", len(lines)-most))
}

package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Document is a report in words: what every rendering shows, in its order.
type Document struct {
	Title    string // Daily report of 2026-11-23
	Period   string // which time it covers, in which time zone
	Sections []Section
}

// Section is one subject.
type Section struct {
	ID     string // for links
	Title  string
	Facts  []Fact
	Tables []Table
	Notes  []string
}

// Fact is one figure with its name.
type Fact struct {
	Label string
	Value string
	Tone  Tone
}

// Table is rows of cells below named columns. Without rows it says why.
type Table struct {
	Title   string // empty where the section's says enough
	Columns []Column
	Rows    [][]Cell
	Empty   string // what it means that there are no rows
	More    string // what was left out
	// Plotted: a graphical rendering draws the rows, and shows the table on demand only.
	Plotted bool
}

// Column names the cells below it.
type Column struct {
	Name  string
	Right bool // numbers
	Wide  bool // what a narrow rendering may leave out
	Long  bool // sentences, which may wrap
}

// Cell is one text.
type Cell struct {
	Text string
	Tone Tone
	Bar  *float64 // a share from 0 to 1 that a graphical rendering draws behind the text
	Code bool     // a statement
}

// Tone is what a figure means.
type Tone string

const (
	Plain Tone = ""
	Good  Tone = "good"
	Fair  Tone = "fair"
	Bad   Tone = "bad"
	Faint Tone = "faint"
)

func text(s string) Cell { return Cell{Text: orNone(s)} }

func toned(s string, tone Tone) Cell { return Cell{Text: orNone(s), Tone: tone} }

// tally is a count that matters when it is not zero.
func tally(n int, tone Tone) Cell {
	if n == 0 {
		return toned("0", Faint)
	}
	return toned(count(n), tone)
}

func left(names ...string) []Column {
	columns := make([]Column, len(names))
	for i, name := range names {
		columns[i].Name = name
	}
	return columns
}

// columns names the columns; those with a star hold sentences, those after the bar numbers:
// "NAME*, STATE | COUNT, MEAN".
func columns(names string) []Column {
	words, numbers, _ := strings.Cut(names, "|")
	list := left(split(words)...)
	for i := range list {
		list[i].Name, list[i].Long = strings.CutSuffix(list[i].Name, "*")
	}
	for _, name := range split(numbers) {
		list = append(list, Column{Name: name, Right: true})
	}
	return list
}

func split(names string) (list []string) {
	for _, name := range strings.Split(names, ",") {
		if name = strings.TrimSpace(name); name != "" {
			list = append(list, name)
		}
	}
	return list
}

// Words puts the report into words, its times in a time zone.
func (r Report) Words(zone *time.Location) Document {
	w := words{Report: r, zone: zone}
	return Document{
		Title:  "Daily report of " + r.Date,
		Period: fmt.Sprintf("%s to %s, %s", w.minute(r.From), w.minute(r.To), w.zoneName()),
		Sections: []Section{
			w.goals(), w.health(), w.alertSummary(), w.alerts(), w.notifications(), w.statements(),
			w.capacity(), w.security(), w.compliance(), w.backups(), w.gaps(),
		},
	}
}

// words renders one report in one time zone.
type words struct {
	Report
	zone *time.Location
}

func (w words) minute(at time.Time) string {
	if at.IsZero() {
		return none
	}
	return at.In(w.zone).Format(minuteFormat)
}

// clock is the time of a day, with its date where the period has several.
func (w words) clock(at time.Time) string {
	if at.IsZero() {
		return none
	}
	return at.In(w.zone).Format("01-02 15:04")
}

func (w words) zoneName() string {
	if w.TimeZone == "UTC" {
		return "UTC"
	}
	return w.TimeZone + " (UTC" + w.To.In(w.zone).Format("-07:00") + ")"
}

func (w words) goals() Section {
	t := Table{Columns: left("GOAL", "WANTED", "MEASURED", "", "OF WHAT"), Empty: "nothing was judged"}
	for _, k := range w.KPIs {
		tone := map[Verdict]Tone{Met: Good, Missed: Bad, Unknown: Faint}[k.Verdict]
		t.Rows = append(t.Rows, []Cell{text(k.Name), text(k.Goal), toned(k.Measured, tone), toned(strings.ToLower(string(k.Verdict)), tone), toned(k.Detail, Faint)})
	}
	return Section{ID: "goals", Title: "Goals", Tables: []Table{t}}
}

func (w words) health() Section {
	t := Table{
		Columns: columns("metric_name | avg_value, max_value, critical_count, warning_count"),
		Empty:   w.unlessLeft("nothing was measured in this period"),
	}
	for _, h := range w.Health {
		t.Rows = append(t.Rows, []Cell{text(h.Metric), text(number(h.Avg)), text(number(h.Max)), tally(h.Critical, Bad), tally(h.Warning, Fair)})
	}
	s := Section{ID: "health", Title: "System Health Summary", Tables: []Table{t}, Notes: w.left()}
	if plots := w.plots(); len(plots.Rows) > 0 {
		s.Tables = append(s.Tables, plots)
	}
	return s
}

// unlessLeft is what it means that there is nothing, unless it was there and has left the vault.
func (w words) unlessLeft(empty string) string {
	if w.sampleless() {
		return "no sample of this period is left in the vault"
	}
	return empty
}

// left says which part of the period the figures do not cover because its samples are no longer kept.
func (w words) left() []string {
	hours := w.Monitoring.RolledUpHours
	if hours == 0 {
		return nil
	}
	kept := plural(hours, "hour", "hours") + " of this period are kept as hourly roll-ups alone, which this report does not read (monitoring.system_health_metric_hourly_s)."
	if w.sampleless() {
		return []string{kept}
	}
	return []string{kept + " All that is measured or evaluated is told from " + w.minute(w.Monitoring.OldestSample) + " on."}
}

func (w words) plots() Table {
	t := Table{Title: "Over the period", Columns: columns("METRIC, TARGET | LOWEST, MEAN, HIGHEST, LAST"), Plotted: true}
	t.Columns = append(t.Columns, Column{Name: "COURSE"})
	for _, s := range w.Series {
		low, mean, high, last := s.figures()
		t.Rows = append(t.Rows, []Cell{
			text(s.Metric), text(s.Target), text(low), text(mean), text(high), text(last), text(s.sparkline()),
		})
	}
	return t
}

func (w words) alertSummary() Section {
	t := Table{
		Columns: columns("alert_category | total_alerts, open_alerts, resolved_alerts"),
		Empty:   "no alert fired in this period",
	}
	for _, c := range w.AlertCategories {
		t.Rows = append(t.Rows, []Cell{text(c.Category), text(count(c.Total)), tally(c.Open, Fair), text(count(c.Resolved))})
	}
	return Section{ID: "alert-summary", Title: "Alert Summary", Tables: []Table{t}}
}

func (w words) alerts() Section {
	a := w.Alerts
	s := Section{ID: "alerts", Title: "Alerts", Facts: []Fact{
		{"New", count(a.New), Plain},
		{"Open at the end", count(a.Open), toneOf(a.Open, Fair)},
		{"Overdue", count(a.Overdue), toneOf(a.Overdue, Bad)},
		{"Stale", count(a.Stale), toneOf(a.Stale, Fair)},
		{"Resolved", count(a.Resolved), Plain},
		{"Suppressed", count(a.Suppressed), Plain},
		{"MTTA", meanAndMedian(a.MTTAMeanSeconds, a.MTTAMedian), Plain},
		{"MTTR", meanAndMedian(a.MTTRMeanSeconds, a.MTTRMedian), Plain},
		{"False positives", marked(a.FalsePositives, a.New), Plain},
		{"Answered within " + limit(a.ResponseLimitS), ofWhole(a.WithinResponse, a.ResponseDue), Plain},
		{"Resolved within " + limit(a.ResolutionLimitS), ofWhole(a.WithinResolution, a.Due), Plain},
	}}
	t := Table{
		Columns: columns("ALERT, SEVERITY, STATE, TARGET, NAME*, OPENED, ANSWERED, RESOLVED"),
		Empty:   "no alert opened in this period, and none is open",
	}
	for _, l := range a.List {
		t.Rows = append(t.Rows, w.alertRow(l))
	}
	if rest := a.Listed - len(a.List); rest > 0 {
		t.More = "and " + count(rest) + " more: onevault alert list --all"
	}
	s.Tables = []Table{t}
	if a.New > 0 {
		s.Tables = append(s.Tables, w.hourly())
	}
	s.Notes = []string{
		"Overdue: nobody answered for an hour. Stale: acknowledged four hours ago and not over. MTTA and MTTR: of what was acknowledged or resolved in the period; suppressed alerts count in neither.",
	}
	return s
}

func toneOf(n int, tone Tone) Tone {
	if n == 0 {
		return Good
	}
	return tone
}

func meanAndMedian(mean, median *float64) string {
	if mean == nil {
		return "not known"
	}
	return seconds(mean) + ", median " + seconds(median)
}

func ofWhole(part, whole int) string {
	rate := share(part, whole)
	if rate == nil {
		return "not known"
	}
	return fmt.Sprintf("%s (%d of %d)", percentOf(*rate), part, whole)
}

// marked is a share of what people mark: where nobody marked anything, nobody may have looked.
func marked(part, whole int) string {
	if part == 0 {
		return "not known"
	}
	return ofWhole(part, whole)
}

func limit(s float64) string { return Span(time.Duration(s * float64(time.Second))) }

func (w words) alertRow(l AlertLine) []Cell {
	state, tone := l.State, Plain
	switch {
	case l.FalsePositive:
		state, tone = l.State+", false positive", Faint
	case l.Health == "OVERDUE":
		state, tone = l.State+", overdue", Bad
	case l.Health == "STALE":
		state, tone = l.State+", stale", Fair
	case l.State == "RESOLVED":
		tone = Good
	case l.State == "SUPPRESSED":
		tone = Faint
	}
	return []Cell{
		text(l.ID), toned(l.Severity, severityTone(l.Severity)), toned(state, tone), text(clean(l.Target, 60)), text(clean(l.Name, 80)),
		text(w.clock(l.TriggeredAt)), text(after(l.TriggeredAt, l.AcknowledgedAt, l.AcknowledgedBy)), text(after(l.TriggeredAt, l.ResolvedAt, l.ResolvedBy)),
	}
}

func after(from, at time.Time, by string) string {
	if at.IsZero() {
		return none
	}
	words := "after " + Span(at.Sub(from))
	if by != "" {
		words += ", " + clean(by, 30)
	}
	return words
}

func severityTone(severity string) Tone {
	switch severity {
	case "CRITICAL", "HIGH":
		return Bad
	case "MEDIUM":
		return Fair
	}
	return Plain
}

func (w words) hourly() Table {
	t := Table{Title: "New alerts per hour", Columns: columns("HOUR | CRITICAL, HIGH, MEDIUM, LOW"), Plotted: true}
	for _, h := range w.Alerts.Hourly {
		if h.total() > 0 {
			t.Rows = append(t.Rows, []Cell{
				text(w.clock(h.At)), tally(h.Critical, Bad), tally(h.High, Bad), tally(h.Medium, Fair), tally(h.Low, Plain),
			})
		}
	}
	return t
}

func (w words) notifications() Section {
	t := Table{
		Columns: columns("CHANNEL, TYPE | DELIVERED, FAILED, RATE, UNCERTAIN, WAITING, WITHDRAWN, PERHAPS TWICE, MEAN"),
		Empty:   "no notification was begun in this period",
	}
	t.Columns = append(t.Columns, Column{Name: "LAST REASON", Wide: true, Long: true})
	for _, c := range w.Deliveries {
		rate := toned("not known", Faint)
		if r := c.Rate(); r != nil {
			rate = Cell{Text: percentOf(*r), Tone: Good, Bar: r}
			if *r <= goalDelivery {
				rate.Tone = Bad
			}
		}
		mean := none
		if c.MeanMS != nil {
			mean = milliseconds(*c.MeanMS)
		}
		t.Rows = append(t.Rows, []Cell{
			text(clean(c.Channel, 60)), text(c.Type), text(count(c.Delivered)), tally(c.Failed, Bad), rate, tally(c.Uncertain, Fair), tally(c.Waiting, Fair),
			tally(c.Withdrawn, Plain), tally(c.Duplicates, Fair), text(mean), toned(clean(c.LastReason, 120), Faint),
		})
	}
	s := Section{ID: "notifications", Title: "Notifications", Tables: []Table{t}}
	if len(t.Rows) > 0 {
		s.Notes = []string{"Rate: delivered among those that were delivered or failed. Uncertain: the message was written and no answer came, so it may have arrived."}
	}
	return s
}

func (w words) statements() Section {
	t := Table{
		Columns: columns("STATEMENT | TIME, SHARE, CALLS, MEAN, MEAN VS 7D, LOAD VS 7D"),
		Empty:   w.unlessLeft("no statement was measured in this period"),
	}
	t.Columns = append(t.Columns, Column{Name: "DATABASE"}, Column{Name: "ROLE", Wide: true}, Column{Name: "TARGET", Wide: true})
	for _, st := range w.Statements.Top {
		shareCell := text(none)
		if st.Share != nil {
			shareCell = Cell{Text: percentOf(*st.Share), Bar: st.Share}
		}
		mean := none
		if st.MeanMS != nil {
			mean = milliseconds(*st.MeanMS)
		}
		t.Rows = append(t.Rows, []Cell{
			{Text: clean(st.Text, 160), Code: true},
			text(milliseconds(st.TotalMS)), shareCell, text(grouped(float64(st.Calls))), text(mean),
			change(st.MeanMS, st.PastMeanMS), change(st.TotalPerHour, st.PastPerHour), text(clean(st.Database, 40)), text(clean(st.User, 40)), text(clean(st.Target, 40)),
		})
	}
	s := Section{ID: "statements", Title: "Top statements", Tables: []Table{t}}
	if advice := w.advice(); len(advice.Rows) > 0 {
		s.Tables = append(s.Tables, advice)
	}
	if len(t.Rows) > 0 {
		s.Notes = []string{fmt.Sprintf("%s measured. Mean and load (time per hour) against their median of the 7 days before, of which %s; new: not measured in them.",
			plural(w.Statements.Measured, "statement was", "statements were"), plural(w.Statements.PastDays, "has measurements", "have measurements"))}
	}
	return s
}

// maxAdvice is for how many statements a report suggests something.
const maxAdvice = 10

// advice is what to try first with the costliest statements for which there is something to try.
func (w words) advice() Table {
	t := Table{Title: "What to try", Columns: columns("STATEMENT, SUGGESTION*")}
	more := 0
	for _, st := range w.Statements.Top {
		switch {
		case len(st.Suggestions) == 0:
		case len(t.Rows) == maxAdvice:
			more++
		default:
			t.Rows = append(t.Rows, []Cell{{Text: clean(st.Text, 60), Code: true}, text(clean(st.Suggestions[0], 320))})
		}
	}
	if more > 0 {
		t.More = fmt.Sprintf("and for %d more: onevault statement list", more)
	}
	return t
}

// change compares a figure with its past. Half as much again is worth a look.
func change(now, past *float64) Cell {
	switch {
	case now == nil:
		return text(none)
	case past == nil:
		return toned("new", Fair)
	case *past == 0:
		return text(none)
	}
	ratio := *now / *past
	percent := math.Round(100 * (ratio - 1))
	switch {
	case ratio >= 10:
		return toned("× "+significant(ratio), Bad)
	case percent == 0:
		return toned("± 0 %", Faint)
	case ratio >= 2:
		return toned(fmt.Sprintf("+%.0f %%", percent), Bad)
	case ratio >= 1.5:
		return toned(fmt.Sprintf("+%.0f %%", percent), Fair)
	case ratio > 1:
		return text(fmt.Sprintf("+%.0f %%", percent))
	}
	return text(fmt.Sprintf("−%.0f %%", -percent))
}

func (w words) capacity() Section {
	t := Table{
		Columns: columns("RESOURCE, NAME, TARGET | USED, SIZE, FREE, GROWTH A DAY"),
		Empty:   "no capacity was measured yet",
	}
	t.Columns = append(t.Columns, left("FULL ON", "BETWEEN")...)
	for _, c := range w.Capacity.Rows {
		t.Rows = append(t.Rows, w.capacityRow(c))
	}
	if rest := w.Capacity.Measured - len(w.Capacity.Rows); rest > 0 {
		t.More = "and " + count(rest) + " more: onevault capacity"
	}
	return Section{ID: "capacity", Title: "Capacity", Tables: []Table{t}}
}

func (w words) capacityRow(c CapacityRow) []Cell {
	used := text(none)
	if c.Utilization != nil {
		bar := min(max(*c.Utilization/100, 0), 1)
		used = Cell{Text: significant(*c.Utilization) + " %", Bar: &bar}
		switch {
		case c.Critical != nil && *c.Utilization >= *c.Critical:
			used.Tone = Bad
		case c.Warning != nil && *c.Utilization >= *c.Warning:
			used.Tone = Fair
		}
	}
	full, between := toned("not foreseen", Faint), text(none)
	if c.FullOn != "" {
		full = toned(c.FullOn, w.urgency(c.FullOn))
	}
	if c.FullLow != "" || c.FullHigh != "" {
		between = text(orNone(c.FullLow) + " and " + orOpen(c.FullHigh))
	}
	growth := c.amount(c.GrowthBytes)
	if c.Trend != "" && growth != none {
		growth += ", " + strings.ToLower(clean(c.Trend, 20))
	}
	return []Cell{
		text(strings.ToLower(clean(c.Type, 40))), text(clean(c.Name, 60)), text(clean(c.Target, 40)), used,
		text(c.amount(c.SizeBytes)), text(c.amount(c.FreeBytes)), text(growth), full, between,
	}
}

// amount is a size of the resource: bytes, or the values of a sequence.
func (c CapacityRow) amount(v *float64) string {
	if v != nil && c.Type == "SEQUENCE" {
		return values(*v)
	}
	return optionalBytes(v)
}

func orOpen(date string) string {
	if date == "" {
		return "later"
	}
	return date
}

// urgency: within a month somebody has to order something; within a week it is late for that.
func (w words) urgency(date string) Tone {
	day, err := time.ParseInLocation(time.DateOnly, date, w.zone)
	if err != nil {
		return Plain // what the vault stored is shown as it is
	}
	switch left := day.Sub(w.To); {
	case left < 7*24*time.Hour:
		return Bad
	case left < 30*24*time.Hour:
		return Fair
	}
	return Plain
}

func (w words) security() Section {
	t := Table{
		Columns: columns("EVENT, SEVERITY | EVENTS, NOT INVESTIGATED, FALSE POSITIVES"),
		Empty:   "no security event was recorded in this period",
	}
	t.Columns = append(t.Columns, Column{Name: "LAST"})
	for _, e := range w.Security {
		t.Rows = append(t.Rows, []Cell{
			text(clean(e.Type, 80)), toned(e.Severity, severityTone(e.Severity)), text(count(e.Events)), tally(e.Open, Fair), tally(e.FalsePositives, Plain), text(w.clock(e.LastAt)),
		})
	}
	return Section{ID: "security", Title: "Security events", Tables: []Table{t}}
}

func (w words) compliance() Section {
	c := w.Compliance
	frameworks := Table{
		Columns: columns("FRAMEWORK | COMPLIANT, PARTIALLY, NOT COMPLIANT, NOT TESTED"),
		Empty:   "no control was checked yet",
	}
	for _, f := range c.Frameworks {
		frameworks.Rows = append(frameworks.Rows, []Cell{
			text(clean(f.Framework, 40)), text(count(f.Compliant)), tally(f.Partial, Fair), tally(f.Failing, Bad), tally(f.NotTested, Fair),
		})
	}
	s := Section{ID: "compliance", Title: "Compliance", Tables: []Table{frameworks}}
	if c.Checked == 0 {
		return s
	}
	changes := Table{
		Title: "Changes", Columns: columns("FRAMEWORK, CHECK*, TARGET, BEFORE, AFTER, CHECKED, DUE"),
		Empty: "no result changed in this period",
	}
	for _, x := range c.Changes {
		changes.Rows = append(changes.Rows, []Cell{
			text(clean(x.Framework, 40)), text(clean(x.Check, 100)), text(clean(x.Target, 40)), toned(status(x.Before), Faint), toned(status(x.After), statusTone(x.After)),
			text(w.clock(x.At)), text(strings.TrimSpace(x.Deadline + " " + strings.ToLower(x.Priority))),
		})
	}
	if rest := c.Changed - len(c.Changes); rest > 0 {
		changes.More = "and " + plural(rest, "earlier change", "earlier changes")
	}
	if c.First > 0 {
		s.Notes = []string{plural(c.First, "control was", "controls were") + " checked for the first time."}
	}
	s.Tables = append(s.Tables, changes)
	return s
}

func status(word string) string { return strings.ToLower(strings.ReplaceAll(word, "_", " ")) }

func statusTone(word string) Tone {
	switch word {
	case "COMPLIANT":
		return Good
	case "NON_COMPLIANT":
		return Bad
	}
	return Fair
}

// backupOverdue: a backup that is older than a day and a bit has missed its turn, whatever the plan.
const backupOverdue = 26 * time.Hour

func (w words) backups() Section {
	t := Table{
		Columns: columns("BACKUP | AGE, SIZE, COMPLETED, FAILED"),
		Empty:   "the vault has heard of no backup",
	}
	if w.Backups.Problem != "" {
		t.Empty = "the backups could not be read: " + clean(w.Backups.Problem, 200)
	}
	t.Columns = append(t.Columns, columns("ENDED, VERIFIED, LAST ERROR*")...)
	for _, b := range w.Backups.Rows {
		age := toned("none ever completed", Bad)
		if !b.CompletedAt.IsZero() {
			age = text(Span(w.To.Sub(b.CompletedAt)))
			if w.To.Sub(b.CompletedAt) > backupOverdue {
				age.Tone = Fair
			}
		}
		failure := toned(clean(b.LastError, 120), Faint)
		if !b.LastFailureAt.IsZero() {
			failure.Text = w.clock(b.LastFailureAt) + ": " + failure.Text
		}
		t.Rows = append(t.Rows, []Cell{
			text(clean(b.Type, 40)), age, text(optionalBytes(b.SizeBytes)), text(count(b.Completed)), tally(b.Failed, Bad),
			text(w.minute(b.CompletedAt)), text(strings.ToLower(clean(b.Verification, 30))), failure,
		})
	}
	return Section{ID: "backups", Title: "Backups", Tables: []Table{t}}
}

func (w words) gaps() Section {
	coverage := Table{
		Columns: columns("WHAT, TARGET, SINCE | TIMES, EVERY, COVERED, GAPS, LONGEST, DID NOT ANSWER"),
		Empty:   w.unlessLeft("nothing was collected and nothing evaluated in this period"),
	}
	for _, c := range w.Coverage {
		covered := text(none)
		if c.Covered != nil {
			covered = Cell{Text: percentOf(*c.Covered), Bar: c.Covered, Tone: Good}
			if c.Gaps > 0 {
				covered.Tone = Bad
			}
		}
		longest := text(none)
		if c.Gaps > 0 {
			longest = text(limit(c.LongestSeconds))
		}
		every := text(none)
		if c.IntervalSeconds > 0 {
			every = text(limit(c.IntervalSeconds))
		}
		unreachable := toned(none, Faint)
		if c.What == Collection {
			unreachable = tally(c.Unreachable, Bad)
		}
		coverage.Rows = append(coverage.Rows, []Cell{
			text(c.What), text(clean(c.Target, 60)), text(w.clock(c.Since)), text(count(c.Samples)), every, covered, tally(c.Gaps, Bad), longest, unreachable,
		})
	}
	s := Section{ID: "gaps", Title: "Gaps in collection", Tables: []Table{coverage}}
	if len(w.Coverage) == 0 {
		return s
	}
	gaps := Table{Title: "The longest gaps", Columns: left("WHAT", "TARGET", "FROM", "TO", "FOR"), Empty: "there was no gap"}
	longest := slices.Clone(w.Gaps)
	slices.SortStableFunc(longest, func(a, b Gap) int { return cmp.Compare(b.To.Sub(b.From), a.To.Sub(a.From)) })
	for _, g := range longest[:min(len(longest), maxGaps)] {
		to := text(w.clock(g.To))
		if g.Ongoing {
			to = toned("goes on", Bad)
		}
		gaps.Rows = append(gaps.Rows, []Cell{text(g.What), text(clean(g.Target, 60)), text(w.clock(g.From)), to, toned(Span(g.To.Sub(g.From)), Bad)})
	}
	if rest := len(longest) - len(gaps.Rows); rest > 0 {
		gaps.More = "and " + plural(rest, "shorter gap", "shorter gaps")
	}
	s.Tables = append(s.Tables, gaps)
	s.Notes = []string{"A gap is a time of more than twice the interval without a sample; what was not collected is missing in every figure above."}
	return s
}

const maxGaps = 20

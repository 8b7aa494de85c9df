package report

import (
	"cmp"
	"slices"
	"time"
)

// When an alert that is not over counts as forgotten, as the guide's dashboard has it.
const (
	overdueAfter = time.Hour
	staleAfter   = 4 * time.Hour
)

// maxListed is how many alerts a report names.
const maxListed = 50

// AlertFact is an alert as it stood at the end of the period.
type AlertFact struct {
	AlertLine

	Category string
	OpenedAt time.Time // when it first needed somebody; zero: a suppression window hid it to its end
}

// CountAlerts fills in what the report says of alerts: of all that opened in its period, were answered or
// ended in it, or are not over at its end. slowestLook is the longest time between an evaluation that
// fired and the one before it, in seconds; nil: nothing fired.
func (r *Report) CountAlerts(facts []AlertFact, slowestLook *float64) {
	a := Alerts{
		ResolutionLimitS: ResolutionLimit.Seconds(), ResponseLimitS: ResponseLimit.Seconds(), SlowestLookS: slowestLook,
		Hourly: r.hours(),
	}
	categories := map[string]*CategoryRow{}
	var toAnswer, toResolve []float64
	for i := range facts {
		f := &facts[i]
		f.settle(r.To)
		isNew := !f.TriggeredAt.Before(r.From)
		if isNew {
			countCategory(categories, *f)
		}
		if f.OpenedAt.IsZero() {
			if isNew {
				a.Suppressed++
			}
			continue
		}
		if isNew {
			a.New++
			a.countHour(r.From, *f)
			if f.FalsePositive {
				a.FalsePositives++
			}
		}
		if r.contains(f.AcknowledgedAt) {
			a.Acknowledged++
			toAnswer = append(toAnswer, f.AcknowledgedAt.Sub(f.OpenedAt).Seconds())
		}
		if r.contains(f.ResolvedAt) {
			a.Resolved++
			toResolve = append(toResolve, f.ResolvedAt.Sub(f.OpenedAt).Seconds())
		}
		a.countLimits(*r, *f)
		a.countOpen(*f)
	}
	a.MTTAMeanSeconds, a.MTTAMedian = meanOf(toAnswer), medianOf(toAnswer)
	a.MTTRMeanSeconds, a.MTTRMedian = meanOf(toResolve), medianOf(toResolve)
	a.List, a.Listed = list(facts, r.From)
	r.Alerts, r.AlertCategories = a, sorted(categories)
}

func (r *Report) contains(at time.Time) bool {
	return !at.IsZero() && !at.Before(r.From) && at.Before(r.To)
}

// settle makes the state that of the period's end: what was learned later is taken back.
func (f *AlertFact) settle(end time.Time) {
	if !f.OpenedAt.Before(end) {
		f.OpenedAt = time.Time{} // its window ended later: until then nobody was to answer it
	}
	if f.AcknowledgedAt.IsZero() {
		f.AcknowledgedBy = ""
	}
	if f.ResolvedAt.IsZero() {
		f.ResolvedBy = ""
		switch {
		case f.State == "RESOLVED" && !f.AcknowledgedAt.IsZero():
			f.State = "ACKNOWLEDGED"
		case f.State == "RESOLVED", f.State == "ACKNOWLEDGED" && f.AcknowledgedAt.IsZero():
			f.State = "OPEN"
		}
	}
	switch f.State {
	case "OPEN", "ESCALATED":
		f.Health = "NORMAL"
		if end.Sub(f.TriggeredAt) > overdueAfter {
			f.Health = "OVERDUE"
		}
	case "ACKNOWLEDGED":
		f.Health = "NORMAL"
		if end.Sub(f.AcknowledgedAt) > staleAfter {
			f.Health = "STALE"
		}
	}
}

func countCategory(categories map[string]*CategoryRow, f AlertFact) {
	row := categories[f.Category]
	if row == nil {
		row = &CategoryRow{Category: f.Category}
		categories[f.Category] = row
	}
	row.Total++
	switch f.State {
	case "OPEN":
		row.Open++
	case "RESOLVED":
		row.Resolved++
	}
}

// sorted puts the categories with most alerts first, as the guide does, and equal ones by name.
func sorted(categories map[string]*CategoryRow) []CategoryRow {
	rows := make([]CategoryRow, 0, len(categories))
	for _, row := range categories {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b CategoryRow) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Category, b.Category))
	})
	return rows
}

// hours are the hours of the period, empty. The last one may be cut short.
func (r *Report) hours() []Hour {
	hours := []Hour{}
	for at := r.From; at.Before(r.To); at = at.Add(time.Hour) {
		hours = append(hours, Hour{At: at})
	}
	return hours
}

func (a *Alerts) countHour(from time.Time, f AlertFact) {
	i := int(f.TriggeredAt.Sub(from) / time.Hour)
	if i >= len(a.Hourly) {
		return // opened at the very end
	}
	switch f.Severity {
	case "CRITICAL":
		a.Hourly[i].Critical++
	case "HIGH":
		a.Hourly[i].High++
	case "MEDIUM":
		a.Hourly[i].Medium++
	default:
		a.Hourly[i].Low++
	}
}

// countLimits judges what was decided in the period: an answer or an end that came in it, and what is
// still missing although its limit has passed.
func (a *Alerts) countLimits(r Report, f AlertFact) {
	switch over := !f.ResolvedAt.IsZero(); {
	case r.contains(f.ResolvedAt):
		a.Due++
		if f.ResolvedAt.Sub(f.OpenedAt) <= ResolutionLimit {
			a.WithinResolution++
		}
	case !over && r.To.Sub(f.OpenedAt) > ResolutionLimit:
		a.Due++
	}
	answered := f.AcknowledgedAt
	if answered.IsZero() {
		answered = f.ResolvedAt // who ends it has answered, and so has a condition that cleared
	}
	switch {
	case r.contains(answered):
		a.ResponseDue++
		if answered.Sub(f.OpenedAt) <= ResponseLimit {
			a.WithinResponse++
		}
	case answered.IsZero() && r.To.Sub(f.OpenedAt) > ResponseLimit:
		a.ResponseDue++
	}
}

func (a *Alerts) countOpen(f AlertFact) {
	switch f.State {
	case "OPEN", "ESCALATED", "ACKNOWLEDGED":
		a.Open++
	}
	switch f.Health {
	case "OVERDUE":
		a.Overdue++
	case "STALE":
		a.Stale++
	}
}

// list names the alerts that somebody may have to look at: those that are not over, forgotten ones first
// and then by severity, and after them what was new, the newest first.
func list(facts []AlertFact, from time.Time) ([]AlertLine, int) {
	var lines []AlertLine
	for _, f := range facts {
		if f.Health != "" || !f.TriggeredAt.Before(from) {
			lines = append(lines, f.AlertLine)
		}
	}
	slices.SortStableFunc(lines, func(a, b AlertLine) int {
		return cmp.Or(
			cmp.Compare(rank(a.Health, "OVERDUE", "STALE", "NORMAL"), rank(b.Health, "OVERDUE", "STALE", "NORMAL")),
			compareOpen(a, b), b.TriggeredAt.Compare(a.TriggeredAt), cmp.Compare(a.ID, b.ID))
	})
	return lines[:min(len(lines), maxListed)], len(lines)
}

func compareOpen(a, b AlertLine) int {
	if a.Health == "" {
		return 0
	}
	return cmp.Compare(rank(a.Severity, "CRITICAL", "HIGH", "MEDIUM", "LOW"), rank(b.Severity, "CRITICAL", "HIGH", "MEDIUM", "LOW"))
}

// rank is where a word stands among others; unknown ones stand last.
func rank(word string, order ...string) int {
	if i := slices.Index(order, word); i >= 0 {
		return i
	}
	return len(order)
}

func meanOf(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	mean := sum / float64(len(values))
	return &mean
}

func medianOf(values []float64) *float64 {
	if len(values) == 0 {
		return nil
	}
	values = slices.Sorted(slices.Values(values))
	middle := values[len(values)/2]
	if len(values)%2 == 0 {
		middle = (middle + values[len(values)/2-1]) / 2
	}
	return &middle
}

package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var end = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return end.Add(-d) }

func ptr(v float64) *float64 { return &v }

func near(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || *got < want-0.0005 || *got > want+0.0005 {
		t.Errorf("%s is %v, want %v", what, number(got), want)
	}
}

// fact is an alert that opened so many minutes before the end, was acknowledged and resolved so many
// minutes later (0: not).
func fact(id, severity string, minutes, acknowledged, resolved int) AlertFact {
	f := AlertFact{AlertLine: AlertLine{ID: id, Severity: severity, State: "OPEN", Target: "pg-1", Name: "Alert " + id, TriggeredAt: ago(time.Duration(minutes) * time.Minute)}, Category: "PERFORMANCE"}
	f.OpenedAt = f.TriggeredAt
	if acknowledged > 0 {
		f.State, f.AcknowledgedAt, f.AcknowledgedBy = "ACKNOWLEDGED", f.TriggeredAt.Add(time.Duration(acknowledged)*time.Minute), "dana"
	}
	if resolved > 0 {
		f.State, f.ResolvedAt, f.ResolvedBy = "RESOLVED", f.TriggeredAt.Add(time.Duration(resolved)*time.Minute), "dana"
	}
	return f
}

func newReport() Report {
	p := Today(end, time.UTC)
	return Report{Date: p.Date, TimeZone: p.TimeZone, From: p.From, To: p.To}
}

// full is a report with something in every section.
func full() Report {
	r := newReport()
	r.Health = []HealthRow{{"cache_hit_ratio_pct", ptr(99.05), ptr(99.9), 0, 3}, {"disk_usage_pct", nil, nil, 0, 0}}
	falsePositive := fact("A-0003", "LOW", 600, 5, 10)
	falsePositive.FalsePositive = true
	r.CountAlerts([]AlertFact{fact("A-0001", "CRITICAL", 90, 0, 0), fact("A-0002", "HIGH", 300, 4, 60), falsePositive}, ptr(300))
	r.Deliveries = []ChannelRow{{Channel: "EMAIL", Type: "EMAIL", Delivered: 98, Failed: 2, Uncertain: 1, MeanMS: ptr(340), LastReason: "SMTP 451: later"}}
	r.Statements = Statements{Measured: 2, TotalMS: ptr(10_000), PastDays: 7, Top: []StatementRow{
		{
			Target: "pg-1", QueryID: "1", Database: "shop", User: "app", Text: "SELECT *\n  FROM orders WHERE a < $1", TotalMS: 5000, Calls: 100, PastMeanMS: ptr(25), PastPerHour: ptr(100),
			Suggestions: []string{"filters public.orders (200000 rows, 25.6 MB) by a, with which no index begins, and reads it from end to end (4000000 rows by sequential scans in the period): CREATE INDEX CONCURRENTLY ON public.orders (a)", "another"},
		},
		{Target: "pg-1", QueryID: "2", Database: "shop", User: "app", Text: "SELECT 2", TotalMS: 100, Calls: 10},
	}}
	r.RateStatements()
	r.Capacity = Capacity{Measured: 3, Rows: []CapacityRow{
		{Target: "pg-1", Type: "DISK", Name: "/data", SizeBytes: ptr(4e11), FreeBytes: ptr(1e11), Utilization: ptr(96), Warning: ptr(80), Critical: ptr(95), GrowthBytes: ptr(1e9), Trend: "INCREASING", FullOn: "2026-11-27", FullLow: "2026-11-26"},
	}}
	r.Security = []SecurityRow{{Type: "FAILED_LOGINS", Severity: "HIGH", Events: 3, Open: 2, LastAt: ago(time.Hour)}}
	r.CountCompliance([]FrameworkRow{{"SOX", 10, 1, 1, 0}}, []ComplianceChange{
		{Framework: "SOX", Check: "Connections are encrypted", Target: "pg-1", Before: "COMPLIANT", After: "NON_COMPLIANT", At: ago(3 * time.Hour), Priority: "HIGH", Deadline: "2026-12-23"},
		{Framework: "SOX", Check: "New", Target: "pg-1", After: "COMPLIANT", At: ago(3 * time.Hour)},
	}, 10)
	r.Backups = Backups{Known: 2, Rows: []BackupRow{{Type: "FULL", CompletedAt: ago(28 * time.Hour), SizeBytes: ptr(4e11), Verification: "VERIFIED", Failed: 1, LastError: "no space", LastFailureAt: ago(4 * time.Hour)}}}
	times := []time.Time{r.From, ago(10 * time.Hour), ago(9 * time.Hour)}
	r.CountCoverage([]Watched{{What: Collection, Target: "pg-1", Since: r.From, Times: times, Intervals: []time.Duration{6 * time.Hour, 6 * time.Hour, 6 * time.Hour}, Unreachable: 1}})
	r.Draw([]Step{
		{Metric: "connection_usage_pct", Target: "pg-1", Index: 0, Avg: 20, Min: 10, Max: 30, Unit: "%", Warning: ptr(75), Critical: ptr(90)},
		{Metric: "connection_usage_pct", Target: "pg-1", Index: 1, Avg: 40, Min: 40, Max: 80, Unit: "%", Warning: ptr(75), Critical: ptr(90)},
		{Metric: "connection_usage_pct", Target: "pg-1", Index: 9, Avg: 60, Min: 60, Max: 60, Unit: "%", Warning: ptr(75), Critical: ptr(90)},
	}, Steps(r.Period()))
	r.SetMonitoring(MonitoringItself{SlowestQuery: "evaluation of X", SlowestQueryMS: ptr(0.4), VaultBytes: ptr(10), DatabaseBytes: ptr(1000), FirstSeen: ago(40 * 24 * time.Hour), OldestSample: ago(35 * 24 * time.Hour)})
	r.Judge()
	return r
}

func TestToday_IsTheGuidesPeriod(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now              time.Time
		zone             *time.Location
		date, from, hour string
	}{
		{end, time.UTC, "2026-11-23", "2026-11-22T00:00:00Z", "30"},
		// It is the next day in Berlin already.
		{time.Date(2026, 11, 22, 23, 30, 0, 0, time.UTC), berlin, "2026-11-23", "2026-11-21T23:00:00Z", "24.5"},
		// The day of 25 hours.
		{time.Date(2026, 10, 25, 23, 0, 0, 0, time.UTC), berlin, "2026-10-26", "2026-10-24T22:00:00Z", "25"},
	} {
		p := Today(c.now, c.zone)
		if p.Date != c.date || p.From.Format(time.RFC3339) != c.from || decimal(p.To.Sub(p.From).Hours()) != c.hour {
			t.Errorf("%s in %s: %+v", c.now, c.zone, p)
		}
	}
}

func TestDay_IsWholeUnlessItStillRuns(t *testing.T) {
	t.Parallel()
	p, err := Day("2026-11-22", end, time.UTC)
	if err != nil || p.Date != "2026-11-22" || p.To.Sub(p.From) != 24*time.Hour {
		t.Errorf("a past day is %+v, %v", p, err)
	}
	p, err = Day("2026-11-23", end, time.UTC)
	if err != nil || p.Date != "2026-11-23" || !p.To.Equal(end) {
		t.Errorf("today is %+v, %v", p, err)
	}
	for date, want := range map[string]string{"2026-11-24": "not in the future", "22.11.": "write it like 2026-11-22"} {
		if _, err := Day(date, end, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", date, err)
		}
	}
	if _, err := Between(end.Add(-32*24*time.Hour), end, time.UTC); err == nil || !strings.Contains(err.Error(), "at most 31") {
		t.Errorf("a long period: %v", err)
	}
}

func TestCountAlerts_MeasuresTimesAndLimits(t *testing.T) {
	t.Parallel()
	r := newReport()
	before := int(end.Sub(r.From).Minutes()) + 60 // an hour before the period
	suppressed := fact("S", "LOW", 30, 0, 0)
	suppressed.State, suppressed.OpenedAt = "SUPPRESSED", time.Time{}
	hidden := fact("H", "LOW", 100, 0, 20) // fired in a window and cleared in it
	hidden.OpenedAt = time.Time{}
	wrong := fact("F", "LOW", 400, 4, 8)
	wrong.FalsePositive = true
	late := fact("L", "HIGH", 700, 45, 300)
	unsuppressed := fact("U", "MEDIUM", 200, 20, 30)
	unsuppressed.OpenedAt = unsuppressed.TriggeredAt.Add(10 * time.Minute)
	r.CountAlerts([]AlertFact{
		fact("A", "CRITICAL", 120, 2, 10), fact("B", "HIGH", 300, 8, 30), late, wrong, suppressed, hidden, unsuppressed,
		fact("OLD", "HIGH", before, 0, 61),  // opened before, resolved in the period: it counts as resolved
		fact("GONE", "HIGH", before, 2, 10), // over before the period began
		fact("OPEN", "LOW", 10, 0, 0), fact("OVERDUE", "HIGH", 61, 0, 0), fact("STALE", "LOW", 400, 100, 0),
	}, nil)
	a := r.Alerts
	for what, got := range map[string][2]int{
		"new": {a.New, 8}, "open": {a.Open, 3}, "overdue": {a.Overdue, 1}, "stale": {a.Stale, 1}, "suppressed": {a.Suppressed, 2},
		"resolved": {a.Resolved, 6}, "acknowledged": {a.Acknowledged, 6}, "false positives": {a.FalsePositives, 1},
		// Resolved in the period: A, B, L, F, U, OLD; and STALE is due.
		"due": {a.Due, 7}, "within resolution": {a.WithinResolution, 5},
		// Answered: A, B, L, F, U, OLD by its end, STALE; OVERDUE is unanswered for longer than the limit.
		"response due": {a.ResponseDue, 8}, "within response": {a.WithinResponse, 4},
	} {
		if got[0] != got[1] {
			t.Errorf("%s is %d, want %d", what, got[0], got[1])
		}
	}
	near(t, "MTTA", a.MTTAMeanSeconds, 60*(2+8+45+4+10+100)/6.0)
	near(t, "median of MTTA", a.MTTAMedian, 60*9)
	near(t, "MTTR", a.MTTRMeanSeconds, 60*(10+30+300+8+20+61)/6.0)
	if got := r.AlertCategories; len(got) != 1 || got[0] != (CategoryRow{"PERFORMANCE", 10, 2, 6}) {
		t.Errorf("the guide's summary is %+v", got)
	}
	if first := a.List[0]; first.ID != "OVERDUE" || first.Health != "OVERDUE" {
		t.Errorf("the list begins with %+v", first)
	}
	total := 0
	for _, h := range a.Hourly {
		total += h.total()
	}
	if total != a.New || len(a.Hourly) != 30 {
		t.Errorf("%d hours with %d alerts", len(a.Hourly), total)
	}
}

func TestCountAlerts_TellsTheStateOfThePeriodsEnd(t *testing.T) {
	t.Parallel()
	r := newReport()
	later := fact("A", "HIGH", 30, 0, 0)
	later.State = "RESOLVED" // by a version that was written afterwards
	r.CountAlerts([]AlertFact{later}, nil)
	if got := r.Alerts.List[0]; got.State != "OPEN" || r.Alerts.Open != 1 || r.AlertCategories[0].Open != 1 {
		t.Errorf("got %+v", r.Alerts)
	}
}

// An alert that a window hid until after the end of a past day was nobody's on that day.
func TestCountAlerts_SuppressedUntilAfterTheEndIsSuppressed(t *testing.T) {
	t.Parallel()
	r := newReport()
	hidden := fact("A", "HIGH", 30, 0, 0)
	hidden.State, hidden.OpenedAt = "SUPPRESSED", end.Add(time.Hour)
	r.CountAlerts([]AlertFact{hidden}, nil)
	if a := r.Alerts; a.Suppressed != 1 || a.New != 0 || a.Open != 0 {
		t.Errorf("got %+v", a)
	}
}

func TestCountCoverage_FindsGapsAtTheEdgesAndWithin(t *testing.T) {
	t.Parallel()
	every := 5 * time.Minute
	var times []time.Time
	var intervals []time.Duration
	r := newReport()
	for at := r.From.Add(20 * time.Minute); at.Before(end.Add(-11 * time.Minute)); at = at.Add(every) {
		if at.After(ago(5*time.Hour)) && at.Before(ago(4*time.Hour)) {
			continue
		}
		times, intervals = append(times, at), append(intervals, every)
	}
	r.CountCoverage([]Watched{{What: Collection, Target: "pg-1", Since: r.From, Times: times, Intervals: intervals}})
	row := r.Coverage[0]
	if row.Gaps != 3 || len(r.Gaps) != 3 || !r.Gaps[0].From.Equal(r.From) || !r.Gaps[2].Ongoing {
		t.Fatalf("gaps %+v", r.Gaps)
	}
	if got := r.Gaps[1].To.Sub(r.Gaps[1].From); got != time.Hour {
		t.Errorf("the gap within is %s", got)
	}
	missed := (20 - 5) + (60 - 5) + (15 - 5)
	near(t, "covered", row.Covered, 1-float64(missed)/(30*60))

	r.CountCoverage([]Watched{{What: Collection, Target: "gone", Since: r.From, Pace: every}})
	near(t, "covered of nothing", r.Coverage[0].Covered, 0)
	r.CountCoverage([]Watched{{What: Collection, Target: "late", Since: r.From, Times: []time.Time{r.From, r.From.Add(10 * time.Minute), end}, Intervals: []time.Duration{every, 30 * time.Hour, every}}})
	if r.Coverage[0].Gaps != 0 {
		t.Errorf("twice the interval is no gap yet: %+v", r.Gaps)
	}
}

func TestJudge_KnowsTheGoals(t *testing.T) {
	t.Parallel()
	r := full()
	got := map[string]Verdict{}
	for _, k := range r.KPIs {
		got[k.Key] = k.Verdict
	}
	want := map[string]Verdict{
		"notification_delivery": Missed, "false_positives": Missed, "resolved_within_sla": Met, "alert_response_time": Met,
		"collection_frequency": Missed, "monitoring_queries": Met, "storage": Met, "retention": Met,
	}
	for key, verdict := range want {
		if got[key] != verdict {
			t.Errorf("%s is %s, want %s", key, got[key], verdict)
		}
	}
	r.Deliveries[0] = ChannelRow{Delivered: 99, Failed: 1}
	r.Monitoring.Dedicated = true
	r.Judge()
	if r.KPIs[0].Verdict != Missed || r.KPIs[6].Verdict != Unknown {
		t.Errorf("exactly 99 %% is %s; a dedicated database is %s", r.KPIs[0].Verdict, r.KPIs[6].Verdict)
	}
	empty := newReport()
	empty.Judge()
	for _, k := range empty.KPIs {
		if k.Verdict != Unknown || k.Value != nil || k.Measured != "not known" || k.Detail == "" {
			t.Errorf("%s of nothing is %+v", k.Key, k)
		}
	}
}

func TestJudge_WithoutAMarkNobodyKnowsOfFalsePositives(t *testing.T) {
	t.Parallel()
	r := newReport()
	wrong := fact("F", "LOW", 400, 4, 8)
	r.CountAlerts([]AlertFact{fact("A", "HIGH", 30, 0, 0), wrong}, nil)
	if k := r.falsePositiveKPI(); k.Verdict != Unknown || k.Value != nil {
		t.Errorf("without a mark: %+v", k)
	}
	wrong.FalsePositive = true
	r.CountAlerts([]AlertFact{fact("A", "HIGH", 30, 0, 0), wrong}, nil)
	if k := r.falsePositiveKPI(); k.Verdict != Missed || *k.Value != 50 || k.Detail != "1 of 2 alerts were marked as such" {
		t.Errorf("with a mark: %+v", k)
	}
}

func TestCapacity_OfASequenceIsCountedInValues(t *testing.T) {
	t.Parallel()
	r := newReport()
	r.Capacity = Capacity{Measured: 1, Rows: []CapacityRow{
		{Target: "pg-1", Type: "SEQUENCE", Name: "orders_id_seq", SizeBytes: ptr(150_000), FreeBytes: ptr(2_147_333_647), GrowthBytes: ptr(4.5e6), Utilization: ptr(0.01)},
	}}
	text := r.Words(time.UTC).Text()
	for _, want := range []string{"150,000 values", "2.15 billion values", "4.5 million values"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if strings.Contains(text, "KiB") || strings.Contains(text, "MiB") {
		t.Errorf("values are printed as bytes:\n%s", text)
	}
}

func TestPercent_NeverRoundsToAllOrNothing(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{1: "100 %", 0.99999: "99.9 %", 0.00001: "< 0.1 %", 0: "0 %", 0.9876: "98.8 %", 0.5: "50 %"} {
		if got := percentOf(share); got != want {
			t.Errorf("%v is %q, want %q", share, got, want)
		}
	}
}

func TestText_SaysEverySection(t *testing.T) {
	t.Parallel()
	golden(t, "full.txt", full().Words(time.UTC).Text())
	empty := newReport()
	empty.CountAlerts(nil, nil)
	empty.Judge()
	golden(t, "empty.txt", empty.Words(time.UTC).Text())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReport_SurvivesItsStorage(t *testing.T) {
	t.Parallel()
	r := full()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := r.HTML(time.UTC)
	second, err2 := again.HTML(time.UTC)
	if errors.Join(err1, err2) != nil || first != second {
		t.Errorf("the stored report renders differently: %v", errors.Join(err1, err2))
	}
	if strings.Contains(string(text), `"avg_value":0`) {
		t.Error("what is not known is stored as zero")
	}
}

func TestHTML_IsOneWellFormedPageWithoutNetworkOrScript(t *testing.T) {
	t.Parallel()
	page, err := full().HTML(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, page)
	for _, banned := range []string{"http://", "https://", "<script", "url(", "@import", "NaN", "Inf", "%!", "&lt;nil&gt;", "ZgotmplZ", " src="} {
		if strings.Contains(page, banned) {
			t.Errorf("the page holds %q", banned)
		}
	}
	for _, wanted := range []string{
		"Content-Security-Policy", "prefers-color-scheme: dark", "@media print", "<title id=", "<desc id=", `class="hole"`, `class="band"`, "<circle",
		`rect class="critical"`, "not known", "A-0001", "no space",
	} {
		if !strings.Contains(page, wanted) {
			t.Errorf("the page lacks %q", wanted)
		}
	}
}

// wellFormed parses the page as XML, closing what HTML leaves open: a tag out of place is an error.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	page = regexp.MustCompile(`(?s)<style>.*?</style>`).ReplaceAllString(page, "")
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict = false
	decoder.AutoClose = []string{"meta", "br"}
	decoder.Entity = xml.HTMLEntity
	depth := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		switch token.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	if depth != 0 {
		t.Errorf("%d elements are not closed", depth)
	}
}

func TestHTML_EscapesWhatOthersWrote(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script><svg onload=x>`
	r := full()
	r.Statements.Top[0].Text, r.Statements.Top[0].Database, r.Statements.Top[0].Suggestions[0] = hostile, hostile, hostile
	r.Alerts.List[0].Name, r.Alerts.List[0].AcknowledgedBy, r.Alerts.List[0].Target = hostile, hostile, hostile
	r.Deliveries[0].Channel, r.Deliveries[0].LastReason = hostile, hostile
	r.Capacity.Rows[0].Name, r.Security[0].Type, r.Compliance.Changes[0].Check = hostile, hostile, hostile
	r.Backups.Rows[0].LastError, r.Coverage[0].Target, r.Series[0].Target, r.Series[0].Metric = hostile, hostile, hostile, hostile
	r.Health[0].Metric, r.Monitoring.SlowestQuery = hostile, hostile
	r.Judge()
	letter, err := r.Letter(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"page": letter.HTML, "mail": letter.Summary} {
		wellFormed(t, text)
		if strings.Contains(text, "<script") || strings.Contains(text, "<svg onload") {
			t.Errorf("the %s executes what a name says", what)
		}
	}
	if !strings.Contains(letter.HTML, "&lt;script&gt;") {
		t.Error("the page does not show the text")
	}
}

func TestLetter_SaysInItsSubjectWhetherToReadOn(t *testing.T) {
	t.Parallel()
	letter, err := full().Letter(time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if letter.Subject != "OneVault report 2026-11-23: 3 goals missed, 1 alert open, 1 overdue" || letter.File != "onevault-report-2026-11-23.html" {
		t.Errorf("got %q, %q", letter.Subject, letter.File)
	}
	quiet := newReport()
	quiet.CountAlerts(nil, nil)
	quiet.Judge()
	if got := quiet.subject(); got != "OneVault report 2026-11-23: no goal missed, no alert open" {
		t.Errorf("a quiet day: %q", got)
	}
}

func TestScale_KeepsEveryValueWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		low, high         float64
		warning, critical *float64
		unit              string
	}{
		{0, 0, nil, nil, ""},
		{5, 5, ptr(10), ptr(20), "%"},
		{99.2, 99.9, ptr(95), ptr(90), "%"},
		{-3, 7, nil, nil, ""},
		{412.3, 412.4, ptr(500), ptr(800), "GB"},
		{0.0001, 0.0003, nil, nil, "s"},
		{1e12, 3e12, nil, nil, "bytes"},
		{0, 130, ptr(80), ptr(95), "%"},
	} {
		bottom, top, ticks := Series{Unit: c.unit, Warning: c.warning, Critical: c.critical}.scale(c.low, c.high)
		if bottom > c.low || top < c.high || bottom >= top || len(ticks) < 2 || len(ticks) > 6 {
			t.Errorf("%+v: from %v to %v with %v", c, bottom, top, ticks)
		}
	}
}

func TestMarks_AreHoursOfTheZoneAlsoWhenTheClocksChange(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{1, 6, 24, 30, 49, 24 * 31} {
		to := time.Date(2026, 10, 25, 22, 0, 0, 0, time.UTC)
		w := words{Report: Report{From: to.Add(-time.Duration(hours) * time.Hour), To: to}, zone: berlin}
		marks := w.marks()
		if len(marks) == 0 || len(marks) > 9 {
			t.Errorf("%d hours have %d marks", hours, len(marks))
		}
		for i, m := range marks {
			if m.In(berlin).Minute() != 0 || i > 0 && !m.After(marks[i-1]) {
				t.Errorf("%d hours: mark %s", hours, m.In(berlin))
			}
		}
	}
}

func TestSpan_InTwoUnitsAtMost(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 1500 * time.Millisecond: "1.5 s", 119 * time.Second: "119 s", 5 * time.Minute: "5 min", 5*time.Minute + 15*time.Second: "5 min 15 s",
		59*time.Minute + 50*time.Second: "1 h", 80 * time.Minute: "1 h 20 min", 28 * time.Hour: "28 h", 49 * time.Hour: "2 d 1 h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

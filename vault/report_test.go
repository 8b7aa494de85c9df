package vault_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"onevault/report"
	"onevault/vault"
)

// reportOf reads the period that a moment's report covers.
func (f *fixture) reportOf(p report.Period) report.Report {
	f.Helper()
	r, err := f.store.Report(f.Context(), p)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// noon is a moment of the day before, so that whatever a test seeds lies in the past; midnight begins it.
func noon() time.Time {
	y, m, d := time.Now().UTC().AddDate(0, 0, -1).Date()
	return time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
}

func measured(t *testing.T, what string, got *float64, want float64) {
	t.Helper()
	if got == nil || *got < want-0.001 || *got > want+0.001 {
		shown := "nil"
		if got != nil {
			shown = time.Duration(*got * float64(time.Second)).String()
		}
		t.Errorf("%s is %s, want %v", what, shown, want)
	}
}

func TestReport_OfAnEmptyVaultKnowsNothingAndClaimsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.reportOf(report.Today(time.Now(), time.UTC))
	for _, k := range r.KPIs {
		if k.Verdict != report.Unknown || k.Value != nil {
			t.Errorf("%s is %s, %s", k.Name, k.Measured, k.Verdict)
		}
	}
	if len(r.Health)+len(r.AlertCategories)+len(r.Deliveries)+len(r.Coverage)+len(r.Series) != 0 || r.Capacity.Measured != 0 || r.Compliance.Checked != 0 {
		t.Errorf("got %+v", r)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var shape map[string]any
	if err := json.Unmarshal(text, &shape); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"kpis", "system_health_summary", "alert_summary", "deliveries", "security_events", "coverage", "gaps", "series"} {
		if _, ok := shape[list].([]any); !ok {
			t.Errorf("%s is %v in JSON, want a list", list, shape[list])
		}
	}
}

// The guide's own statements are asked beside ours: the same period must give the same rows.
func TestReport_CountsAsTheGuidesStatementsDo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i, v := range []float64{10, 20, 80, 96} {
		f.sampleAt(time.Now().UTC().Add(-time.Duration(i)*time.Hour), "connection_usage_pct", v)
	}
	f.sampleAt(time.Now().UTC().AddDate(0, 0, -3), "connection_usage_pct", 99)
	f.fire("FIRST")
	f.fire("SECOND")
	f.exec("SELECT monitoring.resolve_alert(alert_instance_hk, 'dana') FROM monitoring.alert_current WHERE alert_definition_bk = 'FIRST'")
	r := f.reportOf(report.Today(time.Now().UTC(), time.UTC))

	f.exec("SET timezone = 'UTC'")
	guide := value[string](f, `
		SELECT json_agg(g)::text FROM (
		SELECT metric_name, ROUND(AVG(metric_value), 2) AS avg_value, ROUND(MAX(metric_value), 2) AS max_value,
		       COUNT(*) FILTER (WHERE status = 'CRITICAL') AS critical_count, COUNT(*) FILTER (WHERE status = 'WARNING') AS warning_count
		  FROM monitoring.system_health_metric_s
		 WHERE measurement_timestamp >= CURRENT_DATE - INTERVAL '1 day' AND load_end_date IS NULL
		 GROUP BY metric_name ORDER BY metric_name) AS g`)
	var health []report.HealthRow
	if err := json.Unmarshal([]byte(guide), &health); err != nil {
		t.Fatal(err)
	}
	if len(health) != 1 || len(r.Health) != 1 || *health[0].Avg != *r.Health[0].Avg || *health[0].Max != *r.Health[0].Max ||
		health[0].Critical != r.Health[0].Critical || health[0].Warning != r.Health[0].Warning {
		t.Errorf("the guide's health is %s, ours %+v", guide, r.Health)
	}
	guide = value[string](f, `
		SELECT json_agg(g)::text FROM (
		SELECT alert_category, COUNT(*) AS total_alerts, COUNT(*) FILTER (WHERE alert_status = 'OPEN') AS open_alerts,
		       COUNT(*) FILTER (WHERE alert_status = 'RESOLVED') AS resolved_alerts
		  FROM monitoring.alert_instance_s ais
		  JOIN monitoring.alert_instance_h aih ON ais.alert_instance_hk = aih.alert_instance_hk
		  JOIN monitoring.alert_definition_h adh ON aih.alert_definition_hk = adh.alert_definition_hk
		  JOIN monitoring.alert_definition_s ads ON adh.alert_definition_hk = ads.alert_definition_hk
		 WHERE ais.triggered_timestamp >= CURRENT_DATE - INTERVAL '1 day' AND ais.load_end_date IS NULL AND ads.load_end_date IS NULL
		 GROUP BY alert_category ORDER BY total_alerts DESC) AS g`)
	var alerts []report.CategoryRow
	if err := json.Unmarshal([]byte(guide), &alerts); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alerts, r.AlertCategories) || len(alerts) != 1 || alerts[0] != (report.CategoryRow{Category: "PERFORMANCE", Total: 2, Open: 1, Resolved: 1}) {
		t.Errorf("the guide's alerts are %s, ours %+v", guide, r.AlertCategories)
	}
}

// sampleAt records a measurement as a collection of that moment would have.
func (f *fixture) sampleAt(at time.Time, name string, v float64) {
	f.Helper()
	warning, critical := 75.0, 90.0
	if _, err := f.store.RecordHealth(f.Context(), "local", at, 5*time.Minute, []vault.Sample{
		{Name: name, Category: "PERFORMANCE", Unit: "%", Value: &v, Warning: &warning, Critical: &critical, Source: "test"},
	}); err != nil {
		f.Fatal(err)
	}
}

func TestReport_TellsAPastDayAsItStoodThen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.define("PAST", nil)
	at := noon()
	if got := f.look("PAST", at, usage(90)); got != "TRUE FIRED" {
		t.Fatalf("fired: %s", got)
	}
	change := func(kind string, at time.Time, actor string) {
		f.exec(`SELECT monitoring.change_alert_state(alert_instance_hk, $1, $2, $3, 'test', NULL, NULL) FROM monitoring.alert_current WHERE alert_definition_bk = 'PAST'`, kind, at, actor)
	}
	change("ACKNOWLEDGED", at.Add(5*time.Minute), "dana")
	change("RESOLVED", at.Add(14*time.Hour), "kim") // on the next day
	midnight := at.Add(12 * time.Hour)

	day, err := report.Day(at.Format(time.DateOnly), time.Now(), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(day)
	if !day.To.Equal(midnight) || r.Alerts.Open != 1 || r.Alerts.Stale != 1 || r.Alerts.Resolved != 0 {
		t.Errorf("at its end the day had %+v", r.Alerts)
	}
	if got := r.Alerts.List[0]; got.State != "ACKNOWLEDGED" || got.AcknowledgedBy != "dana" || !got.ResolvedAt.IsZero() || got.ResolvedBy != "" {
		t.Errorf("the alert was %+v", got)
	}
	measured(t, "MTTA", r.Alerts.MTTAMeanSeconds, 300)

	next, err := report.Between(midnight, midnight.Add(3*time.Hour), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r = f.reportOf(next)
	if r.Alerts.New != 0 || r.Alerts.Resolved != 1 || r.Alerts.Acknowledged != 0 || len(r.AlertCategories) != 0 {
		t.Errorf("the next hours had %+v", r.Alerts)
	}
	measured(t, "MTTR", r.Alerts.MTTRMeanSeconds, (14 * time.Hour).Seconds())
	if r.Alerts.Due != 1 || r.Alerts.WithinResolution != 0 {
		t.Errorf("14 hours are within the limit: %+v", r.Alerts)
	}
}

func TestReport_CountsWhatBecameOfNotifications(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	key := f.fire("TOLD")
	if err := f.store.PutChannel(t.Context(), vault.Channel{
		Key: "MAIL", Name: "Mail", Type: "EMAIL", RecordSource: "TEST",
		Configuration: json.RawMessage(`{"smtp_server": "localhost", "from_address": "a@example.com", "to_addresses": ["b@example.com"]}`),
	}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Add(-10 * time.Minute).Truncate(time.Microsecond)
	entry := func(recipient, status, class string, ms int64, duplicate bool) vault.LedgerEntry {
		return vault.LedgerEntry{AlertKey: key, ChannelKey: "MAIL", ChannelType: "EMAIL", Recipient: recipient, Event: "FIRED", DeliveryKey: "k", Status: status, Class: class, At: at, DurationMS: ms, Reason: class, PossibleDuplicate: duplicate}
	}
	if _, err := f.store.RecordHistory(t.Context(), nil, []vault.LedgerEntry{
		entry("1", "DELIVERED", "ACCEPTED", 100, false), entry("2", "DELIVERED", "ACCEPTED", 300, true), entry("3", "DELIVERED", "ACCEPTED", 200, false),
		entry("4", "FAILED", "PERMANENT", 0, false), entry("5", "FAILED", "UNCERTAIN", 0, true), entry("6", "PENDING", "", 0, false),
		entry("7", "PENDING", "TRANSIENT", 0, false), entry("8", "SUPPRESSED", "TRANSIENT", 0, false),
	}); err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(report.Today(time.Now().UTC(), time.UTC))
	if len(r.Deliveries) != 1 {
		t.Fatalf("channels %+v", r.Deliveries)
	}
	got := r.Deliveries[0]
	if got.Channel != "MAIL" || got.Delivered != 3 || got.Failed != 2 || got.Uncertain != 2 || got.Waiting != 1 || got.Withdrawn != 1 || got.Duplicates != 2 {
		t.Errorf("got %+v", got)
	}
	measured(t, "mean", got.MeanMS, 200)
	measured(t, "rate", got.Rate(), 0.6)
}

func TestReport_ComparesStatementsWithTheMedianOfTheirWeek(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	f.exec(`INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk) SELECT util.hash_binary(k), k FROM unnest(ARRAY['SLOWER', 'NEW']) AS k`)
	insert := `INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, query_hash, database_name, username, query_text, total_time_ms, calls, pct_of_total, measurement_period_end)
		VALUES (util.hash_binary($1), '\x', $1, 'shop', 'app', 'SELECT ' || $1, $2, $3, $4, $5)`
	from := to.Add(-12 * time.Hour)
	for day := range 7 { // means of 10, 20, ... 70 ms, one call a day each
		f.exec(insert, "SLOWER", 10*(day+1), 1, 50, from.Add(-time.Duration(day)*24*time.Hour-time.Hour))
	}
	f.exec(insert, "SLOWER", 9999, 1, 50, from.Add(-8*24*time.Hour)) // too long ago
	f.exec(insert, "SLOWER", 800, 10, 40, from.Add(time.Hour))
	f.exec(insert, "NEW", 200, 1, 10, from.Add(time.Hour))
	f.exec(`
		INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, query_hash, total_time_ms, calls, measurement_period_end, optimization_suggestions)
		VALUES (util.hash_binary('NEW'), '\x', 'NEW', 0, 0, $1, '{"try this","and that"}')`, from.Add(2*time.Hour))
	period, err := report.Between(from, to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	s := f.reportOf(period).Statements
	if s.Measured != 2 || s.PastDays != 7 || len(s.Top) != 2 || s.Top[0].QueryID != "SLOWER" || s.Top[1].PastMeanMS != nil {
		t.Fatalf("got %+v", s)
	}
	if len(s.Top[0].Suggestions) != 0 || !slices.Equal(s.Top[1].Suggestions, []string{"try this", "and that"}) {
		t.Errorf("suggested %q, %q", s.Top[0].Suggestions, s.Top[1].Suggestions)
	}
	measured(t, "all time", s.TotalMS, 2000) // 800 ms were 40 % of it
	measured(t, "share", s.Top[0].Share, 0.4)
	measured(t, "mean", s.Top[0].MeanMS, 80)
	measured(t, "past mean", s.Top[0].PastMeanMS, 40)
	measured(t, "past time per hour", s.Top[0].PastPerHour, 40.0/24)
}

func TestReport_FindsTheGapsOfCollection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	for at := to.Add(-3 * time.Hour); at.Before(to); at = at.Add(5 * time.Minute) {
		if at.Before(to.Add(-2*time.Hour)) || !at.Before(to.Add(-90*time.Minute)) {
			f.sampleAt(at, "target_reachable", 1)
		}
	}
	period, err := report.Between(to.Add(-6*time.Hour), to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(period)
	if len(r.Coverage) != 1 || r.Coverage[0].What != report.Collection || r.Coverage[0].Samples != 30 || r.Coverage[0].IntervalSeconds != 300 {
		t.Fatalf("coverage %+v", r.Coverage)
	}
	// The target was not watched before its first sample: that is no gap.
	if !r.Coverage[0].Since.Equal(to.Add(-3*time.Hour)) || len(r.Gaps) != 1 || r.Gaps[0].To.Sub(r.Gaps[0].From) != 35*time.Minute {
		t.Errorf("gaps %+v, since %s", r.Gaps, r.Coverage[0].Since)
	}
	measured(t, "covered", r.Coverage[0].Covered, 1-30.0/180)

	silent, err := report.Between(to.Add(time.Hour), to.Add(3*time.Hour), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r = f.reportOf(silent)
	if len(r.Coverage) != 1 || len(r.Gaps) != 1 || !r.Gaps[0].Ongoing {
		t.Errorf("a period without a sample: %+v, %+v", r.Coverage, r.Gaps)
	}
	measured(t, "covered in silence", r.Coverage[0].Covered, 0)
}

// Nobody looks at a target that was disabled or removed, and nobody promised to.
func TestReport_ATargetThatIsWatchedNoMoreIsNoGap(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	reachable := 1.0
	for _, name := range []string{"watched", "disabled", "removed"} {
		if err := f.store.AddTarget(t.Context(), vault.Target{Name: name, URL: "postgres://u@h/d"}, "dana"); err != nil {
			t.Fatal(err)
		}
		if _, err := f.store.RecordHealth(t.Context(), name, to.Add(-time.Hour), 5*time.Minute, []vault.Sample{{Name: "target_reachable", Category: "AVAILABILITY", Value: &reachable}}); err != nil {
			t.Fatal(err)
		}
	}
	no := false
	if _, err := f.store.ChangeTarget(t.Context(), "disabled", vault.TargetChange{Enabled: &no}, "dana"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.store.RemoveTarget(t.Context(), "removed", "dana"); err != nil {
		t.Fatal(err)
	}
	period, err := report.Between(to.Add(-2*time.Hour), to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(period)
	if len(r.Coverage) != 1 || r.Coverage[0].Target != "watched" || len(r.Gaps) != 1 || r.Gaps[0].Target != "watched" {
		t.Errorf("coverage %+v, gaps %+v", r.Coverage, r.Gaps)
	}
}

func TestReport_ShowsCapacitySecurityComplianceAndBackups(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	f.exec(`INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk) SELECT util.hash_binary(k), k FROM unnest(ARRAY['DISK', 'ROOMY', 'GONE']) AS k`)
	f.exec(`INSERT INTO monitoring.capacity_metric_s (capacity_metric_hk, hash_diff, resource_type, resource_name, utilization_percentage, projected_full_date, forecast_low_date, measurement_timestamp) VALUES
		(util.hash_binary('DISK'), '\x', 'DISK', '/data', 70, '2027-05-01', '2027-04-01', $1::timestamptz - interval '2 hours'),
		(util.hash_binary('DISK'), '\x', 'DISK', '/data', 71, '2027-04-20', '2027-03-20', $1::timestamptz - interval '1 hour'),
		(util.hash_binary('DISK'), '\x', 'DISK', '/data', 99, '2020-01-01', NULL, $1::timestamptz + interval '1 hour'),
		(util.hash_binary('ROOMY'), '\x', 'TABLE', 't', NULL, NULL, NULL, $1::timestamptz - interval '1 hour'),
		(util.hash_binary('GONE'), '\x', 'TABLE', 'dropped', NULL, NULL, NULL, $1::timestamptz - interval '9 days')`, to)
	f.exec(`INSERT INTO monitoring.security_event_h (security_event_hk, security_event_bk) SELECT util.hash_binary(k), k FROM unnest(ARRAY['E1', 'E2', 'E3', 'E4']) AS k`)
	f.exec(`INSERT INTO monitoring.security_event_s (security_event_hk, hash_diff, event_type, event_severity, event_timestamp, investigation_status) VALUES
		(util.hash_binary('E1'), '\x', 'FAILED_LOGINS', 'HIGH', $1::timestamptz - interval '1 hour', 'OPEN'),
		(util.hash_binary('E2'), '\x', 'FAILED_LOGINS', 'HIGH', $1::timestamptz - interval '2 hours', 'FALSE_POSITIVE'),
		(util.hash_binary('E3'), '\x', 'ROLE_CHANGE', 'CRITICAL', $1::timestamptz - interval '3 hours', 'RESOLVED'),
		(util.hash_binary('E4'), '\x', 'ROLE_CHANGE', 'CRITICAL', $1::timestamptz - interval '30 hours', 'OPEN')`, to)
	f.exec(`INSERT INTO monitoring.compliance_check_h (compliance_check_hk, compliance_check_bk) SELECT util.hash_binary(k), k FROM unnest(ARRAY['C1', 'C2', 'C3']) AS k`)
	for _, v := range []struct {
		key    string
		before time.Duration
		status string
	}{
		{"C1", 50 * time.Hour, "COMPLIANT"},
		{"C2", 50 * time.Hour, "COMPLIANT"},
		{"C1", 3 * time.Hour, "NON_COMPLIANT"},
		{"C2", 3 * time.Hour, "COMPLIANT"},
		{"C3", 3 * time.Hour, "NOT_TESTED"},
		{"C1", -time.Hour, "COMPLIANT"},
	} {
		f.exec(`INSERT INTO monitoring.compliance_check_s (compliance_check_hk, load_date, hash_diff, compliance_framework, check_name, last_check_timestamp, check_status)
			VALUES (util.hash_binary($1), $2, '\x', 'SOX', 'Check ' || $1, $2, $3)`, v.key, to.Add(-v.before), v.status)
	}
	f.exec(`INSERT INTO backup_mgmt.backup_execution_h (backup_hk, backup_bk, record_source) SELECT util.hash_binary(k), k, 'TEST' FROM unnest(ARRAY['B1', 'B2', 'B3']) AS k`)
	f.exec(`INSERT INTO backup_mgmt.backup_execution_s (backup_hk, hash_diff, backup_type, backup_start_time, backup_end_time, backup_status, backup_size_bytes, error_message, record_source) VALUES
		(util.hash_binary('B1'), '\x', 'FULL', $1::timestamptz - interval '30 hours', $1::timestamptz - interval '29 hours', 'COMPLETED', 1000, NULL, 'TEST'),
		(util.hash_binary('B2'), '\x', 'FULL', $1::timestamptz - interval '6 hours', $1::timestamptz - interval '5 hours', 'FAILED', NULL, 'no space left', 'TEST'),
		(util.hash_binary('B3'), '\x', 'WAL', $1::timestamptz - interval '2 hours', NULL, 'RUNNING', NULL, NULL, 'TEST')`, to)

	period, err := report.Between(to.Add(-12*time.Hour), to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(period)
	if c := r.Capacity; c.Measured != 2 || c.Rows[0].FullOn != "2027-04-20" || c.Rows[0].FullLow != "2027-03-20" || *c.Rows[0].Utilization != 71 || c.Rows[1].Utilization != nil {
		t.Errorf("capacity %+v", c)
	}
	if s := r.Security; len(s) != 2 || s[0].Type != "ROLE_CHANGE" || s[0].Events != 1 || s[0].Open != 0 || s[1].Events != 2 || s[1].Open != 1 || s[1].FalsePositives != 1 {
		t.Errorf("security %+v", s)
	}
	c := r.Compliance
	if c.First != 1 || c.Changed != 1 || c.Changes[0].Check != "Check C1" || c.Changes[0].Before != "COMPLIANT" || c.Changes[0].After != "NON_COMPLIANT" ||
		c.Frameworks[0] != (report.FrameworkRow{Framework: "SOX", Compliant: 1, Failing: 1, NotTested: 1}) {
		t.Errorf("compliance %+v", c)
	}
	b := r.Backups
	if b.Known != 3 || len(b.Rows) != 2 || !b.Rows[0].CompletedAt.Equal(to.Add(-29*time.Hour)) || b.Rows[0].Failed != 1 || b.Rows[0].LastError != "no space left" ||
		b.Rows[0].Completed != 0 || !b.Rows[1].CompletedAt.IsZero() {
		t.Errorf("backups %+v", b)
	}
}

func TestReport_GoesOnWithoutBackupsOfAnotherShape(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.exec("ALTER TABLE backup_mgmt.backup_execution_s RENAME COLUMN backup_type TO kind")
	f.sample("connection_usage_pct", 50)
	r := f.reportOf(report.Today(time.Now().UTC(), time.UTC))
	if r.Backups.Problem == "" || len(r.Coverage) != 1 {
		t.Errorf("got %+v and %+v", r.Backups, r.Coverage)
	}
}

func TestRecordReport_TwiceIsOneVersionAndReadBackItRendersEqually(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.sample("connection_usage_pct", 50)
	r := f.reportOf(report.Today(time.Now().UTC().Truncate(time.Microsecond), time.UTC))
	for range 2 {
		if err := f.store.RecordReport(t.Context(), r, "abc"); err != nil {
			t.Fatal(err)
		}
	}
	equal(f, "versions", value[int](f, "SELECT count(*) FROM monitoring.report_s"), 1)
	equal(f, "figures", value[int](f, "SELECT jsonb_array_length(figures) FROM monitoring.report_s"), len(r.KPIs))
	stored, err := f.store.StoredReport(t.Context(), r.Date)
	if err != nil {
		t.Fatal(err)
	}
	first, err1 := r.HTML(time.UTC)
	second, err2 := stored.HTML(time.UTC)
	if errors.Join(err1, err2) != nil || first != second {
		t.Errorf("the stored report renders differently: %v", errors.Join(err1, err2))
	}
	if _, err := f.store.StoredReport(t.Context(), "2001-01-01"); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("a report that was never made: %v", err)
	}
	list, err := f.store.Reports(t.Context(), 10)
	if err != nil || len(list) != 1 || list[0].Date != r.Date || list[0].Met+list[0].Missed+list[0].Unknown != len(r.KPIs) {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestReportLedger_SendsOnceAndOnceMoreWhenNobodyKnows(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.store.PutChannel(t.Context(), vault.Channel{
		Key: "MAIL", Name: "Mail", Type: "EMAIL", RecordSource: "TEST",
		Configuration: json.RawMessage(`{"smtp_server": "localhost", "from_address": "a@example.com", "to_addresses": ["b@example.com"], "daily_report": true}`),
	}); err != nil {
		t.Fatal(err)
	}
	channels, err := f.store.ReportChannels(t.Context())
	if err != nil || len(channels) != 1 || channels[0].Key != "MAIL" {
		t.Fatalf("channels that ask: %+v, %v", channels, err)
	}
	r := f.reportOf(report.Today(time.Now().UTC().Truncate(time.Microsecond), time.UTC))
	if err := f.store.RecordReport(t.Context(), r, "abc"); err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	begin := func(recipient, attempt string, want vault.Finding) {
		t.Helper()
		got, err := f.store.BeginReportDelivery(t.Context(), vault.ReportDelivery{Date: r.Date, Channel: "MAIL", Recipient: recipient, Attempt: attempt}, at)
		if err != nil || got != want {
			t.Errorf("%s by %s: %s, %v, want %s", attempt, recipient, got, err, want)
		}
	}
	end := func(recipient, attempt, status, class string) {
		t.Helper()
		if err := f.store.EndReportDelivery(t.Context(), vault.ReportDelivery{Date: r.Date, Channel: "MAIL", Recipient: recipient, Attempt: attempt},
			vault.ReportOutcome{Status: status, Class: class, Reason: class, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	// Refused for now, then accepted; then there is nothing to send, and a late word changes nothing.
	begin("a", "1", vault.FindingNew)
	end("a", "1", "PENDING", "TRANSIENT")
	begin("a", "2", vault.FindingNew)
	end("a", "2", "DELIVERED", "ACCEPTED")
	end("a", "2", "DELIVERED", "ACCEPTED")
	begin("a", "3", vault.FindingDelivered)
	end("a", "1", "FAILED", "PERMANENT")
	// Two workers died: the first death is made good for once, and marked; the second is the last word.
	begin("b", "1", vault.FindingNew)
	begin("b", "2", vault.FindingUnknownOutcome)
	begin("b", "3", vault.FindingUncertain)
	begin("b", "4", vault.FindingUncertain)
	// Hopeless yesterday, corrected today: another run may try.
	begin("c", "1", vault.FindingNew)
	end("c", "1", "FAILED", "CONFIG")
	begin("c", "2", vault.FindingNew)
	got := column[string](f, `SELECT recipient_address || ' ' || delivery_status || CASE WHEN possible_duplicate THEN ' ?' ELSE '' END
		FROM monitoring.report_delivery_s WHERE load_end_date IS NULL ORDER BY 1`)
	if want := []string{"a DELIVERED", "b FAILED ?", "c PENDING"}; !slices.Equal(got, want) {
		t.Errorf("the ledger ends with %q, want %q", got, want)
	}
	equal(f, "versions of a", value[int](f, "SELECT count(*) FROM monitoring.report_delivery_s WHERE recipient_address = 'a'"), 4)

	err = f.store.EndReportDelivery(t.Context(), vault.ReportDelivery{Date: r.Date, Channel: "MAIL", Recipient: "nobody", Attempt: "1"}, vault.ReportOutcome{Status: "FAILED", Class: "CONFIG", At: at})
	if !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("an end without a beginning: %v", err)
	}
}

func TestReportChannels_AreThoseThatAskAndBelongToNoTenant(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	put := func(key, kind, configuration string) error {
		return f.store.PutChannel(t.Context(), vault.Channel{Key: key, Name: key, Type: kind, Configuration: json.RawMessage(configuration), RecordSource: "TEST"})
	}
	const mail = `"smtp_server": "localhost", "from_address": "a@example.com", "to_addresses": ["b@example.com"]`
	for key, configuration := range map[string]string{"ASKS": `{` + mail + `, "daily_report": true}`, "NOT": `{` + mail + `, "daily_report": false}`, "SILENT": `{` + mail + `}`} {
		if err := put(key, "EMAIL", configuration); err != nil {
			t.Fatal(err)
		}
	}
	f.exec(`INSERT INTO auth.tenant_h (tenant_hk, tenant_bk, record_source) VALUES ('\x01', 'T', 'TEST')`)
	f.exec(`INSERT INTO monitoring.notification_config_h (notification_config_hk, notification_config_bk, tenant_hk) VALUES (util.hash_binary('TENANTS'), 'TENANTS', '\x01')`)
	if err := put("TENANTS", "EMAIL", `{`+mail+`, "daily_report": true}`); err != nil {
		t.Fatal(err)
	}
	channels, err := f.store.ReportChannels(t.Context())
	if err != nil || len(channels) != 1 || channels[0].Key != "ASKS" {
		t.Errorf("channels that ask: %+v, %v", channels, err)
	}
	var refused *vault.Refusal
	if err := put("WORD", "EMAIL", `{`+mail+`, "daily_report": "true"}`); !errors.As(err, &refused) || refused.Hint == "" {
		t.Errorf(`"true" in quotes: %v`, err)
	}
	if err := put("SLACK", "SLACK", `{"webhook_url_env": "X", "daily_report": true}`); !errors.As(err, &refused) {
		t.Errorf("a Slack channel that asks: %v", err)
	}
}

func TestReport_IsNotForReadersOfSingleTenants(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if err := f.store.RecordReport(t.Context(), f.reportOf(report.Today(time.Now().UTC(), time.UTC)), "abc"); err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"onevault_operator", "onevault_worker"} {
		f.exec("SET ROLE " + role)
		equal(f, "reports seen by "+role, value[int](f, "SELECT count(*) FROM monitoring.report_h JOIN monitoring.report_s USING (report_hk)"), 1)
	}
	// Refused or empty: either way nothing of it is told.
	f.exec("SET ROLE onevault_reader")
	for _, table := range []string{"report_h", "report_s", "report_delivery_h", "report_delivery_s"} {
		var seen int
		if err := f.psql.QueryRow(t.Context(), "SELECT count(*) FROM monitoring."+table).Scan(&seen); code(err) != "42501" && (err != nil || seen != 0) {
			t.Errorf("a reader sees %d rows of %s, %v", seen, table, err)
		}
	}
}

// A day whose samples have left in part is told from where they begin: no gap, no silence, but a note.
func TestReport_SaysWhatIsKeptInRollUpsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	for at := to.Add(-3 * time.Hour); at.Before(to); at = at.Add(5 * time.Minute) {
		f.sampleAt(at, "target_reachable", 1)
	}
	f.exec(`SET session_replication_role = replica`) // a hub is as old as the vault
	f.exec(`UPDATE monitoring.system_health_metric_h SET load_date = $1::timestamptz - interval '9 days'`, to)
	f.exec(`RESET session_replication_role`)
	f.exec(`INSERT INTO monitoring.system_health_metric_hourly_s
			(health_metric_hk, hash_diff, metric_name, metric_category, hour_start, sample_count, value_count, normal_count, warning_count, critical_count, unknown_count, first_sample_at, last_sample_at)
		SELECT h.health_metric_hk, '\x', 'target_reachable', 'AVAILABILITY', hour, 12, 12, 12, 0, 0, 0, hour, hour + interval '55 minutes'
		  FROM monitoring.system_health_metric_h h, generate_series($1::timestamptz - interval '6 hours', $1::timestamptz - interval '1 hour', interval '1 hour') AS hour`, to)
	day, err := report.Between(to.Add(-6*time.Hour), to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r := f.reportOf(day)
	if r.Monitoring.RolledUpHours != 3 || len(r.Gaps) != 0 || len(r.Coverage) != 1 || !r.Coverage[0].Since.Equal(to.Add(-3*time.Hour)) {
		t.Errorf("%d hours in roll-ups alone, coverage %+v, gaps %+v", r.Monitoring.RolledUpHours, r.Coverage, r.Gaps)
	}
	if text := r.Words(time.UTC).Text(); !strings.Contains(text, "3 hours of this period are kept as hourly roll-ups alone") || !strings.Contains(text, "from "+to.Add(-3*time.Hour).Format("2006-01-02 15:04")+" on") {
		t.Errorf("the report does not say so:\n%s", text)
	}
	gone, err := report.Between(to.Add(-6*time.Hour), to.Add(-4*time.Hour), time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	r = f.reportOf(gone)
	if text := r.Words(time.UTC).Text(); r.Monitoring.RolledUpHours != 2 || !strings.Contains(text, "no sample of this period is left in the vault") || strings.Contains(text, "nothing was measured") {
		t.Errorf("%d hours in roll-ups alone:\n%s", r.Monitoring.RolledUpHours, text)
	}
}

// The statements that set a vault up are no questions of the monitoring, however often they ran.
func TestReport_SetUpScriptsAreNoMonitoringQueries(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	to := noon()
	for key, s := range map[string]struct {
		text string
		ms   float64
	}{
		"SETUP": {"-- Put again\nCREATE OR REPLACE FUNCTION monitoring.f()", 5000},
		"STEP":  {"-- In a new vault there are no triggers yet.\nSELECT monitoring.enforce_discipline()", 1000},
		"ASK":   {"SELECT * FROM monitoring.active_alerts_dashboard", 20},
	} {
		f.exec(`INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk) VALUES (util.hash_binary($1), $1)`, key)
		f.exec(`INSERT INTO monitoring.performance_metric_s (performance_metric_hk, hash_diff, query_text, total_time_ms, calls, measurement_period_start, measurement_period_end)
			VALUES (util.hash_binary($1), '\x', $2, $3, 2, $4::timestamptz - interval '10 minutes', $4::timestamptz - interval '5 minutes')`, key, s.text, s.ms, to)
	}
	period, err := report.Between(to.Add(-time.Hour), to, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	measured(t, "slowest monitoring query", f.reportOf(period).Monitoring.SlowestQueryMS, 10)
}

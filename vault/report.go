package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onevault/report"
)

// The statements of a report, one per section.
var (
	//go:embed sql/report_health.sql
	reportHealthSQL string
	//go:embed sql/report_alerts.sql
	reportAlertsSQL string
	//go:embed sql/report_firing.sql
	reportFiringSQL string
	//go:embed sql/report_deliveries.sql
	reportDeliveriesSQL string
	//go:embed sql/report_statements.sql
	reportStatementsSQL string
	//go:embed sql/report_statements_whole.sql
	reportStatementsWholeSQL string
	//go:embed sql/report_capacity.sql
	reportCapacitySQL string
	//go:embed sql/report_security.sql
	reportSecuritySQL string
	//go:embed sql/report_frameworks.sql
	reportFrameworksSQL string
	//go:embed sql/report_compliance.sql
	reportComplianceSQL string
	//go:embed sql/report_backups.sql
	reportBackupsSQL string
	//go:embed sql/report_coverage.sql
	reportCoverageSQL string
	//go:embed sql/report_series.sql
	reportSeriesSQL string
	//go:embed sql/report_monitoring.sql
	reportMonitoringSQL string
)

// How much of a section a report holds.
const (
	reportStatements = 20 // the guide's "Top 20 queries"
	reportResources  = 12
	reportChanges    = 50
)

// Report reads what the vault knows of a period, all of it as of one moment, and judges it.
func (s *Store) Report(ctx context.Context, p report.Period) (report.Report, error) {
	r := report.Report{Date: p.Date, TimeZone: p.TimeZone, From: p.From, To: p.To}
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return (&reportReader{tx: tx, r: &r}).read(ctx)
	})
	if err != nil {
		return report.Report{}, fmt.Errorf("report of %s: %w", p.Date, refusal(err))
	}
	r.Judge()
	return r, nil
}

// reportReader fills in one report within one transaction.
type reportReader struct {
	tx pgx.Tx
	r  *report.Report
}

func (q *reportReader) read(ctx context.Context) error {
	for _, section := range []struct {
		name string
		read func(context.Context) error
	}{
		{"system health", q.health},
		{"alerts", q.alerts},
		{"deliveries", q.deliveries},
		{"statements", q.statements},
		{"capacity", q.capacity},
		{"security events", q.security},
		{"compliance", q.compliance},
		{"backups", q.backups},
		{"coverage", q.coverage},
		{"series", q.series},
		{"monitoring", q.monitoring},
	} {
		if err := section.read(ctx); err != nil {
			return fmt.Errorf("read %s: %w", section.name, err)
		}
	}
	return nil
}

// rowsOf collects what a statement of the report yields.
func rowsOf[T any](ctx context.Context, q *reportReader, scan pgx.RowToFunc[T], sql string, args ...any) ([]T, error) {
	rows, err := q.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scan)
	if list == nil {
		list = []T{} // [] in JSON, not null
	}
	return list, err
}

func (q *reportReader) health(ctx context.Context) (err error) {
	q.r.Health, err = rowsOf(ctx, q, pgx.RowToStructByPos[report.HealthRow], reportHealthSQL, q.r.From, q.r.To)
	return err
}

func (q *reportReader) alerts(ctx context.Context) error {
	facts, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (report.AlertFact, error) {
		var (
			f                                         report.AlertFact
			triggered, acknowledged, resolved, opened Timestamp
		)
		err := row.Scan(&f.ID, &f.Severity, &f.State, &f.Target, &f.Name, &f.Category, &triggered, &acknowledged, &f.AcknowledgedBy,
			&resolved, &f.ResolvedBy, &f.FalsePositive, &opened)
		f.TriggeredAt, f.AcknowledgedAt, f.ResolvedAt, f.OpenedAt = triggered.Time, acknowledged.Time, resolved.Time, opened.Time
		return f, err
	}, reportAlertsSQL, q.r.From, q.r.To)
	if err != nil {
		return err
	}
	slowest, err := rowsOf(ctx, q, pgx.RowTo[*float64], reportFiringSQL, q.r.From, q.r.To)
	if err != nil {
		return err
	}
	q.r.CountAlerts(facts, slowest[0])
	return nil
}

func (q *reportReader) deliveries(ctx context.Context) (err error) {
	q.r.Deliveries, err = rowsOf(ctx, q, pgx.RowToStructByPos[report.ChannelRow], reportDeliveriesSQL, q.r.From, q.r.To)
	return err
}

func (q *reportReader) statements(ctx context.Context) error {
	whole, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (s report.Statements, err error) {
		err = row.Scan(&s.Measured, &s.TotalMS, &s.PastDays)
		return s, err
	}, reportStatementsWholeSQL, q.r.From, q.r.To)
	if err != nil {
		return err
	}
	q.r.Statements = whole[0]
	q.r.Statements.Top, err = rowsOf(ctx, q, func(row pgx.CollectableRow) (s report.StatementRow, err error) {
		err = row.Scan(&s.Target, &s.QueryID, &s.Database, &s.User, &s.Text, &s.TotalMS, &s.Calls, &s.PastMeanMS, &s.PastPerHour, &s.Suggestions)
		return s, err
	}, reportStatementsSQL, q.r.From, q.r.To, reportStatements)
	if err != nil {
		return err
	}
	q.r.RateStatements()
	return nil
}

func (q *reportReader) capacity(ctx context.Context) error {
	var measured int
	rows, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (c report.CapacityRow, err error) {
		var at Timestamp
		err = row.Scan(&c.Target, &c.Type, &c.Name, &c.SizeBytes, &c.FreeBytes, &c.Utilization, &c.Warning, &c.Critical,
			&c.GrowthBytes, &c.Trend, &c.FullOn, &c.FullLow, &c.FullHigh, &at, &measured)
		c.MeasuredAt = at.Time
		return c, err
	}, reportCapacitySQL, q.r.To, reportResources)
	q.r.Capacity = report.Capacity{Measured: measured, Rows: rows}
	return err
}

func (q *reportReader) security(ctx context.Context) (err error) {
	q.r.Security, err = rowsOf(ctx, q, func(row pgx.CollectableRow) (e report.SecurityRow, err error) {
		var last Timestamp
		err = row.Scan(&e.Type, &e.Severity, &e.Events, &e.Open, &e.FalsePositives, &last)
		e.LastAt = last.Time
		return e, err
	}, reportSecuritySQL, q.r.From, q.r.To)
	return err
}

func (q *reportReader) compliance(ctx context.Context) error {
	frameworks, err := rowsOf(ctx, q, pgx.RowToStructByPos[report.FrameworkRow], reportFrameworksSQL, q.r.To)
	if err != nil {
		return err
	}
	changes, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (c report.ComplianceChange, err error) {
		var at Timestamp
		err = row.Scan(&c.Framework, &c.Check, &c.Target, &c.Before, &c.After, &at, &c.Priority, &c.Deadline)
		c.At = at.Time
		return c, err
	}, reportComplianceSQL, q.r.From, q.r.To)
	if err != nil {
		return err
	}
	q.r.CountCompliance(frameworks, changes, reportChanges)
	return nil
}

// backups reads what another part of the installation writes. Where its table is another one than the
// guide's, the report says so and goes on.
func (q *reportReader) backups(ctx context.Context) error {
	q.r.Backups = report.Backups{Rows: []report.BackupRow{}}
	err := pgx.BeginFunc(ctx, q.tx, func(savepoint pgx.Tx) error {
		inner := &reportReader{tx: savepoint, r: q.r}
		rows, err := rowsOf(ctx, inner, func(row pgx.CollectableRow) (b report.BackupRow, err error) {
			var (
				completed, failed Timestamp
				known             int
			)
			err = row.Scan(&b.Type, &completed, &b.SizeBytes, &b.Verification, &b.Completed, &b.Failed, &b.LastError, &failed, &known)
			b.CompletedAt, b.LastFailureAt = completed.Time, failed.Time
			q.r.Backups.Known += known
			return b, err
		}, reportBackupsSQL, q.r.From, q.r.To)
		if err == nil {
			q.r.Backups.Rows = rows
		}
		return err
	})
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "42P01", "42703", "42501", "42883", "3F000":
			q.r.Backups.Problem = pgErr.Message
			return nil
		}
	}
	return err
}

func (q *reportReader) coverage(ctx context.Context) error {
	watched, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (w report.Watched, err error) {
		var (
			since           Timestamp
			seconds         []int64
			pace, unreached int64
		)
		err = row.Scan(&w.What, &w.Target, &since, &w.Times, &seconds, &pace, &unreached)
		w.Since, w.Pace, w.Unreachable = since.Time, time.Duration(pace)*time.Second, int(unreached)
		for i := range w.Times {
			w.Times[i] = w.Times[i].UTC()
		}
		for _, s := range seconds {
			w.Intervals = append(w.Intervals, time.Duration(s)*time.Second)
		}
		return w, err
	}, reportCoverageSQL, q.r.From, q.r.To)
	if err != nil {
		return err
	}
	q.r.CountCoverage(watched)
	return nil
}

func (q *reportReader) series(ctx context.Context) error {
	step := report.Steps(q.r.Period())
	steps, err := rowsOf(ctx, q, pgx.RowToStructByPos[report.Step], reportSeriesSQL, q.r.From, q.r.To, report.Plotted, int(step.Seconds()))
	if err != nil {
		return err
	}
	q.r.Draw(steps, step)
	return nil
}

func (q *reportReader) monitoring(ctx context.Context) error {
	// Sizes are of now: a period that ended long ago had others.
	present := time.Since(q.r.To) < time.Hour
	found, err := rowsOf(ctx, q, func(row pgx.CollectableRow) (m report.MonitoringItself, err error) {
		var first, oldest Timestamp
		err = row.Scan(&m.SlowestQuery, &m.SlowestQueryMS, &m.VaultBytes, &m.DatabaseBytes, &m.Dedicated, &first, &oldest, &m.RolledUpHours)
		m.FirstSeen, m.OldestSample = first.Time, oldest.Time
		return m, err
	}, reportMonitoringSQL, q.r.From, q.r.To, present)
	if err != nil {
		return err
	}
	q.r.SetMonitoring(found[0])
	return nil
}

// ReportKey is the business key of a daily report.
func ReportKey(date string) string { return "DAILY||ALL||" + date }

// RecordReport keeps a report; the same one again is no new version.
func (s *Store) RecordReport(ctx context.Context, r report.Report, htmlSHA256 string) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the report of %s: %w", r.Date, err)
	}
	if _, err := s.pool.Exec(ctx, "SELECT monitoring.record_report($1, $2::text::date, $3, $4, $5, $6, $7)",
		ReportKey(r.Date), r.Date, r.From, r.To, r.TimeZone, json.RawMessage(content), htmlSHA256); err != nil {
		return fmt.Errorf("record the report of %s: %w", r.Date, refusal(err))
	}
	return nil
}

// StoredReport reads the newest version of the report of a date, as it was recorded; ErrNotFound when there
// is none.
func (s *Store) StoredReport(ctx context.Context, date string) (report.Report, error) {
	found, err := all(ctx, s, pgx.RowTo[[]byte], `
		SELECT s.content::text
		  FROM monitoring.report_h h
		  JOIN monitoring.report_s s ON s.report_hk = h.report_hk AND s.load_end_date IS NULL
		 WHERE h.report_bk = $1`, ReportKey(date))
	if err != nil {
		return report.Report{}, fmt.Errorf("read the report of %s: %w", date, err)
	}
	if len(found) == 0 {
		return report.Report{}, fmt.Errorf("a report of %s: %w", date, ErrNotFound)
	}
	return report.Parse(found[0])
}

// ListedReport is one recorded report, with how its mails ended.
type ListedReport struct {
	Date       string    `json:"date"`
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	TimeZone   string    `json:"time_zone"`
	RecordedAt time.Time `json:"recorded_at"`
	Met        int       `json:"met"`
	Missed     int       `json:"missed"`
	Unknown    int       `json:"not_known"`
	Delivered  int       `json:"delivered"`
	Failed     int       `json:"failed"`
	Pending    int       `json:"pending"`
}

// Reports lists the recorded reports, the newest first.
func (s *Store) Reports(ctx context.Context, limit int) ([]ListedReport, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (l ListedReport, err error) {
		var from, to, recorded Timestamp
		err = row.Scan(&l.Date, &from, &to, &l.TimeZone, &recorded, &l.Met, &l.Missed, &l.Unknown, &l.Delivered, &l.Failed, &l.Pending)
		l.From, l.To, l.RecordedAt = from.Time, to.Time, recorded.Time
		return l, err
	}, `
		SELECT r.report_date::text, r.period_start, r.period_end, r.time_zone, r.load_date,
		       (SELECT count(*) FROM jsonb_array_elements(r.figures) AS f WHERE f ->> 'verdict' = 'MET'),
		       (SELECT count(*) FROM jsonb_array_elements(r.figures) AS f WHERE f ->> 'verdict' = 'MISSED'),
		       (SELECT count(*) FROM jsonb_array_elements(r.figures) AS f WHERE f ->> 'verdict' NOT IN ('MET', 'MISSED')),
		       count(*) FILTER (WHERE d.delivery_status = 'DELIVERED'),
		       count(*) FILTER (WHERE d.delivery_status = 'FAILED'),
		       count(*) FILTER (WHERE d.delivery_status = 'PENDING')
		  FROM monitoring.report_s r
		  LEFT JOIN monitoring.report_delivery_h h USING (report_hk)
		  LEFT JOIN monitoring.report_delivery_s d ON d.report_delivery_hk = h.report_delivery_hk AND d.load_end_date IS NULL
		 WHERE r.load_end_date IS NULL
		 GROUP BY r.report_hk, r.report_date, r.period_start, r.period_end, r.time_zone, r.load_date, r.figures
		 ORDER BY r.report_date DESC
		 LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	return list, nil
}

// ReportDelivery is one report on its way to one recipient of one channel; Attempt tells the attempts of
// all runs apart.
type ReportDelivery struct {
	Date      string `json:"date"`
	Channel   string `json:"channel"`
	Recipient string `json:"recipient"`
	Attempt   string `json:"attempt"`
}

// FindingUncertain: two attempts ended without a word, and there is no third.
const FindingUncertain Finding = "UNCERTAIN"

// BeginReportDelivery writes the intent of an attempt and says what the ledger knew.
func (s *Store) BeginReportDelivery(ctx context.Context, d ReportDelivery, at time.Time) (Finding, error) {
	finding, err := one(ctx, s, pgx.RowTo[string], "SELECT monitoring.begin_report_delivery($1, $2, $3, $4, $5)",
		ReportKey(d.Date), d.Channel, d.Recipient, d.Attempt, at)
	if err != nil {
		return "", fmt.Errorf("record the intent to mail the report of %s: %w", d.Date, err)
	}
	return Finding(finding), nil
}

// ReportOutcome is how an attempt ended.
type ReportOutcome struct {
	Status     string    `json:"status"` // PENDING: another attempt follows; DELIVERED, FAILED
	Class      string    `json:"class"`
	Reason     string    `json:"reason,omitempty"`
	Proof      string    `json:"proof,omitempty"`
	ExternalID string    `json:"external_id,omitempty"`
	SHA256     string    `json:"sha256,omitempty"` // of the HTML that was attached
	At         time.Time `json:"at"`
}

// EndReportDelivery writes the outcome of an attempt; again, it is no new version.
func (s *Store) EndReportDelivery(ctx context.Context, d ReportDelivery, o ReportOutcome) error {
	_, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.end_report_delivery($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		ReportKey(d.Date), d.Channel, d.Recipient, d.Attempt, o.At, o.Status, o.Class, o.Reason, o.Proof, o.ExternalID, o.SHA256)
	if err != nil {
		return fmt.Errorf("record how the mail of the report of %s ended: %w", d.Date, err)
	}
	return nil
}

// ReportChannels returns the enabled channels that ask for the daily report.
func (s *Store) ReportChannels(ctx context.Context) ([]Channel, error) {
	channels, err := all(ctx, s, scanChannel, `
		SELECT h.notification_config_bk, c.channel_name, c.channel_type, c.configuration, c.retry_attempts, c.retry_delay_seconds
		  FROM monitoring.notification_config_h h
		  JOIN monitoring.notification_config_s c ON c.notification_config_hk = h.notification_config_hk AND c.load_end_date IS NULL
		 WHERE c.is_enabled
		   AND c.channel_type = 'EMAIL'
		   AND c.configuration -> 'daily_report' = 'true'
		   -- A report tells of all tenants: a tenant's own channel does not get it.
		   AND h.tenant_hk IS NULL
		 ORDER BY h.notification_config_bk`)
	if err != nil {
		return nil, fmt.Errorf("read the channels that ask for the report: %w", err)
	}
	return channels, nil
}

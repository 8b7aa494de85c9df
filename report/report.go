// Package report says in figures and words how a day went: what the vault read for the period, judged
// against the goals of the deployment guide, and the same document as text, as HTML and as cells for a
// terminal.
//
// It owns the shape of a report, the goals and the words. It refuses effects: it reads no clock, no
// database and no file, so that a report can be rendered again from what was stored and comes out equal.
// A figure that nobody measured is nil here and "not known" there, never zero.
package report

import (
	"encoding/json"
	"fmt"
	"time"
)

// Report is one period as the vault knows it. Times are UTC; whoever renders it brings the time zone.
type Report struct {
	Date     string    `json:"date"`      // the day it stands for, 2026-11-23
	TimeZone string    `json:"time_zone"` // IANA name; days begin at its midnight
	From     time.Time `json:"from"`      // included
	To       time.Time `json:"to"`        // excluded; also the moment as of which states are told

	KPIs            []KPI            `json:"kpis"`
	Health          []HealthRow      `json:"system_health_summary"`
	AlertCategories []CategoryRow    `json:"alert_summary"`
	Alerts          Alerts           `json:"alerts"`
	Deliveries      []ChannelRow     `json:"deliveries"`
	Statements      Statements       `json:"statements"`
	Capacity        Capacity         `json:"capacity"`
	Security        []SecurityRow    `json:"security_events"`
	Compliance      Compliance       `json:"compliance"`
	Backups         Backups          `json:"backups"`
	Coverage        []CoverageRow    `json:"coverage"`
	Gaps            []Gap            `json:"gaps"`
	Monitoring      MonitoringItself `json:"monitoring"`
	Series          []Series         `json:"series"`
}

// Period is what a report is asked for.
type Period struct {
	Date     string    `json:"date"`
	TimeZone string    `json:"time_zone"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
}

// Today is the period of the guide's report made at a moment: since the beginning of yesterday, until now
// (its measurement_timestamp >= CURRENT_DATE - INTERVAL '1 day'). It bears the date on which it is made.
func Today(now time.Time, zone *time.Location) Period {
	year, month, day := now.In(zone).Date()
	return Period{
		Date: now.In(zone).Format(time.DateOnly), TimeZone: zone.String(),
		From: time.Date(year, month, day-1, 0, 0, 0, 0, zone).UTC(), To: now.UTC(),
	}
}

// Day is the whole of one day, or what has passed of it.
func Day(date string, now time.Time, zone *time.Location) (Period, error) {
	day, err := time.ParseInLocation(time.DateOnly, date, zone)
	if err != nil {
		return Period{}, fmt.Errorf("%q is no date: write it like 2026-11-22", date)
	}
	end := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
	if end.After(now) {
		end = now
	}
	return Between(day, end, zone)
}

// Between is any period; it bears the date of its end's day.
func Between(from, to time.Time, zone *time.Location) (Period, error) {
	switch length := to.Sub(from); {
	case length <= 0:
		return Period{}, fmt.Errorf("the period would begin at %s and end at %s: it must begin before it ends, and not in the future",
			from.In(zone).Format(minuteFormat), to.In(zone).Format(minuteFormat))
	case length > MaxPeriod:
		return Period{}, fmt.Errorf("the period is %d days long: a report covers at most %d", int(length.Hours()/24), int(MaxPeriod.Hours()/24))
	}
	// The last moment that belongs to it: a day ends at the next one's midnight.
	last := to.Add(-time.Microsecond)
	return Period{Date: last.In(zone).Format(time.DateOnly), TimeZone: zone.String(), From: from.UTC(), To: to.UTC()}, nil
}

// MaxPeriod bounds what one report reads: a month of raw measurements.
const MaxPeriod = 31 * 24 * time.Hour

const minuteFormat = "2006-01-02 15:04"

// HealthRow is a row of the guide's System Health Summary: its columns, its meaning.
type HealthRow struct {
	Metric   string   `json:"metric_name"`
	Avg      *float64 `json:"avg_value"` // nil: it could not be measured in the whole period
	Max      *float64 `json:"max_value"`
	Critical int      `json:"critical_count"`
	Warning  int      `json:"warning_count"`
}

// CategoryRow is a row of the guide's Alert Summary: its columns, its meaning.
type CategoryRow struct {
	Category string `json:"alert_category"`
	Total    int    `json:"total_alerts"`
	Open     int    `json:"open_alerts"`
	Resolved int    `json:"resolved_alerts"`
}

// Alerts are the figures of the alerts of a period. An alert that a window suppressed to its end was no
// one's to answer and counts in Suppressed alone.
type Alerts struct {
	New        int `json:"new"`        // opened in the period
	Open       int `json:"open"`       // unanswered or acknowledged, not over, at its end
	Overdue    int `json:"overdue"`    // of those: unanswered for more than an hour
	Stale      int `json:"stale"`      // of those: acknowledged more than four hours ago
	Resolved   int `json:"resolved"`   // ended in the period
	Suppressed int `json:"suppressed"` // fired in a suppression window, in the period

	// Times to acknowledge and to resolve, of what was acknowledged or resolved in the period, whenever
	// it had opened: counting by opening would leave out exactly those that took longest.
	Acknowledged     int      `json:"acknowledged"`
	MTTAMeanSeconds  *float64 `json:"mtta_mean_seconds"`
	MTTAMedian       *float64 `json:"mtta_median_seconds"`
	MTTRMeanSeconds  *float64 `json:"mttr_mean_seconds"`
	MTTRMedian       *float64 `json:"mttr_median_seconds"`
	FalsePositives   int      `json:"false_positives"`    // of New, marked; 0 does not say that somebody judged them
	WithinResolution int      `json:"within_resolution"`  // of Due: resolved within the limit
	Due              int      `json:"due"`                // resolved in the period, or open for longer than the limit
	WithinResponse   int      `json:"within_response"`    // of ResponseDue: acknowledged or resolved within the limit
	ResponseDue      int      `json:"response_due"`       // answered in the period, or unanswered for longer than the limit
	SlowestLookS     *float64 `json:"slowest_look_s"`     // of what fired: the longest time since the look before
	ResolutionLimitS float64  `json:"resolution_limit_s"` // what "within" means
	ResponseLimitS   float64  `json:"response_limit_s"`

	Hourly []Hour      `json:"hourly"` // every hour of the period, also those without an alert
	List   []AlertLine `json:"list"`   // open ones first, the worst first; at most maxListed
	Listed int         `json:"listed"` // how many there are to list
}

// Hour counts the alerts that opened in an hour.
type Hour struct {
	At       time.Time `json:"at"`
	Critical int       `json:"critical"`
	High     int       `json:"high"`
	Medium   int       `json:"medium"`
	Low      int       `json:"low"`
}

func (h Hour) total() int { return h.Critical + h.High + h.Medium + h.Low }

// AlertLine is one alert that opened in the period or is still open at its end.
type AlertLine struct {
	ID             string    `json:"id"`
	Severity       string    `json:"severity"`
	State          string    `json:"state"`
	Health         string    `json:"health"` // NORMAL, OVERDUE, STALE as the guide's dashboard says; empty when it is over
	Target         string    `json:"target"`
	Name           string    `json:"name"`
	TriggeredAt    time.Time `json:"triggered_at"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	ResolvedAt     time.Time `json:"resolved_at,omitzero"`
	ResolvedBy     string    `json:"resolved_by,omitempty"`
	FalsePositive  bool      `json:"false_positive,omitempty"`
}

// ChannelRow counts what one channel was given in the period.
type ChannelRow struct {
	Channel    string   `json:"channel"`
	Type       string   `json:"type"`
	Delivered  int      `json:"delivered"`
	Failed     int      `json:"failed"` // FAILED and BOUNCED
	Uncertain  int      `json:"uncertain"`
	Waiting    int      `json:"waiting"`    // an attempt is planned or under way
	Withdrawn  int      `json:"withdrawn"`  // answered before it was sent
	Duplicates int      `json:"duplicates"` // may have arrived twice
	MeanMS     *float64 `json:"mean_ms"`    // of the delivered
	LastReason string   `json:"last_reason,omitempty"`
}

// Rate is the share of delivered messages among those that ended, nil when none did.
func (c ChannelRow) Rate() *float64 { return share(c.Delivered, c.Delivered+c.Failed) }

// Statements are the statements that took most time in the period.
type Statements struct {
	Measured int            `json:"measured"` // different statements seen in the period
	TotalMS  *float64       `json:"total_ms"` // of all statements of the servers where known, else of the measured
	PastDays int            `json:"past_days"`
	Top      []StatementRow `json:"top"`
}

// StatementRow is one statement of one role in one database.
type StatementRow struct {
	Target       string   `json:"target"`
	QueryID      string   `json:"query_id"`
	Database     string   `json:"database"`
	User         string   `json:"user"`
	Text         string   `json:"text"`
	TotalMS      float64  `json:"total_ms"`
	Share        *float64 `json:"share"` // of TotalMS, 0 to 1
	Calls        int64    `json:"calls"`
	MeanMS       *float64 `json:"mean_ms"`
	PastMeanMS   *float64 `json:"past_mean_ms"` // median of the days before; nil: the statement is new
	PastPerHour  *float64 `json:"past_ms_per_hour"`
	TotalPerHour *float64 `json:"total_ms_per_hour"`
	Suggestions  []string `json:"suggestions,omitempty"` // of its last sample, the weightiest first
}

// Capacity is what fills up.
type Capacity struct {
	Measured int           `json:"measured"` // resources
	Rows     []CapacityRow `json:"rows"`     // the first to be full first
}

// CapacityRow is the newest state of one resource. Of a SEQUENCE the fields of bytes count values, as in
// the vault.
type CapacityRow struct {
	Target      string    `json:"target"`
	Type        string    `json:"type"`
	Name        string    `json:"name"`
	SizeBytes   *float64  `json:"size_bytes"`
	FreeBytes   *float64  `json:"free_bytes"`
	Utilization *float64  `json:"utilization_pct"`
	Warning     *float64  `json:"warning_pct"`
	Critical    *float64  `json:"critical_pct"`
	GrowthBytes *float64  `json:"growth_bytes_per_day"`
	Trend       string    `json:"trend"`
	FullOn      string    `json:"full_on,omitempty"` // dates; empty: not foreseen
	FullLow     string    `json:"full_earliest,omitempty"`
	FullHigh    string    `json:"full_latest,omitempty"`
	MeasuredAt  time.Time `json:"measured_at"`
}

// SecurityRow counts the security events of one type and severity.
type SecurityRow struct {
	Type           string    `json:"type"`
	Severity       string    `json:"severity"`
	Events         int       `json:"events"`
	Open           int       `json:"open"` // not investigated to an end
	FalsePositives int       `json:"false_positives"`
	LastAt         time.Time `json:"last_at"`
}

// Compliance is where the controls stand, and which of them changed.
type Compliance struct {
	Checked    int                `json:"checked"` // controls with a result
	Frameworks []FrameworkRow     `json:"frameworks"`
	First      int                `json:"first_results"` // controls whose first result fell into the period
	Changes    []ComplianceChange `json:"changes"`
	Changed    int                `json:"changed"` // how many changes there are; Changes holds the newest
}

// FrameworkRow counts the controls of a framework by their result.
type FrameworkRow struct {
	Framework string `json:"framework"`
	Compliant int    `json:"compliant"`
	Partial   int    `json:"partially_compliant"`
	Failing   int    `json:"non_compliant"`
	NotTested int    `json:"not_tested"`
}

// ComplianceChange is a control whose result differs from the one before.
type ComplianceChange struct {
	Framework string    `json:"framework"`
	Check     string    `json:"check"`
	Target    string    `json:"target"`
	Before    string    `json:"before"`
	After     string    `json:"after"`
	At        time.Time `json:"at"`
	Priority  string    `json:"priority,omitempty"`
	Deadline  string    `json:"deadline,omitempty"`
}

// Backups is how old the newest good backup of each type is.
type Backups struct {
	Known   int         `json:"known"`             // executions that the vault has heard of
	Problem string      `json:"problem,omitempty"` // why they could not be read
	Rows    []BackupRow `json:"rows"`
}

// BackupRow is one type of backup.
type BackupRow struct {
	Type          string    `json:"type"`
	CompletedAt   time.Time `json:"completed_at,omitzero"` // zero: none ever completed
	SizeBytes     *float64  `json:"size_bytes"`
	Verification  string    `json:"verification,omitempty"`
	Completed     int       `json:"completed"` // in the period
	Failed        int       `json:"failed"`    // in the period
	LastError     string    `json:"last_error,omitempty"`
	LastFailureAt time.Time `json:"last_failure_at,omitzero"`
}

// What is looked at for gaps.
const (
	Collection = "collection"
	Evaluation = "evaluation"
)

// CoverageRow says how much of the period was watched.
type CoverageRow struct {
	What            string    `json:"what"` // Collection or Evaluation
	Target          string    `json:"target"`
	Since           time.Time `json:"since"` // the period's beginning, or when watching began
	Samples         int       `json:"samples"`
	IntervalSeconds float64   `json:"interval_seconds"` // the longest that was promised
	Covered         *float64  `json:"covered"`          // share of the time since, 0 to 1
	Gaps            int       `json:"gaps"`
	LongestSeconds  float64   `json:"longest_gap_seconds"`
	Unreachable     int       `json:"unreachable"` // samples that found the target not answering
}

// Gap is a time without a sample of more than twice the promised interval.
type Gap struct {
	What    string    `json:"what"`
	Target  string    `json:"target"`
	From    time.Time `json:"from"` // the sample before, or the beginning
	To      time.Time `json:"to"`   // the next sample, or the period's end
	Ongoing bool      `json:"ongoing,omitempty"`
}

// MonitoringItself is what the monitoring costs and keeps.
type MonitoringItself struct {
	SlowestQuery   string    `json:"slowest_query,omitempty"` // of those that monitor
	SlowestQueryMS *float64  `json:"slowest_query_ms"`        // its mean in the period
	VaultBytes     *float64  `json:"vault_bytes"`             // nil: of a past period, which nobody measured
	DatabaseBytes  *float64  `json:"database_bytes"`
	Dedicated      bool      `json:"dedicated"` // the vault has a database of its own
	FirstSeen      time.Time `json:"first_seen,omitzero"`
	OldestSample   time.Time `json:"oldest_sample,omitzero"` // before the period's end, that is still kept
	// RolledUpHours are the hours of the period of which hourly roll-ups alone are left.
	RolledUpHours int `json:"rolled_up_hours"`
}

// Series is a metric over the period in steps of equal length. A step without a value is a hole.
type Series struct {
	Metric      string     `json:"metric"`
	Target      string     `json:"target"`
	Unit        string     `json:"unit"`
	Start       time.Time  `json:"start"`
	StepSeconds int        `json:"step_seconds"`
	Avg         []*float64 `json:"avg"`
	Min         []*float64 `json:"min"`
	Max         []*float64 `json:"max"`
	Warning     *float64   `json:"warning"`
	Critical    *float64   `json:"critical"`
}

// Plotted are the metrics that a report draws, in its order, where they were measured.
var Plotted = []string{
	"connection_usage_pct", "avg_query_time_ms", "transactions_per_s", "cache_hit_ratio_pct", "disk_usage_pct", "database_size_gb",
	"replication_lag_s", "oldest_transaction_s", "xid_age_pct",
}

// Steps is how long the steps of a period's series are: at most about 120 of them, in whole minutes.
func Steps(p Period) time.Duration {
	length := p.To.Sub(p.From)
	for _, step := range []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 6 * time.Hour} {
		if length/step <= 130 {
			return step
		}
	}
	return 12 * time.Hour
}

// Period is the report's own.
func (r Report) Period() Period {
	return Period{Date: r.Date, TimeZone: r.TimeZone, From: r.From, To: r.To}
}

// Parse reads a report as it was stored.
func Parse(text []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return Report{}, fmt.Errorf("read the stored report: %w", err)
	}
	return r, nil
}

// share is part of whole, nil when there is no whole.
func share(part, whole int) *float64 {
	if whole == 0 {
		return nil
	}
	s := float64(part) / float64(whole)
	return &s
}

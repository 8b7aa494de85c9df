package vault

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/anomaly"
)

var (
	//go:embed sql/anomaly_work.sql
	anomalyWorkSQL string
	//go:embed sql/anomalies.sql
	anomaliesSQL string
	//go:embed sql/anomaly_scores.sql
	anomalyScoresSQL string
	//go:embed sql/anomaly_set.sql
	anomalySetSQL string
)

// JudgedMetric is a metric with all that judging its new samples takes.
type JudgedMetric struct {
	Name     string
	Rule     anomaly.Rule // without its zone, which is not looked up yet
	TimeZone string

	Baseline       time.Time // the load_date of its current version; zero: nothing was learned yet
	LearnedAt      time.Time
	BaselineReason string // why nothing can be judged yet; empty: it can
	BaselineZone   string // whose hours the baseline has

	Last    anomaly.Verdict // zero: none lately
	Samples []PendingSample // in their order
}

// PendingSample is a sample that was not judged yet, with what is usual in its hour.
type PendingSample struct {
	At     time.Time
	Value  *float64
	Unit   string
	Error  string
	Bucket anomaly.Bucket // of no kind while there is no baseline
}

// kinds are the letters of anomaly_baseline_s.bucket_kinds.
var kinds = map[string]anomaly.Kind{"W": anomaly.HourOfWeekKind, "D": anomaly.HourOfDayKind, "G": anomaly.GlobalKind}

// JudgedMetrics returns the metrics of a target that are to be judged, and their samples up to a moment.
func (s *Store) JudgedMetrics(ctx context.Context, target string, at time.Time) ([]JudgedMetric, error) {
	rows, err := all(ctx, s, scanJudged, anomalyWorkSQL, target, at)
	if err != nil {
		return nil, fmt.Errorf("read what is to be judged on %s: %w", target, err)
	}
	var metrics []JudgedMetric
	for _, row := range rows {
		if n := len(metrics); n > 0 && metrics[n-1].Name == row.Name {
			metrics[n-1].Samples = append(metrics[n-1].Samples, row.Samples...)
			continue
		}
		metrics = append(metrics, row)
	}
	return metrics, nil
}

func scanJudged(row pgx.CollectableRow) (JudgedMetric, error) {
	var (
		m                                    JudgedMetric
		sample                               PendingSample
		kind, state                          string
		loaded, learned, judged, since, from Timestamp
	)
	err := row.Scan(&m.Name, &m.Rule.Direction, &m.Rule.Score, &m.Rule.Samples, &m.Rule.LeastSpread, &m.Rule.LeastPercent, &m.TimeZone,
		&loaded, &learned, &state, &m.BaselineReason, &m.BaselineZone,
		&judged, &m.Last.State, &m.Last.Score, &m.Last.Outside, &m.Last.Inside, &since,
		&from, &sample.Value, &sample.Unit, &sample.Error,
		&sample.Bucket.Median, &sample.Bucket.MAD, &sample.Bucket.Spread, &sample.Bucket.Samples, &kind)
	if err != nil {
		return m, err
	}
	m.Baseline, m.LearnedAt, m.Last.At, m.Last.Since = loaded.Time, learned.Time, judged.Time, since.Time
	if !from.IsZero() {
		sample.At, sample.Bucket.Kind = from.Time, kinds[kind]
		m.Samples = []PendingSample{sample}
	}
	return m, nil
}

// AnomalyHistory returns what a metric of a target was in the window before a moment.
func (s *Store) AnomalyHistory(ctx context.Context, target, metric string, to time.Time) ([]anomaly.Sample, error) {
	samples, err := all(ctx, s, pgx.RowToStructByPos[anomaly.Sample],
		"SELECT at, value FROM monitoring.anomaly_history(monitoring.health_metric_key($1, $2), $3, $4)", target, metric, to.Add(-anomaly.Window), to)
	if err != nil {
		return nil, fmt.Errorf("read the history of %s of %s: %w", metric, target, err)
	}
	return samples, nil
}

type baselineRow struct {
	Metric       string     `json:"metric"`
	LearnedAt    time.Time  `json:"learned_at"`
	Reason       string     `json:"reason,omitempty"`
	HistoryFrom  *time.Time `json:"history_from,omitempty"`
	HistoryTo    *time.Time `json:"history_to,omitempty"`
	HistoryHours int        `json:"history_hours"`
	SampleCount  int        `json:"sample_count"`
	TimeZone     string     `json:"time_zone"`
	Level        *float64   `json:"level,omitempty"`
	ShiftedAt    *time.Time `json:"shifted_at,omitempty"`
	ShiftedBy    *float64   `json:"shifted_by,omitempty"`
	WidenedBy    *float64   `json:"widened_by,omitempty"`
	Medians      []float64  `json:"medians,omitempty"`
	MADs         []float64  `json:"mads,omitempty"`
	Spreads      []float64  `json:"spreads,omitempty"`
	Samples      []int      `json:"bucket_samples,omitempty"`
	Kinds        string     `json:"bucket_kinds,omitempty"`
}

// RecordBaseline writes what was learned of a metric up to a moment from so many samples; a nil baseline: not enough
// yet, for a reason.
func (s *Store) RecordBaseline(ctx context.Context, target, metric, zone string, at time.Time, b *anomaly.Baseline, progress anomaly.Progress, samples int, reason string) error {
	row := baselineRow{Metric: metric, LearnedAt: at, Reason: reason, HistoryHours: progress.Hours, SampleCount: samples, TimeZone: zone}
	if b != nil {
		row.HistoryFrom, row.HistoryTo, row.Level, row.WidenedBy = &b.From, &b.To, &b.Level, &b.Widened
		row.SampleCount = b.Samples
		if !b.Shift.IsZero() {
			row.ShiftedAt, row.ShiftedBy = &b.Shift, &b.ShiftBy
		}
		for _, bucket := range b.Buckets {
			row.Medians = append(row.Medians, bucket.Median)
			row.MADs = append(row.MADs, bucket.MAD)
			row.Spreads = append(row.Spreads, bucket.Spread)
			row.Samples = append(row.Samples, bucket.Samples)
			for letter, kind := range kinds {
				if kind == bucket.Kind {
					row.Kinds += letter
				}
			}
		}
	}
	if _, err := s.pool.Exec(ctx, "SELECT monitoring.record_anomaly_baseline($1, $2)", target, row); err != nil {
		return fmt.Errorf("record what is usual for %s of %s: %w", metric, target, refusal(err))
	}
	return nil
}

// AnomalyScore is the verdict on one sample, as it is recorded.
type AnomalyScore struct {
	Metric   string        `json:"metric"`
	At       time.Time     `json:"at"`
	Value    *float64      `json:"value,omitempty"`
	Unit     string        `json:"unit,omitempty"`
	State    anomaly.State `json:"state"`
	Reason   string        `json:"reason,omitempty"` // of LEARNING and UNKNOWN
	Score    *float64      `json:"score,omitempty"`
	Median   *float64      `json:"median,omitempty"`
	MAD      *float64      `json:"mad,omitempty"`
	Spread   *float64      `json:"spread,omitempty"`
	Low      *float64      `json:"usual_low,omitempty"`
	High     *float64      `json:"usual_high,omitempty"`
	Kind     anomaly.Kind  `json:"kind,omitempty"`
	Samples  int           `json:"bucket_samples,omitempty"`
	Baseline *time.Time    `json:"baseline,omitempty"`
	Outside  int           `json:"outside,omitempty"`
	Inside   int           `json:"inside,omitempty"`
	Since    *time.Time    `json:"since,omitempty"`
}

// JudgedScore is the score of a sample that was judged by a bucket of a baseline.
func JudgedScore(m JudgedMetric, sample PendingSample, v anomaly.Verdict) AnomalyScore {
	low, high := sample.Bucket.Range(m.Rule)
	score := AnomalyScore{
		Metric: m.Name, At: sample.At, Value: sample.Value, Unit: sample.Unit, State: v.State, Score: &v.Score,
		Median: &sample.Bucket.Median, MAD: &sample.Bucket.MAD, Spread: &sample.Bucket.Spread, Low: finite(low), High: finite(high),
		Kind: sample.Bucket.Kind, Samples: sample.Bucket.Samples, Baseline: &m.Baseline, Outside: v.Outside, Inside: v.Inside,
	}
	if !v.Since.IsZero() {
		score.Since = &v.Since
	}
	return score
}

func finite(value float64) *float64 {
	if math.IsInf(value, 0) {
		return nil
	}
	return &value
}

// RecordScores writes verdicts on samples, each once, and returns how many were new.
func (s *Store) RecordScores(ctx context.Context, target string, scores []AnomalyScore) (int, error) {
	if len(scores) == 0 {
		return 0, nil
	}
	written, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.record_anomaly_scores($1, $2)", target, scores)
	if err != nil {
		return 0, fmt.Errorf("record scores of %s: %w", target, err)
	}
	return written, nil
}

// ListedAnomaly is the newest score of a metric, with its setting.
type ListedAnomaly struct {
	Target     string        `json:"target"`
	Metric     string        `json:"metric"`
	State      anomaly.State `json:"state"`
	Value      *float64      `json:"value,omitempty"`
	Unit       string        `json:"unit,omitempty"`
	Score      *float64      `json:"score,omitempty"`
	Median     *float64      `json:"median,omitempty"`
	MAD        *float64      `json:"mad,omitempty"`
	Spread     *float64      `json:"spread,omitempty"`
	Low        *float64      `json:"usual_low,omitempty"`
	High       *float64      `json:"usual_high,omitempty"`
	Kind       anomaly.Kind  `json:"bucket_kind,omitempty"`
	Samples    int           `json:"bucket_samples,omitempty"`
	Baseline   time.Time     `json:"baseline,omitzero"`
	Since      time.Time     `json:"deviating_since,omitzero"`
	MeasuredAt time.Time     `json:"measured_at"`
	Reason     string        `json:"reason,omitempty"`

	Direction   anomaly.Direction `json:"direction,omitempty"`
	Sensitivity float64           `json:"sensitivity,omitempty"` // the score from which on a sample is unusual
	Consecutive int               `json:"consecutive,omitempty"` // how many of them make the metric anomalous
	Enabled     bool              `json:"enabled"`
	Description string            `json:"description,omitempty"`
	Hours       []float64         `json:"hourly_means,omitempty"` // of the day before, those with a value
}

// Anomalies lists the judged metrics of a target, empty: of all, as they stood at a moment; the unusual ones first.
func (s *Store) Anomalies(ctx context.Context, target string, now time.Time) ([]ListedAnomaly, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (ListedAnomaly, error) {
		var (
			a                   ListedAnomaly
			baseline, since, at Timestamp
		)
		err := row.Scan(&a.Target, &a.Metric, &a.State, &a.Value, &a.Unit, &a.Score, &a.Median, &a.MAD, &a.Spread, &a.Low, &a.High,
			&a.Kind, &a.Samples, &baseline, &since, &at, &a.Reason, &a.Direction, &a.Sensitivity, &a.Consecutive, &a.Enabled, &a.Description, &a.Hours)
		a.Baseline, a.Since, a.MeasuredAt = baseline.Time, since.Time, at.Time
		return a, err
	}, anomaliesSQL, optional(target), now)
	if err != nil {
		return nil, fmt.Errorf("list anomalies: %w", err)
	}
	return list, nil
}

// ScoredSample is a sample of a metric with what was usual then.
type ScoredSample struct {
	At     time.Time     `json:"at"`
	Value  *float64      `json:"value,omitempty"`
	State  anomaly.State `json:"state"`
	Score  *float64      `json:"score,omitempty"`
	Median *float64      `json:"median,omitempty"`
	Low    *float64      `json:"usual_low,omitempty"`
	High   *float64      `json:"usual_high,omitempty"`
}

// Scores returns the scored samples of a metric in (from, to].
func (s *Store) Scores(ctx context.Context, target, metric string, from, to time.Time) ([]ScoredSample, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (ScoredSample, error) {
		var r ScoredSample
		err := row.Scan(&r.At, &r.Value, &r.State, &r.Score, &r.Median, &r.Low, &r.High)
		r.At = r.At.UTC()
		return r, err
	}, anomalyScoresSQL, target, metric, from, to)
	if err != nil {
		return nil, fmt.Errorf("read the scores of %s of %s: %w", metric, target, err)
	}
	return list, nil
}

// SetAnomaly changes how a metric is judged, or has another one judged; nil leaves the judging on or off as it is.
func (s *Store) SetAnomaly(ctx context.Context, metric string, change map[string]any, enabled *bool) error {
	if change == nil {
		change = map[string]any{} // {}, not null
	}
	// With the rights of the session: who may not write settings is refused.
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk)
			SELECT util.hash_binary(util.bk('ANOMALY', $1)), util.bk('ANOMALY', $1)
			 WHERE NOT EXISTS (SELECT FROM monitoring.monitor_config_s WHERE config_type = 'ANOMALY' AND config_name = $1)
			ON CONFLICT DO NOTHING`, metric); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, anomalySetSQL, metric, change, enabled)
		return err
	})
	if err != nil {
		return fmt.Errorf("set how %s is judged: %w", metric, refusal(err))
	}
	return nil
}

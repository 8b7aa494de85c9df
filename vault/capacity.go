package vault

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/forecast"
)

var (
	//go:embed sql/capacity.sql
	capacitySQL string
	//go:embed sql/capacity_problems.sql
	capacityProblemsSQL string
	//go:embed sql/capacity_history.sql
	capacityHistorySQL string
)

// oneDay is a day in UTC, which knows no summer time.
const oneDay = 24 * time.Hour

// CapacitySample is one measured resource with its forecast. Dates are YYYY-MM-DD.
type CapacitySample struct {
	Type      string   `json:"type"`
	Name      string   `json:"name"`
	Size      int64    `json:"size"`                // bytes; of a SEQUENCE values
	Available *int64   `json:"available,omitempty"` // nil: no limit
	Growth    *float64 `json:"growth,omitempty"`    // per day
	Trend     string   `json:"trend,omitempty"`
	Method    string   `json:"method,omitempty"`
	FullOn    string   `json:"full_on,omitempty"`
	Earliest  string   `json:"earliest,omitempty"`
	Latest    string   `json:"latest,omitempty"`
}

// NewCapacitySample puts a forecast beside what was measured.
func NewCapacitySample(kind, name string, size int64, available *int64, f forecast.Forecast) CapacitySample {
	sample := CapacitySample{
		Type: kind, Name: name, Size: size, Available: available, Trend: string(f.Trend), Method: string(f.Method),
		FullOn: date(f.Full), Earliest: date(f.Earliest), Latest: date(f.Latest),
	}
	if f.Trend != forecast.Unknown {
		sample.Growth = &f.Slope
	}
	return sample
}

// date is a day in UTC, empty for the zero time.
func date(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}

// CapacityHistory returns the days of each sample up to its measurement at a moment, which stands for that day.
func (s *Store) CapacityHistory(ctx context.Context, target string, at time.Time, samples []CapacitySample) ([][]forecast.Day, error) {
	types, names := make([]string, len(samples)), make([]string, len(samples))
	for i, sample := range samples {
		types[i], names[i] = sample.Type, sample.Name
	}
	type row struct {
		Place int
		Day   time.Time
		Size  float64
	}
	today := at.UTC().Truncate(oneDay)
	rows, err := all(ctx, s, pgx.RowToStructByPos[row], capacityHistorySQL, target, types, names, historyFrom(at), today)
	if err != nil {
		return nil, fmt.Errorf("read the history of the resources of %s: %w", target, err)
	}
	days := make([][]forecast.Day, len(samples))
	for _, r := range rows {
		days[r.Place-1] = append(days[r.Place-1], forecast.Day{Day: r.Day.UTC(), Value: r.Size})
	}
	for i, sample := range samples {
		days[i] = append(days[i], forecast.Day{Day: today, Value: float64(sample.Size)})
	}
	return days, nil
}

// historyFrom is the beginning of the oldest day that counts.
func historyFrom(at time.Time) time.Time {
	return at.UTC().Truncate(oneDay).Add(-(forecast.Window - 1) * oneDay)
}

// RecordCapacity writes one measurement of a target, once, and returns how many samples were new. Problems say what
// could not be measured; without any sample they say why.
func (s *Store) RecordCapacity(ctx context.Context, target string, at time.Time, interval time.Duration, samples []CapacitySample, problems []string) (int, error) {
	if samples == nil {
		samples = []CapacitySample{} // [], not null
	}
	if problems == nil {
		problems = []string{}
	}
	written, err := one(ctx, s, pgx.RowTo[int], "SELECT monitoring.record_capacity_samples($1, NULL, $2, $3, $4, $5)",
		target, at, int(interval.Seconds()), samples, problems)
	if err != nil {
		return 0, fmt.Errorf("record capacity of %s: %w", target, err)
	}
	return written, nil
}

// ListedResource is the newest state of a resource, with its days up to then.
type ListedResource struct {
	Target      string         `json:"target"`
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Size        int64          `json:"size"` // bytes; of a SEQUENCE values
	Available   *int64         `json:"available,omitempty"`
	Utilization *float64       `json:"utilization_pct,omitempty"`
	Warning     *float64       `json:"warning_pct,omitempty"`
	Critical    *float64       `json:"critical_pct,omitempty"`
	Growth      *float64       `json:"growth_per_day,omitempty"`
	Trend       string         `json:"trend,omitempty"` // GROWING, SHRINKING, STABLE; empty: too little history
	Method      string         `json:"method,omitempty"`
	FullOn      string         `json:"full_on,omitempty"` // dates, empty: not foreseen
	Earliest    string         `json:"full_earliest,omitempty"`
	Latest      string         `json:"full_latest,omitempty"`
	MeasuredAt  time.Time      `json:"measured_at"`
	History     []forecast.Day `json:"history"`
}

// Capacity lists the resources of a target, empty: of all, that were measured within the week before now; the first
// to be full first.
func (s *Store) Capacity(ctx context.Context, target string, now time.Time) ([]ListedResource, error) {
	list, err := all(ctx, s, scanListedResource, capacitySQL, optional(target), now, historyFrom(now))
	if err != nil {
		return nil, fmt.Errorf("list resources: %w", err)
	}
	return list, nil
}

func scanListedResource(row pgx.CollectableRow) (ListedResource, error) {
	var (
		r     ListedResource
		at    Timestamp
		days  []time.Time
		sizes []float64
	)
	err := row.Scan(&r.Target, &r.Type, &r.Name, &r.Size, &r.Available, &r.Utilization, &r.Warning, &r.Critical, &r.Growth,
		&r.Trend, &r.Method, &r.FullOn, &r.Earliest, &r.Latest, &at, &days, &sizes)
	if err != nil {
		return r, err
	}
	r.MeasuredAt = at.Time
	today := r.MeasuredAt.Truncate(oneDay)
	for i, day := range days {
		if day.Before(today) {
			r.History = append(r.History, forecast.Day{Day: day.UTC(), Value: sizes[i]})
		}
	}
	r.History = append(r.History, forecast.Day{Day: today, Value: float64(r.Size)})
	return r, nil
}

// CapacityProblem is what the newest measurement of a target could not measure.
type CapacityProblem struct {
	Target string
	At     time.Time
	Text   string
}

// CapacityProblems lists what could not be measured of a target, empty: of all.
func (s *Store) CapacityProblems(ctx context.Context, target string, now time.Time) ([]CapacityProblem, error) {
	list, err := all(ctx, s, pgx.RowToStructByPos[CapacityProblem], capacityProblemsSQL, optional(target), now)
	if err != nil {
		return nil, fmt.Errorf("read what could not be measured: %w", err)
	}
	return list, nil
}

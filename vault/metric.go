package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/metrics.sql
var metricsSQL string

// Sample is one measured value, or the error that stands in its place.
type Sample struct {
	Name         string          `json:"name"`
	Category     string          `json:"category"`
	Unit         string          `json:"unit,omitempty"`
	Value        *float64        `json:"value"`
	Warning      *float64        `json:"warning"`
	Critical     *float64        `json:"critical"`
	LowIsBad     bool            `json:"low_is_bad"`
	Source       string          `json:"source"`
	Counter      json.RawMessage `json:"counter,omitempty"`  // cumulative; the vault makes a rate of two
	Labels       json.RawMessage `json:"labels,omitempty"`   // object of texts; absent: the metric has one series
	Evidence     json.RawMessage `json:"evidence,omitempty"` // kept beside the value
	EverySeconds int             `json:"every_s,omitempty"`  // its own cadence; 0: that of the collection
	Error        string          `json:"error,omitempty"`
}

// MetricRun is what became of one query of a collection.
type MetricRun struct {
	Query string `json:"query"`
	Rows  int    `json:"rows"`
	Error string `json:"error,omitempty"`
	Left  string `json:"left_out,omitempty"` // why it does not apply
}

// RecordHealth writes samples of a target and returns how many they are.
func (s *Store) RecordHealth(ctx context.Context, target string, at time.Time, interval time.Duration, samples []Sample) (int64, error) {
	tag, err := s.pool.Exec(ctx, "SELECT FROM monitoring.record_health_samples($1, NULL, $2, $3, $4)",
		target, at, int(interval.Seconds()), samples)
	if err != nil {
		return 0, fmt.Errorf("record health of %s: %w", target, refusal(err))
	}
	return tag.RowsAffected(), nil
}

// RecordCollection writes the samples of a collection and when each of its queries ran, both or neither, and
// returns how many samples they are. What was measured is judged at once: the same transaction asks for it.
func (s *Store) RecordCollection(ctx context.Context, target string, at time.Time, interval time.Duration, samples []Sample, runs []MetricRun) (int64, error) {
	if runs == nil {
		runs = []MetricRun{} // [], not null
	}
	type answer struct {
		Written int64
		Asked   string // nothing, as of every function that yields none
	}
	recorded, err := one(ctx, s, pgx.RowToStructByPos[answer],
		"SELECT monitoring.record_collection($1, NULL, $2, $3, $4, $5), monitoring.ask_for_look($1, 'system_health')::text",
		target, at, int(interval.Seconds()), samples, runs)
	if err != nil {
		return 0, fmt.Errorf("record the collection of %s: %w", target, err)
	}
	return recorded.Written, nil
}

// MetricPlan is what the vault knows before a collection of a target.
type MetricPlan struct {
	Ran map[string]time.Time // when each query last ran on the target
	Own []OwnMetric          // what people added for the target
}

// OwnMetric is a metric that people added, as the file that they wrote.
type OwnMetric struct {
	Name, Category, Unit string
	Text                 string
}

// PlanMetrics tells when the queries of a target last ran, and which metrics people added for it.
func (s *Store) PlanMetrics(ctx context.Context, target string) (MetricPlan, error) {
	plan := MetricPlan{Ran: map[string]time.Time{}}
	type run struct {
		Query string
		At    time.Time
	}
	runs, err := all(ctx, s, pgx.RowToStructByPos[run], "SELECT query_name, ran_at FROM monitoring.health_query_run WHERE target_name = $1", target)
	if err != nil {
		return plan, fmt.Errorf("read what was measured of %s: %w", target, err)
	}
	for _, r := range runs {
		plan.Ran[r.Query] = r.At
	}
	plan.Own, err = all(ctx, s, pgx.RowToStructByPos[OwnMetric], `
		SELECT metric_name, metric_category, metric_unit, definition_text
		  FROM monitoring.metric_definition_s
		 WHERE load_end_date IS NULL AND is_enabled AND (target_names IS NULL OR $1 = ANY (target_names))
		 ORDER BY metric_name`, target)
	if err != nil {
		return plan, fmt.Errorf("read the added metrics of %s: %w", target, err)
	}
	return plan, nil
}

// SavedMetric is an own metric with what its file says of it.
type SavedMetric struct {
	Name, Description, Unit, Category string
	Every                             time.Duration
	Labels                            []string
	Targets                           []string // nil: all
	Text                              string
}

// SaveMetric keeps a metric that people added; false: it stands so already.
func (s *Store) SaveMetric(ctx context.Context, m SavedMetric, by string) (bool, error) {
	changed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.save_metric($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		m.Name, m.Description, m.Unit, m.Category, int(m.Every.Seconds()), m.Labels, m.Targets, m.Text, by)
	if err != nil {
		return false, fmt.Errorf("apply metric %s: %w", m.Name, err)
	}
	return changed, nil
}

// RemoveMetric ends the measuring of a metric that people added; false: it was removed before.
func (s *Store) RemoveMetric(ctx context.Context, name, by string) (bool, error) {
	removed, err := one(ctx, s, pgx.RowTo[bool], "SELECT monitoring.remove_metric($1, $2)", name, by)
	if err != nil {
		return false, fmt.Errorf("remove metric %s: %w", name, err)
	}
	return removed, nil
}

// ListedMetric is a metric as it stands on a target.
type ListedMetric struct {
	Name        string    `json:"metric"`
	Description string    `json:"description"`
	Unit        string    `json:"unit"`
	Category    string    `json:"category"`
	Labels      []string  `json:"labels,omitempty"`
	Every       int       `json:"every_seconds"` // 0: at every collection
	Query       string    `json:"query,omitempty"`
	Own         bool      `json:"own"`
	Targets     []string  `json:"targets,omitempty"` // of an own one; absent: all
	ChangedBy   string    `json:"changed_by,omitempty"`
	Series      int       `json:"series"`           // of the newest run
	Status      string    `json:"status,omitempty"` // the worst of its newest series; empty: never measured
	Value       *float64  `json:"value,omitempty"`  // of one without labels
	MeasuredAt  time.Time `json:"measured_at,omitzero"`
	Error       string    `json:"error,omitempty"` // why there is no value
	Left        string    `json:"left_out,omitempty"`
	Definition  string    `json:"definition,omitempty"` // the file of an own one
}

// Metrics lists the metrics, built in and added, as they stand on a target.
func (s *Store) Metrics(ctx context.Context, target string) ([]ListedMetric, error) {
	list, err := all(ctx, s, func(row pgx.CollectableRow) (m ListedMetric, err error) {
		var at *time.Time
		err = row.Scan(&m.Name, &m.Description, &m.Unit, &m.Category, &m.Labels, &m.Every, &m.Query, &m.Own, &m.Targets, &m.ChangedBy,
			&m.Series, &m.Status, &m.Value, &at, &m.Error, &m.Left, &m.Definition)
		if at != nil {
			m.MeasuredAt = *at
		}
		return m, err
	}, metricsSQL, target)
	if err != nil {
		return nil, fmt.Errorf("list the metrics of %s: %w", target, err)
	}
	return list, nil
}

package activities

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"onevault/collect"
	"onevault/vault"
)

// Collection are the activities that measure targets.
type Collection struct {
	Vault    *vault.Store
	Targets  map[string]*collect.Target // those that are always there, by name: local
	Registry *Registry                  // all others; nil: there are none
	// ControlsDir holds controls of compliance beside the built-in ones; empty: there are none.
	ControlsDir string
}

// target is the watched server of a name.
func (c *Collection) target(name string) (*collect.Target, error) {
	if target := c.Targets[name]; target != nil {
		return target, nil
	}
	if c.Registry == nil {
		return nil, unwatched("target %q is unknown", name)
	}
	return c.Registry.Target(name)
}

// CollectHealthInput names a target and the cadence of its collection.
type CollectHealthInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every"`
}

// CollectHealthOutput counts what was measured.
type CollectHealthOutput struct {
	Samples int64  `json:"samples"`
	Failed  int    `json:"failed,omitempty"` // metrics that stand as UNKNOWN with an error
	Error   string `json:"error,omitempty"`  // why the target did not answer; recorded as target_reachable 0
}

// CollectHealth measures what is due on a target and records every sample. What is due the vault tells, so
// that a restart of the worker measures nothing twice. A target that does not answer is a measurement as well
// (target_reachable 0), so only the vault's failures are errors here.
func (c *Collection) CollectHealth(ctx context.Context, in CollectHealthInput) (CollectHealthOutput, error) {
	target, err := c.target(in.Target)
	if err != nil {
		return CollectHealthOutput{}, err
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	due, broken, err := c.dueQueries(ctx, in.Target, at)
	if err != nil {
		return CollectHealthOutput{}, classify(err)
	}
	health, err := target.CollectHealth(ctx, due)
	if errors.Is(err, collect.ErrBusy) {
		return CollectHealthOutput{}, err // nobody looked: not a word about the target
	}
	out := CollectHealthOutput{}
	if err != nil {
		out.Error = err.Error()
	}
	rows := []vault.Sample{reachable(err)}
	if version := target.ServerVersion(); err == nil && version > 0 {
		rows = append(rows, serverVersion(version))
	}
	for _, s := range health.Samples {
		if s.Error != "" {
			out.Failed++
		}
		rows = append(rows, vault.Sample{
			Name: s.Name, Category: s.Category, Unit: s.Unit, Value: s.Value, Warning: s.Warning, Critical: s.Critical,
			LowIsBad: s.LowIsBad, Source: s.Source, Counter: json.RawMessage(s.Counter), Labels: json.RawMessage(s.Labels),
			Evidence: json.RawMessage(s.Evidence), EverySeconds: int(s.Every.Seconds()), Error: s.Error,
		})
	}
	var runs []vault.MetricRun
	for _, sample := range broken {
		rows = append(rows, sample)
		runs = append(runs, vault.MetricRun{Query: sample.Name, Error: sample.Error})
	}
	out.Failed += len(broken)
	for _, r := range health.Runs {
		runs = append(runs, vault.MetricRun{Query: r.Query, Rows: r.Rows, Error: r.Error, Left: r.Left})
	}
	out.Samples, err = c.Vault.RecordCollection(ctx, in.Target, at, in.Every, rows, runs)
	return out, classify(err)
}

// dueQueries are those of the catalogue and of people's own that are to run now, and samples of those that
// cannot: their files were put into the vault past every check.
func (c *Collection) dueQueries(ctx context.Context, target string, now time.Time) (due []collect.Query, broken []vault.Sample, err error) {
	queries, err := collect.HealthQueries()
	if err != nil {
		return nil, nil, err
	}
	plan, err := c.Vault.PlanMetrics(ctx, target)
	if err != nil {
		return nil, nil, err
	}
	for _, own := range plan.Own {
		query, err := collect.ParseOwnQuery(own.Name, own.Text)
		if err != nil {
			broken = append(broken, vault.Sample{Name: own.Name, Category: own.Category, Unit: own.Unit, Source: own.Name, Error: err.Error()})
			continue
		}
		queries = append(queries, query)
	}
	return collect.Due(queries, plan.Ran, now), broken, nil
}

// CollectPerformanceInput names a target and the cadence of its collection.
type CollectPerformanceInput struct {
	Target string        `json:"target"`
	Every  time.Duration `json:"every"`
}

// CollectPerformanceOutput counts the statements that the vault holds of the period: the first 20 by total time, by
// mean time, by I/O and by calls.
type CollectPerformanceOutput struct {
	Statements int64  `json:"statements"`
	Error      string `json:"error,omitempty"` // why they could not be read; recorded as statement_period_s UNKNOWN
}

// CollectPerformance samples the statements of a target and records the costliest since the previous
// sample. Texts, tables and plans are read only where the vault asks for them. A target whose statements
// cannot be read is a measurement as well (statement_period_s UNKNOWN), so only the vault's failures are errors.
func (c *Collection) CollectPerformance(ctx context.Context, in CollectPerformanceInput) (CollectPerformanceOutput, error) {
	target, err := c.target(in.Target)
	if err != nil {
		return CollectPerformanceOutput{}, err
	}
	sample, err := target.SampleStatements(ctx)
	if err != nil {
		return c.statementsUnknown(ctx, in, err)
	}
	asked, err := c.Vault.StatementQuestions(ctx, in.Target, sample)
	if err != nil {
		return CollectPerformanceOutput{}, classify(err)
	}
	var questions collect.StatementQuestions
	if err := json.Unmarshal(asked, &questions); err != nil {
		return CollectPerformanceOutput{}, fmt.Errorf("read what is missing of the statements of %s: %w", in.Target, err)
	}
	answered, err := target.AnswerStatementQuestions(ctx, questions)
	if err != nil {
		return c.statementsUnknown(ctx, in, err)
	}
	answers, err := json.Marshal(answered)
	if err != nil {
		return CollectPerformanceOutput{}, fmt.Errorf("encode what %s answered: %w", in.Target, err)
	}
	n, err := c.Vault.RecordStatements(ctx, in.Target, in.Every, sample, answers)
	return CollectPerformanceOutput{Statements: n}, classify(err)
}

func (c *Collection) statementsUnknown(ctx context.Context, in CollectPerformanceInput, cause error) (CollectPerformanceOutput, error) {
	_, err := c.Vault.RecordHealth(ctx, in.Target, time.Now().UTC().Truncate(time.Microsecond), in.Every, []vault.Sample{{
		Name: "statement_period_s", Category: "PERFORMANCE", Unit: "s", Source: "pg_stat_statements", Error: cause.Error(),
	}})
	return CollectPerformanceOutput{Error: cause.Error()}, classify(err)
}

func serverVersion(version int) vault.Sample {
	value := float64(version)
	return vault.Sample{Name: "server_version_num", Category: "AVAILABILITY", Unit: "version", Value: &value, Source: "collector"}
}

func reachable(err error) vault.Sample {
	value, threshold, reason := 1.0, 0.0, ""
	if err != nil {
		value, reason = 0, err.Error()
	}
	return vault.Sample{
		Name: "target_reachable", Category: "AVAILABILITY", Unit: "bool", Value: &value, Warning: &threshold, Critical: &threshold,
		LowIsBad: true, Source: "collector", Error: reason,
	}
}

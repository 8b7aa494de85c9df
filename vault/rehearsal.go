package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

//go:embed sql/rehearse.sql
var rehearseSQL string

//go:embed sql/rehearsed_set.sql
var rehearsedSetSQL string

// Rehearsal is a vault in which nothing stays: definitions are put and evaluated over measurements that were
// made up, by the vault's own functions, in a transaction that is rolled back.
type Rehearsal struct{ tx pgx.Tx }

// rehearsed is the target of all rehearsals; its rows are never committed.
const rehearsed = "definition-test"

// Rehearse puts definitions, hands the vault over, and takes everything back, whatever comes of it. refused are
// those that the vault does not take; then nothing is rehearsed.
func (s *Store) Rehearse(ctx context.Context, specs []DefinitionSpec, run func(*Rehearsal) error) (refused []DefinitionRefusal, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, `
		INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
		SELECT util.hash_binary(k), k FROM unnest($1::text[]) AS k ORDER BY k
		ON CONFLICT DO NOTHING`, keysOf(specs)); err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	for _, spec := range specs {
		_, err := putDefinition(ctx, tx, spec, "definition test")
		switch {
		case Unreachable(err) || errors.Is(err, context.Canceled):
			return nil, fmt.Errorf("rehearse %s: %w", spec.Key, err)
		case err != nil:
			refused = append(refused, DefinitionRefusal{spec.Key, refusal(err)})
		}
	}
	if len(refused) > 0 {
		return refused, nil
	}
	return nil, run(&Rehearsal{tx})
}

// Series are values of a metric, or of one series of a metric with labels, the first at the beginning and one every
// Step; nil: nothing was measured.
type Series struct {
	Metric string
	Labels alert.Labels
	Step   time.Duration
	Values []*float64
}

// Play is what is rehearsed: Count looks, one every Every, over series.
type Play struct {
	Keys   []string // of the definitions, those first on which others rest
	Begin  time.Time
	Every  time.Duration
	Count  int
	Series []Series
	// Direct are the inputs of sources other than system_health, one object for each look.
	Direct []map[string]float64
	// About is the definition whose looks are told, and Labels which of its label sets; none: it alerts by none.
	About  string
	Labels alert.Labels
}

// RehearsedLook is what one look came to.
type RehearsedLook struct {
	N        int // counts from 0
	Result   string
	Value    *float64
	Decision string
}

// Play evaluates definitions over series, tells of one of them, and forgets it again.
func (r *Rehearsal) Play(ctx context.Context, p Play) ([]RehearsedLook, error) {
	nested, err := r.tx.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	defer nested.Rollback(ctx)
	// The times of a test may be older than anything the vault keeps.
	end := p.Begin.Add(time.Duration(p.Count) * p.Every)
	if _, err := nested.Exec(ctx, "SELECT monitoring.ensure_partitions($1, $2)", p.Begin.AddDate(0, 0, -1), end.AddDate(0, 0, 1)); err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	for _, s := range p.Series {
		if err := measure(ctx, nested, s, p.Begin); err != nil {
			return nil, err
		}
	}
	inputs := make([]string, len(p.Direct))
	for n, d := range p.Direct {
		text, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("rehearse: %w", err)
		}
		inputs[n] = string(text)
	}
	rows, err := nested.Query(ctx, rehearseSQL, p.Begin, p.Every.Seconds(), p.Count, p.Keys, rehearsed, inputs, p.About)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RehearsedLook])
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	if len(p.Labels) == 0 {
		return looks, nil
	}
	if rows, err = nested.Query(ctx, rehearsedSetSQL, p.Begin, p.Every.Seconds(), p.Count, p.About, rehearsed, p.Labels); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	if looks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[RehearsedLook]); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	return looks, nil
}

// measure writes a series as a collection of the target would have.
func measure(ctx context.Context, tx pgx.Tx, s Series, begin time.Time) error {
	if s.Labels == nil {
		s.Labels = alert.Labels{}
	}
	var names []string
	err := tx.QueryRow(ctx, `
		SELECT coalesce((SELECT label_names FROM monitoring.condition_identifier WHERE metric_source = 'system_health' AND identifier = $1), '{}')`, s.Metric).Scan(&names)
	if err != nil {
		return fmt.Errorf("rehearse the series of %s: %w", s.Metric, err)
	}
	if given := slices.Sorted(maps.Keys(s.Labels)); !slices.Equal(given, slices.Sorted(slices.Values(names))) {
		has := "no labels"
		if len(names) > 0 {
			has = "the labels " + strings.Join(names, ", ")
		}
		return &Refusal{
			Message: fmt.Sprintf("series %s{%s}: the metric has %s", s.Metric, s.Labels, has),
			Hint:    "write all labels of the metric and no others; onevault metric list names them",
		}
	}
	if _, err := tx.Exec(ctx, `
		WITH hub AS (
		    INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, target_name)
		    SELECT util.hash_binary(k), k, $1 FROM monitoring.health_key($1, NULL, $2, $6) AS k
		    RETURNING health_metric_hk)
		INSERT INTO monitoring.system_health_metric_s (
		    health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, measurement_interval_seconds, labels)
		SELECT hub.health_metric_hk, '\x', $2, 'PERFORMANCE', v, $3::timestamptz + make_interval(secs => $4::integer * (o - 1)), $4, $6
		  FROM hub, unnest($5::float8[]) WITH ORDINALITY AS u (v, o)
		 WHERE v IS NOT NULL`, rehearsed, s.Metric, begin, int(s.Step.Seconds()), s.Values, s.Labels); err != nil {
		return fmt.Errorf("rehearse the series of %s: %w", s.Metric, refusal(err))
	}
	return nil
}

package vault

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/rehearse.sql
var rehearseSQL string

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
		if len(spec.AlertBy) > 0 {
			refused = append(refused, DefinitionRefusal{spec.Key, errors.New("it alerts by labels (alert_by), and the series of a test have none: take alert_by out to test the rest of it")})
			continue
		}
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

// Series are values of a metric, the first at the beginning and one every Step; nil: nothing was measured.
type Series struct {
	Metric string
	Step   time.Duration
	Values []*float64
}

// RehearsedLook is what one look at one definition came to.
type RehearsedLook struct {
	N        int // counts from 0
	Key      string
	Result   string
	Value    *float64
	Decision string
}

// Play evaluates definitions (those first on which others rest) count times over series, and forgets it again.
// direct are the inputs of sources other than system_health, one object for each look.
func (r *Rehearsal) Play(ctx context.Context, keys []string, begin time.Time, every time.Duration, count int, series []Series, direct []map[string]float64) ([]RehearsedLook, error) {
	nested, err := r.tx.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	defer nested.Rollback(ctx)
	// The times of a test may be older than anything the vault keeps.
	end := begin.Add(time.Duration(count) * every)
	if _, err := nested.Exec(ctx, "SELECT monitoring.ensure_partitions($1, $2)", begin.AddDate(0, 0, -1), end.AddDate(0, 0, 1)); err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	for _, s := range series {
		if _, err := nested.Exec(ctx, `
			WITH hub AS (
			    INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, target_name)
			    SELECT util.hash_binary(k), k, $1 FROM monitoring.health_key($1, NULL, $2, '{}') AS k
			    RETURNING health_metric_hk)
			INSERT INTO monitoring.system_health_metric_s (
			    health_metric_hk, hash_diff, metric_name, metric_category, metric_value, measurement_timestamp, measurement_interval_seconds)
			SELECT hub.health_metric_hk, '\x', $2, 'PERFORMANCE', v, $3::timestamptz + make_interval(secs => $4::integer * (o - 1)), $4
			  FROM hub, unnest($5::float8[]) WITH ORDINALITY AS u (v, o)
			 WHERE v IS NOT NULL`, rehearsed, s.Metric, begin, int(s.Step.Seconds()), s.Values); err != nil {
			return nil, fmt.Errorf("rehearse the series of %s: %w", s.Metric, refusal(err))
		}
	}
	inputs := make([]string, len(direct))
	for n, d := range direct {
		text, err := json.Marshal(d)
		if err != nil {
			return nil, fmt.Errorf("rehearse: %w", err)
		}
		inputs[n] = string(text)
	}
	rows, err := nested.Query(ctx, rehearseSQL, begin, every.Seconds(), count, keys, rehearsed, inputs)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RehearsedLook])
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", refusal(err))
	}
	return looks, nil
}

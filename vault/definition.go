package vault

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
)

var (
	//go:embed sql/definition_versions.sql
	definitionVersionsSQL string
	//go:embed sql/definition_put.sql
	definitionPutSQL string
)

// DefinitionSpec is what a version of an alert definition says: everything but who wrote it and when.
// Minutes are whole; a Threshold is the text of a decimal number, so that nothing is rounded on its way.
type DefinitionSpec struct {
	Key             string   `json:"key"`
	Name            string   `json:"name"`
	Description     string   `json:"description,omitempty"`
	Category        string   `json:"category"`
	Severity        string   `json:"severity"`
	Enabled         bool     `json:"enabled"`
	Source          string   `json:"source"`
	Condition       string   `json:"condition"`
	Clear           string   `json:"clear,omitempty"`
	SQL             string   `json:"sql,omitempty"`       // of the source sql: what yields the value
	Threshold       string   `json:"threshold,omitempty"` // empty: none
	Operator        string   `json:"operator,omitempty"`
	EveryMinutes    int      `json:"every_minutes"`
	LookbackMinutes int      `json:"lookback_minutes"`
	PendingMinutes  int      `json:"pending_minutes"`
	ClearMinutes    int      `json:"clear_minutes"`
	SuppressMinutes int      `json:"suppress_minutes"`
	NoData          string   `json:"no_data"` // NO_DATA, ALERT, OK, KEEP
	NoDataMinutes   int      `json:"no_data_minutes"`
	FireLooks       int      `json:"fire_looks"` // of the last OfLooks
	OfLooks         int      `json:"of_looks"`
	MinOpenMinutes  int      `json:"min_open_minutes"`
	ReopenMinutes   int      `json:"reopen_minutes"`
	FlapCount       int      `json:"flap_count"` // 0: never called flapping
	FlapMinutes     int      `json:"flap_minutes"`
	AlertBy         []string `json:"alert_by,omitempty"` // the labels by which it alerts; none: one alert for the target
	AutoResolve     bool     `json:"auto_resolve"`
	EscalateMinutes int      `json:"escalate_minutes,omitempty"` // 0: it does not escalate
	Policy          string   `json:"policy,omitempty"`           // empty: the default of its severity
	Channels        []string `json:"channels,omitempty"`         // none: every channel whose filters match
	Runbook         string   `json:"runbook,omitempty"`
	RunbookURL      string   `json:"runbook_url,omitempty"`
}

// Timing is what it says about time.
func (d DefinitionSpec) Timing() alert.Timing {
	minutes := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	return alert.Timing{
		Pending: minutes(d.PendingMinutes), FireLooks: d.FireLooks, OfLooks: d.OfLooks, ClearFor: minutes(d.ClearMinutes),
		MinOpen: minutes(d.MinOpenMinutes), Suppress: minutes(d.SuppressMinutes), Reopen: minutes(d.ReopenMinutes),
		FlapCount: d.FlapCount, FlapWindow: minutes(d.FlapMinutes),
		NoData: d.NoData, NoDataAfter: minutes(d.NoDataMinutes), AutoResolve: d.AutoResolve,
	}
}

// DefinitionVersion is a DefinitionSpec with its author and its time. ReplacedAt is zero for the one that stands.
type DefinitionVersion struct {
	DefinitionSpec
	WrittenAt  time.Time `json:"written_at"`
	ReplacedAt time.Time `json:"replaced_at,omitzero"`
	Author     string    `json:"author"`
	// RecordSource is SETUP_SCRIPT of OneVault's own, DEFINITION_FILE of what a file brought.
	RecordSource string `json:"record_source"`
	Open         int    `json:"open_alerts"` // alerts that are open under this version
}

// DefinitionVersions lists the versions of the definitions of these keys (none: of all), by key and newest
// first; current leaves only those that stand.
func (s *Store) DefinitionVersions(ctx context.Context, keys []string, current bool) ([]DefinitionVersion, error) {
	list, err := all(ctx, s, scanDefinitionVersion, definitionVersionsSQL, keys, current)
	if err != nil {
		return nil, fmt.Errorf("read the versions of definitions: %w", err)
	}
	return list, nil
}

func scanDefinitionVersion(row pgx.CollectableRow) (DefinitionVersion, error) {
	var (
		v         DefinitionVersion
		replaced  Timestamp
		escalates bool
	)
	err := row.Scan(&v.Key, &v.Name, &v.Description, &v.Category, &v.Severity, &v.Enabled, &v.Source, &v.Condition, &v.Clear,
		&v.Threshold, &v.Operator, &v.EveryMinutes, &v.LookbackMinutes, &v.PendingMinutes, &v.ClearMinutes, &v.SuppressMinutes,
		&v.NoData, &v.NoDataMinutes, &v.AutoResolve, &escalates, &v.EscalateMinutes, &v.Channels, &v.Runbook, &v.RunbookURL,
		&v.WrittenAt, &replaced, &v.Author, &v.RecordSource, &v.Open,
		&v.FireLooks, &v.OfLooks, &v.MinOpenMinutes, &v.ReopenMinutes, &v.FlapCount, &v.FlapMinutes, &v.Policy, &v.SQL, &v.AlertBy)
	if !escalates {
		v.EscalateMinutes = 0
	}
	v.WrittenAt, v.ReplacedAt = v.WrittenAt.UTC(), replaced.Time
	return v, err
}

// DefinitionRefusal is why the vault did not take one of several definitions.
type DefinitionRefusal struct {
	Key string
	Err error
}

// PutDefinitions writes a version of each definition, all or none; author stands in each row. With dryRun, or when
// one is refused, nothing is left. unheard are the keys of enabled definitions that no channel would hear.
func (s *Store) PutDefinitions(ctx context.Context, specs []DefinitionSpec, author string, dryRun bool) (refused []DefinitionRefusal, unheard []string, err error) {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("write definitions: %w", err)
	}
	defer tx.Rollback(ctx) // after a commit there is nothing to take back
	// One may name another that comes later in the file: the keys are there first.
	if _, err := tx.Exec(ctx, `
		INSERT INTO monitoring.alert_definition_h (alert_definition_hk, alert_definition_bk)
		SELECT util.hash_binary(k), k FROM unnest($1::text[]) AS k ORDER BY k
		ON CONFLICT DO NOTHING`, keysOf(specs)); err != nil {
		return nil, nil, fmt.Errorf("write definitions: %w", refusal(err))
	}
	for _, spec := range specs {
		heard, err := putDefinition(ctx, tx, spec, author)
		switch {
		case Unreachable(err) || errors.Is(err, context.Canceled):
			return nil, nil, fmt.Errorf("write definition %s: %w", spec.Key, err)
		case err != nil:
			refused = append(refused, DefinitionRefusal{spec.Key, refusal(err)})
		case !heard && spec.Enabled:
			unheard = append(unheard, spec.Key)
		}
	}
	if dryRun || len(refused) > 0 {
		return refused, unheard, nil
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, nil, fmt.Errorf("write definitions: %w", refusal(err))
	}
	return nil, unheard, nil
}

// putDefinition writes one version in a savepoint of its own: a refusal leaves the others to be looked at.
func putDefinition(ctx context.Context, tx pgx.Tx, d DefinitionSpec, author string) (heard bool, err error) {
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, definitionPutSQL, d.Key, d.Name, optional(d.Description), d.Category, d.Severity, d.Enabled, optional(d.Source),
			d.Condition, optional(d.Clear), optional(d.Threshold), optional(d.Operator), d.EveryMinutes, d.LookbackMinutes, d.PendingMinutes,
			d.ClearMinutes, d.SuppressMinutes, d.NoData, d.NoDataMinutes, d.AutoResolve, optional(d.EscalateMinutes), optionalList(d.Channels),
			optional(d.Runbook), optional(d.RunbookURL), author,
			d.FireLooks, d.OfLooks, d.MinOpenMinutes, d.ReopenMinutes, d.FlapCount, d.FlapMinutes, optional(d.Policy), optional(d.SQL), d.AlertBy).Scan(&heard)
	})
	return heard, err
}

func keysOf(specs []DefinitionSpec) []string {
	keys := make([]string, len(specs))
	for i, spec := range specs {
		keys[i] = spec.Key
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func optionalList(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

package vault

import (
	"context"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/statements.sql
	statementsSQL string
	//go:embed sql/statement_days.sql
	statementDaysSQL string
	//go:embed sql/statement_find.sql
	statementFindSQL string
)

// StatementOrder is by what statements come first.
type StatementOrder string

const (
	ByTotal StatementOrder = "TOTAL"
	ByMean  StatementOrder = "MEAN"
	ByIO    StatementOrder = "IO" // blocks read and temporary blocks
	ByCalls StatementOrder = "CALLS"
)

// ListedStatement is what a statement of one role in one database cost in a period.
type ListedStatement struct {
	ID         string    `json:"id"` // short id, S-3F9A01BC
	HashKey    string    `json:"hash_key"`
	Target     string    `json:"target"`
	Database   string    `json:"database"`
	Role       string    `json:"role"`
	QueryID    string    `json:"query_id"`
	Text       string    `json:"text"`
	Rating     string    `json:"rating,omitempty"` // EXCELLENT, GOOD, POOR, CRITICAL
	Samples    int       `json:"samples"`          // in which it was among the top
	SampledAt  time.Time `json:"sampled_at,omitzero"`
	TotalMS    float64   `json:"total_ms"`
	Share      *float64  `json:"share_pct,omitempty"` // of the time of all statements of the target
	Calls      int64     `json:"calls"`
	MeanMS     *float64  `json:"mean_ms,omitempty"`
	PastMeanMS *float64  `json:"past_mean_ms,omitempty"` // median of the 7 days before; nil: not measured in them
	PastDays   int       `json:"past_days"`
	Rows       *int64    `json:"rows,omitempty"`
	Hit        *int64    `json:"blocks_hit,omitempty"`
	Read       *int64    `json:"blocks_read,omitempty"`
	Temp       *int64    `json:"temp_blocks,omitempty"` // read and written
	IOMS       *float64  `json:"io_ms,omitempty"`
	PlanMS     *float64  `json:"plan_ms,omitempty"`
	JITMS      *float64  `json:"jit_ms,omitempty"`
	WALBytes   *int64    `json:"wal_bytes,omitempty"`

	// The best place that it had in a sample; 0: in none.
	RankTotal int `json:"rank_total,omitempty"`
	RankMean  int `json:"rank_mean,omitempty"`
	RankIO    int `json:"rank_io,omitempty"`
	RankCalls int `json:"rank_calls,omitempty"`

	Suggestions []Suggestion `json:"suggestions"` // of the newest sample
}

// Suggestion is what to try with a statement, and the numbers that speak for it.
type Suggestion struct {
	Text     string          `json:"text"`
	Evidence json.RawMessage `json:"evidence,omitempty"` // absent in samples of earlier versions
}

// Kind is what a suggestion is about, such as MISSING_INDEX; empty where its evidence does not tell.
func (s Suggestion) Kind() string {
	var evidence struct{ Kind string }
	if json.Unmarshal(s.Evidence, &evidence) != nil {
		return ""
	}
	return evidence.Kind
}

// Statements lists the first statements of a target, empty: of all, in (since, until].
func (s *Store) Statements(ctx context.Context, target string, by StatementOrder, since, until time.Time, limit int) ([]ListedStatement, error) {
	list, err := all(ctx, s, scanListedStatement, statementsSQL, since, until, optional(target), by, limit, nil)
	if err != nil {
		return nil, fmt.Errorf("list statements: %w", err)
	}
	return list, nil
}

func scanListedStatement(row pgx.CollectableRow) (ListedStatement, error) {
	var (
		l           ListedStatement
		at          Timestamp
		suggestions []string
		evidence    []json.RawMessage
	)
	err := row.Scan(&l.ID, &l.HashKey, &l.Target, &l.Database, &l.Role, &l.QueryID, &l.Text, &l.Rating, &l.Samples, &at, &l.TotalMS, &l.Share,
		&l.Calls, &l.MeanMS, &l.PastMeanMS, &l.PastDays, &l.Rows, &l.Hit, &l.Read, &l.Temp, &l.IOMS, &l.PlanMS, &l.JITMS, &l.WALBytes,
		&l.RankTotal, &l.RankMean, &l.RankIO, &l.RankCalls, &suggestions, &evidence)
	l.SampledAt = at.Time
	l.Suggestions = make([]Suggestion, len(suggestions))
	for i, text := range suggestions {
		l.Suggestions[i].Text = text
		if len(evidence) == len(suggestions) {
			l.Suggestions[i].Evidence = evidence[i]
		}
	}
	return l, err
}

// StatementDay is what a statement cost on a day in UTC.
type StatementDay struct {
	Day     time.Time `json:"day"`
	TotalMS float64   `json:"total_ms"`
	Calls   int64     `json:"calls"`
}

// ShownStatement is a statement with its days and its plan.
type ShownStatement struct {
	ListedStatement
	Days        []StatementDay  `json:"days"`
	Plan        json.RawMessage `json:"plan,omitempty"` // of the planner, under EXPLAIN's names
	PlanAt      time.Time       `json:"plan_at,omitzero"`
	PlanProblem string          `json:"plan_problem,omitempty"` // why there is none; both absent: nobody asked
}

// Statement reads one statement by its short id or more of it, its hash key in hex, or its queryid; what it cost is of
// (since, until], its days of (days, until]. The error is ErrNotFound or ErrAmbiguous where no single one is meant.
func (s *Store) Statement(ctx context.Context, target, id string, since, days, until time.Time) (ShownStatement, error) {
	hashKey, err := s.findStatement(ctx, target, id)
	if err != nil {
		return ShownStatement{}, err
	}
	// Of all of its target, because it is a share of their time.
	list, err := all(ctx, s, scanListedStatement, statementsSQL, since, until, optional(target), ByTotal, math.MaxInt32, hashKey)
	if err != nil {
		return ShownStatement{}, fmt.Errorf("read statement %s: %w", id, err)
	}
	found := ShownStatement{Days: []StatementDay{}}
	if len(list) == 0 {
		if list, err = s.lastOf(ctx, hashKey); err != nil {
			return ShownStatement{}, fmt.Errorf("read statement %s: %w", id, err)
		}
	}
	found.ListedStatement = list[0]
	history, err := all(ctx, s, func(row pgx.CollectableRow) (d StatementDay, err error) {
		var day Timestamp
		err = row.Scan(&day, &d.TotalMS, &d.Calls)
		d.Day = day.Time
		return d, err
	}, statementDaysSQL, hashKey, days, until)
	if err != nil {
		return ShownStatement{}, fmt.Errorf("read the days of statement %s: %w", id, err)
	}
	found.Days = append(found.Days, history...)
	return found, s.readPlan(ctx, hashKey, &found)
}

func (s *Store) findStatement(ctx context.Context, target, id string) ([]byte, error) {
	type match struct {
		hashKey   []byte
		described string
	}
	matches, err := all(ctx, s, func(row pgx.CollectableRow) (m match, err error) {
		err = row.Scan(&m.hashKey, &m.described)
		return m, err
	}, statementFindSQL, id, optional(target))
	switch {
	case err != nil:
		return nil, fmt.Errorf("find statement %s: %w", id, err)
	case len(matches) == 0:
		return nil, &Refusal{Message: fmt.Sprintf("no statement %q is known", id), Hint: "See `onevault statement list` for their ids.", Code: "P0002"}
	case len(matches) > 1:
		names := make([]string, len(matches))
		for i, m := range matches {
			names[i] = m.described
		}
		return nil, &Refusal{Message: fmt.Sprintf("%q means several statements: %s", id, strings.Join(names, ", ")), Hint: "Give the id of one.", Code: "P0003"}
	}
	return matches[0].hashKey, nil
}

// lastOf says which statement it is that no sample of the period holds, and when one last did.
func (s *Store) lastOf(ctx context.Context, hashKey []byte) ([]ListedStatement, error) {
	l, err := one(ctx, s, func(row pgx.CollectableRow) (l ListedStatement, err error) {
		var at Timestamp
		err = row.Scan(&l.Target, &l.Text, &l.Database, &l.Role, &l.QueryID, &at)
		l.SampledAt = at.Time
		return l, err
	}, `
		SELECT h.target_name, coalesce(w.query_text, s.query_text, ''), coalesce(s.database_name, ''), coalesce(s.username, ''),
		       split_part(h.performance_metric_bk, '||', 5), s.measurement_period_end
		  FROM monitoring.performance_metric_h h
		  LEFT JOIN monitoring.performance_statement_s w ON w.performance_metric_hk = h.performance_metric_hk AND w.load_end_date IS NULL
		  LEFT JOIN LATERAL (
		           SELECT s.* FROM monitoring.performance_metric_s s
		            WHERE s.performance_metric_hk = h.performance_metric_hk AND s.load_end_date IS NULL
		            ORDER BY s.measurement_period_end DESC LIMIT 1) AS s ON true
		 WHERE h.performance_metric_hk = $1`, hashKey)
	l.HashKey = hex.EncodeToString(hashKey)
	l.ID = "S-" + strings.ToUpper(l.HashKey[:8])
	l.Suggestions = []Suggestion{}
	return []ListedStatement{l}, err
}

func (s *Store) readPlan(ctx context.Context, hashKey []byte, found *ShownStatement) error {
	_, err := all(ctx, s, func(row pgx.CollectableRow) (_ struct{}, err error) {
		var at Timestamp
		err = row.Scan(&found.Plan, &found.PlanProblem, &at)
		found.PlanAt = at.Time
		return struct{}{}, err
	}, `
		SELECT plan, coalesce(problem, ''), load_date
		  FROM monitoring.performance_plan_s
		 WHERE performance_metric_hk = $1 AND load_end_date IS NULL`, hashKey)
	if err != nil {
		return fmt.Errorf("read the plan of statement %s: %w", found.ID, err)
	}
	return nil
}

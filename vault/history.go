package vault

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onevault/alert"
	"onevault/backtest"
)

//go:embed sql/history/*.sql
var historySQL embed.FS

// History answers what a definition would have found in the past: the inputs of its conditions at each of its
// looks as the vault's evaluation takes them, and their verdicts by the vault's own evaluator. It is one
// transaction that reads and cannot write. One goroutine uses it at a time.
type History struct {
	tx     pgx.Tx
	values map[string][]string // what was read already, by what was asked
	// hubs are the series of each target and tenant, by metric; oldest when a source's measurements begin.
	hubs   map[string]map[string]series
	oldest map[string]time.Time
	every  map[string]float64 // seconds between the samples of metrics that have a cadence of their own
	// labelled are the metrics that have a series for each label set.
	labelled map[string]bool
}

// series are the rows of one metric: the server's and a tenant's own.
type series struct {
	hks    [][]byte
	own    []bool
	server []byte // the server's by its usual key; nil: there is none
}

// History begins to read. Close ends it.
func (s *Store) History(ctx context.Context) (*History, error) {
	tx, err := s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	h := &History{tx: tx, values: map[string][]string{}, hubs: map[string]map[string]series{}, oldest: map[string]time.Time{}, every: map[string]float64{}, labelled: map[string]bool{}}
	// A month is more than one answer's time; each statement still ends.
	if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '120s'"); err != nil {
		h.Close(ctx)
		return nil, fmt.Errorf("read history: %w", err)
	}
	rows, err := tx.Query(ctx, `
		SELECT identifier, coalesce(every_s, 0)::float8, label_names <> '{}' FROM monitoring.condition_identifier
		 WHERE metric_source = 'system_health' AND (every_s IS NOT NULL OR label_names <> '{}')`)
	if err == nil {
		var (
			name   string
			every  float64
			labels bool
		)
		_, err = pgx.ForEachRow(rows, []any{&name, &every, &labels}, func() error {
			h.every[name], h.labelled[name] = every, labels
			return nil
		})
	}
	if err != nil {
		h.Close(ctx)
		return nil, fmt.Errorf("read history: %w", err)
	}
	return h, nil
}

// Close ends the transaction.
func (h *History) Close(ctx context.Context) {
	_ = h.tx.Rollback(ctx) // it wrote nothing
}

// Subject is what is looked at, and in which looks: at Since, and every Every until before Until.
type Subject struct {
	Target string
	Tenant []byte // hash key of the target's tenant; nil: none
	Since  time.Time
	Until  time.Time
}

// TenantOf is the tenant whose server a target is; nil: it is nobody's.
func (h *History) TenantOf(ctx context.Context, target string) ([]byte, error) {
	var tenant []byte
	err := h.tx.QueryRow(ctx, "SELECT (SELECT tenant_hk FROM monitoring.target_h WHERE target_bk = util.bk('TARGET', $1))", target).Scan(&tenant)
	if err != nil {
		return nil, fmt.Errorf("read whose target %s is: %w", target, err)
	}
	return tenant, nil
}

// Firing is what firing("KEY") was at a moment: 1 or 0; false: not known.
type Firing func(key string, at time.Time) (value int, known bool)

// Grid lays the looks of a definition over a span of time, on whole multiples of its frequency.
func Grid(every time.Duration, since, until time.Time) (first time.Time, count int) {
	first = since.UTC().Truncate(every)
	if first.Before(since) {
		first = first.Add(every)
	}
	if !first.Before(until) {
		return first, 0
	}
	return first, int((until.Sub(first)-1)/every) + 1
}

// CheckDefinition says why the vault would refuse the conditions of a definition; nil: it would take them. known
// are keys that conditions may name though the vault has none of them yet.
func (h *History) CheckDefinition(ctx context.Context, d DefinitionSpec, known []string) error {
	if err := pgx.BeginFunc(ctx, h.tx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "SELECT monitoring.check_condition_sql($1, $2, $3, $4, NULL)", d.Name, d.Source, optional(d.SQL), d.Enabled)
		return err
	}); err != nil {
		return refusal(err)
	}
	for field, condition := range map[string]string{"condition_logic": d.Condition, "clear_condition_logic": d.Clear} {
		if condition == "" {
			continue
		}
		for _, key := range known {
			condition = regexp.MustCompile(`firing\s*\(\s*"`+regexp.QuoteMeta(key)+`"\s*\)`).ReplaceAllString(condition, "1")
		}
		// A refusal leaves the transaction usable.
		err := pgx.BeginFunc(ctx, h.tx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "SELECT monitoring.check_condition($1, $2, $3, $4::text::numeric, coalesce($5::text[], '{}'))", field, condition, d.Source,
				optional(d.Threshold), d.AlertBy)
			return err
		})
		if err != nil {
			return refusal(err)
		}
	}
	return nil
}

// Names lists what the conditions of a definition name, each once.
func (h *History) Names(ctx context.Context, d DefinitionSpec) ([]string, error) {
	var names []string
	err := h.tx.QueryRow(ctx, `
		SELECT ARRAY(SELECT DISTINCT i FROM unnest((monitoring.compile_condition($1)).identifiers
		                                            || CASE WHEN $2::text IS NOT NULL THEN (monitoring.compile_condition($2)).identifiers END) AS i
		              ORDER BY i)`, d.Condition, optional(d.Clear)).Scan(&names)
	if err != nil {
		return nil, fmt.Errorf("compile the conditions of %s: %w", d.Key, refusal(err))
	}
	return names, nil
}

// FiringKey is the definition that an input asks about; empty: it asks about none.
func FiringKey(name string) string {
	if rest, ok := strings.CutPrefix(name, "firing("); ok {
		return strings.TrimSuffix(rest, ")")
	}
	return ""
}

// NoHistoryError is why the looks of a definition cannot be repeated; Of is the definition, or the input, without
// a past.
type NoHistoryError struct{ Of, Why string }

func (e *NoHistoryError) Error() string { return e.Of + ": " + e.Why }

// Looks repeats the looks of a definition at a target, in the order of their time.
func (h *History) Looks(ctx context.Context, d DefinitionSpec, in Subject, firing Firing) ([]backtest.Look, error) {
	switch d.Source {
	case "worker":
		return nil, &NoHistoryError{d.Key, "the worker decides it by itself: the vault keeps nothing that it could be tried on"}
	case "external":
		return nil, &NoHistoryError{d.Key, "its source decides it, outside: the vault keeps nothing that it could be tried on"}
	}
	names, err := h.Names(ctx, d)
	if err != nil {
		return nil, err
	}
	g := gridOf(d, in)
	if g.count == 0 {
		return nil, nil
	}
	values, reach, recorded, err := h.inputs(ctx, d, g, names, firing)
	if err != nil {
		return nil, err
	}
	looks, err := h.judge(ctx, d, g, values)
	if err != nil {
		return nil, err
	}
	return looks, h.date(ctx, d, g, reach, recorded, looks)
}

// gridOf are the moments at which a definition looks at a target.
func gridOf(d DefinitionSpec, in Subject) grid {
	every := time.Duration(d.EveryMinutes) * time.Minute
	first, count := Grid(every, in.Since, in.Until)
	return grid{first: first, every: every, count: count, in: in}
}

// inputs reads the values of names at each look; reach is how far back they look at most, and recorded, of raw SQL,
// are the looks at which it had been run.
func (h *History) inputs(ctx context.Context, d DefinitionSpec, g grid, names []string, firing Firing) (values map[string][]string, reach time.Duration, recorded []bool, err error) {
	values = map[string][]string{}
	for _, name := range names {
		switch {
		case name == "threshold_value":
			continue
		case FiringKey(name) != "":
			values[name] = make([]string, g.count)
			for n := range g.count {
				if v, known := firing(FiringKey(name), g.moment(n)); known {
					values[name][n] = fmt.Sprint(v)
				}
			}
			continue
		case strings.Contains(name, "("):
			var back time.Duration
			if values[name], back, err = h.call(ctx, g, name, nil); err == nil {
				reach = max(reach, back)
			}
		case d.Source == "sql":
			values[name], recorded, err = h.recordedSQL(ctx, g, d)
		case d.Source == "system_health":
			values[name], err = h.newest(ctx, g, name, time.Duration(d.LookbackMinutes)*time.Minute)
		default:
			values[name], err = h.source(ctx, g, d.Source, time.Duration(d.LookbackMinutes)*time.Minute, name)
		}
		if err != nil {
			return nil, 0, nil, fmt.Errorf("read the history of %s at %s: %w", name, g.in.Target, refusal(err))
		}
	}
	return values, reach, recorded, nil
}

// date says of looks when they were, whether the target answered, and whether what they look at is kept.
func (h *History) date(ctx context.Context, d DefinitionSpec, g grid, reach time.Duration, recorded []bool, looks []backtest.Look) error {
	unreachable, err := h.unreachable(ctx, g)
	if err != nil {
		return err
	}
	oldest, err := h.begins(ctx, d.Source, g.in.Target)
	if err != nil {
		return err
	}
	for n := range looks {
		l := &looks[n]
		l.At = g.moment(n)
		l.Unreachable = !unreachable[n].IsZero()
		l.Kept = !oldest.IsZero() && !l.At.Add(-reach).Before(oldest)
		if recorded != nil {
			l.Kept = recorded[n] && (reach == 0 || l.Kept)
		}
	}
	return nil
}

// grid is a series of looks at one target.
type grid struct {
	first time.Time
	every time.Duration
	count int
	in    Subject
}

func (g grid) moment(n int) time.Time { return g.first.Add(time.Duration(n) * g.every) }

func (g grid) key(parts ...any) string {
	return fmt.Sprint(append([]any{g.in.Target, "|", g.in.Tenant, "|", g.first.UnixMicro(), "|", g.every, "|", g.count, "|"}, parts...)...)
}

func statement(name string) string {
	text, err := historySQL.ReadFile("sql/history/" + name + ".sql")
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// call reads what a call such as avg(x, 15m) amounted to at each look, and how far back it reaches. labels are those
// of the series that it is about.
func (h *History) call(ctx context.Context, g grid, name string, labels alert.Labels) ([]string, time.Duration, error) {
	if labels == nil {
		labels = alert.Labels{}
	}
	var (
		function, metric string
		width, ago       float64
	)
	err := h.tx.QueryRow(ctx, `
		SELECT function_name, argument, extract(epoch FROM width)::float8, extract(epoch FROM ago)::float8 FROM monitoring.condition_call($1)`, name).
		Scan(&function, &metric, &width, &ago)
	if err != nil {
		return nil, 0, err
	}
	reach := time.Duration(width+ago) * time.Second
	if function == "forecast" {
		reach = max(reach, time.Hour)
	}
	key := g.key("call", name, "|", labels)
	if values, ok := h.values[key]; ok {
		return values, reach, nil
	}
	var rows pgx.Rows
	if function == "forecast" {
		rows, err = h.tx.Query(ctx, statement("forecast"), g.first, g.every.Seconds(), g.count, name, g.in.Target, g.in.Tenant, labels)
	} else {
		rows, err = h.tx.Query(ctx, statement("window"), g.first, g.every.Seconds(), g.count, metric, g.in.Target, g.in.Tenant, function, width, ago, labels)
	}
	if err != nil {
		return nil, 0, err
	}
	values := make([]string, g.count)
	var (
		n     int
		value *string
	)
	_, err = pgx.ForEachRow(rows, []any{&n, &value}, func() error {
		if value != nil {
			values[n] = *value
		}
		return nil
	})
	h.values[key] = values
	return values, reach, err
}

// sample is a measurement with the looks [first, last) at which it was the newest.
type sample struct {
	series      int // which of those that were asked for
	at          time.Time
	value       string // empty: it could not be measured
	first, last int
}

func (h *History) samples(ctx context.Context, g grid, hks [][]byte, own []bool, counts, after time.Duration) ([]sample, error) {
	if len(hks) == 0 {
		return nil, nil
	}
	rows, err := h.tx.Query(ctx, statement("newest"), g.first, int64(g.every.Seconds()), g.count, hks, own,
		fmt.Sprint(counts.Seconds()), fmt.Sprint(after.Seconds()))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sample, err error) {
		err = row.Scan(&s.series, &s.at, &s.value, &s.first, &s.last)
		return s, err
	})
}

// newest reads the newest value of a health metric at each look, as monitoring.condition_inputs takes it.
func (h *History) newest(ctx context.Context, g grid, name string, lookback time.Duration) ([]string, error) {
	key := g.key("newest", name, "|", lookback)
	if values, ok := h.values[key]; ok {
		return values, nil
	}
	hubs, err := h.seriesOf(ctx, g.in, name)
	if err != nil {
		return nil, err
	}
	unreachable, err := h.unreachable(ctx, g)
	if err != nil {
		return nil, err
	}
	values := make([]string, g.count)
	// What is measured more rarely than the look-back counts for longer, where there is nothing newer.
	if counts := time.Duration(2.5 * h.every[name] * float64(time.Second)); counts > lookback && hubs.server != nil {
		rare, err := h.samples(ctx, g, [][]byte{hubs.server}, []bool{false}, counts, lookback)
		if err != nil {
			return nil, err
		}
		for _, s := range rare {
			for n := s.first; n < s.last; n++ {
				values[n] = s.value
			}
		}
	}
	// A tenant's own come last, and go before the server's.
	samples, err := h.samples(ctx, g, hubs.hks, hubs.own, lookback, 0)
	if err != nil {
		return nil, err
	}
	for _, s := range samples {
		for n := s.first; n < s.last; n++ {
			if !s.at.Before(unreachable[n]) {
				values[n] = s.value
			}
		}
	}
	h.values[key] = values
	return values, nil
}

// unreachable is monitoring.unreachable_since at each look; zero: the target answered, or nobody looked.
func (h *History) unreachable(ctx context.Context, g grid) ([]time.Time, error) {
	since := make([]time.Time, g.count)
	hubs, err := h.seriesOf(ctx, g.in, "target_reachable")
	if err != nil || hubs.server == nil {
		return since, err
	}
	samples, err := h.samples(ctx, g, [][]byte{hubs.server}, []bool{false}, time.Hour, 0)
	if err != nil {
		return nil, fmt.Errorf("read when %s answered: %w", g.in.Target, err)
	}
	for _, s := range samples {
		if strings.Trim(s.value, "0.") != "" || s.value == "" {
			continue
		}
		for n := s.first; n < s.last; n++ {
			since[n] = s.at
		}
	}
	return since, nil
}

func (h *History) seriesOf(ctx context.Context, in Subject, metric string) (series, error) {
	key := fmt.Sprintf("%s|%x", in.Target, in.Tenant)
	of, ok := h.hubs[key]
	if !ok {
		of = map[string]series{}
		rows, err := h.tx.Query(ctx, statement("hubs"), in.Target, in.Tenant)
		if err != nil {
			return series{}, fmt.Errorf("read the metrics of %s: %w", in.Target, err)
		}
		var (
			name        string
			hk          []byte
			own, server bool
		)
		if _, err := pgx.ForEachRow(rows, []any{&name, &hk, &own, &server}, func() error {
			s := of[name]
			s.hks, s.own = append(s.hks, slices.Clone(hk)), append(s.own, own)
			if server {
				s.server = slices.Clone(hk)
			}
			of[name] = s
			return nil
		}); err != nil {
			return series{}, fmt.Errorf("read the metrics of %s: %w", in.Target, err)
		}
		h.hubs[key] = of
	}
	return of[metric], nil
}

// source reads one input of a source other than system_health at each look.
func (h *History) source(ctx context.Context, g grid, source string, lookback time.Duration, name string) ([]string, error) {
	key := func(name string) string { return g.key(source, "|", lookback, "|", name) }
	if _, ok := h.values[key("")]; !ok {
		text, err := historySQL.ReadFile("sql/history/source_" + source + ".sql")
		if err != nil {
			return nil, &NoHistoryError{name, "the source " + source + " keeps no history that it could be tried on"}
		}
		rows, err := h.tx.Query(ctx, string(text), g.first, int(g.every.Seconds()), g.count, g.in.Target, g.in.Tenant, lookback.Seconds())
		if err != nil {
			return nil, err
		}
		var (
			n            int
			input, value string
		)
		if _, err := pgx.ForEachRow(rows, []any{&n, &input, &value}, func() error {
			values, ok := h.values[key(input)]
			if !ok {
				values = make([]string, g.count)
				h.values[key(input)] = values
			}
			values[n] = value
			return nil
		}); err != nil {
			return nil, err
		}
		h.values[key("")] = nil
	}
	if source == "performance" {
		return h.whileReachable(ctx, g, h.values[key(name)])
	}
	if values, ok := h.values[key(name)]; ok {
		return values, nil
	}
	return make([]string, g.count), nil // it never had a value
}

// whileReachable leaves out what was measured of a target that did not answer.
func (h *History) whileReachable(ctx context.Context, g grid, values []string) ([]string, error) {
	unreachable, err := h.unreachable(ctx, g)
	if err != nil {
		return nil, err
	}
	known := make([]string, g.count)
	for n := range values {
		if unreachable[n].IsZero() {
			known[n] = values[n]
		}
	}
	return known, nil
}

// begins is when the measurements of a source on a target begin; zero: there are none.
func (h *History) begins(ctx context.Context, source, target string) (time.Time, error) {
	key := source + "|" + target
	if at, ok := h.oldest[key]; ok {
		return at, nil
	}
	var at Timestamp
	if err := h.tx.QueryRow(ctx, statement("oldest"), source, target).Scan(&at); err != nil {
		return time.Time{}, fmt.Errorf("read when the history of %s begins: %w", target, err)
	}
	h.oldest[key] = at.Time
	return at.Time, nil
}

// judge has the vault evaluate each set of inputs that there was, once.
func (h *History) judge(ctx context.Context, d DefinitionSpec, g grid, values map[string][]string) ([]backtest.Look, error) {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	var (
		sets  []string
		seen  = map[string]int{}
		which = make([]int, g.count)
		text  strings.Builder
	)
	for n := range g.count {
		text.Reset()
		text.WriteByte('{')
		if d.Threshold != "" {
			text.WriteString(`"threshold_value":` + d.Threshold)
		}
		for _, name := range names {
			value := values[name][n]
			if value == "" {
				continue
			}
			if text.Len() > 1 {
				text.WriteByte(',')
			}
			quoted, err := json.Marshal(name)
			if err != nil {
				return nil, fmt.Errorf("write the inputs of %s: %w", d.Key, err)
			}
			text.Write(quoted)
			text.WriteString(":" + value)
		}
		text.WriteByte('}')
		set, ok := seen[text.String()]
		if !ok {
			set = len(sets)
			sets = append(sets, text.String())
			seen[text.String()] = set
		}
		which[n] = set
	}
	var verdicts []backtest.Look
	// A condition may fail with some inputs: then each is evaluated by itself.
	for _, name := range []string{"judge", "judge_each"} {
		err := pgx.BeginFunc(ctx, h.tx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, statement(name), d.Condition, optional(d.Clear), sets)
			if err != nil {
				return err
			}
			verdicts, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (v backtest.Look, err error) {
				err = row.Scan(&v.Result, &v.Value, &v.Reason, &v.Clears)
				return v, err
			})
			return err
		})
		if err == nil {
			break
		}
		if name == "judge_each" || Unreachable(err) || ctx.Err() != nil {
			return nil, fmt.Errorf("evaluate %s: %w", d.Key, refusal(err))
		}
	}
	looks := make([]backtest.Look, g.count)
	for n, set := range which {
		looks[n] = verdicts[set]
	}
	return looks, nil
}

// Alerts lists the alerts of definitions that began in the span, without those that were suppressed to their end.
func (h *History) Alerts(ctx context.Context, keys []string, in Subject) ([]backtest.Real, error) {
	rows, err := h.tx.Query(ctx, statement("alerts"), keys, in.Target, in.Tenant, in.Since, in.Until)
	if err != nil {
		return nil, fmt.Errorf("list the alerts of %s: %w", in.Target, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a backtest.Real, err error) {
		var resolved Timestamp
		err = row.Scan(&a.Definition, &a.ShortID, &a.TriggeredAt, &resolved, &a.FalsePositive, &a.Labels)
		a.TriggeredAt, a.ResolvedAt = a.TriggeredAt.UTC(), resolved.Time
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the alerts of %s: %w", in.Target, err)
	}
	return list, nil
}

// OneByOne are the channels that want a message about each alert, by their keys.
func (h *History) OneByOne(ctx context.Context) (map[string]bool, error) {
	rows, err := h.tx.Query(ctx, `
		SELECT h.notification_config_bk FROM monitoring.notification_config_s s JOIN monitoring.notification_config_h h USING (notification_config_hk)
		 WHERE s.load_end_date IS NULL AND s.configuration -> 'one_message_per_alert' = 'true'`)
	if err != nil {
		return nil, fmt.Errorf("read which channels want a message about each alert: %w", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read which channels want a message about each alert: %w", err)
	}
	oneByOne := map[string]bool{}
	for _, key := range keys {
		oneByOne[key] = true
	}
	return oneByOne, nil
}

// Hearers lists the keys of the channels that would hear an alert of a definition.
func (h *History) Hearers(ctx context.Context, d DefinitionSpec) ([]string, error) {
	rows, err := h.tx.Query(ctx, `
		SELECT channel_key FROM monitoring.matching_channels(util.hash_binary($1::text), $2, $3, $4::text[])`, d.Key, d.Severity, d.Category, optionalList(d.Channels))
	if err != nil {
		return nil, fmt.Errorf("read who hears %s: %w", d.Key, err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read who hears %s: %w", d.Key, err)
	}
	return keys, nil
}

package collect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Sample is one measured value. Value is NULL (nil) where it could not be measured; Error then says why.
// Counter is the JSON of a cumulative counter, of which two make a rate: {"part", "whole"} or
// {"count", "per_s"}. Labels tell the series of a metric apart; nil: the metric has one.
type Sample struct {
	Name, Category, Unit string
	Value                *float64
	Warning, Critical    *float64
	LowIsBad             bool
	Source               string
	Counter              []byte
	Labels               []byte // JSON object of texts
	Evidence             []byte // JSON that is kept beside the value
	Every                time.Duration
	Error                string
}

// Run is what became of one query.
type Run struct {
	Query string
	Rows  int    // of the SELECT
	Error string // why it told nothing: its metrics stand as samples with this error
	// Left tells why the query does not apply to this server at the moment; there are no samples of it.
	Left string
}

// Health is one collection of a target.
type Health struct {
	Samples []Sample
	Runs    []Run
}

// server is what a query may depend on.
type server struct {
	major                     int
	standby                   bool
	tables, extensions, roles []string // those that there are, of those that were asked for
}

// CollectHealth measures the target once, on one connection: its own queries all in one round trip, each in a
// transaction of its own. The error means that the target did not answer at all; a query that failed leaves
// its metrics with their Error and the others untouched.
func (t *Target) CollectHealth(ctx context.Context, queries []Query) (Health, error) {
	// Bounded here and not by who calls: a server that freezes in the middle is a result, too.
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return Health{}, fmt.Errorf("reach target %s: %w", t.Name, plain(t.pool.busy(ctx, err)))
	}
	defer conn.Release()
	health := Health{}
	here, err := ask(ctx, conn.Conn(), queries)
	if err != nil {
		return health, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	health.Samples = append(health.Samples, diskUsage(ctx, conn.Conn()))

	var builtIn, own []Query
	for _, query := range queries {
		if run, applies := here.judge(query); !applies {
			health.add(query, run, nil)
		} else if query.Own {
			own = append(own, query)
		} else {
			builtIn = append(builtIn, query)
		}
	}
	err = runAll(ctx, conn.Conn().PgConn(), here, builtIn, &health)
	if err == nil && len(own) > 0 {
		err = runOwn(ctx, conn.Conn(), here, own, &health)
	}
	if err != nil {
		return health, fmt.Errorf("reach target %s: %w", t.Name, plain(err))
	}
	return health, nil
}

// ask reads what the queries depend on. An error means that the server does not answer.
func ask(ctx context.Context, conn *pgx.Conn, queries []Query) (server, error) {
	var tables, extensions, roles []string
	for _, query := range queries {
		tables, extensions, roles = append(tables, query.Table), append(extensions, query.Extension), append(roles, query.Role)
	}
	var s server
	err := conn.QueryRow(ctx, `/* onevault server */
		SELECT current_setting('server_version_num')::integer / 10000, pg_is_in_recovery(),
		       -- By the catalog: to_regclass() fails for who may not enter the schema.
		       ARRAY(SELECT t FROM unnest($1::text[]) AS t
		              WHERE EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		                             WHERE n.nspname = split_part(t, '.', 1) AND c.relname = split_part(t, '.', 2))),
		       ARRAY(SELECT extname::text FROM pg_extension WHERE extname = ANY ($2)),
		       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($3) AND pg_has_role(oid, 'USAGE'))`,
		tables, extensions, roles).Scan(&s.major, &s.standby, &s.tables, &s.extensions, &s.roles)
	return s, err
}

// judge tells whether a query can be asked here, and what to say where it cannot.
func (s server) judge(q Query) (run Run, applies bool) {
	run = Run{Query: q.Name}
	switch {
	case q.On == "standby" && !s.standby:
		run.Left = "the server is no standby"
	case q.On == "primary" && s.standby:
		run.Left = "the server is a standby"
	case q.Table != "" && !slices.Contains(s.tables, q.Table):
		run.Left = "table " + q.Table + " does not exist"
	case !q.Supports(s.major):
		_, err := q.Statement(s.major)
		run.Error = err.Error()
	case q.Extension != "" && !slices.Contains(s.extensions, q.Extension):
		run.Error = fmt.Sprintf("extension %s does not exist in this database: CREATE EXTENSION %s", q.Extension, q.Extension)
	case q.Role != "" && !slices.Contains(s.roles, q.Role):
		run.Error = fmt.Sprintf("the role of the collector is no member of %s: GRANT pg_monitor to it", q.Role)
	default:
		return run, true
	}
	return run, false
}

// runAll sends the queries together and reads their results in turn. A synchronisation point after each makes
// it a transaction of its own. Planning costs more than running, so each is prepared once per connection. An
// error means that the connection is lost.
func runAll(ctx context.Context, conn *pgconn.PgConn, here server, queries []Query, health *Health) error {
	if len(queries) == 0 {
		return nil
	}
	prepared := conn.CustomData()
	pipeline := conn.StartPipeline(ctx)
	names := make([]string, len(queries))
	for i, query := range queries {
		statement, err := query.Statement(here.major)
		if err != nil {
			return errors.Join(err, pipeline.Close()) // judged before
		}
		names[i] = statementName(statement)
		if prepared[names[i]] == nil {
			pipeline.SendPrepare(names[i], statement, nil)
		}
		pipeline.SendQueryPrepared(names[i], nil, nil, nil)
		pipeline.SendPipelineSync()
	}
	if err := pipeline.Flush(); err != nil {
		return errors.Join(err, pipeline.Close())
	}
	for i, query := range queries {
		rows, planned, err := nextResult(pipeline)
		if planned {
			prepared[names[i]] = true // also where running it failed
		}
		if conn.IsClosed() {
			return cmp.Or(err, errors.New("the connection was lost"))
		}
		health.take(query, rows, err)
	}
	return pipeline.Close()
}

// statementName is another one for every text.
func statementName(statement string) string {
	sum := sha256.Sum256([]byte(statement))
	return "onevault_" + hex.EncodeToString(sum[:12])
}

// nextResult reads up to the next synchronisation point. planned: the statement was prepared.
func nextResult(pipeline *pgconn.Pipeline) (rows [][][]byte, planned bool, err error) {
	for {
		result, failed := pipeline.GetResults()
		if failed != nil {
			err = failed
			var pgErr *pgconn.PgError
			if !errors.As(failed, &pgErr) {
				return nil, planned, err // of the connection: nothing follows
			}
			continue
		}
		switch result := result.(type) {
		case *pgconn.StatementDescription:
			planned = true
		case *pgconn.ResultReader:
			read := result.Read()
			rows = read.Rows
			if read.Err != nil {
				err = read.Err
			}
		case *pgconn.PipelineSync:
			return rows, planned, err
		case nil:
			return rows, planned, cmp.Or(err, errors.New("the server sent fewer results than it was asked for"))
		}
	}
}

// runOwn runs what people added, one after another, each in a read-only transaction that is rolled back: what
// it set is taken back with it. The connection is closed afterwards, so that nothing it holds outlives it.
func runOwn(ctx context.Context, conn *pgx.Conn, here server, queries []Query, health *Health) error {
	defer closePlain(ctx, conn)
	for _, query := range queries {
		statement, err := query.Statement(here.major)
		if err != nil {
			return err // judged before
		}
		if _, err := conn.Exec(ctx, "BEGIN TRANSACTION READ ONLY"); err != nil {
			return err
		}
		// The extended protocol takes one statement only.
		result := conn.PgConn().ExecParams(ctx, statement, nil, nil, nil, nil).Read()
		if conn.IsClosed() {
			return cmp.Or(result.Err, errors.New("the connection was lost"))
		}
		health.take(query, result.Rows, result.Err)
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
	return nil
}

// take makes samples of what a query yielded.
func (h *Health) take(query Query, rows [][][]byte, err error) {
	run := Run{Query: query.Name}
	var samples []Sample
	for _, row := range rows {
		if err != nil {
			break
		}
		var sample Sample
		var n int
		if sample, n, err = query.sample(row); err == nil {
			samples = append(samples, sample)
			run.Rows = max(run.Rows, n)
		}
	}
	switch {
	case err != nil:
		run.Error = reason(err)
	case run.Rows > query.Rows:
		run.Error = fmt.Sprintf("the SELECT yields more than %s: let it end in ORDER BY and LIMIT, or say how many with `-- rows`", plural(query.Rows, "row"))
	case len(rows) == 0 && query.Empty != "":
		run.Left = query.Empty
	case len(rows) == 0 && len(query.By) == 0 && !query.allOptional():
		run.Error = "the SELECT yields no row"
	}
	h.add(query, run, samples)
}

func (q Query) allOptional() bool {
	return !slices.ContainsFunc(q.Metrics, func(m Metric) bool { return !m.Optional })
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// reason is what a person reads of an error of the server.
func reason(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Message
	}
	return plain(err).Error()
}

// add keeps a run and its samples. A run with an error has one for each of its metrics instead, without labels.
func (h *Health) add(query Query, run Run, samples []Sample) {
	h.Runs = append(h.Runs, run)
	if run.Error == "" {
		h.Samples = append(h.Samples, samples...)
		return
	}
	for _, metric := range query.Metrics {
		sample := query.described(metric)
		sample.Error = run.Error
		h.Samples = append(h.Samples, sample)
	}
}

func (q Query) described(m Metric) Sample {
	return Sample{Name: m.Name, Category: m.Category, Unit: m.Unit, LowIsBad: m.LowIsBad, Source: q.From, Every: q.Every}
}

// sample reads one row of Query.Statement, and the number of the row of the SELECT that it came from.
func (q Query) sample(row [][]byte) (Sample, int, error) {
	const columns = 9
	if len(row) != columns {
		return Sample{}, 0, fmt.Errorf("%d columns came, not %d", len(row), columns)
	}
	at := slices.IndexFunc(q.Metrics, func(m Metric) bool { return m.Name == string(row[0]) })
	if at < 0 {
		return Sample{}, 0, fmt.Errorf("metric %q is not of query %s", row[0], q.Name)
	}
	s := q.described(q.Metrics[at])
	var errs [4]error
	s.Value, errs[0] = number(row[1])
	s.Warning, errs[1] = number(row[2])
	s.Critical, errs[2] = number(row[3])
	s.Counter, s.Evidence = slices.Clone(row[4]), slices.Clone(row[6])
	if len(q.By) > 0 {
		s.Labels = slices.Clone(row[5])
	}
	s.Error = string(row[7])
	n, err := strconv.Atoi(string(row[8]))
	errs[3] = err
	return s, n, errors.Join(errs[:]...)
}

// number reads the text of a numeric. What is no number for a threshold (NaN) is none.
func number(text []byte) (*float64, error) {
	if text == nil {
		return nil, nil
	}
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return nil, err
	}
	if _, err := json.Marshal(value); err != nil {
		return nil, fmt.Errorf("a threshold is %s: that is no number", text)
	}
	return &value, nil
}

// ErrUnreachable is what LintQuery returns where the target does not answer.
var ErrUnreachable = errors.New("does not answer")

// LintQuery has the target's server plan the SELECT for its version without running it: one SELECT, with a
// column for each name of the header and no other. What the query requires must be there.
func (t *Target) LintQuery(ctx context.Context, query Query) error {
	conn, err := t.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("target %s %w: %w", t.Name, ErrUnreachable, plain(err))
	}
	defer conn.Release()
	here, err := ask(ctx, conn.Conn(), []Query{query})
	if err != nil {
		return fmt.Errorf("target %s %w: %w", t.Name, ErrUnreachable, plain(err))
	}
	at := slices.IndexFunc(query.Variants, func(v Variant) bool { return v.From <= here.major && here.major <= v.To })
	if at < 0 {
		return fmt.Errorf("this server is PostgreSQL %d, and there is a SELECT for the versions %s: lint it against one of those", here.major, query.Versions())
	}
	for what, missing := range map[string]bool{
		"table " + query.Table:         query.Table != "" && !slices.Contains(here.tables, query.Table),
		"extension " + query.Extension: query.Extension != "" && !slices.Contains(here.extensions, query.Extension),
	} {
		if missing {
			return fmt.Errorf("requires is %q, which this server does not have: lint it where it is", what)
		}
	}
	// Prepared one by one: the extended protocol takes one statement, and a subquery nothing but a SELECT.
	described, err := conn.Conn().PgConn().Prepare(ctx, "", "SELECT * FROM (\n"+query.Variants[at].SQL+"\n) AS onevault_select", nil)
	if err != nil {
		return fmt.Errorf("the SELECT is refused: %s", reason(err))
	}
	if len(described.ParamOIDs) > 0 {
		return errors.New("the SELECT has parameters ($1): a metric is given none")
	}
	var found []string
	for _, field := range described.Fields {
		found = append(found, field.Name)
	}
	for _, name := range query.columns() {
		if !slices.Contains(found, name) {
			return fmt.Errorf("the SELECT has no column %q, which the header names: add `AS %s`", name, name)
		}
	}
	for i, name := range found {
		if !slices.Contains(query.columns(), name) || slices.Contains(found[:i], name) {
			return fmt.Errorf("the SELECT has a column %q that the header does not name, or names once: drop it, or describe it by a line `-- metric %s ...` or `-- by %s`", name, name, name)
		}
	}
	statement, err := query.Statement(here.major)
	if err != nil {
		return err
	}
	if _, err := conn.Conn().PgConn().Prepare(ctx, "", statement, nil); err != nil {
		return fmt.Errorf("the SELECT is refused: %s", reason(err))
	}
	return nil
}

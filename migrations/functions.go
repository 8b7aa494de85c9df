package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"onevault/collect"
)

// script is one text that is put again whenever it changed.
type script struct {
	name string
	text string
}

func (s script) hash() string {
	sum := sha256.Sum256([]byte(s.text))
	return hex.EncodeToString(sum[:])
}

// describing is the script that comments on what the others made. It runs after every change: what was
// dropped and made anew has lost its comments.
const describing = "97_comments.sql"

// putFunctions runs the scripts whose text the database does not have yet, in the order of their
// names, all in one transaction: a half-changed set of functions is never visible. After a change of
// tables or functions every table is given its triggers, and every role its rights. repair: the scripts of
// functions that somebody replaced are put as well, and ours stay.
func putFunctions(ctx context.Context, db *sql.DB, tablesChanged, repair bool, progress func(string)) error {
	// What a transaction did that was rolled back is not told.
	var said []string
	err := insist(ctx, db, progress, func() error {
		said = nil
		return tryPutFunctions(ctx, db, tablesChanged, repair, func(line string) { said = append(said, line) })
	})
	if err != nil {
		return err
	}
	for _, line := range said {
		progress(line)
	}
	return nil
}

func tryPutFunctions(ctx context.Context, db *sql.DB, tablesChanged, repair bool, progress func(string)) error {
	scripts, err := allScripts()
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back

	if _, err := tx.ExecContext(ctx, `
		CREATE TABLE IF NOT EXISTS public.onevault_functions (
			script_name text PRIMARY KEY, sha256 text NOT NULL, put_at timestamptz NOT NULL DEFAULT now())`); err != nil {
		return fmt.Errorf("prepare functions: %w", err)
	}
	known, err := knownHashes(ctx, tx)
	if err != nil {
		return err
	}
	replaced, err := replacedFunctions(ctx, tx)
	if err != nil {
		return err
	}
	if repair {
		forgetScriptsOf(known, replaced)
	}
	if tablesChanged {
		if err := giveToOwner(ctx, tx); err != nil {
			return err
		}
	}
	changed := tablesChanged
	var put []script
	for _, s := range scripts {
		isNew := known[s.name] != s.hash()
		if !isNew && (s.name != describing || !changed) {
			continue
		}
		changed = true
		if _, err := tx.ExecContext(ctx, s.text); err != nil {
			return fmt.Errorf("put %s: %w", s.name, err)
		}
		put = append(put, s)
		if isNew {
			if err := remember(ctx, tx, s.name, s.hash()); err != nil {
				return err
			}
			progress("put " + s.name)
		}
	}
	if err := rememberFunctions(ctx, tx, scripts, put); err != nil {
		return err
	}
	if err := settleReplaced(ctx, tx, replaced, put, repair, progress); err != nil {
		return err
	}
	if changed {
		if _, err := tx.ExecContext(ctx, "SELECT monitoring.enforce_discipline()"); err != nil {
			return fmt.Errorf("enforce the discipline of the vault: %w", err)
		}
	}
	if err := putPrivileges(ctx, tx, changed, known[privilegesMark], progress); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit functions: %w", err)
	}
	return nil
}

func remember(ctx context.Context, tx *sql.Tx, name, hash string) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO public.onevault_functions (script_name, sha256) VALUES ($1, $2)
		ON CONFLICT (script_name) DO UPDATE SET sha256 = excluded.sha256, put_at = now()`, name, hash); err != nil {
		return fmt.Errorf("remember %s: %w", name, err)
	}
	return nil
}

func knownHashes(ctx context.Context, tx *sql.Tx) (map[string]string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT script_name, sha256 FROM public.onevault_functions")
	if err != nil {
		return nil, fmt.Errorf("read known functions: %w", err)
	}
	defer rows.Close()
	known := map[string]string{}
	for rows.Next() {
		var name, hash string
		if err := rows.Scan(&name, &hash); err != nil {
			return nil, fmt.Errorf("read known functions: %w", err)
		}
		known[name] = hash
	}
	return known, rows.Err()
}

// forgetFunctions makes the next Up put every script again.
func forgetFunctions(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, `
		DO $$
		BEGIN
		    IF to_regclass('public.onevault_functions') IS NOT NULL THEN
		        DELETE FROM public.onevault_functions;
		    END IF;
		END $$`); err != nil {
		return explain(fmt.Errorf("forget functions: %w", err))
	}
	return nil
}

// dropMarks leaves nothing behind of a vault that is gone.
func dropMarks(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "DROP TABLE IF EXISTS public.onevault_functions, public.onevault_migrations"); err != nil {
		return explain(fmt.Errorf("drop the marks of what was applied: %w", err))
	}
	return nil
}

func allScripts() ([]script, error) {
	health, err := healthFunctions()
	if err != nil {
		return nil, err
	}
	entries, err := functions.ReadDir("functions")
	if err != nil {
		return nil, fmt.Errorf("read functions: %w", err)
	}
	scripts := make([]script, 0, len(entries)+1)
	for _, entry := range entries { // in the order of their names
		text, err := functions.ReadFile(path.Join("functions", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read functions: %w", err)
		}
		if entry.Name() > health.name && (len(scripts) == 0 || scripts[len(scripts)-1].name < health.name) {
			scripts = append(scripts, health)
		}
		scripts = append(scripts, script{name: entry.Name(), text: string(text)})
	}
	security, err := securityFunctions()
	if err != nil {
		return nil, err
	}
	scripts = append(scripts, security)
	slices.SortFunc(scripts, func(a, b script) int { return strings.Compare(a.name, b.name) })
	return scripts, nil
}

// healthFunctions turns the files of collect/health into the rows of the catalogue, with one statement for each
// range of versions, and those of collect/performance into the functions monitoring.performance_<name>(), so
// that psql and the worker measure with the same text.
func healthFunctions() (script, error) {
	queries, err := collect.HealthQueries()
	if err != nil {
		return script{}, err
	}
	var text strings.Builder
	text.WriteString(`
DELETE FROM monitoring.health_metric;
DELETE FROM monitoring.health_query;
-- The metrics that people added stay.
DELETE FROM monitoring.condition_identifier c
 WHERE c.metric_source = 'system_health'
   AND NOT EXISTS (SELECT FROM monitoring.metric_definition_s d
                    WHERE d.metric_name = c.identifier AND d.load_end_date IS NULL AND d.is_enabled);
`)
	for _, extra := range slices.Concat(collect.WorkerMetrics, collect.PerformanceMetrics, collect.CapacityMetrics) {
		writeMetric(&text, collect.Query{}, extra)
	}
	fmt.Fprintf(&text, `
CREATE OR REPLACE FUNCTION monitoring.performance_statements() RETURNS json
    LANGUAGE sql AS $performance$
%s
$performance$;
COMMENT ON FUNCTION monitoring.performance_statements() IS 'The counters of all statements of this server, as monitoring.record_statement_samples takes them.';
CREATE OR REPLACE FUNCTION monitoring.performance_texts(p_queryids bigint[]) RETURNS json
    LANGUAGE sql AS $performance$
%s
$performance$;
COMMENT ON FUNCTION monitoring.performance_texts(bigint[]) IS 'The texts of some statements of this server: [[userid, dbid, queryid, toplevel, text], ...].';
CREATE OR REPLACE FUNCTION monitoring.performance_tables(p_oids oid[]) RETURNS json
    LANGUAGE sql AS $performance$
%s
$performance$;
COMMENT ON FUNCTION monitoring.performance_tables(oid[]) IS 'Columns of some tables of this database, and those with which an index begins: [{oid, schema, name, root, columns, indexed}, ...].';
`, collect.StatementsSQL(), collect.TextsSQL(), collect.TablesSQL())
	for _, q := range queries {
		if err := writeQuery(&text, q); err != nil {
			return script{}, err
		}
		for _, metric := range q.Metrics {
			writeMetric(&text, q, metric)
		}
	}
	return script{name: "55_health_queries", text: text.String()}, nil
}

// variant is a statement of health_query.variants.
type variant struct {
	From int    `json:"from"`
	To   int    `json:"to"`
	SQL  string `json:"sql"`
}

func writeQuery(text *strings.Builder, q collect.Query) error {
	var variants []variant
	for _, v := range q.Variants {
		statement, err := q.Statement(v.From)
		if err != nil {
			return fmt.Errorf("health query %s: %w", q.Name, err)
		}
		variants = append(variants, variant{v.From, v.To, statement})
	}
	list, err := json.Marshal(variants)
	if err != nil {
		return fmt.Errorf("health query %s: %w", q.Name, err)
	}
	fmt.Fprintf(text, `INSERT INTO monitoring.health_query (
    query_name, label_names, every_s, runs_on, requires, extension, role_name, max_rows, empty_reason, data_source, variants)
VALUES (%s, ARRAY[%s]::text[], %d, nullif(%s, ''), nullif(%s, ''), nullif(%s, ''), nullif(%s, ''), %d, nullif(%s, ''), %s, %s);
`, quote(q.Name), quoteAll(q.By), int(q.Every.Seconds()), quote(q.On), quote(q.Table), quote(q.Extension), quote(q.Role),
		q.Rows, quote(q.Empty), quote(q.From), quote(string(list)))
	return nil
}

// writeMetric puts a metric, and its name for conditions.
func writeMetric(text *strings.Builder, q collect.Query, metric collect.Metric) {
	fmt.Fprintf(text, "INSERT INTO monitoring.health_metric (metric_name, query_name, category, unit, low_is_bad, optional, description) VALUES (%s, nullif(%s, ''), %s, %s, %t, %t, %s);\n",
		quote(metric.Name), quote(q.Name), quote(metric.Category), quote(metric.Unit), metric.LowIsBad, metric.Optional, quote(metric.Description))
	// An own metric of that name was there first: its definition is refused from its next version on.
	fmt.Fprintf(text, `INSERT INTO monitoring.condition_identifier (metric_source, identifier, description, unit, every_s, label_names) VALUES ('system_health', %s, %s, %s, nullif(%d, 0), ARRAY[%s]::text[])
ON CONFLICT (metric_source, identifier) DO UPDATE
   SET description = excluded.description, unit = excluded.unit, every_s = excluded.every_s, label_names = excluded.label_names;
`, quote(metric.Name), quote(metric.Description), quote(metric.Unit), int(q.Every.Seconds()), quoteAll(q.By))
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = quote(name)
	}
	return strings.Join(quoted, ", ")
}

// quote makes an SQL literal of our own embedded text; nothing from outside comes here.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// securityFunctions turns the files of collect/security into the functions monitoring.security_<check>(), so
// that psql and the worker look with the same text. A check that cannot look raises 0A000 with the reason.
func securityFunctions() (script, error) {
	checks, err := collect.SecurityChecks()
	if err != nil {
		return script{}, err
	}
	var text strings.Builder
	fmt.Fprintf(&text, `
CREATE OR REPLACE FUNCTION monitoring.security_obstacle(
    p_tables text[], p_columns text[], p_functions text[], p_roles text[], p_oldest integer, p_newest integer) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog AS $security$
%s
$security$;
COMMENT ON FUNCTION monitoring.security_obstacle(text[], text[], text[], text[], integer, integer) IS 'Why a security check cannot look at this server, with what to do about it; NULL: it can.';
DELETE FROM monitoring.security_check;
INSERT INTO monitoring.security_check (check_name, kind, event_types, description) VALUES
    (%s, %s, ARRAY['LOGIN_FAILURE', 'BRUTE_FORCE', 'LOGIN_AFTER_FAILURES', 'PASSWORD_SPRAY', 'DISTRIBUTED_BRUTE_FORCE'],
     'Log-ins that fail, by the server''s own log; read by the worker');
`, collect.ObstacleSQL(), quote(collect.LogCheck), quote(collect.KindLog))
	for _, check := range checks {
		statements := ""
		if check.ReadsStatements() {
			statements = "\n    PERFORM set_config('search_path', concat_ws(', ', 'pg_catalog', (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements')), true);"
		}
		fmt.Fprintf(&text, `
CREATE OR REPLACE FUNCTION monitoring.security_%[1]s() RETURNS SETOF monitoring.security_finding
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $security$
DECLARE
    v_obstacle text := monitoring.security_obstacle(ARRAY[%[2]s]::text[], ARRAY[%[3]s]::text[], ARRAY[%[4]s]::text[], ARRAY[%[5]s]::text[], %[6]d, %[7]d);
BEGIN
    IF v_obstacle IS NOT NULL THEN
        RAISE EXCEPTION '%%', v_obstacle USING ERRCODE = '0A000';
    END IF;%[8]s
    RETURN QUERY EXECUTE $check$
SELECT q.event_type::varchar(100), q.severity::varchar(20), q.object::text, q.happened_at::timestamptz, q.username::varchar(100), q.source_ip::inet,
       q.database_name::varchar(100), q.affected_tables::text[], q.details::jsonb, q.false_positive_likelihood::numeric(5,2), q.mitigation_actions::text[], q.measure::numeric
  FROM (
%[9]s
) AS q
$check$;
END
$security$;
COMMENT ON FUNCTION monitoring.security_%[1]s() IS %[10]s;
INSERT INTO monitoring.security_check (check_name, kind, event_types, description) VALUES (%[11]s, %[12]s, ARRAY[%[13]s], %[14]s);
`, check.Name, quoteAll(check.Tables), quoteAll(check.Columns), quoteAll(check.Calls), quoteAll(check.Roles), check.Oldest, check.Newest, statements,
			check.Bounded(), quote("Check: "+check.Description+"."), quote(check.Name), quote(check.Kind), quoteAll(check.Events), quote(check.Description))
	}
	return script{name: "64_security_checks", text: text.String()}, nil
}

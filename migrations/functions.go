package migrations

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
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
	return scripts, nil
}

// healthFunctions turns the files of collect/health into the functions monitoring.health_<name>(), and
// those of collect/performance into monitoring.performance_<name>(), so that psql and the worker measure
// with the same text.
func healthFunctions() (script, error) {
	queries, err := collect.HealthQueries()
	if err != nil {
		return script{}, err
	}
	var text strings.Builder
	text.WriteString("DELETE FROM monitoring.health_query;\nDELETE FROM monitoring.condition_identifier WHERE metric_source = 'system_health';\n")
	for _, extra := range slices.Concat(collect.WorkerMetrics, collect.PerformanceMetrics, collect.CapacityMetrics) {
		writeIdentifier(&text, extra)
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
		fmt.Fprintf(&text, `
CREATE OR REPLACE FUNCTION monitoring.health_%[1]s()
    RETURNS TABLE (name text, category text, unit text, value numeric, warning numeric, critical numeric, low_is_bad boolean, source text, counter jsonb)
    LANGUAGE sql AS $health$
%[2]s
$health$;
COMMENT ON FUNCTION monitoring.health_%[1]s() IS 'Measures this server: one row per metric.';
INSERT INTO monitoring.health_query (query_name, metric_names, requires) VALUES (%[3]s, ARRAY[%[4]s], nullif(%[5]s, ''));
`, q.Name, q.SQL, quote(q.Name), quoteNames(q.Metrics), quote(q.Requires))
		for _, metric := range q.Metrics {
			writeIdentifier(&text, metric)
		}
	}
	return script{name: "55_health_queries", text: text.String()}, nil
}

func writeIdentifier(text *strings.Builder, metric collect.Metric) {
	fmt.Fprintf(text, "INSERT INTO monitoring.condition_identifier (metric_source, identifier, description) VALUES ('system_health', %s, %s);\n",
		quote(metric.Name), quote(metric.Description))
}

func quoteNames(metrics []collect.Metric) string {
	quoted := make([]string, len(metrics))
	for i, metric := range metrics {
		quoted[i] = quote(metric.Name)
	}
	return strings.Join(quoted, ", ")
}

// quote makes an SQL literal of our own embedded text; nothing from outside comes here.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

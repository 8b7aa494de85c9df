-- What to try with a statement. Each piece of advice is a sentence for people and its evidence for programs:
-- {kind, the numbers that speak for it}. Nothing here reads a table: figures, text, plan and scans of tables
-- are arguments.

DROP FUNCTION IF EXISTS monitoring.statement_suggestions(bigint, numeric, numeric, bigint, bigint, bigint, bigint, numeric, bigint, integer);

CREATE OR REPLACE FUNCTION monitoring.count_of(p_count bigint, p_noun text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p_count || ' ' || p_noun || CASE WHEN p_count = 1 THEN '' ELSE 's' END
    $$;
COMMENT ON FUNCTION monitoring.count_of(bigint, text) IS 'A number with its noun: 1 call, 2 calls.';

CREATE OR REPLACE FUNCTION monitoring.names_in(p_text text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT coalesce(array_agg(DISTINCT coalesce(m[1], lower(m[2]))), '{}')
      FROM regexp_matches(p_text, '"([^"]+)"|([[:alpha:]_][[:alnum:]_$]*)', 'g') AS m
    $$;
COMMENT ON FUNCTION monitoring.names_in(text) IS
    'The words of a statement that may name something, as PostgreSQL folds them: Orders is orders, "Orders" is Orders.';

CREATE OR REPLACE FUNCTION monitoring.filter_columns(p_condition text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    -- A column (with its table before it, or in the cast that a deparsed varchar has), an operator that a B-tree
    -- answers, and a parameter or a constant: a comparison with another column is a join. Of several ranges
    -- an index can use one.
    SELECT coalesce(array_agg(c.name ORDER BY c.is_range, c.place) FILTER (WHERE NOT c.is_range OR c.rank = 1), '{}')
      FROM (SELECT DISTINCT ON (n.name) n.name, o.is_range, m.place,
                   row_number() OVER (PARTITION BY o.is_range ORDER BY m.place) AS rank
              FROM regexp_matches(
                       p_condition,
                       '(?:\((?:"[^"]+"\.|[[:alpha:]_][[:alnum:]_$]*\.)?("[^"]+"|[[:alpha:]_][[:alnum:]_$]*)\)::[[:alpha:]_" .]+(?:\[\])?'
                           || '|(?:"[^"]+"\.|[[:alpha:]_][[:alnum:]_$]*\.)*("[^"]+"|[[:alpha:]_][[:alnum:]_$]*))'
                           || '\s*(?:(=(?![~>=])|<=(?!>)|>=|<(?![<>@=-])|>(?![>=])|\min\M|\mbetween\M)'
                           || '\s*(?:\(\s*)*(?:\$[0-9]|\?|''|[0-9]|\m(?:any|array|now|current_|localtime))|(\mis\s+null\M))',
                       'gi') WITH ORDINALITY AS m (found, place)
             CROSS JOIN LATERAL (SELECT coalesce(m.found[1], m.found[2]) AS given) AS g
             CROSS JOIN LATERAL (SELECT CASE WHEN g.given LIKE '"%' THEN btrim(g.given, '"') ELSE lower(g.given) END AS name) AS n
             CROSS JOIN LATERAL (SELECT coalesce(lower(m.found[3]) NOT IN ('=', 'in'), false) AS is_range) AS o
             ORDER BY n.name, m.place) AS c
    $$;
COMMENT ON FUNCTION monitoring.filter_columns(text) IS
    'The columns by which a condition (of a statement or of a plan) filters so that a plain index could answer, equalities first and at most one range.';

CREATE OR REPLACE FUNCTION monitoring.scan_advice(p_figures jsonb, p_text text, p_scans jsonb, p_plan jsonb)
    RETURNS TABLE (suggestion text, evidence jsonb)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    WITH figure AS (
        SELECT f.*, (f.hit + f.read)::numeric / f.calls AS blocks_per_call, f.rows_returned::numeric / f.calls AS rows_per_call
          FROM jsonb_to_record(p_figures) AS f (calls bigint, rows_returned bigint, hit bigint, read bigint, block_bytes integer)
    ),
    node AS (
        SELECT n ->> 'Schema' AS schema, n ->> 'Relation Name' AS name, n ->> 'Filter' AS filter, (n ->> 'Plan Rows')::numeric AS plan_rows
          FROM jsonb_path_query(p_plan, 'strict $.** ? (@."Node Type" == "Seq Scan")') AS n
    ),
    -- The large tables that were read from end to end, and that this statement reads so: each call touches as many
    -- blocks as that would, and its plan says it or, without a plan, its text names the table. A plan alone may
    -- be of yesterday.
    scan AS (
        SELECT s.schema, s.name, s.root, s.columns, s.indexed, s.pages, s.live_rows, s.seq_scans, s.rows_read, figure.*,
               CASE WHEN p_plan IS NULL THEN 'TEXT' ELSE 'PLAN' END AS source, n.plan_rows,
               CASE WHEN p_plan IS NULL THEN substring(p_text FROM '(?i)\mwhere\M(.*)$') ELSE n.filter END AS filter
          FROM figure
         CROSS JOIN jsonb_to_recordset(p_scans)
                 AS s (schema text, name text, root text, columns text[], indexed text[], pages bigint, live_rows bigint, seq_scans bigint, rows_read bigint)
          LEFT JOIN LATERAL (SELECT node.filter, node.plan_rows, true AS found
                               FROM node
                              WHERE (node.schema, node.name) = (s.schema, s.name)
                              ORDER BY node.filter NULLS LAST, node.plan_rows
                              LIMIT 1) AS n ON true
         WHERE figure.blocks_per_call >= 500 AND figure.blocks_per_call >= 0.25 * s.pages
           AND CASE WHEN p_plan IS NOT NULL THEN n.found
                    ELSE s.name = ANY (monitoring.names_in(p_text)) OR s.root = ANY (monitoring.names_in(p_text)) END
         ORDER BY s.rows_read DESC, s.schema, s.name
         LIMIT 2
    ),
    judged AS (
        SELECT scan.*, by.columns AS filters, format('%I.%I', scan.schema, scan.name) AS table_name,
               format('%I.%I (%s)', scan.schema, coalesce(scan.root, scan.name),
                      (SELECT string_agg(quote_ident(c), ', ' ORDER BY place) FROM unnest(by.columns) WITH ORDINALITY AS u (c, place))) AS index_on,
               (SELECT array_agg(c) FROM unnest(by.columns) AS c WHERE c = ANY (scan.indexed)) AS begun,
               -- Most of the table is wanted: reading all of it is right.
               coalesce(scan.filter IS NOT NULL AND scan.plan_rows > 0.2 * scan.live_rows, false)
                   OR scan.rows_per_call > 0.2 * scan.live_rows AS wants_most
          FROM scan
         CROSS JOIN LATERAL (SELECT coalesce(array_agg(c ORDER BY place), '{}') AS columns
                               FROM unnest(monitoring.filter_columns(scan.filter)) WITH ORDINALITY AS u (c, place)
                              WHERE c = ANY (scan.columns)) AS by
    ),
    kinds AS (
        SELECT judged.*,
               CASE WHEN wants_most THEN NULL
                    WHEN filter IS NULL THEN 'WHOLE_TABLE'
                    WHEN cardinality(filters) > 0 AND begun IS NULL THEN 'MISSING_INDEX'
                    ELSE 'SEQUENTIAL_SCAN' END AS kind,
               format('%s (%s, %s MB)', table_name, monitoring.count_of(live_rows, 'row'), round(pages * block_bytes / 1048576.0, 1)) AS whole,
               -- Each process of a parallel scan counts as a scan; the rows count once.
               format('%s by sequential scans in the period', monitoring.count_of(rows_read, 'row')) AS scanned
          FROM judged
    ),
    -- The index that is missing comes first; until it is there, the rest is of little use.
    told AS (
        SELECT kinds.* FROM kinds
         WHERE kinds.kind IS NOT NULL AND (kinds.kind = 'MISSING_INDEX' OR NOT EXISTS (SELECT FROM kinds AS k WHERE k.kind = 'MISSING_INDEX'))
    )
    SELECT CASE kind
           WHEN 'MISSING_INDEX' THEN
               format('filters %s by %s, with which no index begins, and reads it from end to end (%s): ', whole, array_to_string(filters, ', '), scanned)
               || CASE WHEN root IS NULL THEN 'CREATE INDEX CONCURRENTLY ON ' || index_on ELSE 'an index on ' || index_on END
           WHEN 'WHOLE_TABLE' THEN
               format('reads %s from end to end without a filter (%s): keep what it computes, or ask for it less often', whole, scanned)
           ELSE
               format('reads %s from end to end (%s)', whole, scanned)
               || CASE WHEN begun IS NOT NULL THEN format(' although an index begins with %s: ANALYZE it; else many rows have the same value', array_to_string(begun, ', '))
                       ELSE ': no plain index answers its filter; an index on the expression, a partial or a trigram one may' END
           END,
           jsonb_strip_nulls(jsonb_build_object(
               'kind', kind, 'source', source, 'table', table_name, 'partition_of', root, 'columns', nullif(to_jsonb(filters), '[]'), 'indexed', begun,
               'filter', CASE WHEN source = 'PLAN' THEN filter END, 'rows_expected', CASE WHEN source = 'PLAN' THEN plan_rows END,
               'table_rows', live_rows, 'table_bytes', pages * block_bytes, 'table_scans', seq_scans, 'rows_read_by_scans', rows_read,
               'calls', calls, 'blocks_per_call', round(blocks_per_call, 1), 'rows_per_call', round(rows_per_call, 2)))
      FROM told
     ORDER BY rows_read DESC, table_name
    $$;
COMMENT ON FUNCTION monitoring.scan_advice(jsonb, text, jsonb, jsonb) IS
    'What to do about the large tables that a statement reads from end to end: MISSING_INDEX with its columns, WHOLE_TABLE, SEQUENTIAL_SCAN. source says whether its plan shows it (PLAN), or its text and the counters of the table do (TEXT).';

CREATE OR REPLACE FUNCTION monitoring.figure_advice(p_figures jsonb, p_text text, p_scans jsonb)
    RETURNS TABLE (suggestion text, evidence jsonb)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    WITH f AS (
        SELECT f.*, (f.hit + f.read) / f.calls AS blocks_per_call, monitoring.count_of(f.calls, 'call') AS called,
               round(f.temp_written * f.block_bytes / 1048576.0, 1) AS temp_mb,
               round(f.temp_written * f.block_bytes / 1048576.0 / f.calls, 1) AS temp_mb_per_call,
               round(f.work_mem_bytes / 1048576.0, 1) AS work_mem_mb,
               round(f.read * f.block_bytes / 1048576.0, 1) AS read_mb,
               round(100.0 * f.hit / nullif(f.hit + f.read, 0), 1) AS hit_pct
          FROM jsonb_to_record(p_figures) AS f (
                   calls bigint, total_ms numeric, seconds numeric, rows_returned bigint, hit bigint, read bigint, temp_written bigint,
                   io_ms numeric, plan_ms numeric, jit_ms numeric, work_mem_bytes bigint, block_bytes integer)
    )
    SELECT a.suggestion, a.evidence
      FROM f
     CROSS JOIN LATERAL (VALUES
        (1, f.temp_written > 0,
            format('wrote %s MB of temporary files in %s (%s MB per call) with work_mem at %s MB: raise work_mem for this statement, or let it sort and hash less',
                   temp_mb, called, temp_mb_per_call, work_mem_mb),
            jsonb_build_object('kind', 'TEMP_SPILL', 'temp_mb', temp_mb, 'temp_mb_per_call', temp_mb_per_call, 'work_mem_mb', work_mem_mb, 'calls', calls)),
        (2, f.read > 1000 AND f.read > 0.1 * (f.hit + f.read) AND NOT p_scans @> '[{"kind": "MISSING_INDEX"}]',
            format('read %s MB past shared buffers, a hit ratio of %s %%: look for a missing index, or for a cache that is too small for what it works on', read_mb, hit_pct),
            jsonb_build_object('kind', 'CACHE_MISS', 'read_mb', read_mb, 'hit_pct', hit_pct, 'blocks_hit', hit, 'blocks_read', read)),
        (3, f.rows_returned > 0 AND f.blocks_per_call > 1000 AND (f.hit + f.read) / nullif(f.rows_returned, 0) > 100 AND p_scans = '[]',
            format('touched %s blocks for each row that it returned (%s blocks per call): unless it aggregates, its conditions find no fitting index',
                   (f.hit + f.read) / nullif(f.rows_returned, 0), blocks_per_call),
            jsonb_build_object('kind', 'MANY_BLOCKS_PER_ROW', 'blocks_per_row', (f.hit + f.read) / nullif(f.rows_returned, 0), 'blocks_per_call', blocks_per_call)),
        (4, f.rows_returned / f.calls > 10000 AND p_text ~* '^[\s(]*(select|with)\M',
            format('returned %s rows per call: fetch fewer columns and rows, page by key, or aggregate in the database', f.rows_returned / f.calls),
            jsonb_build_object('kind', 'MANY_ROWS', 'rows_per_call', f.rows_returned / f.calls, 'rows', f.rows_returned, 'calls', calls)),
        (5, f.seconds > 0 AND f.calls > 100 * f.seconds AND f.total_ms < f.calls,
            format('ran %s times a second at %s ms each: fetch many rows at once, or cache in the application', round(f.calls / nullif(f.seconds, 0)), round(f.total_ms / f.calls, 3)),
            jsonb_build_object('kind', 'MANY_CALLS', 'calls_per_s', round(f.calls / nullif(f.seconds, 0), 1), 'mean_ms', round(f.total_ms / f.calls, 4), 'calls', calls)),
        (6, f.total_ms > 1000 AND f.io_ms > 0.5 * f.total_ms,
            format('spent %s %% of its %s s waiting for reads and writes: storage limits it, not the processor',
                   round(100 * least(f.io_ms / nullif(f.total_ms, 0), 1)), round(f.total_ms / 1000, 1)),
            jsonb_build_object('kind', 'IO_WAIT', 'io_ms', round(f.io_ms, 1), 'total_ms', round(f.total_ms, 1))),
        (7, f.plan_ms > 1000 AND f.plan_ms > f.total_ms,
            format('took %s s to plan and %s s to run: prepare it once per session, and look at partitions or joins that are many', round(f.plan_ms / 1000, 1), round(f.total_ms / 1000, 1)),
            jsonb_build_object('kind', 'PLANNING', 'plan_ms', round(f.plan_ms, 1), 'total_ms', round(f.total_ms, 1), 'calls', calls)),
        (8, f.jit_ms > 1000 AND f.jit_ms > 0.3 * f.total_ms,
            format('spent %s %% of its %s s compiling itself: raise jit_above_cost, or SET jit = off for it', round(100 * least(f.jit_ms / nullif(f.total_ms, 0), 1)), round(f.total_ms / 1000, 1)),
            jsonb_build_object('kind', 'JIT', 'jit_ms', round(f.jit_ms, 1), 'total_ms', round(f.total_ms, 1))),
        (9, f.total_ms > 1000 * f.calls AND p_scans = '[]',
            format('took %s ms on average in %s: EXPLAIN (ANALYZE, BUFFERS) shows where', round(f.total_ms / f.calls), called),
            jsonb_build_object('kind', 'SLOW', 'mean_ms', round(f.total_ms / f.calls, 1), 'calls', calls))
     ) AS a (place, applies, suggestion, evidence)
     WHERE a.applies
     ORDER BY a.place
    $$;
COMMENT ON FUNCTION monitoring.figure_advice(jsonb, text, jsonb) IS
    'What the figures of a statement alone hint at; what scan_advice said of it (its evidence) is not said again in vaguer words.';

CREATE OR REPLACE FUNCTION monitoring.statement_advice(
    p_figures jsonb, p_text text, p_scans jsonb, p_plan jsonb, OUT suggestions text[], OUT evidence jsonb)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    WITH scans AS (
        SELECT coalesce(array_agg(s.suggestion ORDER BY s.place), '{}') AS suggestions, coalesce(jsonb_agg(s.evidence ORDER BY s.place), '[]') AS evidence
          FROM monitoring.scan_advice(p_figures, p_text, p_scans, p_plan) WITH ORDINALITY AS s (suggestion, evidence, place)
    ),
    figures AS (
        SELECT coalesce(array_agg(f.suggestion ORDER BY f.place), '{}') AS suggestions, coalesce(jsonb_agg(f.evidence ORDER BY f.place), '[]') AS evidence
          FROM scans, monitoring.figure_advice(p_figures, p_text, scans.evidence) WITH ORDINALITY AS f (suggestion, evidence, place)
    )
    SELECT scans.suggestions || figures.suggestions, scans.evidence || figures.evidence FROM scans, figures
    $$;
COMMENT ON FUNCTION monitoring.statement_advice(jsonb, text, jsonb, jsonb) IS
    'Suggestions for a statement, and for each, at the same place, its evidence; empty when nothing stands out. p_figures: what it cost in a period; p_scans: the large tables that were read from end to end in it; p_plan: its plan, NULL where it is not known.';

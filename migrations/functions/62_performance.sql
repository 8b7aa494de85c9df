-- What statements cost between two samples of pg_stat_statements, and the guide's
-- collect_performance_metrics. The queries themselves are the files of collect/performance, installed as
-- monitoring.performance_statements(), performance_texts() and performance_tables(): one text for psql and the
-- worker. Plans are asked for by the worker alone. What to advise stands in 61_performance_advice.sql.
-- No temporary tables anywhere here: each would leave entries of its own in what is measured.

DROP FUNCTION IF EXISTS monitoring.missing_statement_texts(text, bytea, jsonb, integer);
DROP FUNCTION IF EXISTS monitoring.top_statements(text, monitoring.statement_baseline[], timestamptz, integer);
DROP FUNCTION IF EXISTS monitoring.record_statement_samples(text, bytea, jsonb, jsonb, integer, integer);

CREATE OR REPLACE FUNCTION monitoring.redact_statement(p_text text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
DECLARE
    -- Bracketed letters keep this text from matching itself, wherever the server counts it.
    v_secret constant text := 'passw|pw[d]|passphras[e]|secre[t]|toke[n]|credentia[l]|api.?key|access.?key|private.?key|authoriz|beare[r]|'
                              || 'connectio[n]\s|subscriptio[n]|user\s+mappin[g]|dblin[k]|progra[m]|://';
    -- Whose constants are data: what is called or queried with them is not ours to know.
    v_data   constant text := '^\s*(?:copy\s*\(|(?:call|execute|do|declare|explain|prepare|notify|comment|security\s+label|'
                              || 'create\s+(?:or\s+replace\s+)?(?:(?:temp|temporary|unlogged|global|local|recursive|materialized)\s+)*'
                              || '(?:view|table|function|procedure|policy|rule))(?!\w))';
    -- A setting of an application's own.
    v_own    constant text := '^(\s*set\s+(?:(?:session|local)\s+)?[^\s=]+\.[^\s=]+(?:\s*=|\s+to\M)).*$';
    v_text   text := p_text;
    v_before text;
BEGIN
    -- Constants of ordinary statements are $1, $2 already; utility statements keep theirs. What names nothing
    -- secret is left as it is; of the rest everything from the first literal on goes, since a literal that
    -- is quoted strangely or cut off in the middle must not save its end.
    LOOP  -- comments nest: the innermost first
        v_before := v_text;
        v_text := regexp_replace(v_text, '/\*(?:(?!/\*|\*/).)*\*/', ' ', 'g');
        EXIT WHEN v_text = v_before;
    END LOOP;
    v_text := regexp_replace(v_text, '/\*.*$', ' ');
    v_text := regexp_replace(v_text, '--[^\n]*', ' ', 'g');
    IF p_text !~* v_secret AND v_text !~* v_data AND v_text !~* v_own THEN
        RETURN p_text;
    END IF;
    v_text := regexp_replace(v_text, v_own, '\1 ''***''', 'i');
    v_text := regexp_replace(v_text, '^(\s*(?:call|execute)\s[^(]*\().*$', '\1***)', 'i');
    v_text := regexp_replace(v_text, $re$(?:\m(?:E|U&|N|B|X))?(?:'|\$(?:[A-Za-z_]\w*)?\$).*$re$, '''***''', 'i');
    IF v_text ~* '^\s*(set|alter|create)\M' THEN
        -- SET app.token TO abc: a value may stand without quotes.
        v_text := regexp_replace(v_text, '((?:' || v_secret || ')\S*\s*(?:=|\mto\M)\s*)(?!''\*\*\*'')\S+', '\1***', 'gi');
    END IF;
    RETURN btrim(v_text, E' \t\r\n');
END
$$;
COMMENT ON FUNCTION monitoring.redact_statement(text) IS
    'A statement as it may be kept: one that names a secret (a password, a token, a connection string), or that keeps its constants though they are data (CALL, EXECUTE, COPY of a query, a setting of an application), is cut at its first literal, and loses its comments.';

CREATE OR REPLACE FUNCTION monitoring.rate_performance(p_mean_ms numeric) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN p_mean_ms <= 100 THEN 'EXCELLENT'
                WHEN p_mean_ms <= 500 THEN 'GOOD'
                WHEN p_mean_ms <= 1000 THEN 'POOR'
                ELSE 'CRITICAL' END
    $$;
COMMENT ON FUNCTION monitoring.rate_performance(numeric) IS
    'Rates the mean time of a statement: EXCELLENT up to 100 ms, GOOD up to 500, POOR up to 1000, CRITICAL above.';

CREATE OR REPLACE FUNCTION monitoring.statement_series_of(p_target text, p_tenant_hk bytea) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT util.bk(p_target, coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'))
    $$;
COMMENT ON FUNCTION monitoring.statement_series_of(text, bytea) IS
    'The name of the series of samples of a target: one who samples for a tenant must not shorten the periods of another.';

CREATE OR REPLACE FUNCTION monitoring.statement_entries(p_series text, p_sample jsonb) RETURNS monitoring.statement_baseline[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT coalesce(array_agg(ROW(p_series, e ->> 0, e ->> 1, e ->> 2, e ->> 3, e ->> 4, e ->> 5, e ->> 6, e ->> 7,
                                  e ->> 8, e ->> 9, e ->> 10, e ->> 11, e ->> 12, e ->> 13, e ->> 14, e ->> 15, e ->> 16,
                                  e ->> 17)::monitoring.statement_baseline), '{}')
      FROM jsonb_array_elements(p_sample -> 'entries') AS e
    $$;
COMMENT ON FUNCTION monitoring.statement_entries(text, jsonb) IS
    'The counters of a sample as rows of monitoring.statement_baseline.';

CREATE OR REPLACE FUNCTION monitoring.top_statements(
    p_series text, p_entries monitoring.statement_baseline[], p_stats_reset timestamptz, p_limit integer)
    RETURNS TABLE (userid oid, dbid oid, queryid bigint, toplevel boolean, is_reset boolean, period_start timestamptz,
                   calls bigint, total_ms numeric, pct_of_total numeric, rows_returned bigint, hit bigint, read bigint, dirtied bigint,
                   temp_read bigint, temp_written bigint, wal_bytes bigint, io_ms numeric, plan_ms numeric, jit_ms numeric,
                   rank_total bigint, rank_mean bigint, rank_io bigint, rank_calls bigint)
    LANGUAGE sql STABLE
    AS $$
    WITH differences AS (
        SELECT c.userid, c.dbid, c.queryid, c.toplevel,
               b.queryid IS NOT NULL AND k.keep = 0 AS is_reset,
               CASE WHEN v.series IS NULL THEN greatest(p_stats_reset, c.stats_since) ELSE greatest(p_stats_reset, v.sampled_at, c.stats_since) END AS period_start,
               c.calls - k.keep * coalesce(b.calls, 0) AS calls,
               c.total_exec_time - k.keep * coalesce(b.total_exec_time, 0) AS total_ms,
               c.rows - k.keep * coalesce(b.rows, 0) AS rows_returned,
               c.shared_blks_hit - k.keep * coalesce(b.shared_blks_hit, 0) AS hit,
               c.shared_blks_read - k.keep * coalesce(b.shared_blks_read, 0) AS read,
               c.shared_blks_dirtied - k.keep * coalesce(b.shared_blks_dirtied, 0) AS dirtied,
               c.temp_blks_read - k.keep * coalesce(b.temp_blks_read, 0) AS temp_read,
               c.temp_blks_written - k.keep * coalesce(b.temp_blks_written, 0) AS temp_written,
               c.wal_bytes - k.keep * coalesce(b.wal_bytes, 0) AS wal_bytes,
               c.blk_io_time - k.keep * coalesce(b.blk_io_time, 0) AS io_ms,
               -- Nothing was planned, or nobody counted it: pg_stat_statements.track_planning is off by default.
               CASE WHEN c.plans > k.keep * coalesce(b.plans, 0) THEN c.total_plan_time - k.keep * coalesce(b.total_plan_time, 0) END AS plan_ms,
               -- Of a baseline that was taken before the server counted it, the whole would be wrong.
               CASE WHEN k.keep = 0 OR b.jit_time IS NOT NULL THEN c.jit_time - k.keep * coalesce(b.jit_time, 0) END AS jit_ms
          FROM unnest(p_entries) AS c
          LEFT JOIN monitoring.statement_series v ON v.series = p_series
          LEFT JOIN monitoring.statement_baseline b
                 ON v.series IS NOT NULL AND b.series = p_series
                AND (b.queryid, b.userid, b.dbid, b.toplevel) = (c.queryid, c.userid, c.dbid, c.toplevel)
         -- Counters that began anew (all of them, this entry's alone, or an entry that was evicted and came
         -- back) show what came since; then nothing is subtracted. PostgreSQL 17 says when an entry began.
         CROSS JOIN LATERAL (SELECT CASE WHEN b.queryid IS NULL OR v.stats_reset IS DISTINCT FROM p_stats_reset
                                           OR c.stats_since > v.sampled_at
                                           OR c.calls < b.calls OR c.total_exec_time < b.total_exec_time OR c.rows < b.rows
                                           OR c.shared_blks_hit < b.shared_blks_hit OR c.shared_blks_read < b.shared_blks_read
                                         THEN 0 ELSE 1 END AS keep) AS k
    ),
    ranked AS (
        SELECT d.*,
               -- What a function runs inside counts in its caller's time as well; 100 % is what clients asked for.
               least(100, 100 * d.total_ms / nullif(sum(d.total_ms) FILTER (WHERE d.toplevel) OVER (), 0)) AS pct_of_total,
               row_number() OVER (ORDER BY d.total_ms DESC, d.queryid, d.userid, d.dbid, d.toplevel) AS rank_total,
               row_number() OVER (ORDER BY d.total_ms / d.calls DESC, d.total_ms DESC, d.queryid, d.userid, d.dbid, d.toplevel) AS rank_mean,
               CASE WHEN d.read + d.temp_read + d.temp_written > 0 THEN
                   row_number() OVER (ORDER BY d.read + d.temp_read + d.temp_written DESC, d.io_ms DESC, d.total_ms DESC, d.queryid, d.userid, d.dbid, d.toplevel)
               END AS rank_io,
               row_number() OVER (ORDER BY d.calls DESC, d.total_ms DESC, d.queryid, d.userid, d.dbid, d.toplevel) AS rank_calls
          FROM differences d
         WHERE d.calls > 0
    )
    SELECT r.userid, r.dbid, r.queryid, r.toplevel, r.is_reset, r.period_start, r.calls, round(r.total_ms::numeric, 4), round(r.pct_of_total::numeric, 4),
           r.rows_returned, r.hit, r.read, r.dirtied, r.temp_read, r.temp_written, r.wal_bytes::bigint, round(r.io_ms::numeric, 4),
           round(r.plan_ms::numeric, 4), round(r.jit_ms::numeric, 4), r.rank_total, r.rank_mean, r.rank_io, r.rank_calls
      FROM ranked r
     WHERE least(r.rank_total, r.rank_mean, r.rank_io, r.rank_calls) <= p_limit
     ORDER BY r.rank_total
    $$;
COMMENT ON FUNCTION monitoring.top_statements(text, monitoring.statement_baseline[], timestamptz, integer) IS
    'The statements that are among the first p_limit by total time, by mean time, by I/O (blocks read and temporary blocks) or by calls since the previous sample of a series, as differences. In the first sample of a series there is nothing to subtract: totals since the statistics began, with that moment as period_start.';

CREATE OR REPLACE FUNCTION monitoring.table_scans(p_series text, p_sample jsonb)
    RETURNS TABLE (relid oid, seq_scans bigint, rows_read bigint, live_rows bigint, pages bigint)
    LANGUAGE sql STABLE
    AS $$
    SELECT t.relid, t.seq_scan - k.keep * b.seq_scan, t.seq_tup_read - k.keep * b.seq_tup_read, t.live_rows, t.pages
      FROM (SELECT (e ->> 0)::oid AS relid, (e ->> 1)::bigint AS seq_scan, (e ->> 2)::bigint AS seq_tup_read,
                   (e ->> 3)::bigint AS live_rows, (e ->> 4)::bigint AS pages
              FROM jsonb_array_elements(p_sample -> 'tables') AS e) AS t
      JOIN monitoring.table_baseline b ON b.series = p_series AND b.dbid = (p_sample ->> 'database')::oid AND b.relid = t.relid
     -- Counters that go backwards began anew.
     CROSS JOIN LATERAL (SELECT CASE WHEN t.seq_scan < b.seq_scan OR t.seq_tup_read < b.seq_tup_read THEN 0 ELSE 1 END AS keep) AS k
     WHERE t.seq_scan > k.keep * b.seq_scan
     ORDER BY 3 DESC, t.relid
     LIMIT 50
    $$;
COMMENT ON FUNCTION monitoring.table_scans(text, jsonb) IS
    'The 50 large tables of which most rows were read by sequential scans since the previous sample of a series. A table without an earlier sample is left out: its counters are of nobody knows when.';

CREATE OR REPLACE FUNCTION monitoring.can_have_plan(p_text text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p_text ~* '^(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*+[^*/])*\*+/)*(?:select|insert|update|delete|merge|with|values)\M'
    $$;
COMMENT ON FUNCTION monitoring.can_have_plan(text) IS 'Whether a statement is one that the planner plans; NULL: its text is not known.';

CREATE OR REPLACE FUNCTION monitoring.performance_key(
    p_target text, p_tenant_hk bytea, p_userid oid, p_dbid oid, p_queryid bigint, p_toplevel boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT util.bk(p_target, 'STATEMENT', p_dbid::text, p_userid::text, p_queryid::text, CASE WHEN p_toplevel THEN 'TOP' ELSE 'NESTED' END,
                   coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'))
    $$;
COMMENT ON FUNCTION monitoring.performance_key(text, bytea, oid, oid, bigint, boolean) IS
    'The business key of a statement, as pg_stat_statements tells statements apart.';

CREATE OR REPLACE FUNCTION monitoring.check_statement_limit(p_limit integer) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF p_limit NOT BETWEEN 1 AND 1000 THEN
        RAISE EXCEPTION 'p_top_queries_limit is %', p_limit USING ERRCODE = '22023', HINT = 'Ask for 1 to 1000 statements.';
    END IF;
    RETURN coalesce(p_limit, 20);
END
$$;
COMMENT ON FUNCTION monitoring.check_statement_limit(integer) IS 'Refuses a number of top statements that makes no sense; NULL means 20.';

CREATE OR REPLACE FUNCTION monitoring.statement_questions(p_target text, p_tenant_hk bytea, p_sample jsonb, p_limit integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_series   text := monitoring.statement_series_of(p_target, p_tenant_hk);
    v_database oid := (p_sample ->> 'database')::oid;
    v_answer   jsonb;
BEGIN
    WITH top AS (
        SELECT t.*, util.hash_binary(k.key) AS hk, known.query_text,
               -- What reads 4 MB and more at each call, in the database to which the collector is connected.
               t.dbid = v_database AND (t.hit + t.read) / t.calls >= 500 AS reads_much
          FROM monitoring.top_statements(v_series, monitoring.statement_entries(v_series, p_sample), (p_sample ->> 'stats_reset')::timestamptz,
                                         monitoring.check_statement_limit(p_limit)) AS t
         CROSS JOIN LATERAL (SELECT monitoring.performance_key(p_target, p_tenant_hk, t.userid, t.dbid, t.queryid, t.toplevel) AS key) AS k
          LEFT JOIN monitoring.performance_statement_s known ON known.performance_metric_hk = util.hash_binary(k.key) AND known.load_end_date IS NULL
    ),
    planned AS (
        SELECT t.userid, t.dbid, t.queryid, t.toplevel, t.total_ms
          FROM top t
         WHERE t.reads_much
           AND p_sample ->> 'plans_refused' IS NULL
           AND coalesce(monitoring.can_have_plan(t.query_text), true)
           AND NOT EXISTS (SELECT FROM monitoring.plan_asked a
                            WHERE a.performance_metric_hk = t.hk AND a.asked_at > clock_timestamp() - interval '6 hours')
         ORDER BY t.total_ms DESC, t.queryid, t.userid
         LIMIT 3
    )
    SELECT jsonb_build_object(
               'texts', (SELECT coalesce(jsonb_agg(DISTINCT t.queryid), '[]') FROM top t WHERE t.query_text IS NULL),
               'tables', (SELECT coalesce(jsonb_agg(s.relid::bigint), '[]')
                            FROM monitoring.table_scans(v_series, p_sample) AS s
                           WHERE EXISTS (SELECT FROM top t WHERE t.reads_much)),
               'plans', (SELECT coalesce(jsonb_agg(jsonb_build_array(p.userid::bigint, p.dbid::bigint, p.queryid, p.toplevel) ORDER BY p.total_ms DESC), '[]')
                           FROM planned p))
      INTO v_answer;
    RETURN v_answer;
END
$$;
COMMENT ON FUNCTION monitoring.statement_questions(text, bytea, jsonb, integer) IS
    'What the vault wants to know of a target before it records a sample: the texts of top statements that it does not hold (queryids), the tables that were read from end to end (oids), and the plans of at most three costly statements ([userid, dbid, queryid, toplevel]), each once in six hours.';

CREATE OR REPLACE FUNCTION monitoring.record_plans(p_target text, p_tenant_hk bytea, p_sample jsonb, p_top jsonb, p_plans jsonb) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_database text := p_sample -> 'databases' ->> (p_sample ->> 'database');
BEGIN
    INSERT INTO monitoring.plan_asked (performance_metric_hk, asked_at)
    SELECT util.hash_binary(monitoring.performance_key(p_target, p_tenant_hk, (e ->> 0)::oid, (e ->> 1)::oid, (e ->> 2)::bigint, (e ->> 3)::boolean)),
           clock_timestamp()
      FROM jsonb_array_elements(p_plans) AS e
    ON CONFLICT (performance_metric_hk) DO UPDATE SET asked_at = excluded.asked_at;
    DELETE FROM monitoring.plan_asked WHERE asked_at < clock_timestamp() - interval '2 days';

    -- Of statements that read much the vault says as well why nobody could ask.
    INSERT INTO monitoring.performance_plan_s (performance_metric_hk, hash_diff, plan, problem)
    SELECT util.hash_binary(t.key), '\x', nullif(asked.plan, 'null'),
           CASE WHEN asked.found THEN asked.problem
                WHEN t.dbid <> (p_sample ->> 'database')::oid THEN
                    format('it runs in another database than %s, to which the collector is connected', v_database)
                ELSE 'not asked: ' || (p_sample ->> 'plans_refused') END
      FROM jsonb_to_recordset(p_top) AS t (key text, userid oid, dbid oid, queryid bigint, toplevel boolean, calls bigint, hit bigint, read bigint, text text)
      LEFT JOIN LATERAL (SELECT e -> 4 AS plan, e ->> 5 AS problem, true AS found
                           FROM jsonb_array_elements(p_plans) AS e
                          WHERE (e ->> 0)::oid = t.userid AND (e ->> 1)::oid = t.dbid AND (e ->> 2)::bigint = t.queryid
                            AND (e ->> 3)::boolean = t.toplevel
                          LIMIT 1) AS asked ON true
     WHERE monitoring.can_have_plan(t.text)
       AND (asked.found
            OR (t.hit + t.read) / t.calls >= 500
               AND (t.dbid <> (p_sample ->> 'database')::oid OR p_sample ->> 'plans_refused' IS NOT NULL))
     ORDER BY t.key;
END
$$;
COMMENT ON FUNCTION monitoring.record_plans(text, bytea, jsonb, jsonb, jsonb) IS
    'Records the plans that were asked for ([[userid, dbid, queryid, toplevel, plan, problem], ...]), and of the other top statements that read much why none is known.';

CREATE OR REPLACE FUNCTION monitoring.record_statement_samples(
    p_target text, p_tenant_hk bytea, p_sample jsonb, p_answers jsonb, p_limit integer, p_interval_s integer)
    RETURNS TABLE (query_hash varchar(64), total_time_ms numeric, mean_time_ms numeric, calls bigint, performance_rating varchar(20), rank_total integer)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_series   text := monitoring.statement_series_of(p_target, p_tenant_hk);
    v_at       timestamptz := (p_sample ->> 'sampled_at')::timestamptz;
    v_reset    timestamptz := (p_sample ->> 'stats_reset')::timestamptz;
    v_limit    integer := monitoring.check_statement_limit(p_limit);
    v_previous timestamptz;
    v_entries  monitoring.statement_baseline[];
    v_top      jsonb;
    v_scans    jsonb;
BEGIN
    PERFORM monitoring.ensure_partitions_around(v_at);
    -- One sampler of a series at a time; of two samples the later one counts.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.statements/' || v_series, 0));
    SELECT s.sampled_at INTO v_previous FROM monitoring.statement_series s WHERE s.series = v_series;
    IF v_at <= v_previous THEN
        RETURN;
    END IF;
    IF NOT (p_sample ->> 'readable')::boolean THEN
        PERFORM monitoring.record_health_samples(p_target, p_tenant_hk, v_at, p_interval_s, jsonb_build_array(jsonb_build_object(
            'name', 'statement_period_s', 'category', 'PERFORMANCE', 'unit', 's', 'low_is_bad', false, 'source', 'pg_stat_statements',
            'error', 'the collector''s role may not read the statements of others: GRANT pg_monitor to it')));
        RETURN;
    END IF;

    v_entries := monitoring.statement_entries(v_series, p_sample);
    SELECT coalesce(jsonb_agg(to_jsonb(t) || jsonb_build_object(
               'key', k.key, 'mean_ms', round(t.total_ms / t.calls, 4),
               'text', monitoring.redact_statement(coalesce(g.given, known.query_text)))), '[]')
      INTO v_top
      FROM monitoring.top_statements(v_series, v_entries, v_reset, v_limit) AS t
     CROSS JOIN LATERAL (SELECT monitoring.performance_key(p_target, p_tenant_hk, t.userid, t.dbid, t.queryid, t.toplevel) AS key) AS k
      LEFT JOIN monitoring.performance_statement_s known
             ON known.performance_metric_hk = util.hash_binary(k.key) AND known.load_end_date IS NULL
      LEFT JOIN LATERAL (SELECT e ->> 4 AS given
                           FROM jsonb_array_elements(p_answers -> 'texts') AS e
                          WHERE (e ->> 0)::oid = t.userid AND (e ->> 1)::oid = t.dbid AND (e ->> 2)::bigint = t.queryid
                            AND (e ->> 3)::boolean = t.toplevel
                          LIMIT 1) AS g ON true;
    SELECT coalesce(jsonb_agg(a.described || jsonb_build_object(
               'seq_scans', s.seq_scans, 'rows_read', s.rows_read, 'live_rows', s.live_rows, 'pages', s.pages)), '[]')
      INTO v_scans
      FROM monitoring.table_scans(v_series, p_sample) AS s
      JOIN jsonb_array_elements(p_answers -> 'tables') AS a (described) ON (a.described ->> 'oid')::oid = s.relid;

    -- The baseline of the next sample: only the entries that moved are written.
    DELETE FROM monitoring.statement_baseline b
     WHERE b.series = v_series
       AND NOT EXISTS (SELECT FROM unnest(v_entries) AS c
                        WHERE (c.queryid, c.userid, c.dbid, c.toplevel) = (b.queryid, b.userid, b.dbid, b.toplevel));
    UPDATE monitoring.statement_baseline b
       SET calls = c.calls, total_exec_time = c.total_exec_time, rows = c.rows, shared_blks_hit = c.shared_blks_hit,
           shared_blks_read = c.shared_blks_read, shared_blks_dirtied = c.shared_blks_dirtied, temp_blks_read = c.temp_blks_read,
           temp_blks_written = c.temp_blks_written, wal_bytes = c.wal_bytes, blk_io_time = c.blk_io_time,
           plans = c.plans, total_plan_time = c.total_plan_time, jit_time = c.jit_time, stats_since = c.stats_since
      FROM unnest(v_entries) AS c
     WHERE b.series = v_series
       AND (c.queryid, c.userid, c.dbid, c.toplevel) = (b.queryid, b.userid, b.dbid, b.toplevel)
       AND (c.calls, c.total_exec_time, c.plans, c.stats_since) IS DISTINCT FROM (b.calls, b.total_exec_time, b.plans, b.stats_since);
    INSERT INTO monitoring.statement_baseline
    SELECT c.*
      FROM unnest(v_entries) AS c
     WHERE NOT EXISTS (SELECT FROM monitoring.statement_baseline b
                        WHERE b.series = v_series
                          AND (b.queryid, b.userid, b.dbid, b.toplevel) = (c.queryid, c.userid, c.dbid, c.toplevel));
    DELETE FROM monitoring.table_baseline b
     WHERE b.series = v_series
       AND NOT EXISTS (SELECT FROM jsonb_array_elements(p_sample -> 'tables') AS e
                        WHERE b.dbid = (p_sample ->> 'database')::oid AND (e ->> 0)::oid = b.relid);
    INSERT INTO monitoring.table_baseline AS b (series, dbid, relid, seq_scan, seq_tup_read)
    SELECT v_series, (p_sample ->> 'database')::oid, (e ->> 0)::oid, (e ->> 1)::bigint, (e ->> 2)::bigint
      FROM jsonb_array_elements(p_sample -> 'tables') AS e
    ON CONFLICT (series, dbid, relid) DO UPDATE SET seq_scan = excluded.seq_scan, seq_tup_read = excluded.seq_tup_read
     WHERE (b.seq_scan, b.seq_tup_read) IS DISTINCT FROM (excluded.seq_scan, excluded.seq_tup_read);
    INSERT INTO monitoring.statement_series (series, sampled_at, stats_reset) VALUES (v_series, v_at, v_reset)
    ON CONFLICT (series) DO UPDATE SET sampled_at = excluded.sampled_at, stats_reset = excluded.stats_reset;

    PERFORM monitoring.record_health_samples(p_target, p_tenant_hk, v_at, p_interval_s, jsonb_build_array(
        jsonb_build_object('name', 'statement_period_s', 'category', 'PERFORMANCE', 'unit', 's', 'low_is_bad', false, 'source', 'pg_stat_statements',
                           'value', round(extract(epoch FROM v_at - greatest(v_reset, v_previous)), 3)),
        jsonb_build_object('name', 'statement_evictions_per_h', 'category', 'PERFORMANCE', 'unit', '1/h', 'low_is_bad', false, 'source', 'pg_stat_statements_info',
                           'counter', jsonb_build_object('count', p_sample -> 'evicted', 'per_s', 3600))));

    INSERT INTO monitoring.performance_metric_h (performance_metric_hk, performance_metric_bk, tenant_hk, record_source, target_name)
    SELECT util.hash_binary(t.key), t.key, p_tenant_hk, 'PERFORMANCE_COLLECTOR', p_target
      FROM jsonb_to_recordset(v_top) AS t (key text)
     WHERE NOT EXISTS (SELECT FROM monitoring.performance_metric_h h WHERE h.performance_metric_hk = util.hash_binary(t.key))
     ORDER BY t.key
    ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.performance_statement_s (performance_metric_hk, hash_diff, query_text, record_source)
    SELECT util.hash_binary(t.key), '\x', t.text, 'PERFORMANCE_COLLECTOR'
      FROM jsonb_to_recordset(v_top) AS t (key text, text text)
     WHERE t.text IS NOT NULL
       AND NOT EXISTS (SELECT FROM monitoring.performance_statement_s s
                        WHERE s.performance_metric_hk = util.hash_binary(t.key) AND s.load_end_date IS NULL AND s.query_text = t.text)
     ORDER BY t.key;
    PERFORM monitoring.record_plans(p_target, p_tenant_hk, p_sample, v_top, coalesce(p_answers -> 'plans', '[]'));

    RETURN QUERY
    INSERT INTO monitoring.performance_metric_s (
        performance_metric_hk, hash_diff, query_hash, database_name, username, query_text, total_time_ms, mean_time_ms, calls, rows_returned,
        shared_blks_hit, shared_blks_read, shared_blks_dirtied, temp_blks_read, temp_blks_written, measurement_period_start,
        measurement_period_end, performance_rating, optimization_suggestions, record_source, pct_of_total, wal_bytes, blk_io_time_ms, is_reset,
        rank_total, rank_mean, rank_io, rank_calls, plan_time_ms, jit_time_ms, suggestion_evidence)
    SELECT util.hash_binary(t.key), util.hash_binary(t.key || '|' || t.calls || '|' || t.total_ms), t.queryid::text,
           p_sample -> 'databases' ->> t.dbid::text, p_sample -> 'roles' ->> t.userid::text, left(t.text, 200),
           t.total_ms, t.mean_ms, t.calls, t.rows_returned, t.hit, t.read, t.dirtied, t.temp_read, t.temp_written, t.period_start,
           v_at, monitoring.rate_performance(t.mean_ms), advice.suggestions, 'PERFORMANCE_COLLECTOR', t.pct_of_total, t.wal_bytes, t.io_ms, t.is_reset,
           t.rank_total, t.rank_mean, t.rank_io, t.rank_calls, t.plan_ms, t.jit_ms, advice.evidence
      FROM jsonb_array_elements(v_top) AS e (figures)
     CROSS JOIN LATERAL jsonb_to_record(e.figures) AS t (
               key text, text text, userid oid, dbid oid, queryid bigint, calls bigint, total_ms numeric, mean_ms numeric, rows_returned bigint,
               hit bigint, read bigint, dirtied bigint, temp_read bigint, temp_written bigint, period_start timestamptz, pct_of_total numeric,
               wal_bytes bigint, io_ms numeric, plan_ms numeric, jit_ms numeric, is_reset boolean,
               rank_total integer, rank_mean integer, rank_io integer, rank_calls integer)
      LEFT JOIN monitoring.performance_plan_s p ON p.performance_metric_hk = util.hash_binary(t.key) AND p.load_end_date IS NULL
     CROSS JOIN LATERAL monitoring.statement_advice(
               e.figures || jsonb_build_object('seconds', extract(epoch FROM v_at - t.period_start),
                                               'work_mem_bytes', p_sample -> 'work_mem_bytes', 'block_bytes', p_sample -> 'block_bytes'),
               t.text,
               -- Tables and plans are known of one database.
               CASE WHEN t.dbid = (p_sample ->> 'database')::oid THEN v_scans ELSE '[]' END,
               p.plan) AS advice
     ORDER BY t.rank_total
    RETURNING query_hash, total_time_ms, mean_time_ms, calls, performance_rating, rank_total;
END
$$;
COMMENT ON FUNCTION monitoring.record_statement_samples(text, bytea, jsonb, jsonb, integer, integer) IS
    'Records a sample of the statements of a target (the document of collect/performance/statements.sql) with the answers to monitoring.statement_questions ({texts, tables, plans}): its top statements since the previous sample, and the baseline of the next. A sample that is not later than the recorded one is left out.';

CREATE OR REPLACE FUNCTION monitoring.collect_performance_metrics(p_tenant_hk bytea DEFAULT NULL, p_top_queries_limit integer DEFAULT 20)
    RETURNS TABLE (query_hash varchar(64), total_time_ms numeric, mean_time_ms numeric, calls bigint, performance_rating varchar(20))
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_limit   integer := monitoring.check_statement_limit(p_top_queries_limit);
    v_sample  jsonb;
    v_ask     jsonb;
    v_answers jsonb;
BEGIN
    -- Before the counters are read: who waits here must not record older ones than the other did.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.statements/' || monitoring.statement_series_of('local', p_tenant_hk), 0));
    BEGIN
        v_sample := monitoring.performance_statements()::jsonb;
        v_ask := monitoring.statement_questions('local', p_tenant_hk, v_sample, v_limit);
        v_answers := jsonb_build_object(
            'texts', CASE WHEN v_ask -> 'texts' = '[]' THEN '[]'
                          ELSE monitoring.performance_texts(ARRAY(SELECT q::bigint FROM jsonb_array_elements_text(v_ask -> 'texts') AS q)) END,
            'tables', CASE WHEN v_ask -> 'tables' = '[]' THEN '[]'
                           ELSE monitoring.performance_tables(ARRAY(SELECT q::oid FROM jsonb_array_elements_text(v_ask -> 'tables') AS q)) END);
    EXCEPTION WHEN undefined_table OR undefined_function OR object_not_in_prerequisite_state OR insufficient_privilege THEN
        PERFORM monitoring.record_health_samples('local', p_tenant_hk, clock_timestamp(), 300, jsonb_build_array(jsonb_build_object(
            'name', 'statement_period_s', 'category', 'PERFORMANCE', 'low_is_bad', false, 'source', 'pg_stat_statements', 'error', SQLERRM)));
        RAISE WARNING 'the statements of this server cannot be read: %', SQLERRM
            USING HINT = '`onevault doctor` says what to do; it needs CREATE EXTENSION pg_stat_statements, shared_preload_libraries and pg_monitor.';
        RETURN;
    END;
    IF NOT (v_sample ->> 'readable')::boolean THEN
        RAISE WARNING 'role % may not read the statements of others', current_user USING HINT = format('GRANT pg_monitor TO %I', current_user);
    END IF;
    RETURN QUERY
        SELECT r.query_hash, r.total_time_ms, r.mean_time_ms, r.calls, r.performance_rating
          FROM monitoring.record_statement_samples('local', p_tenant_hk, v_sample, v_answers, v_limit, 300) AS r
         WHERE r.rank_total <= v_limit
         ORDER BY r.rank_total;
END
$$;
COMMENT ON FUNCTION monitoring.collect_performance_metrics(bytea, integer) IS
    'Samples pg_stat_statements of this server now, records the statements that stand out since the previous sample (at first: since the statistics began) and returns those that took most time.';

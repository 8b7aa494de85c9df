-- What statements cost between two samples of pg_stat_statements, and the guide's
-- collect_performance_metrics. The queries themselves are the files of collect/performance, installed as
-- monitoring.performance_statements() and monitoring.performance_texts(): one text for psql and the worker.
-- No temporary tables anywhere here: each would leave entries of its own in what is measured.

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
                                  e ->> 8, e ->> 9, e ->> 10, e ->> 11, e ->> 12, e ->> 13)::monitoring.statement_baseline), '{}')
      FROM jsonb_array_elements(p_sample -> 'entries') AS e
    $$;
COMMENT ON FUNCTION monitoring.statement_entries(text, jsonb) IS
    'The counters of a sample as rows of monitoring.statement_baseline.';

CREATE OR REPLACE FUNCTION monitoring.top_statements(
    p_series text, p_entries monitoring.statement_baseline[], p_stats_reset timestamptz, p_limit integer)
    RETURNS TABLE (userid oid, dbid oid, queryid bigint, toplevel boolean, is_reset boolean, period_start timestamptz,
                   calls bigint, total_ms numeric, pct_of_total numeric, rows_returned bigint, hit bigint, read bigint, dirtied bigint,
                   temp_read bigint, temp_written bigint, wal_bytes bigint, io_ms numeric)
    LANGUAGE sql STABLE
    AS $$
    WITH differences AS (
        SELECT c.userid, c.dbid, c.queryid, c.toplevel,
               b.queryid IS NOT NULL AND k.keep = 0 AS is_reset,
               CASE WHEN v.series IS NULL THEN p_stats_reset ELSE greatest(p_stats_reset, v.sampled_at) END AS period_start,
               c.calls - k.keep * coalesce(b.calls, 0) AS calls,
               c.total_exec_time - k.keep * coalesce(b.total_exec_time, 0) AS total_ms,
               c.rows - k.keep * coalesce(b.rows, 0) AS rows_returned,
               c.shared_blks_hit - k.keep * coalesce(b.shared_blks_hit, 0) AS hit,
               c.shared_blks_read - k.keep * coalesce(b.shared_blks_read, 0) AS read,
               c.shared_blks_dirtied - k.keep * coalesce(b.shared_blks_dirtied, 0) AS dirtied,
               c.temp_blks_read - k.keep * coalesce(b.temp_blks_read, 0) AS temp_read,
               c.temp_blks_written - k.keep * coalesce(b.temp_blks_written, 0) AS temp_written,
               c.wal_bytes - k.keep * coalesce(b.wal_bytes, 0) AS wal_bytes,
               c.blk_io_time - k.keep * coalesce(b.blk_io_time, 0) AS io_ms
          FROM unnest(p_entries) AS c
          LEFT JOIN monitoring.statement_series v ON v.series = p_series
          LEFT JOIN monitoring.statement_baseline b
                 ON v.series IS NOT NULL AND b.series = p_series
                AND (b.queryid, b.userid, b.dbid, b.toplevel) = (c.queryid, c.userid, c.dbid, c.toplevel)
         -- Counters that began anew (all of them, this entry's alone, or an entry that was evicted and came
         -- back) show what came since; then nothing is subtracted.
         CROSS JOIN LATERAL (SELECT CASE WHEN b.queryid IS NULL OR v.stats_reset IS DISTINCT FROM p_stats_reset
                                           OR c.calls < b.calls OR c.total_exec_time < b.total_exec_time OR c.rows < b.rows
                                           OR c.shared_blks_hit < b.shared_blks_hit OR c.shared_blks_read < b.shared_blks_read
                                         THEN 0 ELSE 1 END AS keep) AS k
    )
    SELECT d.userid, d.dbid, d.queryid, d.toplevel, d.is_reset, d.period_start, d.calls, round(d.total_ms::numeric, 4),
           -- What a function runs inside counts in its caller's time as well; 100 % is what clients asked for.
           round(least(100, 100 * d.total_ms / nullif(sum(d.total_ms) FILTER (WHERE d.toplevel) OVER (), 0))::numeric, 4),
           d.rows_returned, d.hit, d.read, d.dirtied, d.temp_read, d.temp_written, d.wal_bytes::bigint, round(d.io_ms::numeric, 4)
      FROM differences d
     WHERE d.calls > 0
     ORDER BY d.total_ms DESC, d.queryid, d.userid, d.dbid, d.toplevel
     LIMIT p_limit
    $$;
COMMENT ON FUNCTION monitoring.top_statements(text, monitoring.statement_baseline[], timestamptz, integer) IS
    'The statements that cost the most time since the previous sample of a series, as differences. In the first sample of a series there is nothing to subtract: totals since the statistics began, with that moment as period_start.';

CREATE OR REPLACE FUNCTION monitoring.count_of(p_count bigint, p_noun text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p_count || ' ' || p_noun || CASE WHEN p_count = 1 THEN '' ELSE 's' END
    $$;
COMMENT ON FUNCTION monitoring.count_of(bigint, text) IS 'A number with its noun: 1 call, 2 calls.';

CREATE OR REPLACE FUNCTION monitoring.statement_suggestions(
    p_calls bigint, p_total_ms numeric, p_seconds numeric, p_rows bigint, p_hit bigint, p_read bigint, p_temp_written bigint,
    p_io_ms numeric, p_work_mem_bytes bigint, p_block_bytes integer) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- Each names what was measured, so that whoever reads it can judge the advice.
    SELECT array_remove(ARRAY[
        CASE WHEN p_temp_written > 0 THEN
            format('wrote %s MB of temporary files in %s (%s MB per call) with work_mem at %s MB: raise work_mem for this statement, or let it sort and hash less',
                   round(p_temp_written * p_block_bytes / 1048576.0, 1), monitoring.count_of(p_calls, 'call'),
                   round(p_temp_written * p_block_bytes / 1048576.0 / p_calls, 1), round(p_work_mem_bytes / 1048576.0, 1)) END,
        CASE WHEN p_read > 1000 AND p_read > 0.1 * (p_hit + p_read) THEN
            format('read %s MB past shared buffers, a hit ratio of %s %%: look for a missing index, or for a cache that is too small for what it works on',
                   round(p_read * p_block_bytes / 1048576.0, 1), round(100.0 * p_hit / (p_hit + p_read), 1)) END,
        CASE WHEN p_rows > 0 AND (p_hit + p_read) / p_calls > 1000 AND (p_hit + p_read) / p_rows > 100 THEN
            format('touched %s blocks for each row that it returned (%s blocks per call): unless it aggregates, its conditions find no fitting index',
                   (p_hit + p_read) / p_rows, (p_hit + p_read) / p_calls) END,
        CASE WHEN p_seconds > 0 AND p_calls > 100 * p_seconds AND p_total_ms < p_calls THEN
            format('ran %s times a second at %s ms each: fetch many rows at once, or cache in the application',
                   round(p_calls / p_seconds), round(p_total_ms / p_calls, 3)) END,
        CASE WHEN p_total_ms > 1000 AND p_io_ms > 0.5 * p_total_ms THEN
            format('spent %s %% of its %s s waiting for reads and writes: storage limits it, not the processor',
                   round(100 * least(p_io_ms / p_total_ms, 1)), round(p_total_ms / 1000, 1)) END,
        CASE WHEN p_total_ms > 1000 * p_calls THEN
            format('took %s ms on average in %s: EXPLAIN (ANALYZE, BUFFERS) shows where', round(p_total_ms / p_calls), monitoring.count_of(p_calls, 'call')) END
        ], NULL)
    $$;
COMMENT ON FUNCTION monitoring.statement_suggestions(bigint, numeric, numeric, bigint, bigint, bigint, bigint, numeric, bigint, integer) IS
    'What to try with a statement, each with the numbers that speak for it; empty when nothing stands out.';

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

CREATE OR REPLACE FUNCTION monitoring.missing_statement_texts(p_target text, p_tenant_hk bytea, p_sample jsonb, p_limit integer) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_series  text := monitoring.statement_series_of(p_target, p_tenant_hk);
    v_entries monitoring.statement_baseline[] := monitoring.statement_entries(v_series, p_sample);
BEGIN
    RETURN (SELECT coalesce(array_agg(DISTINCT t.queryid), '{}')
              FROM monitoring.top_statements(v_series, v_entries, (p_sample ->> 'stats_reset')::timestamptz, monitoring.check_statement_limit(p_limit)) AS t
             WHERE NOT EXISTS (SELECT FROM monitoring.performance_statement_s s
                                WHERE s.performance_metric_hk = util.hash_binary(
                                          monitoring.performance_key(p_target, p_tenant_hk, t.userid, t.dbid, t.queryid, t.toplevel))
                                  AND s.load_end_date IS NULL));
END
$$;
COMMENT ON FUNCTION monitoring.missing_statement_texts(text, bytea, jsonb, integer) IS
    'The queryids among the top statements of a sample whose text the vault does not hold yet: only those are worth reading.';

CREATE OR REPLACE FUNCTION monitoring.record_statement_samples(
    p_target text, p_tenant_hk bytea, p_sample jsonb, p_texts jsonb, p_limit integer, p_interval_s integer)
    RETURNS TABLE (query_hash varchar(64), total_time_ms numeric, mean_time_ms numeric, calls bigint, performance_rating varchar(20))
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
                           FROM jsonb_array_elements(p_texts) AS e
                          WHERE (e ->> 0)::oid = t.userid AND (e ->> 1)::oid = t.dbid AND (e ->> 2)::bigint = t.queryid
                            AND (e ->> 3)::boolean = t.toplevel
                          LIMIT 1) AS g ON true;

    -- The baseline of the next sample: only the entries that moved are written.
    DELETE FROM monitoring.statement_baseline b
     WHERE b.series = v_series
       AND NOT EXISTS (SELECT FROM unnest(v_entries) AS c
                        WHERE (c.queryid, c.userid, c.dbid, c.toplevel) = (b.queryid, b.userid, b.dbid, b.toplevel));
    UPDATE monitoring.statement_baseline b
       SET calls = c.calls, total_exec_time = c.total_exec_time, rows = c.rows, shared_blks_hit = c.shared_blks_hit,
           shared_blks_read = c.shared_blks_read, shared_blks_dirtied = c.shared_blks_dirtied, temp_blks_read = c.temp_blks_read,
           temp_blks_written = c.temp_blks_written, wal_bytes = c.wal_bytes, blk_io_time = c.blk_io_time
      FROM unnest(v_entries) AS c
     WHERE b.series = v_series
       AND (c.queryid, c.userid, c.dbid, c.toplevel) = (b.queryid, b.userid, b.dbid, b.toplevel)
       AND (c.calls, c.total_exec_time) IS DISTINCT FROM (b.calls, b.total_exec_time);
    INSERT INTO monitoring.statement_baseline
    SELECT c.*
      FROM unnest(v_entries) AS c
     WHERE NOT EXISTS (SELECT FROM monitoring.statement_baseline b
                        WHERE b.series = v_series
                          AND (b.queryid, b.userid, b.dbid, b.toplevel) = (c.queryid, c.userid, c.dbid, c.toplevel));
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

    RETURN QUERY
    INSERT INTO monitoring.performance_metric_s (
        performance_metric_hk, hash_diff, query_hash, database_name, username, query_text, total_time_ms, mean_time_ms, calls, rows_returned,
        shared_blks_hit, shared_blks_read, shared_blks_dirtied, temp_blks_read, temp_blks_written, measurement_period_start,
        measurement_period_end, performance_rating, optimization_suggestions, record_source, pct_of_total, wal_bytes, blk_io_time_ms, is_reset)
    SELECT util.hash_binary(t.key), util.hash_binary(t.key || '|' || t.calls || '|' || t.total_ms), t.queryid::text,
           p_sample -> 'databases' ->> t.dbid::text, p_sample -> 'roles' ->> t.userid::text, left(t.text, 200),
           t.total_ms, t.mean_ms, t.calls, t.rows_returned, t.hit, t.read, t.dirtied, t.temp_read, t.temp_written, t.period_start,
           v_at, monitoring.rate_performance(t.mean_ms),
           monitoring.statement_suggestions(t.calls, t.total_ms, extract(epoch FROM v_at - t.period_start), t.rows_returned, t.hit, t.read,
               t.temp_written, t.io_ms, (p_sample ->> 'work_mem_bytes')::bigint, (p_sample ->> 'block_bytes')::integer),
           'PERFORMANCE_COLLECTOR', t.pct_of_total, t.wal_bytes, t.io_ms, t.is_reset
      FROM jsonb_to_recordset(v_top) AS t (
               key text, text text, userid oid, dbid oid, queryid bigint, calls bigint, total_ms numeric, mean_ms numeric, rows_returned bigint,
               hit bigint, read bigint, dirtied bigint, temp_read bigint, temp_written bigint, period_start timestamptz, pct_of_total numeric,
               wal_bytes bigint, io_ms numeric, is_reset boolean)
     ORDER BY t.total_ms DESC
    RETURNING query_hash, total_time_ms, mean_time_ms, calls, performance_rating;
END
$$;
COMMENT ON FUNCTION monitoring.record_statement_samples(text, bytea, jsonb, jsonb, integer, integer) IS
    'Records a sample of the statements of a target (the documents of collect/performance/statements.sql and texts.sql): its top statements since the previous sample, and the baseline of the next. A sample that is not later than the recorded one is left out.';

CREATE OR REPLACE FUNCTION monitoring.collect_performance_metrics(p_tenant_hk bytea DEFAULT NULL, p_top_queries_limit integer DEFAULT 20)
    RETURNS TABLE (query_hash varchar(64), total_time_ms numeric, mean_time_ms numeric, calls bigint, performance_rating varchar(20))
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_limit  integer := monitoring.check_statement_limit(p_top_queries_limit);
    v_sample jsonb;
    v_texts  jsonb := '[]';
    v_lack   bigint[];
BEGIN
    -- Before the counters are read: who waits here must not record older ones than the other did.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.statements/' || monitoring.statement_series_of('local', p_tenant_hk), 0));
    BEGIN
        v_sample := monitoring.performance_statements()::jsonb;
        v_lack := monitoring.missing_statement_texts('local', p_tenant_hk, v_sample, v_limit);
        IF cardinality(v_lack) > 0 THEN
            v_texts := monitoring.performance_texts(v_lack)::jsonb;
        END IF;
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
        SELECT r.* FROM monitoring.record_statement_samples('local', p_tenant_hk, v_sample, v_texts, v_limit, 300) AS r;
END
$$;
COMMENT ON FUNCTION monitoring.collect_performance_metrics(bytea, integer) IS
    'Samples pg_stat_statements of this server now, records the statements that took most time since the previous sample (at first: since the statistics began) and returns them.';

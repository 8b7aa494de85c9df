-- Retention: how long each table is kept, hourly roll-ups, and the only ways in which rows leave the
-- vault: a verified archive first, then its partition (or its closed versions) in one transaction.

-- ---------------------------------------------------------------- what is kept, and how long

INSERT INTO monitoring.queue_table (table_name, done_column, keep) VALUES ('outbox', 'relayed_at', '7 days')
ON CONFLICT (table_name) DO UPDATE SET done_column = excluded.done_column, keep = excluded.keep;

CREATE OR REPLACE FUNCTION monitoring.retained_tables() RETURNS TABLE (table_name text, kind text, time_column text)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.relname::text,
           CASE WHEN c.relkind = 'r' THEN 'STATE' WHEN c.relname LIKE '%\_hourly\_s' THEN 'ROLLUP' ELSE 'MEASUREMENT' END,
           CASE WHEN c.relkind = 'r' THEN 'load_end_date' ELSE a.attname::text END
      FROM pg_class c
      LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
      LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
     WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname LIKE '%\_s' AND c.relname <> 'archive_s'
    UNION ALL
    SELECT q.table_name::text, 'QUEUE', q.done_column::text FROM monitoring.queue_table q
     ORDER BY 1
    $$;
COMMENT ON FUNCTION monitoring.retained_tables() IS
    'The tables that retention is about: MEASUREMENT and ROLLUP (whole partitions leave), STATE (closed versions leave), QUEUE (done rows leave). archive_s, the record of what left, is kept for ever.';

CREATE OR REPLACE FUNCTION monitoring.retention_default(p_table text, p_kind text) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT CASE p_kind
        WHEN 'MEASUREMENT' THEN
            -- Forecasts look back over 60 days of capacity; it is small.
            CASE p_table WHEN 'capacity_metric_s' THEN '100 days' ELSE '35 days' END
        WHEN 'ROLLUP' THEN '13 months'
        WHEN 'QUEUE' THEN (SELECT q.keep::text FROM monitoring.queue_table q WHERE q.table_name = p_table)
        ELSE CASE WHEN p_table IN ('security_event_s', 'performance_statement_s', 'performance_plan_s', 'anomaly_baseline_s') THEN '13 months'
                  -- Compliance, alerts, incidents, who was told, and the settings in force at that time.
                  ELSE '7 years' END
        END
    $$;
COMMENT ON FUNCTION monitoring.retention_default(text, text) IS 'How long a table is kept where no setting says otherwise.';

CREATE OR REPLACE FUNCTION monitoring.retention_minimum(p_kind text) RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE p_kind
        WHEN 'MEASUREMENT' THEN interval '8 days'  -- the daily report compares with the seven days before
        WHEN 'QUEUE' THEN interval '1 day'
        ELSE interval '30 days' END
    $$;
COMMENT ON FUNCTION monitoring.retention_minimum(text) IS 'The shortest time that a kind of table can be kept without breaking what reads it.';

CREATE OR REPLACE FUNCTION monitoring.retention_setting(p_table text, OUT keep interval, OUT archive boolean, OUT keep_text text)
    LANGUAGE sql STABLE
    AS $$
    SELECT k.keep::interval, t.kind <> 'QUEUE' AND coalesce((s.config_value ->> 'archive')::boolean, true), k.keep
      FROM monitoring.retained_tables() AS t
      LEFT JOIN monitoring.monitor_config_s s
             ON s.config_type = 'RETENTION' AND s.config_name = t.table_name AND s.load_end_date IS NULL
     CROSS JOIN LATERAL (
               SELECT CASE WHEN s.monitor_config_hk IS NULL THEN monitoring.retention_default(t.table_name, t.kind)
                           WHEN s.is_enabled THEN s.config_value ->> 'keep' END AS keep) AS k
     WHERE t.table_name = p_table
    $$;
COMMENT ON FUNCTION monitoring.retention_setting(text) IS
    'How long a table is kept (NULL: for ever) and whether its rows are archived before they leave: the current row of monitor_config_s, else the default.';

CREATE OR REPLACE FUNCTION monitoring.check_retention_setting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_kind  text;
    v_keep  interval;
    v_other text;
    v_shape constant text := 'Write {"keep": "35 days", "archive": true}; is_enabled = false keeps the table for ever.';
BEGIN
    IF NEW.config_type <> 'RETENTION' OR NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- not ours, or a version that is history already
    END IF;
    SELECT t.kind INTO v_kind FROM monitoring.retained_tables() AS t WHERE t.table_name = NEW.config_name;
    IF v_kind IS NULL THEN
        RAISE EXCEPTION 'config_name is %: retention knows no such table', coalesce(quote_literal(NEW.config_name), 'NULL')
            USING ERRCODE = '22023',
                  HINT = 'Use one of ' || (SELECT string_agg(t.table_name, ', ' ORDER BY t.table_name) FROM monitoring.retained_tables() AS t) || '.';
    END IF;
    SELECT h.monitor_config_bk INTO v_other
      FROM monitoring.monitor_config_s s JOIN monitoring.monitor_config_h h USING (monitor_config_hk)
     WHERE s.config_type = 'RETENTION' AND s.config_name = NEW.config_name AND s.load_end_date IS NULL
       AND s.monitor_config_hk <> NEW.monitor_config_hk;
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'config_name is ''%'', whose retention is set under the key % already', NEW.config_name, v_other
            USING ERRCODE = '22023', HINT = format('INSERT a new version with monitor_config_hk = util.hash_binary(%L).', v_other);
    END IF;
    IF jsonb_typeof(NEW.config_value) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'config_value of % is %: not an object', NEW.config_name, coalesce(NEW.config_value::text, 'NULL')
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    IF EXISTS (SELECT FROM jsonb_object_keys(NEW.config_value) AS k WHERE k NOT IN ('keep', 'archive')) THEN
        RAISE EXCEPTION 'config_value of % holds %: only keep and archive are known', NEW.config_name,
            (SELECT string_agg(quote_literal(k), ', ') FROM jsonb_object_keys(NEW.config_value) AS k WHERE k NOT IN ('keep', 'archive'))
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    IF coalesce(jsonb_typeof(NEW.config_value -> 'archive'), 'boolean') <> 'boolean' THEN
        RAISE EXCEPTION 'config_value.archive of % is %: neither true nor false', NEW.config_name, NEW.config_value -> 'archive'
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    IF jsonb_typeof(NEW.config_value -> 'keep') IS DISTINCT FROM 'string' THEN
        RAISE EXCEPTION 'config_value.keep of % is %: not an interval in quotes', NEW.config_name, coalesce(NEW.config_value -> 'keep', 'null')
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    BEGIN
        v_keep := (NEW.config_value ->> 'keep')::interval;
    EXCEPTION WHEN OTHERS THEN
        RAISE EXCEPTION 'config_value.keep of % is %: not an interval', NEW.config_name, NEW.config_value -> 'keep'
            USING ERRCODE = '22023', HINT = v_shape;
    END;
    IF v_keep < monitoring.retention_minimum(v_kind) THEN
        RAISE EXCEPTION 'config_value.keep of % is %: too short', NEW.config_name, NEW.config_value -> 'keep'
            USING ERRCODE = '22023', HINT = format('A table of kind %s is kept at least %s.', v_kind, monitoring.retention_minimum(v_kind));
    END IF;
    IF v_keep > interval '100 years' THEN
        RAISE EXCEPTION 'config_value.keep of % is %: more than 100 years', NEW.config_name, NEW.config_value -> 'keep'
            USING ERRCODE = '22023', HINT = 'Set is_enabled = false to keep the table for ever.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_retention_setting() IS 'Trigger of monitor_config_s: a setting of retention that could not work is refused.';

CREATE OR REPLACE TRIGGER t40_check_retention BEFORE INSERT ON monitoring.monitor_config_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_retention_setting();

CREATE OR REPLACE FUNCTION monitoring.put_retention_defaults() RETURNS integer
    LANGUAGE plpgsql
    -- The worker may give a table its default, and no other setting.
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_table record;
    v_bk    text;
    v_put   integer := 0;
BEGIN
    FOR v_table IN
        SELECT t.table_name, t.kind, monitoring.retention_default(t.table_name, t.kind) AS keep
          FROM monitoring.retained_tables() AS t
         WHERE NOT EXISTS (SELECT FROM monitoring.monitor_config_s s WHERE s.config_type = 'RETENTION' AND s.config_name = t.table_name)
    LOOP
        v_bk := util.bk('RETENTION', v_table.table_name);
        INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk, record_source)
        VALUES (util.hash_binary(v_bk), v_bk, 'SETUP_SCRIPT')
        ON CONFLICT DO NOTHING;
        INSERT INTO monitoring.monitor_config_s (
            monitor_config_hk, hash_diff, config_name, config_type, config_category, config_value, config_description, record_source)
        VALUES (util.hash_binary(v_bk), '\x', v_table.table_name, 'RETENTION', v_table.kind,
                jsonb_build_object('keep', v_table.keep) || CASE WHEN v_table.kind = 'QUEUE' THEN '{}' ELSE '{"archive": true}'::jsonb END,
                CASE v_table.kind
                    WHEN 'STATE' THEN 'closed versions leave this long after they ended, the current one never'
                    WHEN 'QUEUE' THEN 'rows leave this long after they were done'
                    ELSE 'whole weeks leave this long after their end' END,
                'SETUP_SCRIPT');
        v_put := v_put + 1;
    END LOOP;
    RETURN v_put;
END
$$;
COMMENT ON FUNCTION monitoring.put_retention_defaults() IS 'Gives every table without a setting of retention its default, as a row that people can see and change; returns how many.';

SELECT monitoring.put_retention_defaults();

-- ---------------------------------------------------------------- partitions

CREATE OR REPLACE FUNCTION monitoring.partitions()
    RETURNS TABLE (table_name text, partition_name text, range_from timestamptz, range_to timestamptz, bytes bigint, estimated_rows bigint)
    LANGUAGE sql STABLE
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
    SELECT p.relname::text, c.relname::text, b.bound[1]::timestamptz, b.bound[2]::timestamptz, pg_total_relation_size(c.oid),
           CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END
      FROM pg_inherits i
      JOIN pg_class p ON p.oid = i.inhparent AND p.relnamespace = 'monitoring'::regnamespace AND p.relkind = 'p'
      JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind = 'r'
     CROSS JOIN LATERAL (
               SELECT regexp_match(pg_get_expr(c.relpartbound, c.oid), $r$FROM \('([^']+)'\) TO \('([^']+)'\)$r$) AS bound) AS b
     WHERE b.bound IS NOT NULL AND NOT i.inhdetachpending
     ORDER BY 1, 3
    $$;
COMMENT ON FUNCTION monitoring.partitions() IS 'The attached partitions of the measurement satellites: [range_from, range_to), size, rows as far as statistics know.';

CREATE OR REPLACE FUNCTION monitoring.ensure_partitions_of(p_table text, p_from timestamptz, p_to timestamptz) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_week date := date_trunc('week', p_from)::date;
BEGIN
    PERFORM monitoring.check_weeks(p_from, p_to);
    IF p_table NOT IN (SELECT table_name FROM monitoring.partitioned_tables()) THEN
        RAISE EXCEPTION 'monitoring.% is not partitioned', p_table USING ERRCODE = '22023';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('monitoring.ensure_partitions', 0));
    WHILE v_week < p_to LOOP
        PERFORM monitoring.make_partition(p_table, v_week);
        v_week := v_week + 7;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.ensure_partitions_of(text, timestamptz, timestamptz) IS
    'Makes the weekly partitions of one table that cover [from, to): ensure_partitions would also make those of raw tables that retention has just dropped.';

-- ---------------------------------------------------------------- hourly roll-ups

CREATE OR REPLACE FUNCTION monitoring.system_health_metric_hours(p_from timestamptz, p_to timestamptz)
    RETURNS SETOF monitoring.system_health_metric_hourly_s
    LANGUAGE sql STABLE
    AS $$
    SELECT s.health_metric_hk, NULL::timestamptz, NULL::timestamptz, NULL::bytea, date_trunc('hour', s.measurement_timestamp, 'UTC'),
           (array_agg(s.metric_name ORDER BY s.measurement_timestamp DESC, s.load_date DESC))[1],
           (array_agg(s.metric_category ORDER BY s.measurement_timestamp DESC, s.load_date DESC))[1],
           (array_agg(s.metric_unit ORDER BY s.measurement_timestamp DESC, s.load_date DESC))[1],
           (count(*) FILTER (WHERE s.load_end_date IS NULL))::integer,
           (count(s.metric_value) FILTER (WHERE s.load_end_date IS NULL))::integer,
           min(s.metric_value) FILTER (WHERE s.load_end_date IS NULL),
           round(avg(s.metric_value) FILTER (WHERE s.load_end_date IS NULL), 4),
           max(s.metric_value) FILTER (WHERE s.load_end_date IS NULL),
           (array_agg(s.metric_value ORDER BY s.measurement_timestamp DESC, s.load_date DESC) FILTER (WHERE s.load_end_date IS NULL))[1],
           (array_agg(s.status ORDER BY s.measurement_timestamp DESC, s.load_date DESC) FILTER (WHERE s.load_end_date IS NULL))[1],
           (count(*) FILTER (WHERE s.load_end_date IS NULL AND s.status = 'NORMAL'))::integer,
           (count(*) FILTER (WHERE s.load_end_date IS NULL AND s.status = 'WARNING'))::integer,
           (count(*) FILTER (WHERE s.load_end_date IS NULL AND s.status = 'CRITICAL'))::integer,
           (count(*) FILTER (WHERE s.load_end_date IS NULL AND s.status = 'UNKNOWN'))::integer,
           min(s.measurement_timestamp) FILTER (WHERE s.load_end_date IS NULL),
           max(s.measurement_timestamp) FILTER (WHERE s.load_end_date IS NULL),
           'RETENTION'::varchar,
           nullif((array_agg(s.labels))[1], '{}')
      FROM monitoring.system_health_metric_s s
     WHERE s.measurement_timestamp >= p_from AND s.measurement_timestamp < p_to
     GROUP BY s.health_metric_hk, date_trunc('hour', s.measurement_timestamp, 'UTC')
    $$;
COMMENT ON FUNCTION monitoring.system_health_metric_hours(timestamptz, timestamptz) IS
    'The hours of health metrics as their samples say now; sample_count 0: all of them were retracted.';

CREATE OR REPLACE FUNCTION monitoring.performance_metric_hours(p_from timestamptz, p_to timestamptz)
    RETURNS SETOF monitoring.performance_metric_hourly_s
    LANGUAGE sql STABLE
    AS $$
    SELECT s.performance_metric_hk, NULL::timestamptz, NULL::timestamptz, NULL::bytea, date_trunc('hour', s.measurement_period_end, 'UTC'),
           (array_agg(s.query_hash ORDER BY s.measurement_period_end DESC, s.load_date DESC))[1],
           (array_agg(s.database_name ORDER BY s.measurement_period_end DESC, s.load_date DESC))[1],
           (array_agg(s.username ORDER BY s.measurement_period_end DESC, s.load_date DESC))[1],
           (count(*) FILTER (WHERE s.load_end_date IS NULL))::integer,
           sum(s.total_time_ms) FILTER (WHERE s.load_end_date IS NULL),
           round(sum(s.total_time_ms) FILTER (WHERE s.load_end_date IS NULL)
                 / nullif(sum(s.calls) FILTER (WHERE s.load_end_date IS NULL), 0), 4),
           max(s.mean_time_ms) FILTER (WHERE s.load_end_date IS NULL),
           (sum(s.calls) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.rows_examined) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.rows_returned) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.shared_blks_hit) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.shared_blks_read) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.shared_blks_dirtied) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.temp_blks_read) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.temp_blks_written) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           (sum(s.wal_bytes) FILTER (WHERE s.load_end_date IS NULL))::bigint,
           sum(s.blk_io_time_ms) FILTER (WHERE s.load_end_date IS NULL),
           min(s.measurement_period_start) FILTER (WHERE s.load_end_date IS NULL),
           max(s.measurement_period_end) FILTER (WHERE s.load_end_date IS NULL),
           'RETENTION'::varchar
      FROM monitoring.performance_metric_s s
     WHERE s.measurement_period_end >= p_from AND s.measurement_period_end < p_to
     GROUP BY s.performance_metric_hk, date_trunc('hour', s.measurement_period_end, 'UTC')
    $$;
COMMENT ON FUNCTION monitoring.performance_metric_hours(timestamptz, timestamptz) IS
    'The hours of statements as their samples say now; sample_count 0: all of them were retracted.';

CREATE OR REPLACE FUNCTION monitoring.capacity_metric_hours(p_from timestamptz, p_to timestamptz)
    RETURNS SETOF monitoring.capacity_metric_hourly_s
    LANGUAGE sql STABLE
    AS $$
    SELECT s.capacity_metric_hk, NULL::timestamptz, NULL::timestamptz, NULL::bytea, date_trunc('hour', s.measurement_timestamp, 'UTC'),
           (array_agg(s.resource_type ORDER BY s.measurement_timestamp DESC, s.load_date DESC))[1],
           (array_agg(s.resource_name ORDER BY s.measurement_timestamp DESC, s.load_date DESC))[1],
           (count(*) FILTER (WHERE s.load_end_date IS NULL))::integer,
           (array_agg(s.current_size_bytes ORDER BY s.measurement_timestamp DESC, s.load_date DESC) FILTER (WHERE s.load_end_date IS NULL))[1],
           max(s.current_size_bytes) FILTER (WHERE s.load_end_date IS NULL),
           (array_agg(s.available_space_bytes ORDER BY s.measurement_timestamp DESC, s.load_date DESC) FILTER (WHERE s.load_end_date IS NULL))[1],
           (array_agg(s.utilization_percentage ORDER BY s.measurement_timestamp DESC, s.load_date DESC) FILTER (WHERE s.load_end_date IS NULL))[1],
           max(s.utilization_percentage) FILTER (WHERE s.load_end_date IS NULL),
           max(s.measurement_timestamp) FILTER (WHERE s.load_end_date IS NULL),
           'RETENTION'::varchar
      FROM monitoring.capacity_metric_s s
     WHERE s.measurement_timestamp >= p_from AND s.measurement_timestamp < p_to
     GROUP BY s.capacity_metric_hk, date_trunc('hour', s.measurement_timestamp, 'UTC')
    $$;
COMMENT ON FUNCTION monitoring.capacity_metric_hours(timestamptz, timestamptz) IS
    'The hours of resources as their samples say now; sample_count 0: all of them were retracted.';

CREATE OR REPLACE FUNCTION monitoring.rolled_tables() RETURNS TABLE (table_name text, hourly_table text, hours_function text, key_column text, time_column text)
    LANGUAGE sql STABLE
    AS $$
    SELECT t.table_name, h.relname::text, f.proname::text, a.attname::text, t.time_column
      FROM monitoring.retained_tables() AS t
      JOIN pg_class h ON h.relnamespace = 'monitoring'::regnamespace AND h.relname = regexp_replace(t.table_name, '_s$', '_hourly_s')
      JOIN pg_proc f ON f.pronamespace = 'monitoring'::regnamespace AND f.proname = regexp_replace(t.table_name, '_s$', '_hours')
      JOIN pg_attribute a ON a.attrelid = h.oid AND a.attnum = 1
     WHERE t.kind = 'MEASUREMENT'
     ORDER BY 1
    $$;
COMMENT ON FUNCTION monitoring.rolled_tables() IS 'The raw tables of which hours are kept when the samples have left.';

CREATE OR REPLACE FUNCTION monitoring.last_whole_hour() RETURNS timestamptz
    LANGUAGE sql STABLE
    AS $$ SELECT date_trunc('hour', now() - interval '5 minutes', 'UTC') $$;
COMMENT ON FUNCTION monitoring.last_whole_hour() IS 'The end of the newest hour that is rolled up: five minutes are left for samples under way.';

CREATE OR REPLACE FUNCTION monitoring.roll_up(p_table text, p_from timestamptz, p_to timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    AS $$
DECLARE
    v_rolled  record;
    v_from    timestamptz := date_trunc('hour', p_from, 'UTC');
    v_to      timestamptz := least(date_trunc('hour', p_to, 'UTC'), monitoring.last_whole_hour());
    v_columns text;
    v_written bigint;
BEGIN
    SELECT * INTO v_rolled FROM monitoring.rolled_tables() AS r WHERE r.table_name = p_table;
    IF v_rolled IS NULL THEN
        RAISE EXCEPTION 'monitoring.% has no hourly roll-up', p_table
            USING ERRCODE = '22023', HINT = 'Use one of ' || (SELECT string_agg(r.table_name, ', ') FROM monitoring.rolled_tables() AS r) || '.';
    END IF;
    IF v_from >= v_to THEN
        RETURN 0;
    END IF;
    -- One at a time: two that look at once would both find a row missing.
    PERFORM pg_advisory_xact_lock(hashtextextended('monitoring.roll_up.' || p_table, 0));
    PERFORM monitoring.ensure_partitions_of(v_rolled.hourly_table, v_from, v_to);
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO v_columns
      FROM pg_attribute a
     WHERE a.attrelid = ('monitoring.' || quote_ident(v_rolled.hourly_table))::regclass AND a.attnum > 0 AND NOT a.attisdropped
       AND a.attname NOT IN ('load_date', 'load_end_date', 'hash_diff');
    EXECUTE format($sql$
        WITH fresh AS MATERIALIZED (
            SELECT f.*, monitoring.hash_diff_of(to_jsonb(f), %1$L) AS diff, clock_timestamp() AS at
              FROM monitoring.%2$I($1, $2) AS f
        ),
        retracted AS (
            UPDATE monitoring.%3$I t SET load_end_date = f.at
              FROM fresh f
             WHERE t.%1$I = f.%1$I AND t.hour_start = f.hour_start AND t.hour_start >= $1 AND t.hour_start < $2
               AND t.load_end_date IS NULL AND t.hash_diff <> f.diff
        )
        INSERT INTO monitoring.%3$I (load_date, hash_diff, %4$s)
        SELECT f.at, f.diff, %5$s
          FROM fresh f
         WHERE f.sample_count > 0
           AND NOT EXISTS (SELECT FROM monitoring.%3$I t
                            WHERE t.%1$I = f.%1$I AND t.hour_start = f.hour_start AND t.hour_start >= $1 AND t.hour_start < $2
                              AND t.load_end_date IS NULL AND t.hash_diff = f.diff)
        $sql$, v_rolled.key_column, v_rolled.hours_function, v_rolled.hourly_table, v_columns,
        (SELECT string_agg('f.' || c, ', ') FROM unnest(string_to_array(v_columns, ', ')) AS c))
      USING v_from, v_to;
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.roll_up(text, timestamptz, timestamptz) IS
    'Writes the whole hours of [from, to) that are missing or say something else than the samples do now; an hour that changed is retracted and written anew. Returns how many were written; again: 0.';

CREATE OR REPLACE FUNCTION monitoring.roll_up_gaps(p_table text, p_from timestamptz, p_to timestamptz) RETURNS bigint
    LANGUAGE plpgsql
    STABLE
    SET timezone = 'UTC'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    AS $$
DECLARE
    v_rolled record;
    v_gaps   bigint;
BEGIN
    SELECT * INTO STRICT v_rolled FROM monitoring.rolled_tables() AS r WHERE r.table_name = p_table;
    EXECUTE format($sql$
        SELECT count(*)
          FROM (SELECT f.*, monitoring.hash_diff_of(to_jsonb(f), %1$L) AS diff FROM monitoring.%2$I($1, $2) AS f) AS f
          LEFT JOIN monitoring.%3$I t ON t.%1$I = f.%1$I AND t.hour_start = f.hour_start AND t.load_end_date IS NULL
                                     AND t.hour_start >= $1 AND t.hour_start < $2
         WHERE CASE WHEN f.sample_count > 0 THEN t.hash_diff IS DISTINCT FROM f.diff ELSE t.hash_diff IS NOT NULL END
        $sql$, v_rolled.key_column, v_rolled.hours_function, v_rolled.hourly_table)
       INTO v_gaps USING date_trunc('hour', p_from, 'UTC'), date_trunc('hour', p_to, 'UTC');
    RETURN v_gaps;
END
$$;
COMMENT ON FUNCTION monitoring.roll_up_gaps(text, timestamptz, timestamptz) IS 'How many hours of [from, to) have samples and no roll-up that agrees with them.';

CREATE OR REPLACE FUNCTION monitoring.is_rolled(p_table text, p_partition text, p_to timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    -- Not where the hours themselves are due to leave, and not where the samples left before: what came
    -- into such a week afterwards is no whole hour any more.
    SELECT EXISTS (
               SELECT FROM monitoring.rolled_tables() AS r, LATERAL monitoring.retention_setting(r.hourly_table) AS s
                WHERE r.table_name = p_table AND (s.keep IS NULL OR p_to > now() - s.keep))
       AND NOT EXISTS (
               SELECT FROM monitoring.archive_s a
                WHERE a.partition_name = p_partition AND a.load_end_date IS NULL AND a.archive_status = 'DROPPED')
    $$;
COMMENT ON FUNCTION monitoring.is_rolled(text, text, timestamptz) IS 'Whether the hours of a partition are kept in a roll-up.';

CREATE OR REPLACE FUNCTION monitoring.roll_ups_due() RETURNS TABLE (table_name text, range_from timestamptz, range_to timestamptz)
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_part    record;
    v_changed timestamptz;
    v_rolled  timestamptz;
BEGIN
    FOR v_part IN
        SELECT p.*, r.hourly_table
          FROM monitoring.partitions() AS p JOIN monitoring.rolled_tables() AS r ON r.table_name = p.table_name
         WHERE p.range_from < monitoring.last_whole_hour() AND monitoring.is_rolled(p.table_name, p.partition_name, p.range_to)
         ORDER BY p.table_name, p.range_from
    LOOP
        EXECUTE format('SELECT greatest(max(load_date), max(load_end_date)) FROM %s',
                       monitoring.archive_source(v_part.table_name, v_part.range_from, v_part.range_to)) INTO v_changed;
        CONTINUE WHEN v_changed IS NULL;
        EXECUTE format('SELECT greatest(max(load_date), max(load_end_date)) FROM %s',
                       monitoring.archive_source(v_part.hourly_table, v_part.range_from, v_part.range_to)) INTO v_rolled;
        -- A row bears the time of its writing and is seen at its commit: an hour covers long transactions.
        IF v_rolled IS NULL OR v_changed > v_rolled - interval '1 hour' THEN
            table_name := v_part.table_name;
            range_from := v_part.range_from;
            range_to := v_part.range_to;
            RETURN NEXT;
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.roll_ups_due() IS 'The weeks with samples that came, or were retracted, after they were last rolled up.';

-- ---------------------------------------------------------------- archives

CREATE OR REPLACE FUNCTION monitoring.check_archive() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_current monitoring.archive_s;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;
    END IF;
    SELECT * INTO v_current FROM monitoring.archive_s a WHERE a.archive_hk = NEW.archive_hk AND a.load_end_date IS NULL;
    IF NOT (CASE coalesce(v_current.archive_status, 'NONE')
               WHEN 'NONE' THEN NEW.archive_status IN ('WAIVED', 'WRITTEN', 'RESTORED')
               WHEN 'WAIVED' THEN NEW.archive_status IN ('WAIVED', 'WRITTEN', 'DROPPED')
               WHEN 'WRITTEN' THEN NEW.archive_status IN ('WRITTEN', 'VERIFIED', 'WAIVED')
               WHEN 'VERIFIED' THEN NEW.archive_status IN ('VERIFIED', 'WRITTEN', 'WAIVED', 'DROPPED')
               WHEN 'DROPPED' THEN NEW.archive_status = 'RESTORED' AND NEW.manifest IS NOT NULL
               WHEN 'RESTORED' THEN NEW.archive_status IN ('RESTORED', 'WRITTEN', 'VERIFIED', 'WAIVED', 'DROPPED') END)
    THEN
        RAISE EXCEPTION 'archive_status of % cannot become % after %', NEW.table_name, NEW.archive_status, coalesce(v_current.archive_status, 'nothing')
            USING ERRCODE = '22023', HINT = 'An archive is WRITTEN, VERIFIED, DROPPED, and may be RESTORED. Retention and `onevault vault restore` keep this record; leave it to them.';
    END IF;
    IF NEW.archive_status IN ('VERIFIED', 'DROPPED') AND v_current.archive_status <> 'WAIVED'
       AND (NEW.row_digest, NEW.row_count, NEW.csv_sha256) IS DISTINCT FROM (v_current.row_digest, v_current.row_count, v_current.csv_sha256) THEN
        RAISE EXCEPTION 'archive_status % of % speaks of other rows than were written', NEW.archive_status, NEW.table_name
            USING ERRCODE = '22023', HINT = 'Retention keeps this record; leave it to it.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_archive() IS 'Trigger of archive_s: nothing is verified that was not written, and nothing dropped that was not verified.';

CREATE OR REPLACE TRIGGER t40_check_archive BEFORE INSERT ON monitoring.archive_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_archive();

CREATE OR REPLACE FUNCTION monitoring.archive_source(p_table text, p_from timestamptz, p_to timestamptz) RETURNS text
    LANGUAGE sql STABLE
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $$
    -- By the table and not by the partition, on which no role but the owner has any right.
    SELECT format('monitoring.%1$I WHERE %2$I >= %3$L AND %2$I < %4$L', t.table_name, t.time_column, p_from, p_to)
      FROM monitoring.retained_tables() AS t
     WHERE t.table_name = p_table
    $$;
COMMENT ON FUNCTION monitoring.archive_source(text, timestamptz, timestamptz) IS
    'The rows of a range as a FROM clause: those of a measurement satellite''s partition, or the versions of a state satellite that ended in [from, to).';

CREATE OR REPLACE FUNCTION monitoring.digest_of(p_table text, p_from timestamptz, p_to timestamptz, OUT row_count bigint, OUT row_digest text)
    LANGUAGE plpgsql
    STABLE
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    SET bytea_output = 'hex'
    SET intervalstyle = 'iso_8601'
    SET extra_float_digits = 1
    AS $$
BEGIN
    -- Independent of the order, in constant memory: two sums of 64-bit hashes of the rows' text.
    EXECUTE format('SELECT count(*), concat_ws(''-'', count(*), sum(hashtextextended(r::text, 1)::numeric), sum(hashtextextended(r::text, 2)::numeric)) FROM (SELECT * FROM %s) AS r',
                   monitoring.archive_source(p_table, p_from, p_to))
       INTO row_count, row_digest;
END
$$;
COMMENT ON FUNCTION monitoring.digest_of(text, timestamptz, timestamptz) IS
    'Count and digest of the rows of an archive as they stand in the vault: equal digests, equal rows.';

CREATE OR REPLACE FUNCTION monitoring.archive_queries(p_table text, p_from timestamptz, p_to timestamptz)
    RETURNS TABLE (file_order integer, table_schema text, table_name text, columns jsonb, query text)
    LANGUAGE sql STABLE
    AS $$
    WITH RECURSIVE relation AS (
        SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS list,
               (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)) ORDER BY a.attnum)
                  FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place)
                  FROM pg_constraint p, unnest(p.conkey) WITH ORDINALITY AS k (attnum, place), pg_attribute a
                 WHERE p.conrelid = c.oid AND p.contype = 'p' AND a.attrelid = c.oid AND a.attnum = k.attnum) AS key
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
    ),
    -- Whatever the rows refer to, so that they can be restored where nothing of it is known.
    reached AS (
        SELECT k.confrelid AS target, t.attname AS target_column, 1 AS depth, ARRAY[k.conrelid, k.confrelid] AS path,
               format('SELECT %I FROM %s', a.attname, monitoring.archive_source(p_table, p_from, p_to)) AS keys
          FROM pg_constraint k
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
          JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[1]
         WHERE k.conrelid = format('monitoring.%I', p_table)::regclass AND k.contype = 'f' AND cardinality(k.conkey) = 1
        UNION ALL
        SELECT k.confrelid, t.attname, r.depth + 1, r.path || k.confrelid,
               format('SELECT %I FROM %I.%I WHERE %I IN (%s)', a.attname, n.schema, n.name, r.target_column, r.keys)
          FROM reached r
          JOIN relation n ON n.oid = r.target
          JOIN pg_constraint k ON k.conrelid = r.target AND k.contype = 'f' AND cardinality(k.conkey) = 1
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
          JOIN pg_attribute t ON t.attrelid = k.confrelid AND t.attnum = k.confkey[1]
         WHERE k.confrelid <> ALL (r.path)
    ),
    keys AS (
        -- What is referred to by others comes before them.
        SELECT row_number() OVER (ORDER BY max(r.depth) DESC, n.schema, n.name) AS place, n.schema, n.name, n.columns,
               format('SELECT %s FROM %I.%I WHERE %s ORDER BY %s', n.list, n.schema, n.name,
                      string_agg(format('%I IN (%s)', r.target_column, r.keys), ' OR ' ORDER BY r.keys), n.key) AS query
          FROM reached r JOIN relation n ON n.oid = r.target
         GROUP BY n.schema, n.name, n.columns, n.list, n.key
    )
    SELECT k.place::integer, k.schema, k.name, k.columns, k.query FROM keys k
    UNION ALL
    SELECT (SELECT count(*) FROM keys)::integer + 1, n.schema, n.name, n.columns,
           format('SELECT %s FROM %s ORDER BY %s', n.list, monitoring.archive_source(p_table, p_from, p_to), n.key)
      FROM relation n
     WHERE n.schema = 'monitoring' AND n.name = p_table
     ORDER BY 1
    $$;
COMMENT ON FUNCTION monitoring.archive_queries(text, timestamptz, timestamptz) IS
    'The queries whose results make an archive, in the order in which they can be restored: first the keys that the rows refer to, the rows last.';

CREATE OR REPLACE FUNCTION monitoring.archive_name(p_table text, p_partition text, p_from timestamptz, p_digest text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_name   text;
    v_status text;
    v_digest text;
BEGIN
    FOR v_number IN 1 .. 10000 LOOP
        v_name := p_table || '/' || coalesce(p_partition, p_table || to_char(p_from, '"_v"YYYYMM')) || CASE WHEN v_number > 1 THEN '.' || v_number ELSE '' END;
        SELECT a.archive_status, a.row_digest INTO v_status, v_digest
          FROM monitoring.archive_s a WHERE a.archive_hk = util.hash_binary(v_name) AND a.load_end_date IS NULL;
        -- What was dropped stays as it is; what came (or was changed) after a restore makes an archive of its own.
        CONTINUE WHEN v_status = 'DROPPED' OR v_status = 'RESTORED' AND v_digest <> p_digest;
        RETURN v_name;
    END LOOP;
    RAISE EXCEPTION '% has 10000 archives', coalesce(p_partition, p_table) USING ERRCODE = '54000';
END
$$;
COMMENT ON FUNCTION monitoring.archive_name(text, text, timestamptz, text) IS
    'Under which name (business key, and path of the file without extension) the rows are to be archived: <table>/<partition>, or <table>/<table>_v<month>; with a number from the second time on.';

CREATE OR REPLACE FUNCTION monitoring.note_archive(
    p_name text, p_status text, p_table text, p_partition text, p_from timestamptz, p_to timestamptz, p_rows bigint, p_digest text,
    p_host text DEFAULT NULL, p_manifest jsonb DEFAULT NULL, p_file_name text DEFAULT NULL, p_file_bytes bigint DEFAULT NULL,
    p_csv_bytes bigint DEFAULT NULL, p_csv_sha256 text DEFAULT NULL, p_held_until timestamptz DEFAULT NULL)
    RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk bytea := util.hash_binary(p_name);
BEGIN
    INSERT INTO monitoring.archive_h (archive_hk, archive_bk) VALUES (v_hk, p_name) ON CONFLICT DO NOTHING;
    -- A retried note is no new version.
    IF EXISTS (SELECT FROM monitoring.archive_s a
                WHERE a.archive_hk = v_hk AND a.load_end_date IS NULL AND a.archive_status = p_status
                  AND (a.row_digest, a.host_name, a.manifest, a.held_until) IS NOT DISTINCT FROM (p_digest, p_host, p_manifest, p_held_until)) THEN
        RETURN;
    END IF;
    INSERT INTO monitoring.archive_s (
        archive_hk, hash_diff, archive_status, table_name, partition_name, range_from, range_to, row_count, row_digest,
        host_name, file_name, file_bytes, csv_bytes, csv_sha256, manifest, held_until, changed_at)
    VALUES (v_hk, '\x', p_status, p_table, p_partition, p_from, p_to, p_rows, p_digest,
            p_host, p_file_name, p_file_bytes, p_csv_bytes, p_csv_sha256, p_manifest, p_held_until, clock_timestamp());
END
$$;
COMMENT ON FUNCTION monitoring.note_archive(text, text, text, text, timestamptz, timestamptz, bigint, text, text, jsonb, text, bigint, bigint, text, timestamptz) IS
    'Records what became of an archive.';

-- ---------------------------------------------------------------- what leaves

CREATE OR REPLACE FUNCTION monitoring.is_held(p_table text, p_from timestamptz, p_to timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (SELECT FROM monitoring.archive_s a
                    WHERE a.table_name = p_table AND a.range_from < p_to AND a.range_to > p_from
                      AND a.load_end_date IS NULL AND a.archive_status = 'RESTORED' AND a.held_until > now())
    $$;
COMMENT ON FUNCTION monitoring.is_held(text, timestamptz, timestamptz) IS 'Whether rows of the range were restored and are to be left alone for now.';

CREATE OR REPLACE FUNCTION monitoring.retention_plan()
    RETURNS TABLE (table_name text, partition_name text, range_from timestamptz, range_to timestamptz, archive boolean, is_empty boolean, bytes bigint)
    LANGUAGE plpgsql STABLE
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_part  record;
    v_table record;
    v_month record;
    v_rows  boolean;
BEGIN
    FOR v_part IN
        SELECT p.*, s.archive
          FROM monitoring.partitions() AS p, LATERAL monitoring.retention_setting(p.table_name) AS s
         WHERE s.keep IS NOT NULL AND p.range_to <= now() - s.keep AND NOT monitoring.is_held(p.table_name, p.range_from, p.range_to)
         ORDER BY p.table_name, p.range_from
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', monitoring.archive_source(v_part.table_name, v_part.range_from, v_part.range_to)) INTO v_rows;
        table_name := v_part.table_name;
        partition_name := v_part.partition_name;
        range_from := v_part.range_from;
        range_to := v_part.range_to;
        archive := v_part.archive;
        is_empty := NOT v_rows;
        bytes := v_part.bytes;
        RETURN NEXT;
    END LOOP;

    FOR v_table IN
        SELECT t.table_name, s.archive, date_trunc('month', now() - s.keep) AS until
          FROM monitoring.retained_tables() AS t, LATERAL monitoring.retention_setting(t.table_name) AS s
         WHERE t.kind = 'STATE' AND s.keep IS NOT NULL
         ORDER BY t.table_name
    LOOP
        FOR v_month IN
            EXECUTE format('SELECT date_trunc(''month'', load_end_date) AS month, sum(pg_column_size(t.*)) AS bytes
                              FROM monitoring.%I t WHERE load_end_date < $1 GROUP BY 1 ORDER BY 1', v_table.table_name)
            USING v_table.until
        LOOP
            CONTINUE WHEN monitoring.is_held(v_table.table_name, v_month.month, v_month.month + interval '1 month');
            table_name := v_table.table_name;
            partition_name := NULL;
            range_from := v_month.month;
            range_to := v_month.month + interval '1 month';
            archive := v_table.archive;
            is_empty := false;
            bytes := v_month.bytes;
            RETURN NEXT;
        END LOOP;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.retention_plan() IS
    'What is older than its setting says, oldest first per table: whole partitions, and months of closed versions of state satellites (partition_name NULL). The current version of anything is never in it.';

CREATE OR REPLACE FUNCTION monitoring.drop_partition(p_partition text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- The lock on the table keeps every reader waiting, so it is asked for briefly, and again. DROP
    -- detaches in the same transaction: there is no half-detached state that a crash could leave, and
    -- none of the triggers on the hubs that DETACH would make for a table of its own.
    FOR v_try IN 1 .. 12 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '500', true);
            EXECUTE format('DROP TABLE monitoring.%I', p_partition);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(0.5);
        END;
    END LOOP;
    RAISE EXCEPTION 'partition % is in use by a long transaction', p_partition
        USING ERRCODE = '55P03', HINT = 'It is tried again; a backup or a long report ends some time.';
END
$$;
COMMENT ON FUNCTION monitoring.drop_partition(text) IS 'Drops a partition without keeping readers waiting for long. Only drop_archived and drop_empty_partition call it.';

CREATE OR REPLACE FUNCTION monitoring.require_read_committed(p_what text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'monitoring.% in a transaction that is %: rows that came after its snapshot would be lost unseen',
            p_what, upper(current_setting('transaction_isolation'))
            USING ERRCODE = '25001', HINT = 'Call it in a transaction of its own: BEGIN ISOLATION LEVEL READ COMMITTED.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.require_read_committed(text) IS
    'Raises 25001 where a statement would not see what others committed before it: what drops rows must have seen all of them.';

CREATE OR REPLACE FUNCTION monitoring.drop_empty_partition(p_table text, p_partition text) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_rows boolean;
BEGIN
    PERFORM monitoring.require_read_committed('drop_empty_partition');
    IF NOT EXISTS (SELECT FROM monitoring.partitions() AS p, LATERAL monitoring.retention_setting(p.table_name) AS s
                    WHERE p.table_name = p_table AND p.partition_name = p_partition AND p.range_to <= now() - s.keep) THEN
        RETURN false;  -- gone already, or not due
    END IF;
    EXECUTE format('LOCK TABLE monitoring.%I IN SHARE MODE', p_partition);
    EXECUTE format('SELECT EXISTS (SELECT FROM monitoring.%I)', p_partition) INTO v_rows;
    IF v_rows THEN
        RETURN false;
    END IF;
    PERFORM monitoring.drop_partition(p_partition);
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.drop_empty_partition(text, text) IS 'Drops an expired partition that holds no row; false: it does, or is gone or not due.';

CREATE OR REPLACE FUNCTION monitoring.drop_archived(p_name text) RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_archive monitoring.archive_s;
    v_setting record;
    v_now     record;
    v_deleted bigint;
    v_other   record;
BEGIN
    PERFORM monitoring.require_read_committed('drop_archived');
    -- A first call that its worker did not live to hear the end of may still be at work.
    PERFORM pg_advisory_xact_lock(hashtextextended('monitoring.drop_archived', 0));
    SELECT * INTO v_archive FROM monitoring.archive_s a WHERE a.archive_hk = util.hash_binary(p_name) AND a.load_end_date IS NULL;
    IF v_archive.archive_status = 'DROPPED' THEN
        RETURN v_archive.row_count;
    END IF;
    IF v_archive.archive_status IS NULL OR v_archive.archive_status NOT IN ('VERIFIED', 'WAIVED') THEN
        RAISE EXCEPTION 'archive % is %, not verified: its rows stay', quote_literal(p_name), coalesce(v_archive.archive_status, 'unknown')
            USING ERRCODE = '55000', HINT = 'Run `onevault schedule trigger retain`; its result says what keeps it.';
    END IF;
    v_setting := monitoring.retention_setting(v_archive.table_name);
    IF v_setting.keep IS NULL OR v_archive.range_to > now() - v_setting.keep THEN
        RAISE EXCEPTION 'rows of % until % are to be kept: its setting says %', v_archive.table_name, v_archive.range_to, coalesce(v_setting.keep_text, 'for ever')
            USING ERRCODE = '55000', HINT = 'The setting is the current row of monitoring.monitor_config_s with config_type RETENTION.';
    END IF;
    IF v_archive.archive_status = 'WAIVED' AND v_setting.archive THEN
        RAISE EXCEPTION 'rows of % are to be archived, and archive % is waived', v_archive.table_name, quote_literal(p_name) USING ERRCODE = '55000';
    END IF;
    IF monitoring.is_held(v_archive.table_name, v_archive.range_from, v_archive.range_to) THEN
        RAISE EXCEPTION 'rows of % from % to % were restored and are held', v_archive.table_name, v_archive.range_from, v_archive.range_to USING ERRCODE = '55000';
    END IF;

    IF v_archive.partition_name IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM monitoring.partitions() AS p
                        WHERE p.table_name = v_archive.table_name AND p.partition_name = v_archive.partition_name
                          AND p.range_from = v_archive.range_from AND p.range_to = v_archive.range_to) THEN
            RAISE EXCEPTION '% is no partition of %', v_archive.partition_name, v_archive.table_name USING ERRCODE = '55000';
        END IF;
        -- From here on nobody writes to it, and everybody reads.
        EXECUTE format('LOCK TABLE monitoring.%I IN SHARE MODE', v_archive.partition_name);
    END IF;
    v_now := monitoring.digest_of(v_archive.table_name, v_archive.range_from, v_archive.range_to);
    IF v_now.row_digest <> v_archive.row_digest THEN
        RAISE EXCEPTION 'archive % holds % rows, the vault now % other ones', quote_literal(p_name), v_archive.row_count, v_now.row_count
            USING ERRCODE = '40001', HINT = 'They are archived again.';
    END IF;

    IF v_archive.partition_name IS NOT NULL THEN
        IF monitoring.is_rolled(v_archive.table_name, v_archive.partition_name, v_archive.range_to) THEN
            PERFORM monitoring.roll_up(v_archive.table_name, v_archive.range_from, v_archive.range_to);
            IF monitoring.roll_up_gaps(v_archive.table_name, v_archive.range_from, v_archive.range_to) > 0 THEN
                RAISE EXCEPTION 'hours of % are not rolled up: it stays', v_archive.partition_name USING ERRCODE = '55000';
            END IF;
        END IF;
        PERFORM monitoring.drop_partition(v_archive.partition_name);
    ELSE
        PERFORM set_config('onevault.purging_archive', p_name, true);
        EXECUTE format('DELETE FROM %s', monitoring.archive_source(v_archive.table_name, v_archive.range_from, v_archive.range_to));
        GET DIAGNOSTICS v_deleted = ROW_COUNT;
        PERFORM set_config('onevault.purging_archive', '', true);
        IF v_deleted <> v_archive.row_count THEN
            RAISE EXCEPTION 'archive % holds % rows, % were found', quote_literal(p_name), v_archive.row_count, v_deleted
                USING ERRCODE = '40001', HINT = 'They are archived again.';
        END IF;
    END IF;

    -- Earlier archives of the same rows, restored and now over, end with this one.
    FOR v_other IN
        SELECT h.archive_bk, a.* FROM monitoring.archive_s a JOIN monitoring.archive_h h USING (archive_hk)
         WHERE a.load_end_date IS NULL AND a.table_name = v_archive.table_name AND a.range_from = v_archive.range_from
           AND (a.archive_hk = v_archive.archive_hk OR a.archive_status = 'RESTORED')
    LOOP
        PERFORM monitoring.note_archive(
            v_other.archive_bk, 'DROPPED', v_other.table_name, v_other.partition_name, v_other.range_from, v_other.range_to, v_other.row_count,
            v_other.row_digest, v_other.host_name, v_other.manifest, v_other.file_name, v_other.file_bytes, v_other.csv_bytes, v_other.csv_sha256);
    END LOOP;
    RETURN v_archive.row_count;
END
$$;
COMMENT ON FUNCTION monitoring.drop_archived(text) IS
    'The only way out of the vault: in one transaction makes sure that the rows of a verified archive are expired, not held, exactly those that were archived, and rolled up; then drops their partition (or deletes exactly these closed versions) and records it. Returns their number; again: the same.';

CREATE OR REPLACE FUNCTION monitoring.may_leave(p_table name, p_load_end_date timestamptz) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    SELECT EXISTS (
               SELECT FROM monitoring.archive_s a, LATERAL monitoring.retention_setting(a.table_name) AS s
                WHERE a.archive_hk = util.hash_binary(current_setting('onevault.purging_archive', true)) AND a.load_end_date IS NULL
                  AND a.archive_status IN ('VERIFIED', 'WAIVED') AND a.table_name = p_table AND a.partition_name IS NULL
                  AND p_load_end_date >= a.range_from AND p_load_end_date < a.range_to
                  AND a.range_to <= now() - s.keep AND (a.archive_status = 'VERIFIED' OR NOT s.archive))
    $$;
COMMENT ON FUNCTION monitoring.may_leave(name, timestamptz) IS
    'Whether a closed version may be deleted now: drop_archived is at work, and an archive that was verified covers it. The setting by which drop_archived says so can be set by anybody; the archive cannot, so what it could be misused for is to delete what is archived and expired.';

CREATE OR REPLACE FUNCTION monitoring.purge_queue(p_table text, p_limit integer DEFAULT 10000) RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_queue   monitoring.queue_table;
    v_keep    interval;
    v_deleted bigint;
BEGIN
    SELECT * INTO v_queue FROM monitoring.queue_table q WHERE q.table_name = p_table;
    IF v_queue.table_name IS NULL THEN
        RAISE EXCEPTION 'monitoring.% is no queue', p_table
            USING ERRCODE = '22023', HINT = 'Use one of ' || (SELECT string_agg(q.table_name, ', ') FROM monitoring.queue_table q) || '.';
    END IF;
    v_keep := (monitoring.retention_setting(p_table)).keep;
    IF v_keep IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('DELETE FROM monitoring.%1$I WHERE ctid = ANY (ARRAY(SELECT ctid FROM monitoring.%1$I WHERE %2$I < $1 LIMIT $2))', p_table, v_queue.done_column)
      USING now() - v_keep, p_limit;
    GET DIAGNOSTICS v_deleted = ROW_COUNT;
    RETURN v_deleted;
END
$$;
COMMENT ON FUNCTION monitoring.purge_queue(text, integer) IS 'Deletes at most so many rows of a queue that were done longer ago than its setting says; returns how many.';

-- ---------------------------------------------------------------- sizes

CREATE OR REPLACE FUNCTION monitoring.vault_stats()
    RETURNS TABLE (table_name text, kind text, partitions integer, estimated_rows bigint, bytes bigint, oldest timestamptz, newest timestamptz,
                   keep text, archive boolean, archives bigint, archived_rows bigint, archived_bytes bigint)
    LANGUAGE plpgsql STABLE
    SET timezone = 'UTC'
    AS $$
DECLARE
    v_table record;
    v_part  record;
BEGIN
    FOR v_table IN
        SELECT c.oid, c.relname::text AS name, c.relkind, t.kind, t.time_column, s.keep_text, s.archive,
               pg_total_relation_size(c.oid) AS bytes,
               CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint ELSE pg_stat_get_live_tuples(c.oid) END AS estimated_rows
          FROM pg_class c
          LEFT JOIN monitoring.retained_tables() AS t ON t.table_name = c.relname
          LEFT JOIN LATERAL monitoring.retention_setting(c.relname) AS s ON true
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
         ORDER BY c.relname
    LOOP
        table_name := v_table.name;
        kind := coalesce(v_table.kind, CASE WHEN v_table.name LIKE '%\_h' THEN 'HUB' WHEN v_table.name LIKE '%\_l' THEN 'LINK'
                                            WHEN v_table.name LIKE '%\_s' THEN 'STATE' ELSE 'REFERENCE' END);
        partitions := 0;
        bytes := v_table.bytes;
        estimated_rows := v_table.estimated_rows;
        oldest := NULL;
        newest := NULL;
        -- keep and archive are NULL for what never leaves.
        keep := CASE WHEN v_table.kind IS NULL THEN NULL ELSE coalesce(v_table.keep_text, 'for ever') END;
        archive := CASE WHEN v_table.kind IS NOT NULL THEN v_table.archive END;
        IF v_table.relkind = 'p' THEN
            SELECT count(*), coalesce(sum(p.bytes), 0), coalesce(sum(p.estimated_rows), 0) INTO partitions, bytes, estimated_rows
              FROM monitoring.partitions() AS p WHERE p.table_name = v_table.name;
            -- The ends are in the first and the last week that has rows: no scan of the others.
            FOR v_part IN SELECT p.* FROM monitoring.partitions() AS p WHERE p.table_name = v_table.name ORDER BY p.range_from LOOP
                EXECUTE format('SELECT min(%I) FROM %s', v_table.time_column,
                               monitoring.archive_source(v_table.name, v_part.range_from, v_part.range_to)) INTO oldest;
                EXIT WHEN oldest IS NOT NULL;
            END LOOP;
            FOR v_part IN SELECT p.* FROM monitoring.partitions() AS p WHERE p.table_name = v_table.name ORDER BY p.range_from DESC LOOP
                EXECUTE format('SELECT max(%I) FROM %s', v_table.time_column,
                               monitoring.archive_source(v_table.name, v_part.range_from, v_part.range_to)) INTO newest;
                EXIT WHEN newest IS NOT NULL;
            END LOOP;
        ELSIF v_table.kind = 'STATE' OR v_table.name ~ '_[hls]$' THEN
            EXECUTE format('SELECT min(load_date), max(load_date) FROM monitoring.%I', v_table.name) INTO oldest, newest;
        END IF;
        SELECT count(*), coalesce(sum(a.row_count), 0), coalesce(sum(a.file_bytes), 0) INTO archives, archived_rows, archived_bytes
          FROM monitoring.archive_s a
         WHERE a.table_name = v_table.name AND a.load_end_date IS NULL AND a.archive_status IN ('VERIFIED', 'DROPPED', 'RESTORED') AND a.manifest IS NOT NULL;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.vault_stats() IS
    'Every table of the vault: size with indexes, rows as statistics estimate them, oldest and newest, how long it is kept, and what was archived of it.';

-- Anomalies: which metrics are judged and how sensitively, recording of baselines and scores, and what alert
-- conditions may ask. What is usual, and whether a sample is, is computed by package anomaly: SQL holds no second one.

-- ---------------------------------------------------------------- settings

CREATE OR REPLACE FUNCTION monitoring.anomaly_settings()
    RETURNS TABLE (metric_name text, direction text, score double precision, samples integer, least_spread double precision,
                   least_percent double precision, time_zone text, is_enabled boolean, description text)
    LANGUAGE sql STABLE
    AS $$
    SELECT s.config_name::text, s.config_value ->> 'direction', coalesce((s.config_value ->> 'score')::float8, 6),
           coalesce((s.config_value ->> 'samples')::integer, 3), coalesce((s.config_value ->> 'least_spread')::float8, 0),
           coalesce((s.config_value ->> 'least_percent')::float8, 5), coalesce(s.config_value ->> 'time_zone', 'UTC'),
           coalesce(s.is_enabled, false), s.config_description
      FROM monitoring.monitor_config_s s
     WHERE s.config_type = 'ANOMALY' AND s.load_end_date IS NULL
    $$;
COMMENT ON FUNCTION monitoring.anomaly_settings() IS
    'Which metrics are judged: the current rows of monitor_config_s with config_type ANOMALY, what they leave out filled in.';

CREATE OR REPLACE FUNCTION monitoring.check_anomaly_setting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_field record;
    v_other text;
    v_shape constant text := 'Write {"direction": "HIGH", "score": 6, "samples": 3, "least_spread": 5, "least_percent": 5, "time_zone": "UTC"}; all but direction may be left out, and is_enabled = false ends the judging.';
BEGIN
    IF NEW.config_type <> 'ANOMALY' OR NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- not ours, or a version that is history already
    END IF;
    IF NOT EXISTS (SELECT FROM monitoring.condition_identifier WHERE metric_source = 'system_health' AND identifier = NEW.config_name AND label_names = '{}') THEN
        RAISE EXCEPTION 'config_name is %: no health metric is called so', coalesce(quote_literal(NEW.config_name), 'NULL')
            USING ERRCODE = '22023',
                  HINT = format('Did you mean "%s"? All names: SELECT identifier, description FROM monitoring.condition_identifier WHERE metric_source = ''system_health''.',
                                monitoring.nearest_identifier('system_health', NEW.config_name));
    END IF;
    SELECT h.monitor_config_bk INTO v_other
      FROM monitoring.monitor_config_s s JOIN monitoring.monitor_config_h h USING (monitor_config_hk)
     WHERE s.config_type = 'ANOMALY' AND s.config_name = NEW.config_name AND s.load_end_date IS NULL
       AND s.monitor_config_hk <> NEW.monitor_config_hk;
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'config_name is ''%'', whose anomalies are set under the key % already', NEW.config_name, v_other
            USING ERRCODE = '22023', HINT = format('INSERT a new version with monitor_config_hk = util.hash_binary(%L).', v_other);
    END IF;
    IF jsonb_typeof(NEW.config_value) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'config_value of % is %: not an object', NEW.config_name, coalesce(NEW.config_value::text, 'NULL')
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    IF coalesce(NEW.config_value ->> 'direction', '') NOT IN ('HIGH', 'LOW', 'BOTH') THEN
        RAISE EXCEPTION 'config_value.direction of % is %: neither HIGH, LOW nor BOTH', NEW.config_name, coalesce(NEW.config_value -> 'direction', 'null')
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    FOR v_field IN
        SELECT e.key, e.value, l.least, l.most
          FROM jsonb_each(NEW.config_value) AS e
          LEFT JOIN (VALUES ('score', 1, 1000), ('samples', 1, 100), ('least_spread', 0, 1e18), ('least_percent', 0, 1000)) AS l (key, least, most) USING (key)
         WHERE e.key <> 'direction'
    LOOP
        IF v_field.key = 'time_zone' THEN
            IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE name = v_field.value #>> '{}') THEN
                RAISE EXCEPTION 'config_value.time_zone of % is %: no time zone is called so', NEW.config_name, v_field.value
                    USING ERRCODE = '22023', HINT = 'Write a name such as UTC or Europe/Berlin.';
            END IF;
        ELSIF v_field.least IS NULL THEN
            RAISE EXCEPTION 'config_value of % holds %, which is unknown', NEW.config_name, quote_literal(v_field.key)
                USING ERRCODE = '22023', HINT = v_shape;
        ELSIF jsonb_typeof(v_field.value) <> 'number' OR (v_field.value #>> '{}')::numeric NOT BETWEEN v_field.least AND v_field.most
           OR v_field.key = 'samples' AND (v_field.value #>> '{}')::numeric % 1 <> 0 THEN
            RAISE EXCEPTION 'config_value.% of % is %', v_field.key, NEW.config_name, v_field.value
                USING ERRCODE = '22023', HINT = format('It is a%s number from %s to %s. %s',
                    CASE WHEN v_field.key = 'samples' THEN ' whole' ELSE '' END, v_field.least, v_field.most, v_shape);
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_anomaly_setting() IS 'Trigger of monitor_config_s: a setting by which no anomaly could be judged is refused.';

CREATE OR REPLACE TRIGGER t41_check_anomaly BEFORE INSERT ON monitoring.monitor_config_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_anomaly_setting();

CREATE OR REPLACE FUNCTION monitoring.put_anomaly_defaults() RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_default record;
    v_bk      text;
    v_put     integer := 0;
BEGIN
    FOR v_default IN
        SELECT d.*
          FROM (VALUES
              ('active_connections', '{"direction": "HIGH", "least_spread": 2}', 'sessions that work at the same time'),
              ('total_connections', '{"direction": "BOTH", "least_spread": 3}', 'clients that connect, or stay away'),
              ('transactions_per_s', '{"direction": "BOTH", "least_spread": 2}', 'the load itself; a fall may be an application that stands still'),
              ('avg_query_time_ms', '{"direction": "HIGH", "least_spread": 2}', 'statements that became slow'),
              ('rollback_ratio_pct', '{"direction": "HIGH", "least_spread": 0.5}', 'applications that fail'),
              ('cache_hit_ratio_pct', '{"direction": "LOW", "least_spread": 0.5, "least_percent": 0}', 'reads that shared buffers no longer answer'),
              ('wal_bytes_per_s', '{"direction": "HIGH", "least_spread": 65536}', 'changes that are written'),
              ('temp_bytes_per_s', '{"direction": "HIGH", "least_spread": 1048576}', 'sorts and hashes that went to disk'),
              ('blocked_backends', '{"direction": "HIGH", "least_spread": 0.5}', 'sessions that wait for a lock'),
              ('idle_in_transaction', '{"direction": "HIGH", "least_spread": 1}', 'transactions that are left open'),
              ('oldest_transaction_s', '{"direction": "HIGH", "least_spread": 60}', 'transactions that last longer than usual'),
              ('replication_lag_bytes', '{"direction": "HIGH", "least_spread": 1048576}', 'replicas that fall behind')
          ) AS d (metric, value, description)
         WHERE NOT EXISTS (SELECT FROM monitoring.monitor_config_s s WHERE s.config_type = 'ANOMALY' AND s.config_name = d.metric)
    LOOP
        v_bk := util.bk('ANOMALY', v_default.metric);
        INSERT INTO monitoring.monitor_config_h (monitor_config_hk, monitor_config_bk, record_source)
        VALUES (util.hash_binary(v_bk), v_bk, 'SETUP_SCRIPT')
        ON CONFLICT DO NOTHING;
        INSERT INTO monitoring.monitor_config_s (
            monitor_config_hk, hash_diff, config_name, config_type, config_category, config_value, config_description, record_source)
        VALUES (util.hash_binary(v_bk), '\x', v_default.metric, 'ANOMALY', 'HEALTH', v_default.value::jsonb, v_default.description, 'SETUP_SCRIPT');
        v_put := v_put + 1;
    END LOOP;
    RETURN v_put;
END
$$;
COMMENT ON FUNCTION monitoring.put_anomaly_defaults() IS
    'Gives the metrics that are judged by default their setting, unless they ever had one; returns how many.';

-- ---------------------------------------------------------------- what the worker reads

CREATE OR REPLACE FUNCTION monitoring.health_metric_key(p_target text, p_metric text) RETURNS bytea
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT util.hash_binary(util.bk(p_target, 'HEALTH', p_metric, 'SYSTEM')) $$;
COMMENT ON FUNCTION monitoring.health_metric_key(text, text) IS 'The hash key of a metric of a whole server, as record_health_samples makes it.';

CREATE OR REPLACE FUNCTION monitoring.hour_of_week(p_at timestamptz, p_time_zone text) RETURNS integer
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT (extract(isodow FROM p_at AT TIME ZONE p_time_zone)::integer - 1) * 24 + extract(hour FROM p_at AT TIME ZONE p_time_zone)::integer + 1
    $$;
COMMENT ON FUNCTION monitoring.hour_of_week(timestamptz, text) IS
    'The place of a moment in the arrays of anomaly_baseline_s: 1 is the hour that begins on Monday at midnight, 168 the last.';

CREATE OR REPLACE FUNCTION monitoring.anomaly_history(p_health_metric_hk bytea, p_from timestamptz, p_to timestamptz)
    RETURNS TABLE (at timestamptz, value double precision)
    LANGUAGE sql STABLE
    AS $$
    -- One sample of each five minutes is enough, however often is measured.
    WITH raw AS MATERIALIZED (
        SELECT DISTINCT ON (date_bin('5 minutes', s.measurement_timestamp, 'epoch')) s.measurement_timestamp AS at, s.metric_value::float8 AS value
          FROM monitoring.system_health_metric_s s
         WHERE s.health_metric_hk = p_health_metric_hk AND s.load_end_date IS NULL AND s.metric_value IS NOT NULL
           AND s.measurement_timestamp >= p_from AND s.measurement_timestamp < p_to
         ORDER BY date_bin('5 minutes', s.measurement_timestamp, 'epoch'), s.measurement_timestamp, s.load_date DESC
    )
    SELECT r.at, r.value FROM raw r
    UNION ALL
    -- What retention took is left as hours: their least, mean and most say how wide they were.
    SELECT h.hour_start + v.after, v.value::float8
      FROM monitoring.system_health_metric_hourly_s h,
           LATERAL (VALUES (interval '10 minutes', h.min_value), ('30 minutes', h.avg_value), ('50 minutes', h.max_value)) AS v (after, value)
     WHERE h.health_metric_hk = p_health_metric_hk AND h.load_end_date IS NULL AND h.value_count > 0
       AND h.hour_start >= p_from AND h.hour_start < p_to
       AND h.hour_start < coalesce((SELECT date_trunc('hour', min(r.at), 'UTC') FROM raw r), p_to)
    $$;
COMMENT ON FUNCTION monitoring.anomaly_history(bytea, timestamptz, timestamptz) IS
    'What a metric was in [from, to): at most a sample each five minutes, and hours where the samples have left.';

-- ---------------------------------------------------------------- recording

CREATE OR REPLACE FUNCTION monitoring.record_anomaly_baseline(p_target text, p_baseline jsonb) RETURNS timestamptz
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_hk     bytea := monitoring.health_metric_key(p_target, p_baseline ->> 'metric');
    v_loaded timestamptz;
BEGIN
    -- Learned again up to the same moment it is the same: the trigger makes no second version of it.
    INSERT INTO monitoring.anomaly_baseline_s (
        health_metric_hk, hash_diff, metric_name, learned_at, baseline_state, reason, history_from, history_to, history_hours, sample_count,
        time_zone, level_value, shifted_at, shifted_by, widened_by, medians, mads, spreads, bucket_samples, bucket_kinds)
    SELECT v_hk, '\x', b.metric, b.learned_at, CASE WHEN b.reason IS NULL THEN 'LEARNED' ELSE 'LEARNING' END, b.reason,
           b.history_from, b.history_to, b.history_hours, b.sample_count, b.time_zone, b.level, b.shifted_at, b.shifted_by, b.widened_by,
           b.medians, b.mads, b.spreads, b.bucket_samples, b.bucket_kinds
      FROM jsonb_to_record(p_baseline) AS b (
               metric text, learned_at timestamptz, reason text, history_from timestamptz, history_to timestamptz, history_hours integer,
               sample_count integer, time_zone text, level float8, shifted_at timestamptz, shifted_by float8, widened_by float8,
               medians float8[], mads float8[], spreads float8[], bucket_samples integer[], bucket_kinds text);
    SELECT s.load_date INTO v_loaded FROM monitoring.anomaly_baseline_s s WHERE s.health_metric_hk = v_hk AND s.load_end_date IS NULL;
    RETURN v_loaded;
END
$$;
COMMENT ON FUNCTION monitoring.record_anomaly_baseline(text, jsonb) IS
    'Records what is usual for a metric of a target, or why nothing can be said yet; returns the load_date of its version.';

CREATE OR REPLACE FUNCTION monitoring.record_anomaly_scores(p_target text, p_scores jsonb) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_written integer;
BEGIN
    PERFORM monitoring.ensure_partitions_around(clock_timestamp());
    -- A sample is judged once. Two at once: one waits and then finds it.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.anomaly/' || p_target, 0));
    INSERT INTO monitoring.anomaly_score_s (
        health_metric_hk, hash_diff, metric_name, measured_at, metric_value, metric_unit, anomaly_state, score, median, mad, spread,
        usual_low, usual_high, bucket_kind, bucket_samples, baseline_load_date, outside_count, inside_count, deviating_since, reason)
    SELECT k.hk, util.hash_binary(concat_ws('|', s.metric, s.at, s.value, s.state, s.score)), s.metric, s.at, s.value, nullif(s.unit, ''), s.state,
           s.score, s.median, s.mad, s.spread, s.usual_low, s.usual_high, s.kind, s.bucket_samples, s.baseline, coalesce(s.outside, 0),
           coalesce(s.inside, 0), s.since, s.reason
      FROM jsonb_to_recordset(p_scores) AS s (
               metric text, at timestamptz, value numeric, unit text, state text, score float8, median float8, mad float8, spread float8,
               usual_low float8, usual_high float8, kind text, bucket_samples integer, baseline timestamptz, outside integer, inside integer,
               since timestamptz, reason text),
           LATERAL (SELECT monitoring.health_metric_key(p_target, s.metric) AS hk) AS k
     WHERE NOT EXISTS (SELECT FROM monitoring.anomaly_score_s o WHERE o.health_metric_hk = k.hk AND o.measured_at = s.at);
    GET DIAGNOSTICS v_written = ROW_COUNT;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.record_anomaly_scores(text, jsonb) IS
    'Records how unusual samples were: [{metric, at, value, unit, state, score, median, mad, spread, usual_low, usual_high, kind, bucket_samples, baseline, outside, inside, since, reason}]. Recorded again they change nothing. Returns how many were written.';

-- ---------------------------------------------------------------- what conditions may ask

CREATE OR REPLACE FUNCTION monitoring.readable(p_value double precision, p_unit text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN p_unit IN ('B', 'bytes') THEN pg_size_pretty(round(p_value)::numeric)
        WHEN p_unit = 'B/s' THEN pg_size_pretty(round(p_value)::numeric) || '/s'
        WHEN p_unit = '%' THEN trim_scale(round(p_value::numeric, 2)) || '%'
        ELSE trim_scale(round(p_value::numeric, CASE WHEN abs(p_value) >= 100 THEN 0 WHEN abs(p_value) >= 1 THEN 1 ELSE 3 END))
             || CASE WHEN p_unit IN ('count', 'bool', '') THEN '' ELSE coalesce(' ' || p_unit, '') END
        END
    $$;
COMMENT ON FUNCTION monitoring.readable(double precision, text) IS 'A value with its unit, for people: 187 connections, 93.5%, 12 MB/s.';

CREATE OR REPLACE FUNCTION monitoring.usual_range(p_low double precision, p_high double precision, p_median double precision, p_unit text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- What is never negative has no lower end below nothing.
    SELECT CASE
        WHEN p_high IS NULL THEN 'at least ' || monitoring.readable(p_low, p_unit)
        WHEN p_low IS NULL OR p_low <= 0 AND p_median >= 0 THEN 'at most ' || monitoring.readable(p_high, p_unit)
        ELSE monitoring.readable(p_low, p_unit) || ' to ' || monitoring.readable(p_high, p_unit) END
    $$;
COMMENT ON FUNCTION monitoring.usual_range(double precision, double precision, double precision, text) IS 'What is usual, for people: 80 to 140 connections.';

CREATE OR REPLACE FUNCTION monitoring.anomaly_inputs(p_target text, p_tenant_hk bytea, p_lookback interval, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    WITH latest AS (
        -- The newest verdict on each metric. A metric without a value keeps its verdict for some hours: that nothing
        -- is seen of it does not mean that it is well.
        SELECT DISTINCT ON (s.health_metric_hk) s.*
          FROM monitoring.anomaly_score_s s
          JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
         WHERE s.load_end_date IS NULL AND s.anomaly_state IN ('NORMAL', 'ANOMALOUS')
           AND s.measured_at > p_at - greatest(p_lookback, interval '6 hours') AND s.measured_at <= p_at
           AND h.target_name = p_target
           AND (h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
         ORDER BY s.health_metric_hk, s.measured_at DESC, s.load_date DESC
    ),
    anomalous AS (
        SELECT l.*, row_number() OVER (ORDER BY abs(l.score) DESC, l.metric_name) AS rank FROM latest l WHERE l.anomaly_state = 'ANOMALOUS'
    )
    -- Where nothing was judged lately, nothing is known; a metric of which judging ended is not asked for.
    SELECT CASE WHEN (SELECT max(l.measured_at) FROM latest l) > p_at - greatest(p_lookback, interval '15 minutes')
           THEN jsonb_build_object(
                    'anomalous_metric_count', (SELECT count(*) FROM anomalous),
                    'high_metric_count', (SELECT count(*) FROM anomalous WHERE score > 0),
                    'low_metric_count', (SELECT count(*) FROM anomalous WHERE score < 0),
                    'worst_score', coalesce((SELECT round(max(abs(score))::numeric, 2) FROM anomalous), 0),
                    'judged_metric_count', (SELECT count(*) FROM latest),
                    'because', (SELECT string_agg(format('%s is %s, usually %s at this hour, since %s (score %s)', a.metric_name,
                                           monitoring.readable(a.metric_value::float8, a.metric_unit),
                                           monitoring.usual_range(a.usual_low, a.usual_high, a.median, a.metric_unit),
                                           to_char(a.deviating_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), round(a.score::numeric, 1)),
                                       '; ' ORDER BY a.rank) FILTER (WHERE a.rank <= 5)
                                       || CASE WHEN count(*) > 5 THEN format('; and %s more', count(*) - 5) ELSE '' END
                                  FROM anomalous a)) END
    $$;
COMMENT ON FUNCTION monitoring.anomaly_inputs(text, bytea, interval, timestamptz) IS
    'What a condition may ask about unusual metrics, and which they are (because); NULL: nothing was judged lately.';

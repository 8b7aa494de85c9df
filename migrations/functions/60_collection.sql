-- Recording of samples, and the guide's collect_system_health_metrics. The queries themselves are the
-- files of collect/health, installed as monitoring.health_<file>(): one text for psql and the worker.

CREATE OR REPLACE FUNCTION monitoring.rate_of(p_counter jsonb, p_previous jsonb, p_seconds numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- A counter that went backwards was reset: what it shows now is what came since.
    SELECT CASE
        WHEN p_counter ? 'whole' THEN
            CASE WHEN (p_counter ->> 'whole')::numeric >= (p_previous ->> 'whole')::numeric
                 THEN round(((p_counter ->> 'part')::numeric - (p_previous ->> 'part')::numeric)
                            / nullif((p_counter ->> 'whole')::numeric - (p_previous ->> 'whole')::numeric, 0), 4)
                 ELSE round((p_counter ->> 'part')::numeric / nullif((p_counter ->> 'whole')::numeric, 0), 4) END
        WHEN p_previous IS NULL OR p_seconds <= 0 THEN NULL
        ELSE round(coalesce((p_counter ->> 'per_s')::numeric, 1) / p_seconds *
                   CASE WHEN (p_counter ->> 'count')::numeric >= (p_previous ->> 'count')::numeric
                        THEN (p_counter ->> 'count')::numeric - (p_previous ->> 'count')::numeric
                        ELSE (p_counter ->> 'count')::numeric END, 4)
        END
    $$;
COMMENT ON FUNCTION monitoring.rate_of(jsonb, jsonb, numeric) IS
    'Turns two samples of a cumulative counter into a ratio {part, whole} or a rate {count, per_s, over_s}; NULL: no previous sample, or nothing happened between.';

CREATE OR REPLACE FUNCTION monitoring.rate_status(p_value numeric, p_warning numeric, p_critical numeric, p_low_is_bad boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN 'UNKNOWN'
        WHEN p_low_is_bad AND p_value <= p_critical OR NOT p_low_is_bad AND p_value >= p_critical THEN 'CRITICAL'
        WHEN p_low_is_bad AND p_value <= p_warning OR NOT p_low_is_bad AND p_value >= p_warning THEN 'WARNING'
        ELSE 'NORMAL' END
    $$;
COMMENT ON FUNCTION monitoring.rate_status(numeric, numeric, numeric, boolean) IS
    'NORMAL, WARNING, CRITICAL by the thresholds; UNKNOWN without a value.';

CREATE OR REPLACE FUNCTION monitoring.record_health_samples(
    p_target text, p_tenant_hk bytea, p_at timestamptz, p_interval_s integer, p_samples jsonb)
    RETURNS TABLE (metric_name varchar(100), current_value numeric, status varchar(20), threshold_warning numeric, threshold_critical numeric)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM monitoring.ensure_partitions_around(p_at);
    RETURN QUERY
    WITH given AS MATERIALIZED (
        SELECT s.*, k.bk, util.hash_binary(k.bk) AS hk
          FROM jsonb_to_recordset(p_samples) AS s (
                   name text, category text, unit text, value numeric, warning numeric, critical numeric,
                   low_is_bad boolean, source text, counter jsonb, error text),
               -- Without the category: where a query fails, its metrics come without theirs.
               LATERAL (SELECT util.bk(p_target, 'HEALTH', s.name,
                                       coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM')) AS bk) AS k
    ),
    valued AS MATERIALIZED (
        SELECT g.*,
               CASE WHEN g.counter IS NULL THEN g.value
                    -- Without an earlier sample a ratio since the last reset is true, a rate is unknown.
                    WHEN previous.counter IS NULL AND g.counter ? 'whole'
                        THEN round((g.counter ->> 'part')::numeric / nullif((g.counter ->> 'whole')::numeric, 0), 4)
                    ELSE monitoring.rate_of(g.counter, previous.counter, extract(epoch FROM p_at - previous.at)) END AS measured,
               CASE WHEN g.counter IS NULL AND g.value IS NULL AND g.error IS NULL THEN 'the server told no value: the role of the collector may lack pg_monitor'
                    WHEN g.counter IS NOT NULL AND previous.counter IS NULL AND NOT g.counter ? 'whole' THEN 'first sample: a rate needs two'
                    WHEN g.counter ? 'whole' AND g.counter ->> 'whole' = previous.counter ->> 'whole' THEN 'nothing happened since the previous sample' END AS why_unknown
          FROM given g
          LEFT JOIN LATERAL (
                   SELECT p.additional_context -> 'counter' AS counter, p.measurement_timestamp AS at
                     FROM monitoring.system_health_metric_s p
                    WHERE g.counter IS NOT NULL
                      AND p.health_metric_hk = g.hk AND p.load_end_date IS NULL
                      AND p.measurement_timestamp > p_at - interval '1 hour'
                      AND p.measurement_timestamp < p_at - interval '5 seconds'
                      AND p.additional_context ? 'counter'
                    -- The newest; of a counter that is looked at over a time, the oldest within it: so that what
                    -- happens once stays visible for that long, however often it is sampled.
                    ORDER BY p.measurement_timestamp >= p_at - make_interval(secs => (g.counter ->> 'over_s')::numeric::float8) DESC NULLS LAST,
                             CASE WHEN p.measurement_timestamp >= p_at - make_interval(secs => (g.counter ->> 'over_s')::numeric::float8)
                                  THEN p.measurement_timestamp END,
                             p.measurement_timestamp DESC
                    LIMIT 1) AS previous ON true
    ),
    rated AS MATERIALIZED (
        SELECT v.*, monitoring.rate_status(v.measured, v.warning, v.critical, v.low_is_bad) AS rating FROM valued v
    ),
    new_hubs AS (
        INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, tenant_hk, record_source, target_name)
        SELECT r.hk, r.bk, p_tenant_hk, 'SYSTEM_COLLECTOR', p_target
          FROM rated r
         WHERE NOT EXISTS (SELECT FROM monitoring.system_health_metric_h h WHERE h.health_metric_hk = r.hk)
         ORDER BY r.hk
        ON CONFLICT DO NOTHING
    )
    INSERT INTO monitoring.system_health_metric_s (
        health_metric_hk, hash_diff, metric_name, metric_category, metric_value, metric_unit, threshold_warning, threshold_critical,
        measurement_timestamp, measurement_interval_seconds, status, additional_context, data_source, collection_method, record_source)
    SELECT r.hk, util.hash_binary(r.bk || '|' || coalesce(r.measured::text, '^^') || '|' || r.rating), r.name, r.category, r.measured,
           r.unit, r.warning, r.critical, p_at, p_interval_s, r.rating,
           nullif(jsonb_strip_nulls(jsonb_build_object('counter', r.counter, 'error', coalesce(r.error, r.why_unknown))), '{}'),
           r.source, 'AUTOMATIC', 'SYSTEM_COLLECTOR'
      FROM rated r
    RETURNING metric_name, metric_value, status, threshold_warning, threshold_critical;
END
$$;
COMMENT ON FUNCTION monitoring.record_health_samples(text, bytea, timestamptz, integer, jsonb) IS
    'Records one collection of a target: [{name, category, unit, value, warning, critical, low_is_bad, source, counter, error}]. A sample with an error is kept as UNKNOWN, with the error.';

CREATE OR REPLACE FUNCTION monitoring.latest_disk_sample() RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    -- SQL cannot ask the file system; what a worker on this host measured lately is the only truth.
    SELECT jsonb_build_array(jsonb_build_object(
               'name', 'disk_usage_pct', 'category', 'CAPACITY', 'unit', '%', 'value', recent.metric_value,
               'warning', 80, 'critical', 95, 'low_is_bad', false, 'source', 'system_health_metric_s',
               'error', CASE WHEN recent.metric_value IS NULL THEN 'no worker on this host measured the disk within 15 minutes' END))
      FROM (SELECT 1) AS always
      LEFT JOIN LATERAL (
               SELECT s.metric_value
                 FROM monitoring.system_health_metric_s s
                 JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
                WHERE h.target_name = 'local' AND s.metric_name = 'disk_usage_pct' AND s.load_end_date IS NULL
                  AND s.data_source = 'statfs'  -- measured, and not copied here: a copy would feed itself for ever
                  AND s.measurement_timestamp > statement_timestamp() - interval '15 minutes'
                ORDER BY s.measurement_timestamp DESC
                LIMIT 1) AS recent ON true
    $$;
COMMENT ON FUNCTION monitoring.latest_disk_sample() IS 'The newest disk usage that a worker measured; UNKNOWN when there is none, never a constant.';

CREATE OR REPLACE FUNCTION monitoring.collect_system_health_metrics(p_tenant_hk bytea DEFAULT NULL)
    RETURNS TABLE (metric_name varchar(100), current_value numeric, status varchar(20), threshold_warning numeric, threshold_critical numeric)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_query   record;
    v_part    jsonb;
    v_samples jsonb := monitoring.latest_disk_sample();
BEGIN
    FOR v_query IN SELECT q.query_name, q.metric_names, q.requires FROM monitoring.health_query q ORDER BY q.query_name LOOP
        CONTINUE WHEN to_regclass(v_query.requires) IS NULL AND v_query.requires IS NOT NULL;
        BEGIN
            EXECUTE format('SELECT jsonb_agg(to_jsonb(s)) FROM monitoring.%I() AS s', 'health_' || v_query.query_name) INTO v_part;
        EXCEPTION WHEN OTHERS THEN
            -- One query that fails leaves its own metrics UNKNOWN and the others untouched.
            SELECT jsonb_agg(jsonb_build_object('name', m, 'category', 'AVAILABILITY', 'low_is_bad', false,
                                                'source', v_query.query_name, 'error', SQLERRM))
              INTO v_part FROM unnest(v_query.metric_names) AS m;
        END;
        v_samples := v_samples || coalesce(v_part, '[]');
    END LOOP;
    RETURN QUERY
        SELECT r.* FROM monitoring.record_health_samples('local', p_tenant_hk, clock_timestamp(), 300, v_samples) AS r
         ORDER BY r.metric_name;
END
$$;
COMMENT ON FUNCTION monitoring.collect_system_health_metrics(bytea) IS
    'Measures this server now, records every sample and returns them.';

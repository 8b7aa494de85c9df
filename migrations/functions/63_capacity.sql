-- Recording of what resources hold, and reading of how that went. What a worker measured (collect/capacity) comes
-- with its forecast (package forecast): SQL holds no second one.

COMMENT ON TABLE monitoring.capacity_metric_s IS
    'Measurement satellite: how full a resource was, how it grows, and when it would be full. NULL: not known. Types: DISK (named by its mount point), TABLESPACE, DATABASE, TABLE (with its TOAST), INDEX, WAL, TEMP, and SEQUENCE, of which the columns of bytes count values. Methods: THEIL_SEN, the median slope of the daily medians of 60 days; THEIL_SEN_RESET, where one sudden fall is left out of it; MEASURED, where nothing is left.';

CREATE OR REPLACE FUNCTION monitoring.capacity_key(p_target text, p_tenant_hk bytea, p_type text, p_name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- Parts of a key are trimmed and upper-cased, and a key has its length: names that this would confuse or cut
    -- get the hash of the whole name.
    SELECT util.bk(p_target, 'CAPACITY', p_type,
                   CASE WHEN p_name = lower(btrim(p_name)) AND length(p_name) <= 90 THEN p_name
                        ELSE left(p_name, 40) || '#' || left(encode(sha256(convert_to(p_name, 'UTF8')), 'hex'), 16) END,
                   coalesce(left(encode(p_tenant_hk, 'hex'), 16), 'SYSTEM'))
    $$;
COMMENT ON FUNCTION monitoring.capacity_key(text, bytea, text, text) IS
    'The business key of a resource of a target.';

CREATE OR REPLACE FUNCTION monitoring.capacity_history(p_target text, p_tenant_hk bytea, p_from timestamptz, p_to timestamptz)
    RETURNS TABLE (capacity_metric_hk bytea, day date, size_bytes numeric)
    LANGUAGE sql STABLE
    AS $$
    WITH hubs AS MATERIALIZED (
        SELECT h.capacity_metric_hk
          FROM monitoring.capacity_metric_h h
         WHERE h.target_name = p_target AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk
    ),
    measured AS MATERIALIZED (
        SELECT s.capacity_metric_hk, (s.measurement_timestamp AT TIME ZONE 'UTC')::date AS day,
               percentile_disc(0.5) WITHIN GROUP (ORDER BY s.current_size_bytes) AS size_bytes
          FROM hubs
          JOIN monitoring.capacity_metric_s s USING (capacity_metric_hk)
         WHERE s.load_end_date IS NULL AND s.current_size_bytes IS NOT NULL
           AND s.measurement_timestamp >= p_from AND s.measurement_timestamp < p_to
         GROUP BY 1, 2
    ),
    -- What retention took is left as hours.
    rolled_up AS (
        SELECT s.capacity_metric_hk, (s.hour_start AT TIME ZONE 'UTC')::date AS day,
               percentile_disc(0.5) WITHIN GROUP (ORDER BY s.last_size_bytes) AS size_bytes
          FROM hubs
          JOIN monitoring.capacity_metric_hourly_s s USING (capacity_metric_hk)
         WHERE s.load_end_date IS NULL AND s.last_size_bytes IS NOT NULL
           AND s.hour_start >= p_from
           AND s.hour_start < least(p_to, (SELECT min(m.day) FROM measured m)::timestamp AT TIME ZONE 'UTC')
         GROUP BY 1, 2
    )
    SELECT m.capacity_metric_hk, m.day, m.size_bytes FROM measured m
    UNION ALL
    SELECT r.capacity_metric_hk, r.day, r.size_bytes FROM rolled_up r
     ORDER BY 1, 2
    $$;
COMMENT ON FUNCTION monitoring.capacity_history(text, bytea, timestamptz, timestamptz) IS
    'The median size of each day in UTC of every resource of a target, over [from, to).';

CREATE OR REPLACE FUNCTION monitoring.record_capacity_samples(
    p_target text, p_tenant_hk bytea, p_at timestamptz, p_interval_s integer, p_samples jsonb, p_problems text[] DEFAULT '{}') RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_written integer;
BEGIN
    PERFORM monitoring.ensure_partitions_around(p_at);
    -- A measurement that is recorded again is there: the first one stays. Two at once: one waits and then finds it.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.capacity/' || p_target || '/' || coalesce(encode(p_tenant_hk, 'hex'), ''), 0));
    WITH given AS MATERIALIZED (
        SELECT DISTINCT ON (k.bk) s.*, k.bk, util.hash_binary(k.bk) AS hk
          FROM jsonb_to_recordset(p_samples) AS s (
                   type text, name text, size bigint, available bigint, growth numeric, trend text, method text,
                   full_on date, earliest date, latest date),
               LATERAL (SELECT monitoring.capacity_key(p_target, p_tenant_hk, s.type, s.name) AS bk) AS k
         ORDER BY k.bk
    ),
    new_hubs AS (
        INSERT INTO monitoring.capacity_metric_h (capacity_metric_hk, capacity_metric_bk, tenant_hk, record_source, target_name)
        SELECT g.hk, g.bk, p_tenant_hk, 'CAPACITY_COLLECTOR', p_target
          FROM given g
         WHERE NOT EXISTS (SELECT FROM monitoring.capacity_metric_h h WHERE h.capacity_metric_hk = g.hk)
         ORDER BY g.hk
        ON CONFLICT DO NOTHING
    )
    INSERT INTO monitoring.capacity_metric_s (
        capacity_metric_hk, hash_diff, resource_type, resource_name, current_size_bytes, available_space_bytes, utilization_percentage,
        growth_rate_per_day, projected_full_date, measurement_timestamp, trend_direction, record_source, forecast_method,
        forecast_low_date, forecast_high_date)
    SELECT g.hk, util.hash_binary(concat_ws('|', g.bk, g.size, g.available, g.growth, g.full_on)), g.type, left(g.name, 200), g.size, g.available,
           -- Never rounded up to full: 100 is said only of what is.
           CASE WHEN g.available > 0 THEN least(round(100.0 * g.size / (g.size::numeric + g.available), 2), 99.99)
                WHEN g.available = 0 THEN 100 END,
           round(g.growth, 4), g.full_on, p_at, g.trend, 'CAPACITY_COLLECTOR', g.method, g.earliest, g.latest
      FROM given g
     WHERE NOT EXISTS (SELECT FROM monitoring.capacity_metric_s s
                        WHERE s.capacity_metric_hk = g.hk AND s.measurement_timestamp = p_at);
    GET DIAGNOSTICS v_written = ROW_COUNT;

    -- What could not be measured is a measurement as well. Without any sample nothing was: then its value is unknown.
    IF NOT EXISTS (SELECT FROM monitoring.system_health_metric_s s
                     JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
                    WHERE s.metric_name = 'capacity_unmeasured' AND s.measurement_timestamp = p_at AND s.load_end_date IS NULL
                      AND h.target_name = p_target AND h.tenant_hk IS NOT DISTINCT FROM p_tenant_hk) THEN
        PERFORM monitoring.record_health_samples(p_target, p_tenant_hk, p_at, p_interval_s, jsonb_build_array(jsonb_build_object(
            'name', 'capacity_unmeasured', 'category', 'CAPACITY', 'unit', 'count', 'low_is_bad', false, 'source', 'capacity',
            'value', CASE WHEN jsonb_array_length(p_samples) > 0 THEN cardinality(p_problems) END,
            'error', nullif(array_to_string(p_problems, '; '), ''))));
    END IF;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.record_capacity_samples(text, bytea, timestamptz, integer, jsonb, text[]) IS
    'Records one measurement of the resources of a target: [{type, name, size, available, growth, trend, method, full_on, earliest, latest}], and what could not be measured as the health metric capacity_unmeasured. Recorded again it changes nothing. Returns how many samples were written.';

-- What a condition may ask of history: avg(replication_lag_s, 15m) over a window that ends now,
-- avg(replication_lag_s, 1h, 7d ago) over one that ended then, forecast(wal_size_gb, 4h) of what is to come,
-- and firing("PG_REPLICATION_LAG") of another definition. Each is one input of the condition: see 20_conditions.sql.

CREATE OR REPLACE FUNCTION monitoring.condition_call(
    p_name text, OUT function_name text, OUT argument text, OUT width interval, OUT ago interval)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p[1], coalesce(p[2], substring(p_name FROM '^firing\((.*)\)$')), p[3]::interval, coalesce(p[4], '0s')::interval
      FROM (SELECT coalesce(regexp_match(p_name, '^([a-z]+)\(([A-Za-z0-9_]+), ([0-9]+[smhd])(?:, ([0-9]+[smhd]) ago)?\)$'),
                            ARRAY[substring(p_name FROM '^[a-z]+'), NULL, NULL, NULL]) AS p) AS parts
    $$;
COMMENT ON FUNCTION monitoring.condition_call(text) IS
    'Takes the name of a call apart: avg(x, 1h, 7d ago) is the function avg of x over 1 hour that ended 7 days ago; firing(KEY) has no window.';

CREATE OR REPLACE FUNCTION monitoring.metric_of(p_identifier text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- A rate has another unit than its metric, and an alert that fires has none.
    SELECT CASE WHEN p_identifier NOT LIKE '%(%' THEN p_identifier
                WHEN p_identifier !~ '^(rate|firing)\(' THEN (monitoring.condition_call(p_identifier)).argument END
    $$;
COMMENT ON FUNCTION monitoring.metric_of(text) IS 'The metric in whose unit an identifier of a condition is; NULL: it has another, or none.';

DROP FUNCTION IF EXISTS monitoring.health_series(text, text, bytea, timestamptz, timestamptz);

CREATE OR REPLACE FUNCTION monitoring.health_series(
    p_metric text, p_target text, p_tenant_hk bytea, p_from timestamptz, p_to timestamptz, p_labels jsonb DEFAULT '{}')
    RETURNS TABLE (at timestamptz, value numeric, seconds numeric)
    LANGUAGE sql STABLE
    AS $$
    -- A tenant's own measurements, where there are any, go before the server's.
    SELECT s.measurement_timestamp, s.metric_value, s.measurement_interval_seconds::numeric
      FROM (SELECT k.hk
              FROM unnest(ARRAY[p_tenant_hk, NULL]) WITH ORDINALITY AS t (tenant_hk, o),
                   LATERAL (SELECT util.hash_binary(monitoring.health_key(p_target, t.tenant_hk, p_metric, p_labels)) AS hk) AS k
             WHERE EXISTS (SELECT FROM monitoring.system_health_metric_s e
                            WHERE e.health_metric_hk = k.hk
                              -- Said so that only the key serves it, and no index over time: see label_series().
                              AND coalesce(e.load_end_date, 'infinity') = 'infinity'
                              AND e.measurement_timestamp > p_from AND e.measurement_timestamp <= p_to)
             ORDER BY t.o
             LIMIT 1) AS hub
      JOIN monitoring.system_health_metric_s s ON s.health_metric_hk = hub.hk
     WHERE coalesce(s.load_end_date, 'infinity') = 'infinity' AND s.metric_value IS NOT NULL
       AND s.measurement_timestamp > p_from AND s.measurement_timestamp <= p_to
    $$;
COMMENT ON FUNCTION monitoring.health_series(text, text, bytea, timestamptz, timestamptz, jsonb) IS
    'The values of one series of a health metric of a target in (from, to], each with the seconds that it stands for.';

DROP FUNCTION IF EXISTS monitoring.forecast_of(text, text, bytea, interval, timestamptz);

CREATE OR REPLACE FUNCTION monitoring.forecast_of(
    p_metric text, p_target text, p_tenant_hk bytea, p_ahead interval, p_at timestamptz, p_labels jsonb DEFAULT '{}') RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
    -- From as much past as it looks ahead, an hour at least. Theil-Sen: the median of the slopes between
    -- 60 points that are medians themselves, so that a spike bends nothing.
    WITH given AS (
        SELECT greatest(p_ahead, interval '1 hour') AS past
    ),
    points AS (
        SELECT avg(extract(epoch FROM s.at - p_at))::float8 AS x, percentile_cont(0.5) WITHIN GROUP (ORDER BY s.value::float8) AS y,
               sum(s.seconds) AS seconds
          FROM given g, monitoring.health_series(p_metric, p_target, p_tenant_hk, p_at - g.past, p_at, p_labels) AS s
         GROUP BY width_bucket(extract(epoch FROM p_at - s.at), 0, extract(epoch FROM g.past), 60)
    ),
    slope AS (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (b.y - a.y) / (b.x - a.x)) AS per_s
          FROM points a JOIN points b ON a.x < b.x
    )
    SELECT CASE WHEN count(*) >= 5 AND sum(p.seconds) >= extract(epoch FROM min(g.past)) / 2
                THEN round((percentile_cont(0.5) WITHIN GROUP (ORDER BY p.y - s.per_s * p.x)
                            + min(s.per_s) * extract(epoch FROM p_ahead)::float8)::numeric, 4) END
      FROM points p, slope s, given g
    $$;
COMMENT ON FUNCTION monitoring.forecast_of(text, text, bytea, interval, timestamptz, jsonb) IS
    'What a health metric would be so much later if it went on as it went; NULL: less than half of the past that this takes was measured.';

DROP FUNCTION IF EXISTS monitoring.window_value(text, text, bytea, timestamptz);

CREATE OR REPLACE FUNCTION monitoring.window_value(
    p_name text, p_target text, p_tenant_hk bytea, p_at timestamptz, p_labels jsonb DEFAULT '{}') RETURNS numeric
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_call  record;
    v_to    timestamptz;
    v_found record;
BEGIN
    v_call := monitoring.condition_call(p_name);
    v_to := p_at - v_call.ago;
    IF v_call.function_name = 'forecast' THEN
        RETURN monitoring.forecast_of(v_call.argument, p_target, p_tenant_hk, v_call.width, v_to, p_labels);
    END IF;
    SELECT count(*) AS samples, sum(s.seconds) AS seconds, avg(s.value) AS mean, min(s.value) AS low, max(s.value) AS high,
           stddev_samp(s.value) AS deviation,
           (array_agg(s.value ORDER BY s.at DESC))[1] - (array_agg(s.value ORDER BY s.at))[1] AS difference,
           extract(epoch FROM max(s.at) - min(s.at)) AS apart
      INTO v_found
      FROM monitoring.health_series(v_call.argument, p_target, p_tenant_hk, v_to - v_call.width, v_to, p_labels) AS s;
    -- A window of which less than half was measured is missing data, and not a smaller window.
    IF v_found.samples = 0 OR v_found.seconds < extract(epoch FROM v_call.width) / 2 THEN
        RETURN NULL;
    END IF;
    RETURN round(CASE v_call.function_name
                     WHEN 'avg' THEN v_found.mean
                     WHEN 'min' THEN v_found.low
                     WHEN 'max' THEN v_found.high
                     WHEN 'stddev' THEN v_found.deviation
                     WHEN 'delta' THEN CASE WHEN v_found.samples > 1 THEN v_found.difference END
                     WHEN 'rate' THEN v_found.difference / nullif(v_found.apart, 0) END, 4);
END
$$;
COMMENT ON FUNCTION monitoring.window_value(text, text, bytea, timestamptz, jsonb) IS
    'What a call such as avg(replication_lag_s, 1h, 7d ago) amounts to at a moment: avg, min, max, stddev; delta (last less first), rate (delta a second), forecast. p_labels: of which series. NULL: less than half of the window was measured.';

CREATE OR REPLACE FUNCTION monitoring.firing_value(p_definition_key text, p_target text, p_tenant_hk bytea, p_at timestamptz) RETURNS numeric
    LANGUAGE sql STABLE
    AS $$
    -- Known as long as somebody looks: three of its rounds, as everywhere. A look that found no data, or
    -- failed, knows nothing.
    SELECT CASE WHEN look.result IN ('TRUE', 'FALSE') THEN (look.decision IN ('FIRED', 'SUPPRESSED', 'UNSUPPRESSED', 'REOPENED', 'HOLDING'))::integer END
      FROM monitoring.alert_definition_h h
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
      JOIN LATERAL (
               SELECT e.result, e.decision
                 FROM monitoring.alert_evaluation_s e
                WHERE e.alert_definition_hk = h.alert_definition_hk AND e.target_name = p_target
                  -- A tenant's own definition, or everybody's.
                  AND e.tenant_hk IS NOT DISTINCT FROM CASE WHEN h.tenant_hk = p_tenant_hk THEN p_tenant_hk END
                  AND e.evaluated_at <= p_at
                  AND e.evaluated_at > p_at - 3 * make_interval(mins => d.evaluation_frequency_minutes) - interval '1 minute'
                ORDER BY e.evaluated_at DESC
                LIMIT 1) AS look ON true
     WHERE h.alert_definition_bk = p_definition_key
    $$;
COMMENT ON FUNCTION monitoring.firing_value(text, text, bytea, timestamptz) IS
    '1 while an alert of a definition is active on a target by its newest evaluation, 0 while it is not; NULL: nobody looked lately, or the look knew nothing.';

CREATE OR REPLACE FUNCTION monitoring.history_inputs(p_identifiers text[], p_target text, p_tenant_hk bytea, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_strip_nulls(coalesce(jsonb_object_agg(i, CASE WHEN i LIKE 'firing(%'
               THEN monitoring.firing_value((monitoring.condition_call(i)).argument, p_target, p_tenant_hk, p_at)
               ELSE monitoring.window_value(i, p_target, p_tenant_hk, p_at) END), '{}'))
      FROM (SELECT DISTINCT i FROM unnest(p_identifiers) AS u (i) WHERE i LIKE '%(%') AS calls
    $$;
COMMENT ON FUNCTION monitoring.history_inputs(text[], text, bytea, timestamptz) IS
    'The values of the calls among the identifiers of a condition, each under its own name; what is not known is missing.';

-- ---------------------------------------------------------------- what is refused at INSERT

DROP FUNCTION IF EXISTS monitoring.check_condition_call(text, text, text);

CREATE OR REPLACE FUNCTION monitoring.check_condition_call(p_field text, p_condition text, p_name text, p_alert_by text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_call record;
    -- Measurements are kept for 35 days by default, and a week leaves whole.
    v_reach constant interval := interval '28 days';
BEGIN
    v_call := monitoring.condition_call(p_name);
    IF v_call.function_name = 'firing' THEN
        IF NOT EXISTS (SELECT FROM monitoring.alert_definition_h WHERE alert_definition_bk = v_call.argument) THEN
            RAISE EXCEPTION '% "%" names the unknown definition "%"', p_field, p_condition, v_call.argument
                USING ERRCODE = '22023', HINT = 'Write the key of a definition that is there: onevault definition list --all.';
        END IF;
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM monitoring.condition_identifier
                    WHERE metric_source = 'system_health' AND identifier = v_call.argument) THEN
        RAISE EXCEPTION '% "%" names the unknown metric "%"', p_field, p_condition, v_call.argument
            USING ERRCODE = '22023',
                  HINT = format('History is kept of the metrics of system_health. Did you mean "%s"?',
                                monitoring.nearest_identifier('system_health', v_call.argument));
    END IF;
    PERFORM monitoring.check_labels_named(p_field, p_condition, v_call.argument, p_alert_by);
    IF v_call.width = interval '0' OR v_call.width + v_call.ago > v_reach THEN
        RAISE EXCEPTION '% "%": % looks at %', p_field, p_condition, p_name,
                        CASE WHEN v_call.width = interval '0' THEN 'no time at all' ELSE 'more than ' || extract(day FROM v_reach) || ' days of the past' END
            USING ERRCODE = '22023', HINT = format('Window and distance together may be 1s to %sd: single measurements are not kept much longer.', extract(day FROM v_reach));
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_condition_call(text, text, text, text[]) IS
    'Raises 22023 when a call of a condition names what is not there, or looks further back than history is kept.';

CREATE OR REPLACE FUNCTION monitoring.check_no_circle(p_definition_hk bytea, p_name text, p_condition text, p_clear text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_circle text;
BEGIN
    IF p_condition NOT LIKE '%firing%' AND coalesce(p_clear NOT LIKE '%firing%', true) THEN
        RETURN;
    END IF;
    WITH RECURSIVE names AS (
        SELECT h.alert_definition_hk, h.alert_definition_bk, ARRAY[h.alert_definition_bk::text] AS way
          FROM monitoring.alert_definition_h h
         WHERE h.alert_definition_bk IN (SELECT (monitoring.condition_call(i)).argument
                                           FROM unnest((monitoring.compile_condition(p_condition)).identifiers
                                                       || CASE WHEN p_clear IS NOT NULL THEN (monitoring.compile_condition(p_clear)).identifiers END) AS i
                                          WHERE i LIKE 'firing(%')
        UNION ALL
        SELECT h.alert_definition_hk, h.alert_definition_bk, n.way || h.alert_definition_bk::text
          FROM names n
          JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = n.alert_definition_hk AND d.load_end_date IS NULL
         CROSS JOIN LATERAL unnest((monitoring.compile_condition(d.condition_logic)).identifiers
                                   || CASE WHEN d.clear_condition_logic IS NOT NULL
                                           THEN (monitoring.compile_condition(d.clear_condition_logic)).identifiers END) AS i
          JOIN monitoring.alert_definition_h h ON h.alert_definition_bk = (monitoring.condition_call(i)).argument
         WHERE i LIKE 'firing(%' AND n.alert_definition_hk <> p_definition_hk AND NOT h.alert_definition_bk = ANY (n.way)
    )
    SELECT array_to_string(n.way, ' -> ') INTO v_circle FROM names n WHERE n.alert_definition_hk = p_definition_hk LIMIT 1;
    IF v_circle IS NOT NULL THEN
        RAISE EXCEPTION 'alert definition "%" rests on itself: %', p_name, v_circle
            USING ERRCODE = '22023', HINT = 'Take firing(...) of one of them out of its condition.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_no_circle(bytea, text, text, text) IS
    'Raises 22023 when a definition names, by firing(...), one that names it in turn.';

-- The inputs of a condition that is evaluated once per label set. A metric whose series carry all the labels of
-- alert_by has a value per set; one without labels has the same value for all of them.

CREATE OR REPLACE FUNCTION monitoring.label_set(p_labels jsonb, p_alert_by text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT jsonb_object_agg(n, p_labels -> n) FROM unnest(p_alert_by) AS n $$;
COMMENT ON FUNCTION monitoring.label_set(jsonb, text[]) IS 'Of the labels of a series those by which a definition alerts.';

CREATE OR REPLACE FUNCTION monitoring.label_series(
    p_metrics text[], p_target text, p_tenant_hk bytea, p_lookback interval, p_at timestamptz, p_alert_by text[])
    RETURNS TABLE (labels jsonb, metric text, value numeric, series_labels jsonb, problem text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_unreachable timestamptz := monitoring.unreachable_since(p_target, p_at);
BEGIN
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT m.metric, greatest(p_lookback, make_interval(secs => 2.5 * c.every_s)) AS reach, r.ran_at,
               t.tenant_hk, monitoring.health_key(p_target, t.tenant_hk, m.metric, '{}') || '||' AS prefix
          FROM unnest(p_metrics) AS m (metric)
          JOIN monitoring.condition_identifier c ON c.metric_source = 'system_health' AND c.identifier = m.metric
          LEFT JOIN monitoring.health_metric b ON b.metric_name = m.metric
          -- When its query last ran well: a series that it did not tell of then is gone, however young its last sample is.
          LEFT JOIN monitoring.health_query_run r
            ON r.target_name = p_target AND r.query_name = coalesce(b.query_name, m.metric)
           AND r.error IS NULL AND r.left_out IS NULL AND r.ran_at <= p_at
         CROSS JOIN LATERAL (SELECT NULL::bytea AS tenant_hk UNION ALL SELECT p_tenant_hk WHERE p_tenant_hk IS NOT NULL) AS t
    ),
    newest AS MATERIALIZED (
        -- A tenant's own measurement, where there is one, goes before the server's.
        SELECT DISTINCT ON (a.metric, s.labels) a.metric, s.labels, s.metric_value, monitoring.label_set(s.labels, p_alert_by) AS label_set
          FROM asked a
          JOIN monitoring.system_health_metric_h h
            ON h.target_name = p_target AND h.tenant_hk IS NOT DISTINCT FROM a.tenant_hk AND starts_with(h.health_metric_bk, a.prefix)
         CROSS JOIN LATERAL (
                   -- The newest sample decides, even when it is UNKNOWN: an older value would hide that it is missing.
                   SELECT x.labels, x.metric_value, x.measurement_timestamp
                     FROM monitoring.system_health_metric_s x
                    WHERE x.health_metric_hk = h.health_metric_hk
                      -- Said so that the indexes over time do not serve it: without statistics of a new week the planner
                      -- takes one of them for as good as the key, and reads all series for each.
                      AND coalesce(x.load_end_date, 'infinity') = 'infinity'
                      AND x.measurement_timestamp > p_at - a.reach AND x.measurement_timestamp <= p_at
                      AND x.measurement_timestamp >= coalesce(v_unreachable, '-infinity')
                    ORDER BY x.measurement_timestamp DESC, x.load_date DESC
                    LIMIT 1) AS s
         WHERE s.labels ?& p_alert_by
           AND s.measurement_timestamp >= coalesce(a.ran_at, '-infinity')
         ORDER BY a.metric, s.labels, a.tenant_hk IS NULL
    )
    SELECT n.label_set, n.metric, CASE WHEN count(*) = 1 THEN min(n.metric_value) END,
           CASE WHEN count(*) = 1 THEN min(n.labels::text)::jsonb END,
           CASE WHEN count(*) > 1 THEN format('%s has %s series with these labels, such as %s: let alert_by name more of its labels',
                                              n.metric, count(*), monitoring.label_text(min(n.labels::text)::jsonb)) END
      FROM newest n
     GROUP BY n.label_set, n.metric;
END
$$;
COMMENT ON FUNCTION monitoring.label_series(text[], text, bytea, interval, timestamptz, text[]) IS
    'The newest values of metrics of a target by label set: those within the look-back, or within two and a half times the cadence of a metric that is measured more rarely, and told of by the last run of their query. series_labels: all labels of the one series; problem: there are several.';

CREATE OR REPLACE FUNCTION monitoring.label_inputs(
    p_names text[], p_target text, p_tenant_hk bytea, p_lookback interval, p_at timestamptz, p_alert_by text[])
    RETURNS TABLE (labels jsonb, inputs jsonb, problem text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    -- The metrics with labels that are named, by themselves or in a call; and which name is about which.
    v_about jsonb := (SELECT jsonb_object_agg(u.name, c.identifier)
                        FROM (SELECT DISTINCT n FROM unnest(p_names) AS n) AS u (name)
                        JOIN monitoring.condition_identifier c
                          ON c.metric_source = 'system_health' AND c.label_names <> '{}'
                         AND c.identifier = CASE WHEN u.name LIKE '%(%' THEN (monitoring.condition_call(u.name)).argument ELSE u.name END);
BEGIN
    RETURN QUERY
    SELECT s.labels,
           coalesce(jsonb_object_agg(a.name, v.value) FILTER (WHERE v.value IS NOT NULL), '{}'),
           string_agg(DISTINCT s.problem, '; ')
      FROM monitoring.label_series(ARRAY(SELECT DISTINCT m.value FROM jsonb_each_text(v_about) AS m), p_target, p_tenant_hk, p_lookback, p_at, p_alert_by) AS s
      JOIN jsonb_each_text(v_about) AS a (name, metric) ON a.metric = s.metric
     CROSS JOIN LATERAL (
               SELECT CASE WHEN a.name = s.metric THEN s.value
                           WHEN s.series_labels IS NOT NULL
                           THEN monitoring.window_value(a.name, p_target, p_tenant_hk, p_at, s.series_labels) END AS value) AS v
     GROUP BY s.labels;
END
$$;
COMMENT ON FUNCTION monitoring.label_inputs(text[], text, bytea, interval, timestamptz, text[]) IS
    'For each label set that has samples, the values of the names in a condition that are about metrics with labels. problem: why they cannot be told.';

CREATE OR REPLACE FUNCTION monitoring.evaluate_each(
    p_path jsonpath, p_identifiers text[], p_inputs jsonb, OUT result text, OUT evaluated_value numeric, OUT reason text)
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    SELECT e.result, e.evaluated_value, e.reason INTO result, evaluated_value, reason
      FROM monitoring.evaluate_compiled(p_path, p_identifiers, p_inputs) AS e;
EXCEPTION WHEN OTHERS THEN
    result := 'ERROR';
    reason := SQLERRM;
END
$$;
COMMENT ON FUNCTION monitoring.evaluate_each(jsonpath, text[], jsonb) IS
    'evaluate_condition() of a condition that is compiled: one set of inputs that errs leaves the others of a statement alone.';

-- ---------------------------------------------------------------- what is refused at INSERT

CREATE OR REPLACE FUNCTION monitoring.check_labels_named(p_field text, p_condition text, p_metric text, p_alert_by text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_labels text[] := (SELECT c.label_names FROM monitoring.condition_identifier c
                         WHERE c.metric_source = 'system_health' AND c.identifier = p_metric);
BEGIN
    IF v_labels IS NULL OR v_labels = '{}' THEN
        RETURN;
    END IF;
    IF coalesce(p_alert_by, '{}') = '{}' THEN
        RAISE EXCEPTION '% "%" names %, which has a series for each %', p_field, p_condition, p_metric, array_to_string(v_labels, ', ')
            USING ERRCODE = '22023', HINT = format('Let alert_by say by which of these labels it alerts: an alert for each %s.', v_labels[1]);
    END IF;
    IF NOT p_alert_by <@ v_labels THEN
        RAISE EXCEPTION '% "%" names %, which has no label %', p_field, p_condition, p_metric,
            (SELECT string_agg(n, ', ') FROM unnest(p_alert_by) AS n WHERE n <> ALL (v_labels))
            USING ERRCODE = '22023', HINT = format('Its labels are %s; alert_by may name some of them.', array_to_string(v_labels, ', '));
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_labels_named(text, text, text, text[]) IS
    'Raises 22023 when a condition names a metric with labels and alert_by does not fit them.';

CREATE OR REPLACE FUNCTION monitoring.check_alert_by(p_name text, p_metric_source text, p_alert_by text[], p_condition text) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF coalesce(p_alert_by, '{}') = '{}' THEN
        RETURN;
    END IF;
    IF p_metric_source <> 'system_health' THEN
        RAISE EXCEPTION 'alert_by of alert definition "%" is %, and its metric_source is %', p_name, p_alert_by, p_metric_source
            USING ERRCODE = '22023', HINT = 'Only the metrics of system_health have labels: leave alert_by out, or take one of them.';
    END IF;
    IF cardinality(p_alert_by) <> (SELECT count(DISTINCT n) FROM unnest(p_alert_by) AS n) THEN
        RAISE EXCEPTION 'alert_by of alert definition "%" is %', p_name, p_alert_by USING ERRCODE = '22023', HINT = 'Name each label once.';
    END IF;
    IF NOT EXISTS (SELECT FROM unnest((monitoring.compile_condition(p_condition)).identifiers) AS n
                     JOIN monitoring.condition_identifier c
                       ON c.metric_source = 'system_health' AND c.label_names <> '{}'
                      AND c.identifier = CASE WHEN n LIKE '%(%' THEN (monitoring.condition_call(n)).argument ELSE n END) THEN
        RAISE EXCEPTION 'alert_by of alert definition "%" is %, but condition_logic names no metric with labels', p_name, p_alert_by
            USING ERRCODE = '22023',
                  HINT = 'Name one: SELECT identifier, label_names FROM monitoring.condition_identifier WHERE label_names <> ''{}''; or leave alert_by out.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_alert_by(text, text, text[], text) IS
    'Raises 22023 when a definition cannot alert by the labels that it names.';

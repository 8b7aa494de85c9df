-- A definition that can only err watches nothing: that is an alert of its own, to whoever keeps the definitions.

CREATE OR REPLACE FUNCTION monitoring.evaluation_inputs(p_target text, p_tenant_hk bytea, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    WITH looks AS (
        SELECT h.alert_definition_bk, coalesce(d.last_modified_by, d.created_by) AS author, d.no_data_minutes,
               look.result, look.result_since, look.reason
          FROM monitoring.alert_definition_s d
          JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
          JOIN LATERAL (
                   SELECT e.result, e.result_since, e.reason
                     FROM monitoring.alert_evaluation_s e
                    WHERE e.alert_definition_hk = d.alert_definition_hk
                      AND e.target_name = p_target
                      AND e.tenant_hk IS NOT DISTINCT FROM coalesce(h.tenant_hk, p_tenant_hk)
                      AND e.evaluated_at <= p_at
                      AND e.evaluated_at > p_at - 3 * make_interval(mins => d.evaluation_frequency_minutes) - interval '1 minute'
                      AND e.load_end_date IS NULL
                    ORDER BY e.evaluated_at DESC
                    LIMIT 1) AS look ON true
         WHERE d.load_end_date IS NULL AND d.is_enabled
           AND d.metric_source NOT IN ('worker', 'external', 'evaluation')
           AND (p_tenant_hk IS NULL OR h.tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
    ),
    erring AS (
        SELECT l.*, l.result_since <= p_at - make_interval(mins => l.no_data_minutes) AS long,
               row_number() OVER (ORDER BY l.result_since, l.alert_definition_bk) AS place
          FROM looks l
         WHERE l.result = 'ERROR'
    )
    -- Where nobody looked at anything, nothing is known about it.
    SELECT CASE WHEN EXISTS (SELECT FROM looks) THEN jsonb_build_object(
               'erring_definition_count', (SELECT count(*) FROM erring WHERE long),
               'erring_now_count', (SELECT count(*) FROM erring),
               'because', (SELECT string_agg(format('%s (written by %s) errs since %s: %s', e.alert_definition_bk, e.author,
                                      to_char(e.result_since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), left(e.reason, 200)), '; ' ORDER BY e.place)
                                  || CASE WHEN (SELECT count(*) FROM erring WHERE long) > 5
                                          THEN format('; and %s more', (SELECT count(*) - 5 FROM erring WHERE long)) ELSE '' END
                             FROM (SELECT * FROM erring WHERE long ORDER BY place LIMIT 5) AS e)) END
    $$;
COMMENT ON FUNCTION monitoring.evaluation_inputs(text, bytea, timestamptz) IS
    'What the newest looks at the definitions of a target say about the definitions themselves: how many err, how many for longer than their no_data_minutes, and which and why (because).';

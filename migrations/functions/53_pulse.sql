-- What the dead man's switch rests on: whether alerting as a whole works, as the rows say.

CREATE OR REPLACE FUNCTION monitoring.overdue_looks(p_every interval, p_cycles integer, p_slack interval)
    RETURNS TABLE (definition_key varchar(255), target_name varchar(63), since timestamptz, every interval)
    LANGUAGE sql STABLE
    AS $$
    SELECT look.alert_definition_bk, look.target_name, look.since, look.every
      FROM (SELECT h.alert_definition_bk, t.target_name, coalesce(p_every, make_interval(mins => s.evaluation_frequency_minutes)) AS every,
                   -- What was never looked at is due since it could be.
                   coalesce(e.last, greatest(s.load_date, t.since)) AS since
              FROM monitoring.alert_definition_s s
              JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
             CROSS JOIN (SELECT 'local' AS target_name, NULL::bytea AS tenant_hk, '-infinity'::timestamptz AS since
                         UNION ALL
                         SELECT c.target_name, c.tenant_hk, c.version FROM monitoring.target_current c WHERE c.target_state = 'ENABLED') AS t
              LEFT JOIN LATERAL (
                       SELECT max(v.evaluated_at) AS last
                         FROM monitoring.alert_evaluation_s v
                        WHERE v.alert_definition_hk = s.alert_definition_hk AND v.target_name = t.target_name
                          AND v.evaluated_at > clock_timestamp() - interval '8 days') AS e ON true
             WHERE s.load_end_date IS NULL AND s.is_enabled AND s.metric_source <> 'worker'
               AND (t.target_name = 'local' OR s.metric_source <> ALL (monitoring.sources_of_the_vault()))
               AND (h.tenant_hk IS NULL OR t.tenant_hk IS NULL OR h.tenant_hk = t.tenant_hk)) AS look
     WHERE look.since < clock_timestamp() - p_cycles * look.every - p_slack
     ORDER BY look.since, look.alert_definition_bk, look.target_name
    $$;
COMMENT ON FUNCTION monitoring.overdue_looks(interval, integer, interval) IS
    'The enabled definitions that nobody looked at on a target for p_cycles of their cycles and p_slack. p_every NULL: each by its own frequency; otherwise all at that cadence.';

-- The watched servers, each with the newest look at it. $1: removed ones as well.
WITH target AS (
    SELECT 'local' AS target_name, 'ENABLED' AS target_state, '' AS target_url, '' AS password_env, '' AS password_file, '' AS url_env,
           '' AS url_file, 0 AS every_s, '' AS tenant, 'the vault''s own server' AS description, '' AS changed_by,
           NULL::timestamptz AS version, NULL::timestamptz AS added_at
    UNION ALL
    SELECT c.target_name, c.target_state, coalesce(c.target_url, ''), coalesce(c.password_env, ''), coalesce(c.password_file, ''),
           coalesce(c.url_env, ''), coalesce(c.url_file, ''), coalesce(extract(epoch FROM c.collect_every), 0)::integer,
           coalesce(t.tenant_bk, ''), coalesce(c.description, ''), c.changed_by, c.version, c.added_at
      FROM monitoring.target_current c
      LEFT JOIN auth.tenant_h t ON t.tenant_hk = c.tenant_hk
     WHERE $1 OR c.target_state <> 'REMOVED'
)
SELECT t.target_name, t.target_state, t.target_url, t.password_env, t.password_file, t.url_env, t.url_file, t.every_s, t.tenant,
       t.description, t.changed_by, t.version, t.added_at,
       reached.at, coalesce(reached.interval_s, 0), reached.reachable, coalesce(reached.reason, ''), coalesce(server.version_num, 0),
       (SELECT count(*)
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
         WHERE h.target_name = t.target_name AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')) AS open_alerts
  FROM target t
  LEFT JOIN LATERAL (
           SELECT s.measurement_timestamp AS at, s.measurement_interval_seconds AS interval_s, s.metric_value = 1 AS reachable,
                  s.additional_context ->> 'error' AS reason
             FROM monitoring.system_health_metric_s s
            WHERE s.health_metric_hk = util.hash_binary(util.bk(t.target_name, 'HEALTH', 'target_reachable', 'SYSTEM'))
              AND s.load_end_date IS NULL
              AND s.measurement_timestamp > statement_timestamp() - interval '8 days'
            ORDER BY s.measurement_timestamp DESC, s.load_date DESC
            LIMIT 1) AS reached ON true
  LEFT JOIN LATERAL (
           SELECT s.metric_value::integer AS version_num
             FROM monitoring.system_health_metric_s s
            WHERE s.health_metric_hk = util.hash_binary(util.bk(t.target_name, 'HEALTH', 'server_version_num', 'SYSTEM'))
              AND s.load_end_date IS NULL
              AND s.measurement_timestamp > statement_timestamp() - interval '8 days'
            ORDER BY s.measurement_timestamp DESC, s.load_date DESC
            LIMIT 1) AS server ON true
 ORDER BY t.target_name <> 'local', t.target_name

-- What the monitoring itself costs and keeps. $3: sizes too, which are known of the present only.
WITH evaluated AS (
    SELECT h.alert_definition_bk AS what, avg(e.duration_us) / 1000.0 AS mean_ms
      FROM monitoring.alert_evaluation_s e
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
     WHERE e.load_end_date IS NULL
       AND e.evaluated_at >= $1
       AND e.evaluated_at < $2
       AND e.duration_us IS NOT NULL
     GROUP BY h.alert_definition_bk
),
ran AS (
    SELECT max(s.query_text) AS what, sum(s.total_time_ms) / nullif(sum(s.calls), 0) AS mean_ms
      FROM monitoring.performance_metric_s s
     WHERE s.load_end_date IS NULL
       AND s.measurement_period_end >= $1
       AND s.measurement_period_end < $2
       AND s.query_text ~* '^(\s|--[^\n]*\n)*(SELECT|WITH)\M.*\mmonitoring\.'
       -- Steps of every migration.
       AND s.query_text !~ '\mmonitoring\.(enforce_discipline|put_retention_defaults|remember_functions|grant_outside|give_to_owner|grant_privileges)\('
     GROUP BY s.performance_metric_hk
    HAVING sum(s.calls) > 1  -- a question that is asked, and not one step of a migration
),
slowest AS (
    SELECT x.what, x.mean_ms
      FROM (SELECT 'evaluation of ' || what AS what, mean_ms FROM evaluated
            UNION ALL
            SELECT what, mean_ms FROM ran) AS x
     WHERE x.mean_ms IS NOT NULL
     ORDER BY x.mean_ms DESC
     LIMIT 1
)
SELECT coalesce((SELECT what FROM slowest), '') AS slowest_query,
       (SELECT mean_ms FROM slowest)::float8 AS slowest_query_ms,
       CASE WHEN $3 THEN (SELECT sum(pg_total_relation_size(c.oid))::float8
                            FROM pg_class c
                           WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'm')) END AS vault_bytes,
       CASE WHEN $3 THEN pg_database_size(current_database())::float8 END AS database_bytes,
       NOT EXISTS (SELECT FROM pg_class c
                     JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE c.relkind IN ('r', 'p', 'm')
                      AND n.nspname <> ALL (ARRAY['monitoring', 'monitoring_sql', 'auth', 'util', 'backup_mgmt', 'pg_catalog', 'information_schema', 'pg_toast'])
                      AND n.nspname !~ '^pg_(temp|toast)'
                      AND NOT (n.nspname = 'public' AND c.relname IN ('onevault_migrations', 'onevault_functions'))) AS dedicated,
       (SELECT min(h.load_date) FROM monitoring.system_health_metric_h h) AS first_seen,
       (SELECT min(s.measurement_timestamp) FROM monitoring.system_health_metric_s s WHERE s.load_end_date IS NULL AND s.measurement_timestamp < $2) AS oldest_sample,
       -- Hours whose samples have left: those that ended before the first sample that is kept.
       (SELECT count(DISTINCT r.hour_start)
          FROM monitoring.system_health_metric_hourly_s r
         WHERE r.load_end_date IS NULL
           AND r.hour_start >= $1
           AND r.hour_start < $2
           AND r.hour_start + interval '1 hour' <= coalesce((SELECT min(s.measurement_timestamp)
                                                               FROM monitoring.system_health_metric_s s
                                                              WHERE s.load_end_date IS NULL
                                                                AND s.measurement_timestamp >= $1
                                                                AND s.measurement_timestamp < $2), 'infinity')) AS rolled_up_hours

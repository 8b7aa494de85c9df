-- The $3 statements that took most time in [$1, $2), each with the median of its seven days before: of its
-- mean, and of its time per hour; and with what its last sample suggests.
WITH now AS MATERIALIZED (
    SELECT s.performance_metric_hk, sum(s.total_time_ms) AS total_ms, sum(s.calls) AS calls
      FROM monitoring.performance_metric_s s
     WHERE s.load_end_date IS NULL
       AND s.measurement_period_end >= $1
       AND s.measurement_period_end < $2
     GROUP BY s.performance_metric_hk
),
top AS MATERIALIZED (
    SELECT n.* FROM now n WHERE n.total_ms > 0 ORDER BY n.total_ms DESC, n.performance_metric_hk LIMIT $3
)
SELECT h.target_name,
       coalesce(named.query_hash, '') AS query_id,
       coalesce(named.database_name, '') AS database,
       coalesce(named.username, '') AS role,
       coalesce(w.query_text, named.query_text, '') AS text,
       t.total_ms::float8,
       coalesce(t.calls, 0)::bigint AS calls,
       past.mean_ms::float8 AS past_mean_ms,
       past.ms_per_hour::float8 AS past_ms_per_hour,
       coalesce(named.optimization_suggestions, '{}') AS suggestions
  FROM top t
  JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
  JOIN LATERAL (
           SELECT s.query_hash, s.database_name, s.username, s.query_text, s.optimization_suggestions
             FROM monitoring.performance_metric_s s
            WHERE s.performance_metric_hk = t.performance_metric_hk
              AND s.load_end_date IS NULL
              AND s.measurement_period_end >= $1
              AND s.measurement_period_end < $2
            ORDER BY s.measurement_period_end DESC
            LIMIT 1) AS named ON true
  LEFT JOIN monitoring.performance_statement_s w ON w.performance_metric_hk = t.performance_metric_hk AND w.load_end_date IS NULL
  CROSS JOIN LATERAL (
           SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY day.mean_ms) AS mean_ms,
                  percentile_cont(0.5) WITHIN GROUP (ORDER BY day.ms_per_hour) AS ms_per_hour
             FROM (SELECT sum(s.total_time_ms) / nullif(sum(s.calls), 0) AS mean_ms,
                          sum(s.total_time_ms) / 24 AS ms_per_hour
                     FROM monitoring.performance_metric_s s
                    WHERE s.performance_metric_hk = t.performance_metric_hk
                      AND s.load_end_date IS NULL
                      AND s.measurement_period_end >= $1::timestamptz - interval '7 days'
                      AND s.measurement_period_end < $1
                    GROUP BY date_bin('1 day', s.measurement_period_end, $1::timestamptz)) AS day) AS past
 ORDER BY t.total_ms DESC, t.performance_metric_hk

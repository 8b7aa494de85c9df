-- The guide's System Health Summary (its step 4.3), of the period [$1, $2).
SELECT s.metric_name,
       round(avg(s.metric_value), 2)::float8 AS avg_value,
       round(max(s.metric_value), 2)::float8 AS max_value,
       count(*) FILTER (WHERE s.status = 'CRITICAL') AS critical_count,
       count(*) FILTER (WHERE s.status = 'WARNING') AS warning_count
  FROM monitoring.system_health_metric_s s
 WHERE s.measurement_timestamp >= $1
   AND s.measurement_timestamp < $2
   AND s.load_end_date IS NULL
   AND s.labels = '{}'
 GROUP BY s.metric_name
 ORDER BY s.metric_name

-- The metrics $3 over [$1, $2) in steps of $4 seconds, one row per step that has a sample.
SELECT s.metric_name, h.target_name,
       extract(epoch FROM date_bin($4::int * interval '1 second', s.measurement_timestamp, $1::timestamptz) - $1)::bigint / $4::int AS step,
       avg(s.metric_value)::float8 AS avg, min(s.metric_value)::float8 AS min, max(s.metric_value)::float8 AS max,
       coalesce((array_agg(s.metric_unit ORDER BY s.measurement_timestamp DESC))[1], '') AS unit,
       (array_agg(s.threshold_warning ORDER BY s.measurement_timestamp DESC))[1]::float8 AS warning,
       (array_agg(s.threshold_critical ORDER BY s.measurement_timestamp DESC))[1]::float8 AS critical
  FROM monitoring.system_health_metric_h h
  JOIN monitoring.system_health_metric_s s USING (health_metric_hk)
 WHERE s.load_end_date IS NULL
   AND s.labels = '{}'
   AND s.measurement_timestamp >= $1
   AND s.measurement_timestamp < $2
   AND s.metric_name = ANY ($3)
   AND s.metric_value IS NOT NULL
   AND h.tenant_hk IS NULL
 GROUP BY s.metric_name, h.target_name, step
 ORDER BY array_position($3::text[], s.metric_name::text), h.target_name, step

-- The inputs of performance at each of a series of looks, as monitoring.performance_inputs() gives them.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH measured AS (
    SELECT DISTINCT n
      FROM monitoring.system_health_metric_h h
      JOIN monitoring.system_health_metric_s s USING (health_metric_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.measurement_timestamp - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, ceil((extract(epoch FROM s.measurement_timestamp - $1::timestamptz) + $6::numeric) / $2::numeric)::integer) - 1) AS n
     WHERE h.target_name = $4::text AND s.load_end_date IS NULL AND s.metric_name = 'statement_period_s' AND s.metric_value <= $6::numeric + 3600
),
statement AS (
    SELECT n, count(DISTINCT s.performance_metric_hk) FILTER (WHERE s.performance_rating IN ('POOR', 'CRITICAL')) AS slow,
           max(s.mean_time_ms) AS max_mean, sum(s.total_time_ms) AS total, count(s.performance_metric_hk) AS samples
      FROM monitoring.performance_metric_s s
      JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.measurement_period_end - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, ceil((extract(epoch FROM s.measurement_period_end - $1::timestamptz) + $6::numeric) / $2::numeric)::integer) - 1) AS n
     WHERE h.target_name = $4::text AND (h.tenant_hk IS NULL OR h.tenant_hk = $5::bytea) AND s.load_end_date IS NULL
       AND s.measurement_period_start >= s.measurement_period_end - make_interval(secs => $6::float8 + 3600)
       AND s.measurement_period_end > $1::timestamptz - make_interval(secs => $6::float8)
       AND s.measurement_period_end <= $1::timestamptz + make_interval(secs => $2::float8 * $3::integer)
     GROUP BY n
)
SELECT m.n, i.name, i.value
  FROM measured m
  LEFT JOIN statement t USING (n)
 CROSS JOIN LATERAL (VALUES ('slow_query_count', coalesce(t.slow, 0)::text), ('max_mean_time_ms', t.max_mean::text),
                            ('total_time_ms', coalesce(t.total, 0)::text), ('sample_count', coalesce(t.samples, 0)::text)) AS i (name, value)
 WHERE i.value IS NOT NULL

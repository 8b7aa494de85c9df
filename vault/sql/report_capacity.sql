-- The newest state before $1 of each resource that was measured within the week before; the first to be full
-- first, then the fullest. At most $2 of them; each row says how many there are.
SELECT h.target_name, c.resource_type, coalesce(c.resource_name, '') AS resource_name,
       c.current_size_bytes::float8, c.available_space_bytes::float8, c.utilization_percentage::float8,
       c.capacity_warning_threshold::float8, c.capacity_critical_threshold::float8,
       c.growth_rate_per_day::float8, coalesce(c.trend_direction, '') AS trend,
       coalesce(c.projected_full_date::text, '') AS full_on,
       coalesce(c.forecast_low_date::text, '') AS full_low,
       coalesce(c.forecast_high_date::text, '') AS full_high,
       c.measurement_timestamp,
       count(*) OVER () AS measured
  FROM monitoring.capacity_metric_h h
  JOIN LATERAL (
           SELECT s.*
             FROM monitoring.capacity_metric_s s
            WHERE s.capacity_metric_hk = h.capacity_metric_hk
              AND s.load_end_date IS NULL
              AND s.measurement_timestamp < $1
              AND s.measurement_timestamp >= $1::timestamptz - interval '7 days'
            ORDER BY s.measurement_timestamp DESC, s.load_date DESC
            LIMIT 1) AS c ON true
 ORDER BY c.projected_full_date NULLS LAST, c.utilization_percentage DESC NULLS LAST, c.current_size_bytes DESC NULLS LAST, h.capacity_metric_bk
 LIMIT $2

-- The newest state of each resource of a target ($1, NULL: all) that was measured within the 7 days before $2, with
-- its days since $3. The first to be full first, then the fullest, then the largest.
SELECT h.target_name, c.resource_type, c.resource_name, c.current_size_bytes, c.available_space_bytes, c.utilization_percentage::float8,
       c.capacity_warning_threshold::float8, c.capacity_critical_threshold::float8, c.growth_rate_per_day::float8,
       coalesce(c.trend_direction, ''), coalesce(c.forecast_method, ''), coalesce(c.projected_full_date::text, ''),
       coalesce(c.forecast_low_date::text, ''), coalesce(c.forecast_high_date::text, ''), c.measurement_timestamp,
       coalesce(history.days, '{}'), coalesce(history.sizes, '{}')
  FROM monitoring.capacity_metric_h h
  JOIN LATERAL (
           SELECT s.*
             FROM monitoring.capacity_metric_s s
            WHERE s.capacity_metric_hk = h.capacity_metric_hk
              AND s.load_end_date IS NULL
              AND s.measurement_timestamp <= $2
              AND s.measurement_timestamp > $2::timestamptz - interval '7 days'
            ORDER BY s.measurement_timestamp DESC, s.load_date DESC
            LIMIT 1) AS c ON true
  LEFT JOIN (
           SELECT d.capacity_metric_hk, array_agg(d.day::timestamp AT TIME ZONE 'UTC' ORDER BY d.day) AS days,
                  array_agg(d.size_bytes::float8 ORDER BY d.day) AS sizes
             FROM (SELECT DISTINCT t.target_name, t.tenant_hk FROM monitoring.capacity_metric_h t WHERE $1::text IS NULL OR t.target_name = $1) AS t,
                  LATERAL monitoring.capacity_history(t.target_name, t.tenant_hk, $3, $2) AS d
            GROUP BY d.capacity_metric_hk) AS history ON history.capacity_metric_hk = h.capacity_metric_hk
 WHERE $1::text IS NULL OR h.target_name = $1
 ORDER BY c.projected_full_date NULLS LAST, c.utilization_percentage DESC NULLS LAST,
          array_position('{DISK,TABLESPACE,WAL,TEMP,DATABASE,TABLE,INDEX}', c.resource_type::text), c.current_size_bytes DESC, h.capacity_metric_bk

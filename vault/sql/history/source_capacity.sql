-- The inputs of capacity at each of a series of looks: the newest measurement of each resource.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH measured AS (
    SELECT s.capacity_metric_hk, s.utilization_percentage, s.projected_full_date,
           extract(epoch FROM s.measurement_timestamp - $1::timestamptz) AS s,
           extract(epoch FROM lead(s.measurement_timestamp) OVER (PARTITION BY s.capacity_metric_hk ORDER BY s.measurement_timestamp, s.load_date)
                              - $1::timestamptz) AS next_s
      FROM monitoring.capacity_metric_s s
      JOIN monitoring.capacity_metric_h h USING (capacity_metric_hk)
     WHERE s.load_end_date IS NULL AND h.target_name = $4::text AND (h.tenant_hk IS NULL OR h.tenant_hk = $5::bytea)
)
SELECT c.n, i.name, i.value::text
  FROM (SELECT n, max(utilization_percentage) AS fullest,
               min(projected_full_date - (($1::timestamptz + make_interval(secs => $2::float8 * n)) AT TIME ZONE 'UTC')::date) AS days
          FROM measured
         CROSS JOIN LATERAL generate_series(
                   greatest(0, ceil(s / $2::numeric)::integer),
                   least($3::integer, ceil((s + greatest($6::numeric, 7200)) / $2::numeric)::integer, ceil(next_s / $2::numeric)::integer) - 1) AS n
         GROUP BY n) AS c
 CROSS JOIN LATERAL (VALUES ('max_utilization_percentage', c.fullest), ('min_days_to_full', c.days::numeric)) AS i (name, value)
 WHERE i.value IS NOT NULL

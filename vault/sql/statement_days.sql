-- The days (in UTC) of a statement ($1, its hash key) in ($2, $3]: what it cost on each. Samples that have left
-- the vault are counted by their hours.
SELECT d.day, sum(d.total_ms)::float8 AS total_ms, sum(d.calls)::bigint AS calls
  FROM (SELECT date_trunc('day', s.measurement_period_end, 'UTC') AS day, s.total_time_ms AS total_ms, s.calls
          FROM monitoring.performance_metric_s s
         WHERE s.performance_metric_hk = $1
           AND s.load_end_date IS NULL
           AND s.measurement_period_end > $2
           AND s.measurement_period_end <= $3
           -- A first sample is of many days.
           AND s.measurement_period_start >= s.measurement_period_end - interval '1 day'
        UNION ALL
        SELECT date_trunc('day', o.hour_start, 'UTC'), o.total_time_ms, o.calls
          FROM monitoring.performance_metric_hourly_s o
         WHERE o.performance_metric_hk = $1
           AND o.load_end_date IS NULL
           AND o.hour_start > $2
           AND o.hour_start < least($3, (SELECT date_trunc('day', min(s.measurement_period_end), 'UTC')
                                           FROM monitoring.performance_metric_s s
                                          WHERE s.load_end_date IS NULL AND s.measurement_period_end > $2))
           AND o.last_period_end - o.first_period_start <= interval '1 day') AS d
 WHERE d.calls > 0
 GROUP BY d.day
 ORDER BY d.day

-- All statements of [$1, $2) together: how many were measured, the time of everything that ran, and how
-- many of the seven days before have measurements.
WITH samples AS MATERIALIZED (
    SELECT h.target_name, s.measurement_period_end, s.performance_metric_hk, s.total_time_ms, s.pct_of_total
      FROM monitoring.performance_metric_s s
      JOIN monitoring.performance_metric_h h USING (performance_metric_hk)
     WHERE s.load_end_date IS NULL
       AND s.measurement_period_end >= $1
       AND s.measurement_period_end < $2
)
SELECT (SELECT count(DISTINCT performance_metric_hk) FROM samples) AS measured,
       -- Each sample says which part of its interval's whole a statement was: the largest says it best.
       (SELECT sum(coalesce(part.whole_ms, part.tracked_ms))::float8
          FROM (SELECT (array_agg(s.total_time_ms * 100 / nullif(s.pct_of_total, 0) ORDER BY s.total_time_ms DESC)
                        FILTER (WHERE s.pct_of_total > 0 AND s.total_time_ms > 0))[1] AS whole_ms,
                       sum(s.total_time_ms) AS tracked_ms
                  FROM samples s
                 GROUP BY s.target_name, s.measurement_period_end) AS part) AS total_ms,
       (SELECT count(*)
          FROM generate_series(1, 7) AS day
         WHERE EXISTS (SELECT FROM monitoring.performance_metric_s s
                        WHERE s.load_end_date IS NULL
                          AND s.measurement_period_end >= $1::timestamptz - day * interval '1 day'
                          AND s.measurement_period_end < $1::timestamptz - (day - 1) * interval '1 day')) AS past_days

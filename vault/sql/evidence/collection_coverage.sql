-- file: collection_coverage.csv
-- about: How often each target was measured, per day in UTC: hours with samples of the hours that the period has of the day, samples, those without a value, and how often the target did not answer. Hours whose samples have left are counted from their roll-ups.
WITH raw AS (
    SELECT h.target_name, date_trunc('hour', s.measurement_timestamp, 'UTC') AS hour_start, count(*) AS samples,
           count(*) FILTER (WHERE s.metric_value IS NULL) AS without_value,
           count(*) FILTER (WHERE s.metric_name = 'target_reachable' AND s.metric_value = 0) AS unreachable
      FROM monitoring.system_health_metric_s s
      JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
     WHERE s.measurement_timestamp >= @period_from
       AND s.measurement_timestamp < @period_to
       AND s.load_end_date IS NULL
       AND (@target::text IS NULL OR h.target_name = @target)
     GROUP BY h.target_name, hour_start
),
rolled AS (
    SELECT h.target_name, r.hour_start, sum(r.sample_count) AS samples, sum(r.sample_count - r.value_count) AS without_value,
           -- Of an hour the number of its failures is not kept, only that there was one.
           count(*) FILTER (WHERE r.metric_name = 'target_reachable' AND r.min_value = 0) AS unreachable
      FROM monitoring.system_health_metric_hourly_s r
      JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
     WHERE r.hour_start >= @period_from
       AND r.hour_start < @period_to
       AND r.load_end_date IS NULL
       AND (@target::text IS NULL OR h.target_name = @target)
     GROUP BY h.target_name, r.hour_start
),
hour AS (
    SELECT target_name, hour_start, coalesce(raw.samples, rolled.samples) AS samples,
           coalesce(raw.without_value, rolled.without_value) AS without_value, coalesce(raw.unreachable, rolled.unreachable) AS unreachable
      FROM raw FULL JOIN rolled USING (target_name, hour_start)
),
day AS (
    SELECT d AS began, greatest(d, @period_from) AS starts, least(d + interval '24 hours', @period_to) AS ends
      FROM generate_series(date_trunc('day', @period_from::timestamptz, 'UTC'), @period_to::timestamptz, interval '24 hours') AS d
     WHERE d < @period_to
),
target AS (
    SELECT h.target_name, min(h.load_date) AS since
      FROM monitoring.system_health_metric_h h
     WHERE h.load_date < @period_to AND (@target::text IS NULL OR h.target_name = @target)
     GROUP BY h.target_name
)
SELECT t.target_name AS target,
       (d.began AT TIME ZONE 'UTC')::date AS day,
       ceil(extract(epoch FROM d.ends - greatest(d.starts, t.since)) / 3600)::integer AS hours_expected,
       count(o.hour_start) AS hours_with_samples,
       coalesce(sum(o.samples), 0)::bigint AS samples,
       coalesce(sum(o.without_value), 0)::bigint AS without_value,
       coalesce(sum(o.unreachable), 0)::bigint AS unreachable
  FROM target t
  JOIN day d ON d.ends > t.since
  LEFT JOIN hour o ON o.target_name = t.target_name AND o.hour_start >= d.began AND o.hour_start < d.ends
 GROUP BY t.target_name, t.since, d.began, d.starts, d.ends
 ORDER BY t.target_name COLLATE "C", d.began

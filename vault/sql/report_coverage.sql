-- How much of [$1, $2) was watched: per target the times at which it was collected, and at which its
-- definitions were evaluated. A gap is more than twice the interval that the sample before promised.
WITH target AS MATERIALIZED (
    -- One that was removed or disabled is not watched on purpose, which is no gap.
    SELECT h.target_name, min(h.load_date) AS since
      FROM monitoring.system_health_metric_h h
     WHERE NOT EXISTS (SELECT FROM monitoring.target_current c WHERE c.target_name = h.target_name AND c.target_state <> 'ENABLED')
     GROUP BY h.target_name
),
pace AS MATERIALIZED (
    -- Evaluations follow the most frequent definition that the period knew.
    SELECT coalesce(min(d.evaluation_frequency_minutes), 5) * 60 AS seconds
      FROM monitoring.alert_definition_s d
     WHERE d.is_enabled
       AND d.metric_source IS DISTINCT FROM 'worker'
       AND d.load_date < $2
       AND (d.load_end_date IS NULL OR d.load_end_date > $1)
),
sample AS MATERIALIZED (
    SELECT 'collection' AS what, h.target_name, s.measurement_timestamp AS at,
           -- Of what is measured every time; other metrics of the same moment are measured more rarely.
           min(coalesce(nullif(s.measurement_interval_seconds, 0), 300)) AS interval_s,
           count(*) FILTER (WHERE s.metric_name = 'target_reachable' AND s.metric_value = 0) AS unreachable
      FROM monitoring.system_health_metric_s s
      JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
     WHERE s.load_end_date IS NULL
       AND s.measurement_timestamp >= $1
       AND s.measurement_timestamp < $2
       AND s.metric_name <> 'capacity_unmeasured'  -- of the hourly measurement of capacity
     GROUP BY h.target_name, s.measurement_timestamp
    UNION ALL
    SELECT 'evaluation', e.target_name, date_trunc('second', e.evaluated_at), p.seconds, 0
      FROM monitoring.alert_evaluation_s e, pace p
     WHERE e.load_end_date IS NULL
       AND e.evaluated_at >= $1
       AND e.evaluated_at < $2
     GROUP BY e.target_name, date_trunc('second', e.evaluated_at), p.seconds
),
watched AS MATERIALIZED (
    -- Each target that was watched in the period or in the week before; since when: the period's beginning,
    -- or when it was first known. Nothing in the whole period is the longest gap; samples that were taken and
    -- have left (their roll-ups tell) are none.
    SELECT k.what, t.target_name, p.seconds AS pace_s,
           CASE WHEN earlier.yes THEN $1
                WHEN rolled.up AND first.at IS NOT NULL THEN first.at
                ELSE greatest($1, least(t.since, first.at)) END AS since
      FROM target t, pace p, (VALUES ('collection'), ('evaluation')) AS k (what)
     CROSS JOIN LATERAL (SELECT min(s.at) AS at FROM sample s WHERE s.what = k.what AND s.target_name = t.target_name) AS first
     CROSS JOIN LATERAL (
               SELECT CASE k.what
                      WHEN 'collection' THEN EXISTS (
                          SELECT FROM monitoring.system_health_metric_h h
                            JOIN monitoring.system_health_metric_s s USING (health_metric_hk)
                           WHERE h.target_name = t.target_name
                             AND s.load_end_date IS NULL
                             AND s.measurement_timestamp >= $1::timestamptz - interval '7 days'
                             AND s.measurement_timestamp < $1)
                      ELSE EXISTS (
                          SELECT FROM monitoring.alert_evaluation_s e
                           WHERE e.target_name = t.target_name
                             AND e.load_end_date IS NULL
                             AND e.evaluated_at >= $1::timestamptz - interval '7 days'
                             AND e.evaluated_at < $1) END AS yes) AS earlier
     CROSS JOIN LATERAL (
               SELECT EXISTS (
                          SELECT FROM monitoring.system_health_metric_h h
                            JOIN monitoring.system_health_metric_hourly_s r USING (health_metric_hk)
                           WHERE h.target_name = t.target_name
                             AND r.load_end_date IS NULL
                             AND r.hour_start >= $1
                             AND r.hour_start < $2
                             AND r.hour_start + interval '1 hour' <= first.at) AS up) AS rolled
     WHERE first.at IS NOT NULL OR earlier.yes
)
SELECT w.what, w.target_name, w.since,
       coalesce(array_agg(s.at ORDER BY s.at) FILTER (WHERE s.at IS NOT NULL), '{}') AS times,
       coalesce(array_agg(s.interval_s ORDER BY s.at) FILTER (WHERE s.at IS NOT NULL), '{}') AS intervals,
       w.pace_s,
       coalesce(sum(s.unreachable), 0) AS unreachable
  FROM watched w
  LEFT JOIN sample s ON s.what = w.what AND s.target_name = w.target_name
 GROUP BY w.what, w.target_name, w.since, w.pace_s
 ORDER BY w.what, w.target_name

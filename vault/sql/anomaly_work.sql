-- What is to be judged on target $1 up to the moment $2: each metric with its setting, its baseline, the last verdict
-- on it, and the samples since, of the last hour at most. A metric without new samples has one row, without a sample.
WITH judged AS MATERIALIZED (
    SELECT c.*, h.health_metric_hk
      FROM monitoring.anomaly_settings() AS c
      JOIN monitoring.system_health_metric_h h ON h.health_metric_hk = monitoring.health_metric_key($1, c.metric_name)
     WHERE c.is_enabled
)
SELECT j.metric_name, j.direction, j.score, j.samples, j.least_spread, j.least_percent, j.time_zone,
       b.load_date, b.learned_at, coalesce(b.baseline_state, ''), coalesce(b.reason, ''), coalesce(b.time_zone, ''),
       v.measured_at, coalesce(v.anomaly_state, ''), coalesce(v.score, 0), coalesce(v.outside_count, 0), coalesce(v.inside_count, 0), v.deviating_since,
       s.measurement_timestamp, s.metric_value::float8, coalesce(s.metric_unit, ''), coalesce(s.additional_context ->> 'error', ''),
       coalesce(b.medians[w.hour], 0), coalesce(b.mads[w.hour], 0), coalesce(b.spreads[w.hour], 0), coalesce(b.bucket_samples[w.hour], 0),
       coalesce(substr(b.bucket_kinds, w.hour, 1), '')
  FROM judged j
  LEFT JOIN monitoring.anomaly_baseline_s b ON b.health_metric_hk = j.health_metric_hk AND b.load_end_date IS NULL
  LEFT JOIN LATERAL (
           SELECT max(o.measured_at) AS at
             FROM monitoring.anomaly_score_s o
            WHERE o.health_metric_hk = j.health_metric_hk AND o.measured_at > $2::timestamptz - interval '1 hour' AND o.measured_at <= $2) AS last ON true
  LEFT JOIN LATERAL (
           SELECT o.measured_at, o.anomaly_state, o.score, o.outside_count, o.inside_count, o.deviating_since
             FROM monitoring.anomaly_score_s o
            WHERE o.health_metric_hk = j.health_metric_hk AND o.load_end_date IS NULL AND o.anomaly_state IN ('NORMAL', 'ANOMALOUS')
              AND o.measured_at > $2::timestamptz - interval '2 hours' AND o.measured_at <= $2
            ORDER BY o.measured_at DESC, o.load_date DESC
            LIMIT 1) AS v ON true
  LEFT JOIN monitoring.system_health_metric_s s
         ON s.health_metric_hk = j.health_metric_hk AND s.load_end_date IS NULL
        AND s.measurement_timestamp > coalesce(last.at, $2::timestamptz - interval '1 hour') AND s.measurement_timestamp <= $2
        AND s.measurement_timestamp > $2::timestamptz - interval '1 hour'
  LEFT JOIN LATERAL (SELECT monitoring.hour_of_week(s.measurement_timestamp, b.time_zone) AS hour) AS w ON true
 ORDER BY j.metric_name, s.measurement_timestamp

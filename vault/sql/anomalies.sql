-- The newest score of each judged metric of a target ($1, NULL: all) within the day before $2, the unusual ones first.
SELECT h.target_name, s.metric_name, s.anomaly_state, s.metric_value::float8, coalesce(s.metric_unit, ''), s.score, s.median, s.mad, s.spread,
       s.usual_low, s.usual_high,
       coalesce(s.bucket_kind, ''), coalesce(s.bucket_samples, 0), s.baseline_load_date, s.deviating_since, s.measured_at, coalesce(s.reason, ''),
       coalesce(c.direction, ''), coalesce(c.score, 0), coalesce(c.samples, 0), coalesce(c.is_enabled, false), coalesce(c.description, ''),
       (SELECT array_agg(r.mean ORDER BY r.hour)
          FROM (SELECT date_trunc('hour', x.measured_at, 'UTC') AS hour, avg(x.metric_value)::float8 AS mean
                  FROM monitoring.anomaly_score_s x
                 WHERE x.health_metric_hk = s.health_metric_hk AND x.load_end_date IS NULL AND x.metric_value IS NOT NULL
                   AND x.measured_at > $2::timestamptz - interval '1 day' AND x.measured_at <= $2
                 GROUP BY 1) AS r)
  FROM (SELECT DISTINCT ON (x.health_metric_hk) x.*
          FROM monitoring.anomaly_score_s x
         WHERE x.load_end_date IS NULL AND x.measured_at > $2::timestamptz - interval '1 day' AND x.measured_at <= $2
         ORDER BY x.health_metric_hk, x.measured_at DESC, x.load_date DESC) AS s
  JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
  LEFT JOIN monitoring.anomaly_settings() AS c ON c.metric_name = s.metric_name
 WHERE $1::text IS NULL OR h.target_name = $1
 ORDER BY array_position(ARRAY['ANOMALOUS', 'NORMAL', 'UNKNOWN', 'LEARNING'], s.anomaly_state::text), abs(s.score) DESC NULLS LAST, s.metric_name, h.target_name

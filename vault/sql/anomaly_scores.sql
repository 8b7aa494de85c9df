-- The scores of a metric $2 of a target $1 in ($3, $4], for a plot.
SELECT s.measured_at, s.metric_value::float8, s.anomaly_state, s.score, s.median, s.usual_low, s.usual_high
  FROM monitoring.anomaly_score_s s
 WHERE s.health_metric_hk = monitoring.health_metric_key($1, $2) AND s.load_end_date IS NULL
   AND s.measured_at > $3 AND s.measured_at <= $4
 ORDER BY s.measured_at

-- Since when the measurements of a source on a target are kept one by one; NULL: none are.
-- $1: source; $2: target.
SELECT CASE $1::text
       WHEN 'performance' THEN
           (SELECT min(m.at)
              FROM monitoring.performance_metric_h h
             CROSS JOIN LATERAL (SELECT s.measurement_period_end AS at FROM monitoring.performance_metric_s s
                                  WHERE s.performance_metric_hk = h.performance_metric_hk
                                  ORDER BY s.measurement_period_end LIMIT 1) AS m
             WHERE h.target_name = $2::text)
       ELSE
           (SELECT min(m.at)
              FROM monitoring.system_health_metric_h h
             CROSS JOIN LATERAL (SELECT s.measurement_timestamp AS at FROM monitoring.system_health_metric_s s
                                  WHERE s.health_metric_hk = h.health_metric_hk
                                  ORDER BY s.measurement_timestamp LIMIT 1) AS m
             WHERE h.target_name = $2::text) END

-- The series of a metric with labels that have samples in a span of time: key, whether it is a tenant's own, its labels;
-- and whether runs of its query tell when a series is gone.
-- $1: metric; $2: target; $3: tenant; $4, $5: after, up to.
SELECT h.health_metric_hk, h.tenant_hk IS NOT NULL, x.labels,
       EXISTS (SELECT FROM monitoring.health_query_run r
                WHERE r.target_name = $2::text
                  AND r.query_name = coalesce((SELECT m.query_name FROM monitoring.health_metric m WHERE m.metric_name = $1::text), $1::text))
  FROM (VALUES (NULL::bytea), ($3::bytea)) AS t (tenant_hk)
  JOIN monitoring.system_health_metric_h h
    ON h.target_name = $2::text AND h.tenant_hk IS NOT DISTINCT FROM t.tenant_hk
   AND starts_with(h.health_metric_bk, monitoring.health_key($2::text, t.tenant_hk, $1::text, '{}') || '||')
 CROSS JOIN LATERAL (
           SELECT s.labels FROM monitoring.system_health_metric_s s
            WHERE s.health_metric_hk = h.health_metric_hk
              AND s.measurement_timestamp > $4::timestamptz AND s.measurement_timestamp <= $5::timestamptz
            LIMIT 1) AS x
 GROUP BY 1, 2, 3
 ORDER BY 2, 3, 1

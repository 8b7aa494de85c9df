-- The unlabelled series of the health metrics of a target, each with its metric and whether it is a tenant's own.
-- $1: target; $2: tenant.
SELECT m.metric_name, h.health_metric_hk, h.tenant_hk IS NOT NULL,
       h.health_metric_hk = util.hash_binary(monitoring.health_key($1::text, NULL, m.metric_name, '{}'))
  FROM monitoring.system_health_metric_h h
 CROSS JOIN LATERAL (
           SELECT s.metric_name FROM monitoring.system_health_metric_s s
            WHERE s.health_metric_hk = h.health_metric_hk AND s.labels = '{}'
            ORDER BY s.measurement_timestamp DESC LIMIT 1) AS m
 WHERE h.target_name = $1::text AND (h.tenant_hk IS NULL OR h.tenant_hk = $2::bytea)
 ORDER BY m.metric_name, h.tenant_hk IS NULL, h.health_metric_hk

-- The alerts that people were called for, by definition and time.
-- $1: keys of definitions; $2: target; $3: tenant; $4, $5: from, to.
SELECT d.alert_definition_bk, monitoring.alert_short_id(h.alert_instance_hk), s.triggered_timestamp, s.resolved_timestamp,
       coalesce(s.false_positive, false), h.labels
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
 WHERE d.alert_definition_bk = ANY ($1::text[])
   AND h.target_name = $2::text
   AND (h.tenant_hk IS NULL OR h.tenant_hk = $3::bytea)
   AND s.triggered_timestamp >= $4::timestamptz AND s.triggered_timestamp < $5::timestamptz
   AND EXISTS (SELECT FROM monitoring.alert_instance_s o
                WHERE o.alert_instance_hk = h.alert_instance_hk AND o.alert_status = 'OPEN')
 ORDER BY d.alert_definition_bk, s.triggered_timestamp

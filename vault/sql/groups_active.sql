-- The groups of alerts that need a workflow: those with an active alert that opened a while ago.
SELECT h.target_name, d.alert_definition_bk, coalesce(encode(h.tenant_hk, 'hex'), '')
  FROM monitoring.alert_instance_s s
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_definition_h d USING (alert_definition_hk)
 WHERE s.load_end_date IS NULL
   AND s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
   AND s.triggered_timestamp < statement_timestamp() - interval '10 seconds'
 GROUP BY 1, 2, 3
 ORDER BY min(s.triggered_timestamp)

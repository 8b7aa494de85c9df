-- $1: hash key of the incident. The alerts that belong or belonged to it, those that left last.
SELECT monitoring.alert_short_id(h.alert_instance_hk), coalesce(s.urgency_level, ''), s.alert_status, h.target_name, d.alert_name,
       s.triggered_timestamp, s.resolved_timestamp, e.effective_from, e.effective_to, coalesce(e.reason, '')
  FROM monitoring.alert_incident_l l
  JOIN monitoring.alert_incident_eff_s e ON e.link_alert_incident_hk = l.link_alert_incident_hk AND e.load_end_date IS NULL
  JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
  JOIN monitoring.alert_current d ON d.alert_instance_hk = h.alert_instance_hk
 WHERE l.incident_hk = $1
 ORDER BY e.effective_to NULLS FIRST, s.alert_status = 'RESOLVED',
          array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.urgency_level::text), s.triggered_timestamp

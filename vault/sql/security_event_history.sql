-- The versions of a security event, the oldest first.
SELECT s.load_date, s.event_type, s.event_severity, coalesce(s.investigation_status, 'OPEN'), coalesce(s.event_details, '{}'),
       CASE WHEN s.record_source = 'SECURITY_INVESTIGATION' THEN coalesce(s.changed_by, '') ELSE '' END,
       CASE WHEN s.record_source = 'SECURITY_INVESTIGATION' THEN coalesce(s.changed_via, '') ELSE '' END
  FROM monitoring.security_event_s s
 WHERE s.security_event_hk = $1
 ORDER BY s.load_date

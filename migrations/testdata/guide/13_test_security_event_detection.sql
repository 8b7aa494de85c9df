-- Test security event detection
SELECT * FROM monitoring.detect_security_events();

-- Check security events
SELECT event_type, event_severity, event_timestamp, investigation_status
FROM monitoring.security_event_s 
WHERE load_end_date IS NULL
ORDER BY event_timestamp DESC;

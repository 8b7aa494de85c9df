-- The security events of [$1, $2) by type and severity, the worst first.
SELECT s.event_type, s.event_severity, count(*) AS events,
       count(*) FILTER (WHERE coalesce(s.investigation_status, 'OPEN') IN ('OPEN', 'INVESTIGATING')) AS open,
       count(*) FILTER (WHERE s.investigation_status = 'FALSE_POSITIVE') AS false_positives,
       max(s.event_timestamp) AS last_at
  FROM monitoring.security_event_s s
 WHERE s.load_end_date IS NULL
   AND s.event_timestamp >= $1
   AND s.event_timestamp < $2
 GROUP BY s.event_type, s.event_severity
 ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.event_severity::text), events DESC, s.event_type

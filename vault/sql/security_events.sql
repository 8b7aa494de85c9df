-- $1: settled ones too, $2: of a target (NULL: any), $3: seen since (NULL: ever), $4: hash keys (NULL: any).
SELECT monitoring.security_event_short_id(h.security_event_hk), h.security_event_bk, h.target_name, s.event_type, s.event_severity,
       coalesce(s.investigation_status, 'OPEN'), s.event_timestamp,
       coalesce(s.username, ''), coalesce(CASE WHEN s.source_ip IS NULL THEN s.event_details ->> 'source' ELSE host(s.source_ip) END, ''), coalesce(s.database_name, ''),
       coalesce(s.affected_tables, '{}'), coalesce(s.event_details, '{}'), coalesce(replace(s.detection_method, 'AUTOMATED_DETECTION:', ''), ''),
       s.false_positive_likelihood::float8, coalesce(s.mitigation_actions, '{}'), coalesce(s.investigation_notes, ''),
       coalesce(s.false_positive_of, ''), s.changed_at, coalesce(s.changed_by, ''), coalesce(s.changed_via, ''),
       ARRAY(SELECT monitoring.incident_short_id(l.incident_hk) FROM monitoring.security_event_incident_l l
              WHERE l.security_event_hk = h.security_event_hk ORDER BY l.load_date)
  FROM monitoring.security_event_h h
  JOIN monitoring.security_event_s s ON s.security_event_hk = h.security_event_hk AND s.load_end_date IS NULL
 WHERE ($1 OR coalesce(s.investigation_status, 'OPEN') IN ('OPEN', 'INVESTIGATING'))
   AND ($2::text IS NULL OR h.target_name = $2)
   AND ($3::timestamptz IS NULL OR s.event_timestamp >= $3)
   AND ($4::bytea[] IS NULL OR h.security_event_hk = ANY ($4))
 ORDER BY CASE WHEN NOT $1 THEN array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], s.event_severity::text) END,
          s.event_timestamp DESC, h.security_event_hk

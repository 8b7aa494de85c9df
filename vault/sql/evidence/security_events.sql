-- file: security_events.csv
-- about: The security events that were open or changed in the period, with every state of their investigation up to its end.
WITH alive AS (
    SELECT DISTINCT s.security_event_hk
      FROM monitoring.security_event_s s
     WHERE s.load_date < @period_to
       AND (s.load_date >= @period_from
            OR s.investigation_status IN ('OPEN', 'INVESTIGATING') AND (s.load_end_date IS NULL OR s.load_end_date > @period_from))
)
SELECT h.security_event_bk AS event,
       h.target_name AS target,
       h.tenant_hk AS tenant_key,
       s.event_type AS type,
       s.event_severity AS severity,
       s.event_timestamp AS happened_at,
       s.username,
       host(s.source_ip) AS source_address,
       s.database_name AS database,
       to_jsonb(s.affected_tables) AS affected_tables,
       s.event_details AS details,
       s.detection_method,
       s.false_positive_likelihood,
       s.investigation_status,
       s.investigation_notes,
       to_jsonb(s.mitigation_actions) AS mitigation_actions,
       s.incident_response_triggered,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM alive
  JOIN monitoring.security_event_h h USING (security_event_hk)
  JOIN monitoring.security_event_s s USING (security_event_hk)
 WHERE s.load_date < @period_to
   AND (@target::text IS NULL OR h.target_name = @target)
 ORDER BY h.security_event_bk COLLATE "C", s.load_date

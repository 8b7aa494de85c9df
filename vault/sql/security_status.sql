-- How each check stands on each target that was looked at within a week: when it last looked, and what its newest
-- run says of it.
WITH run AS (
    SELECT d.target_name, d.detected_at, d.ran, d.skipped, d.failed
      FROM monitoring.security_detection d
     WHERE d.detector = 'monitoring.detect_known_security_events' AND d.detected_at > clock_timestamp() - interval '7 days'
),
said AS (
    SELECT r.target_name, c.check_name, r.detected_at, c.check_name = ANY (r.ran) AS ran, r.skipped ->> c.check_name AS skipped,
           coalesce(r.failed ->> c.check_name, r.failed ->> '') AS failed
      FROM run r
     CROSS JOIN monitoring.security_check c
     WHERE c.check_name = ANY (r.ran) OR r.skipped ? c.check_name OR r.failed ? c.check_name OR r.failed ? ''
),
newest AS (
    SELECT DISTINCT ON (s.target_name, s.check_name) s.*, max(s.detected_at) FILTER (WHERE s.ran) OVER (PARTITION BY s.target_name, s.check_name) AS looked_at
      FROM said s
     ORDER BY s.target_name, s.check_name, s.detected_at DESC
)
SELECT n.target_name, c.check_name, c.kind, c.description, n.detected_at, n.looked_at, coalesce(n.skipped, ''), coalesce(n.failed, ''),
       (SELECT count(*)
          FROM monitoring.security_event_s e
          JOIN monitoring.security_event_h h USING (security_event_hk)
         WHERE e.load_end_date IS NULL AND h.target_name = n.target_name AND e.detection_method = 'AUTOMATED_DETECTION:' || c.check_name
           AND e.investigation_status IN ('OPEN', 'INVESTIGATING'))
  FROM newest n
  JOIN monitoring.security_check c USING (check_name)
 WHERE $1::text IS NULL OR n.target_name = $1
 ORDER BY n.target_name, c.check_name

-- file: security_detection.csv
-- about: Every run of the detection of security events, with the checks that failed or do not apply: no event differs from nobody having looked.
SELECT d.target_name AS target,
       d.detected_at,
       d.detector,
       d.findings,
       d.new_events,
       d.skipped,
       d.failed,
       d.duration_ms
  FROM monitoring.security_detection d
 WHERE d.detected_at >= @period_from
   AND d.detected_at < @period_to
   AND (@target::text IS NULL OR d.target_name = @target)
 ORDER BY d.target_name COLLATE "C", d.detected_at, d.detection_id

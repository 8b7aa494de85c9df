-- section: coverage
-- title: Detection of security events
-- empty: Nobody looked for security events in the period.
SELECT d.target AS "TARGET",
       count(*) AS "|RUNS",
       count(*) FILTER (WHERE d.findings IS NULL) AS "|FAILED",
       count(*) FILTER (WHERE d.failed <> '{}') AS "|WITH FAILED CHECKS",
       to_char(min(d.detected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "FIRST",
       to_char(max(d.detected_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "LAST"
  FROM {security_detection.csv} AS d
 GROUP BY d.target
 ORDER BY d.target COLLATE "C"

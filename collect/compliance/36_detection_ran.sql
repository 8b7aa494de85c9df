-- id: C36
-- title: Security events were looked for within 24 hours
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: The detection of security events ran on this target within 24 hours, and no check of its newest run failed.
-- clause: PCI DSS | 10.4.1 | Audit logs are reviewed at least once daily
-- clause: PCI DSS | 10.4.1.1 | Automated mechanisms perform audit log reviews
-- clause: HIPAA | 164.308(a)(1)(ii)(D) | Information system activity review
-- clause: SOC 2 | CC7.2 | System components are monitored for anomalies
-- remediation: See `onevault schedule list` and `onevault doctor`: a worker must run and the schedule "security" must not be paused. What failed stands in monitoring.security_detection.
-- evidence: monitoring.security_detection
-- requires: monitoring.security_detection
WITH run AS (
    SELECT d.detected_at, d.findings IS NOT NULL AS whole, d.failed, row_number() OVER (ORDER BY d.detected_at DESC) AS age
      FROM monitoring.security_detection d
     WHERE d.target_name = current_setting('onevault.target')
       AND d.detected_at > now() - interval '24 hours'
)
SELECT count(*) FILTER (WHERE whole) > 0 AND NOT bool_or(age = 1 AND (NOT whole OR failed <> '{}')),
       -- Looked, and the newest look was not a whole one.
       CASE WHEN count(*) FILTER (WHERE whole) > 0 THEN 50 END,
       jsonb_strip_nulls(jsonb_build_object(
           'runs', count(*) FILTER (WHERE whole),
           'failed_runs', count(*) FILTER (WHERE NOT whole),
           'newest_run', max(detected_at),
           'checks_that_failed', (SELECT jsonb_agg(k ORDER BY k) FROM run r, jsonb_object_keys(r.failed) AS k WHERE r.age = 1)))
  FROM run

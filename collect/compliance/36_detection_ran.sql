-- id: C36
-- title: Security events were looked for within 24 hours
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: The detection of security events ran within 24 hours and none of its checks failed as a whole.
-- clause: PCI DSS | 10.4.1 | Audit logs are reviewed at least once daily
-- clause: PCI DSS | 10.4.1.1 | Automated mechanisms perform audit log reviews
-- clause: HIPAA | 164.308(a)(1)(ii)(D) | Information system activity review
-- clause: SOC 2 | CC7.2 | System components are monitored for anomalies
-- remediation: See `onevault schedule list` and `onevault doctor`: a worker must run and the schedule "security" must not be paused. What failed stands in monitoring.security_detection.
-- evidence: monitoring.security_detection
-- requires: monitoring.security_detection
SELECT count(*) FILTER (WHERE findings IS NOT NULL AND detected_at > now() - interval '24 hours') > 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('runs', count(*) FILTER (WHERE findings IS NOT NULL AND detected_at > now() - interval '24 hours'),
           'failed_runs', count(*) FILTER (WHERE findings IS NULL AND detected_at > now() - interval '24 hours'),
           'last_run', max(detected_at) FILTER (WHERE findings IS NOT NULL)))
  FROM monitoring.security_detection

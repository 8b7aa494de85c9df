-- id: C24
-- title: No wave of failed log-ins is left open
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: Of the last 24 hours, no event of excessive failed log-ins still waits for an investigation; and they were looked for.
-- clause: HIPAA | 164.308(a)(5)(ii)(C) | Log-in monitoring
-- clause: PCI DSS | 10.2.1.4 | Audit logs capture invalid logical access attempts
-- clause: SOC 2 | CC7.2 | System components are monitored for anomalies
-- remediation: Investigate the events (`onevault security list`), block the addresses, and settle them; where nobody looked, see `onevault schedule list`.
-- evidence: monitoring.security_event_s, monitoring.security_detection, of this target
-- requires: monitoring.security_event_s, monitoring.security_event_h, monitoring.security_detection
SELECT CASE WHEN looked.runs > 0 THEN waiting.events = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'open_events', waiting.events,
           'looked_for', looked.runs,
           'reason', CASE WHEN looked.runs = 0 THEN 'nobody looked for failed log-ins within 24 hours, or nothing records them here' END))
  FROM (SELECT count(*) AS events
          FROM monitoring.security_event_s s
          JOIN monitoring.security_event_h h USING (security_event_hk)
         WHERE s.load_end_date IS NULL
           AND h.target_name = current_setting('onevault.target')
           AND s.event_type IN ('EXCESSIVE_FAILED_LOGINS', 'LOGIN_FAILURE', 'BRUTE_FORCE', 'PASSWORD_SPRAY', 'DISTRIBUTED_BRUTE_FORCE', 'LOGIN_AFTER_FAILURES')
           AND s.event_severity IN ('HIGH', 'CRITICAL')
           AND s.investigation_status = 'OPEN'
           AND s.event_timestamp > now() - interval '24 hours') AS waiting,
       (SELECT count(*) AS runs
          FROM monitoring.security_detection d
         WHERE d.target_name = current_setting('onevault.target')
           AND d.detected_at > now() - interval '24 hours'
           AND d.findings IS NOT NULL
           AND (NOT d.skipped ? 'failed_logins' AND NOT d.failed ? 'failed_logins' OR 'server_log' = ANY (d.ran))) AS looked

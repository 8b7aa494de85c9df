-- id: C24
-- title: No wave of failed log-ins is left open
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: Of the last 24 hours, no event of excessive failed log-ins still waits for an investigation; and they were looked for.
-- clause: HIPAA | 164.308(a)(5)(ii)(C) | Log-in monitoring
-- clause: PCI DSS | 10.2.1.4 | Audit logs capture invalid logical access attempts
-- clause: SOC 2 | CC7.2 | System components are monitored for anomalies
-- remediation: Investigate the events (`onevault security list`), block the addresses, and settle them; where nobody looked, see `onevault schedule list`.
-- evidence: monitoring.security_event_s, monitoring.security_detection
-- requires: monitoring.security_event_s, monitoring.security_detection
SELECT CASE WHEN looked.runs > 0 THEN open.events = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('open_events', open.events, 'looked_for', looked.runs,
           'reason', CASE WHEN looked.runs = 0 THEN 'nobody looked for failed log-ins within 24 hours, or nothing records them here' END))
  FROM (SELECT count(*) AS events
          FROM monitoring.security_event_s
         WHERE load_end_date IS NULL AND event_type IN ('EXCESSIVE_FAILED_LOGINS', 'LOGIN_FAILURE', 'BRUTE_FORCE', 'PASSWORD_SPRAY', 'DISTRIBUTED_BRUTE_FORCE', 'LOGIN_AFTER_FAILURES')
           AND event_severity IN ('HIGH', 'CRITICAL') AND investigation_status = 'OPEN'
           AND event_timestamp > now() - interval '24 hours') AS open,
       (SELECT count(*) AS runs
          FROM monitoring.security_detection
         WHERE detected_at > now() - interval '24 hours' AND findings IS NOT NULL
           AND (NOT skipped ? 'failed_logins' AND NOT failed ? 'failed_logins' OR 'server_log' = ANY (ran))) AS looked

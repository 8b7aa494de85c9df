-- id: C19
-- title: The server's log is kept
-- category: AUDIT_LOGGING
-- severity: CRITICAL
-- asks: What the server logs goes to files of the logging collector, to syslog or to the event log. What a container or systemd does with its standard error cannot be seen from within.
-- clause: HIPAA | 164.312(b) | Audit controls
-- clause: PCI DSS | 10.2.1 | Audit logs are enabled and active
-- clause: SOX | 404 / COBIT DSS06.05 | Ensure traceability and accountability for information events
-- remediation: ALTER SYSTEM SET logging_collector = 'on' and restart, or ALTER SYSTEM SET log_destination = 'syslog'. Where the platform keeps standard error, write that down as the evidence.
-- evidence: pg_settings
SELECT CASE WHEN s.collector = 'on' AND s.destination <> '' OR s.destination ~ '(syslog|eventlog)' THEN true
            WHEN s.destination = '' THEN false END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('logging_collector', s.collector, 'log_destination', s.destination,
           'reason', CASE WHEN s.collector <> 'on' AND s.destination <> '' AND s.destination !~ '(syslog|eventlog)'
                          THEN 'the log goes to standard error, and who keeps that cannot be seen from within' END))
  FROM (SELECT current_setting('logging_collector') AS collector, current_setting('log_destination') AS destination) AS s

-- id: C22
-- title: Log lines carry time, user, database and host
-- category: AUDIT_LOGGING
-- severity: MEDIUM
-- asks: The logging collector writes csvlog or jsonlog, or log_line_prefix has %m, %t or %n, %u, %d, and %h or %r.
-- clause: PCI DSS | 10.2.2 | Audit log entries carry user, type, time, outcome, origination and object
-- clause: HIPAA | 164.312(b) | Audit controls
-- remediation: ALTER SYSTEM SET log_line_prefix = '%m [%p] %q%u@%d %h ', or log_destination = 'jsonlog' (15 and newer) or 'csvlog' with the logging collector; SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT s.structured OR f.have = 4,
       CASE WHEN s.structured THEN 100 ELSE 25.0 * f.have END,
       jsonb_build_object('log_line_prefix', s.prefix, 'log_destination', s.destination, 'logging_collector', s.collector)
  FROM (SELECT current_setting('log_line_prefix') AS prefix,
               current_setting('log_destination') AS destination,
               current_setting('logging_collector') AS collector,
               -- Without the collector nobody writes them.
               current_setting('log_destination') ~ '(csvlog|jsonlog)' AND current_setting('logging_collector') = 'on' AS structured) AS s,
       LATERAL (SELECT count(*) AS have
                  FROM unnest(ARRAY['%-?[0-9]*[mtn]', '%-?[0-9]*u', '%-?[0-9]*d', '%-?[0-9]*[hr]']) AS field
                 WHERE replace(s.prefix, '%%', '') ~ field) AS f

-- id: C22
-- title: Log lines carry time, user, database and host
-- category: AUDIT_LOGGING
-- severity: MEDIUM
-- asks: The log is csvlog or jsonlog, or log_line_prefix has %m, %t or %n, %u, %d, and %h or %r.
-- clause: PCI DSS | 10.2.2 | Audit log entries carry user, type, time, outcome, origination and object
-- clause: HIPAA | 164.312(b) | Audit controls
-- remediation: ALTER SYSTEM SET log_line_prefix = '%m [%p] %q%u@%d %h ', or log_destination = 'jsonlog' (15 and newer) or 'csvlog'; SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT s.destination ~ '(csvlog|jsonlog)' OR have = 4, CASE WHEN s.destination ~ '(csvlog|jsonlog)' THEN 100 ELSE 25.0 * have END,
       jsonb_build_object('log_line_prefix', s.prefix, 'log_destination', s.destination)
  FROM (SELECT current_setting('log_line_prefix') AS prefix, current_setting('log_destination') AS destination) AS s,
       LATERAL (SELECT count(*) AS have FROM unnest(ARRAY['%-?[0-9]*[mtn]', '%-?[0-9]*u', '%-?[0-9]*d', '%-?[0-9]*[hr]']) AS field WHERE s.prefix ~ field) AS f

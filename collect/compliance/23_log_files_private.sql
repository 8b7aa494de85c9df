-- id: C23
-- title: Log files are private
-- category: AUDIT_LOGGING
-- severity: MEDIUM
-- asks: Files of the logging collector are readable for their owner, and at most for their group.
-- clause: PCI DSS | 10.3.1 | Read access to audit logs is limited to a job-related need
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- remediation: ALTER SYSTEM SET log_file_mode = '0640' (or '0600'), SELECT pg_reload_conf(); chmod the files that are there.
-- evidence: pg_settings
SELECT CASE WHEN current_setting('logging_collector') = 'on' THEN setting IN ('0600', '0640') END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('log_file_mode', setting, 'logging_collector', current_setting('logging_collector'),
           'reason', CASE WHEN current_setting('logging_collector') <> 'on' THEN 'the server writes no files: the rights are those of whoever keeps its log' END))
  FROM pg_settings
 WHERE name = 'log_file_mode'

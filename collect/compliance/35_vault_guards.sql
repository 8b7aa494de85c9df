-- id: C35
-- title: The vault's guards against change are in force
-- category: AUDIT_LOGGING
-- severity: CRITICAL
-- asks: Each hub, link and satellite of the vault has its enabled triggers that refuse changes, deletion and TRUNCATE.
-- clause: PCI DSS | 10.3.2 | Audit logs are protected from modification
-- clause: PCI DSS | 10.3.4 | Change detection guards audit logs
-- clause: SOX | 404 / COBIT DSS06.05 | Ensure traceability and accountability for information events
-- clause: HIPAA | 164.312(c)(2) | Mechanism to authenticate ePHI
-- remediation: Run `onevault migrate repair`, ALTER TABLE ... ENABLE TRIGGER ALL on the listed tables, and find out who disabled them.
-- evidence: pg_trigger
-- requires: monitoring.compliance_check_s
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE guards < 2) = 0 END, round(100.0 * count(*) FILTER (WHERE guards >= 2) / nullif(count(*), 0), 2),
       jsonb_strip_nulls(jsonb_build_object('tables', count(*), 'unguarded', count(*) FILTER (WHERE guards < 2),
           'names', to_jsonb((array_agg(relname::text ORDER BY relname) FILTER (WHERE guards < 2))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'the schema monitoring has no tables' END))
  FROM (SELECT c.relname,
               (SELECT count(*) FROM pg_trigger t
                 WHERE t.tgrelid = c.oid AND t.tgname IN ('t60_allow_only_closing', 't60_refuse_change', 't60_refuse_truncate') AND t.tgenabled IN ('O', 'A')) AS guards
          FROM pg_class c
         WHERE c.relnamespace = to_regnamespace('monitoring') AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname ~ '_[hls]$') AS q

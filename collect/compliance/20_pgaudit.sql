-- id: C20
-- title: pgAudit records reads, writes, roles and DDL
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: pgaudit is preloaded, and pgaudit.log has the classes read, write, role and ddl; the score is the share of them.
-- clause: HIPAA | 164.312(b) | Audit controls
-- clause: PCI DSS | 10.2.1.1 | Audit logs capture individual access to cardholder data
-- clause: PCI DSS | 10.2.1.2 | Audit logs capture all actions of administrative access
-- clause: PCI DSS | 10.2.1.5 | Audit logs capture changes to credentials and privileges
-- clause: SOX | 404 / COBIT DSS06.05 | Ensure traceability and accountability for information events
-- clause: GDPR | Art. 5(2) | Accountability: compliance can be demonstrated
-- remediation: Install pgaudit, add it to shared_preload_libraries, restart, CREATE EXTENSION pgaudit, ALTER SYSTEM SET pgaudit.log = 'read, write, role, ddl', SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT s.loaded AND c.have = 4, CASE WHEN s.loaded THEN 25.0 * c.have ELSE 0 END,
       jsonb_build_object('pgaudit_preloaded', s.loaded, 'pgaudit.log', s.classes, 'classes_recorded', c.have)
  FROM (SELECT current_setting('shared_preload_libraries') ~ '(^|[,/ "])pgaudit($|[, "])' AS loaded,
               coalesce(current_setting('pgaudit.log', true), '') AS classes) AS s,
       LATERAL (SELECT count(*) AS have
                  FROM unnest(ARRAY['read', 'write', 'role', 'ddl']) AS want,
                       LATERAL (SELECT regexp_split_to_array(lower(s.classes), '[ ,]+') AS words) AS w
                 WHERE (want = ANY (w.words) OR 'all' = ANY (w.words)) AND NOT '-' || want = ANY (w.words)) AS c

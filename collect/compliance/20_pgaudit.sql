-- id: C20
-- title: pgAudit records reads, writes, roles and DDL
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: pgaudit is preloaded, pgaudit.log has the classes read, write, role and ddl, and no role or database has fewer of them; the score is the share.
-- clause: HIPAA | 164.312(b) | Audit controls
-- clause: PCI DSS | 10.2.1.1 | Audit logs capture individual access to cardholder data
-- clause: PCI DSS | 10.2.1.2 | Audit logs capture all actions of administrative access
-- clause: PCI DSS | 10.2.1.5 | Audit logs capture changes to credentials and privileges
-- clause: SOX | 404 / COBIT DSS06.05 | Ensure traceability and accountability for information events
-- clause: GDPR | Art. 5(2) | Accountability: compliance can be demonstrated
-- remediation: Install pgaudit, add it to shared_preload_libraries, restart, CREATE EXTENSION pgaudit, ALTER SYSTEM SET pgaudit.log = 'read, write, role, ddl', SELECT pg_reload_conf().
-- evidence: pg_settings, pg_db_role_setting
WITH setting AS (
    SELECT current_setting('shared_preload_libraries') ~ '(^|[,/ "])pgaudit($|[, "])' AS loaded,
           coalesce(current_setting('pgaudit.log', true), '') AS classes
),
override AS (
    -- What a role or a database has instead of the server's; hides: it is what this session sees.
    SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = r.setrole), 'every role') || ' in '
           || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = r.setdatabase), 'every database') || ': ' || o AS who,
           substr(o, length('pgaudit.log=') + 1) AS classes,
           r.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
           AND r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AS hides
      FROM pg_db_role_setting r, unnest(r.setconfig) AS o
     WHERE o LIKE 'pgaudit.log=%'
),
recorded AS (
    -- How many of the four classes each of them records; -read takes a class out again.
    SELECT x.who, x.hides, count(*) FILTER (WHERE (want = ANY (w.words) OR 'all' = ANY (w.words)) AND NOT '-' || want = ANY (w.words)) AS classes
      FROM (SELECT NULL AS who, false AS hides, classes FROM setting UNION ALL SELECT who, hides, classes FROM override) AS x,
           unnest(ARRAY['read', 'write', 'role', 'ddl']) AS want,
           LATERAL (SELECT regexp_split_to_array(lower(x.classes), '[ ,]+') AS words) AS w
     GROUP BY x.who, x.hides
),
verdict AS (
    SELECT s.loaded, s.classes, bool_or(r.hides) AS hidden,
           max(r.classes) FILTER (WHERE r.who IS NULL) AS have,
           to_jsonb((array_agg(r.who ORDER BY r.who) FILTER (WHERE r.who IS NOT NULL AND r.classes < 4))[1:20]) AS weaker
      FROM setting s, recorded r
     GROUP BY s.loaded, s.classes
)
SELECT CASE WHEN NOT loaded THEN false WHEN NOT hidden THEN have = 4 AND weaker IS NULL END,
       CASE WHEN NOT loaded THEN 0 WHEN have = 4 AND weaker IS NOT NULL THEN 75 ELSE 25.0 * have END,
       jsonb_strip_nulls(jsonb_build_object(
           'pgaudit_preloaded', loaded,
           'pgaudit.log', classes,
           'classes_recorded', have,
           'weaker', weaker,
           'reason', CASE WHEN loaded AND hidden
                          THEN 'this value is set for the collector''s own role or database and hides the server''s: ALTER ROLE or ALTER DATABASE ... RESET it' END))
  FROM verdict

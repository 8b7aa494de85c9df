-- id: C21
-- title: DDL is logged
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: log_statement is ddl, mod or all for the server, and no role or database has it off; or pgaudit records DDL for every one of them.
-- clause: SOX | 404 / COBIT BAI06.01 | Evaluate, prioritise and authorise change requests
-- clause: PCI DSS | 10.2.1.7 | Audit logs capture creation and deletion of system-level objects
-- clause: SOC 2 | CC8.1 | Changes are authorized, tested, approved and documented
-- remediation: ALTER SYSTEM SET log_statement = 'ddl', SELECT pg_reload_conf(); ALTER ROLE ... RESET log_statement where it is listed.
-- evidence: pg_settings, pg_db_role_setting
WITH weaker AS (
    SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = r.setrole), 'every role') || ' in '
           || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = r.setdatabase), 'every database') || ': ' || o AS who,
           o ~* '^log_statement=none$' AS by_log,
           o ~* '^pgaudit\.log=' AS by_audit
      FROM pg_db_role_setting r, unnest(r.setconfig) AS o
     WHERE o ~* '^log_statement=none$' OR o ~* '^pgaudit\.log=' AND (o !~* '[=, ](all|ddl)($|[ ,])' OR o ~* '-ddl')
),
seen AS (
    SELECT p.setting,
           p.source IN ('database', 'user', 'database user', 'client', 'session') AS hidden,
           current_setting('shared_preload_libraries') ~ '(^|[,/ "])pgaudit($|[, "])'
           AND coalesce(current_setting('pgaudit.log', true), '') ~* '(^|[ ,])(all|ddl)($|[ ,])'
           AND coalesce(current_setting('pgaudit.log', true), '') !~* '-ddl'
           -- A value of the collector's own role or database would hide the server's.
           AND NOT EXISTS (SELECT FROM pg_db_role_setting r, unnest(r.setconfig) AS o
                            WHERE o LIKE 'pgaudit.log=%'
                              AND r.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = session_user))
                              AND r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
           AND NOT EXISTS (SELECT FROM weaker WHERE by_audit) AS audited
      FROM pg_settings p
     WHERE p.name = 'log_statement'
)
SELECT CASE WHEN s.audited THEN true
            WHEN NOT s.hidden THEN s.setting IN ('ddl', 'mod', 'all') AND NOT EXISTS (SELECT FROM weaker WHERE by_log) END,
       NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'log_statement', s.setting,
           'pgaudit', s.audited,
           'weaker', (SELECT to_jsonb((array_agg(who ORDER BY who))[1:20]) FROM weaker),
           'reason', CASE WHEN NOT s.audited AND s.hidden
                          THEN 'this value is set for the collector''s own role or database and hides the server''s: ALTER ROLE or ALTER DATABASE ... RESET it' END))
  FROM seen s

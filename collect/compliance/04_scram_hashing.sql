-- id: C04
-- title: New passwords are hashed with SCRAM
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: password_encryption is scram-sha-256 for the server, and no role or database has another value.
-- clause: PCI DSS | 8.3.2 | Strong cryptography makes authentication factors unreadable in transmission and storage
-- clause: HIPAA | 164.308(a)(5)(ii)(D) | Password management
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- remediation: ALTER SYSTEM SET password_encryption = 'scram-sha-256', SELECT pg_reload_conf(); ALTER ROLE ... RESET password_encryption where it is listed; have passwords set anew.
-- evidence: pg_settings, pg_db_role_setting
WITH weaker AS (
    SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = r.setrole), 'every role') || ' in ' || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = r.setdatabase), 'every database') || ': ' || o AS who
      FROM pg_db_role_setting r, unnest(r.setconfig) AS o
     WHERE o ~* '^password_encryption=(?!scram-sha-256$)'
)
SELECT CASE WHEN source IN ('database', 'user', 'database user', 'client', 'session') THEN NULL ELSE setting = 'scram-sha-256' AND NOT EXISTS (SELECT FROM weaker) END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('password_encryption', setting, 'weaker', (SELECT to_jsonb((array_agg(who ORDER BY who))[1:20]) FROM weaker),
           'reason', CASE WHEN source IN ('database', 'user', 'database user', 'client', 'session') THEN 'this value is set for the collector''s own role or database and hides the server''s: ALTER ROLE or ALTER DATABASE ... RESET it' END))
  FROM pg_settings
 WHERE name = 'password_encryption'

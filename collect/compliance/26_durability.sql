-- id: C26
-- title: What is committed survives a crash
-- category: DATA_INTEGRITY
-- severity: CRITICAL
-- asks: fsync and full_page_writes are on; synchronous_commit is not off, for no role and database either.
-- clause: HIPAA | 164.312(c)(1) | Integrity of ePHI
-- clause: SOC 2 | A1.2 | Backup and recovery infrastructure is designed, operated and monitored
-- clause: GDPR | Art. 32(1)(b) | Ongoing confidentiality, integrity, availability and resilience
-- remediation: ALTER SYSTEM RESET fsync, full_page_writes and synchronous_commit; SELECT pg_reload_conf(); ALTER ROLE ... RESET synchronous_commit where it is listed.
-- evidence: pg_settings, pg_db_role_setting
WITH weaker AS (
    SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = r.setrole), 'every role') || ' in '
           || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = r.setdatabase), 'every database') || ': ' || o AS who
      FROM pg_db_role_setting r, unnest(r.setconfig) AS o
     -- As it was typed: each of these means off.
     WHERE o ~* '^synchronous_commit=(off|false|no|0)$'
),
seen AS (
    SELECT bool_or(setting = 'off' AND name <> 'synchronous_commit') AS broken,
           bool_or(name = 'synchronous_commit' AND source IN ('database', 'user', 'database user', 'client', 'session')) AS hidden,
           bool_and(setting <> 'off') AS whole,
           jsonb_object_agg(name, setting) AS settings
      FROM pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')
)
SELECT CASE WHEN broken THEN false WHEN NOT hidden THEN whole AND NOT EXISTS (SELECT FROM weaker) END, NULL::numeric,
       settings || jsonb_strip_nulls(jsonb_build_object(
           'weaker', (SELECT to_jsonb((array_agg(who ORDER BY who))[1:20]) FROM weaker),
           'reason', CASE WHEN hidden AND NOT broken
                          THEN 'this value is set for the collector''s own role or database and hides the server''s: ALTER ROLE or ALTER DATABASE ... RESET it' END))
  FROM seen

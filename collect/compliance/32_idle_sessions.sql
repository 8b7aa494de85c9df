-- id: C32
-- title: Idle sessions are ended within 15 minutes
-- category: ACCESS_CONTROL
-- severity: MEDIUM
-- asks: idle_session_timeout and idle_in_transaction_session_timeout lie between 1 ms and 15 minutes, and no role or database has them off. PCI DSS means sessions of people: pools of applications may rightly be excepted.
-- clause: HIPAA | 164.312(a)(2)(iii) | Automatic logoff
-- clause: PCI DSS | 8.2.8 | A session idle for more than 15 minutes must authenticate anew
-- remediation: ALTER SYSTEM SET idle_session_timeout = '15min' and idle_in_transaction_session_timeout = '5min', SELECT pg_reload_conf(); for pools ALTER ROLE ... SET idle_session_timeout, and write the exception down.
-- evidence: pg_settings, pg_db_role_setting
WITH weaker AS (
    SELECT coalesce((SELECT quote_ident(rolname) FROM pg_roles WHERE oid = r.setrole), 'every role') || ' in ' || coalesce((SELECT quote_ident(datname) FROM pg_database WHERE oid = r.setdatabase), 'every database') || ': ' || o AS who
      FROM pg_db_role_setting r, unnest(r.setconfig) AS o
     WHERE o ~* '^idle_(session|in_transaction_session)_timeout=0+ *[a-z]*$'
)
SELECT CASE WHEN bool_or(source IN ('database', 'user', 'database user', 'client', 'session')) THEN NULL ELSE bool_and(setting::bigint BETWEEN 1 AND 900000) AND NOT EXISTS (SELECT FROM weaker) END,
       round(100.0 * count(*) FILTER (WHERE setting::bigint BETWEEN 1 AND 900000) / nullif(count(*), 0), 2),
       jsonb_object_agg(name, setting || ' ' || unit) || jsonb_strip_nulls(jsonb_build_object('weaker', (SELECT to_jsonb((array_agg(who ORDER BY who))[1:20]) FROM weaker),
           'reason', CASE WHEN bool_or(source IN ('database', 'user', 'database user', 'client', 'session')) THEN 'this value is set for the collector''s own role or database and hides the server''s: ALTER ROLE or ALTER DATABASE ... RESET it' END))
  FROM pg_settings
 WHERE name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout')

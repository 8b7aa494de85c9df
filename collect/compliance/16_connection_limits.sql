-- id: C16
-- title: Each role has a limit of connections
-- category: AVAILABILITY
-- severity: LOW
-- asks: Each role that may log in and is no superuser has a CONNECTION LIMIT, so that none takes all.
-- clause: SOC 2 | A1.1 | Capacity is monitored and managed
-- clause: GDPR | Art. 32(1)(b) | Ongoing confidentiality, integrity, availability and resilience
-- remediation: ALTER ROLE ... CONNECTION LIMIT n: what its pools need and a reserve.
-- evidence: pg_roles
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE rolconnlimit < 0) = 0 END,
       round(100.0 * count(*) FILTER (WHERE rolconnlimit >= 0) / nullif(count(*), 0), 2),
       jsonb_strip_nulls(jsonb_build_object(
           'login_roles', count(*),
           'without_limit', count(*) FILTER (WHERE rolconnlimit < 0),
           'roles', to_jsonb((array_agg(rolname::text ORDER BY rolname) FILTER (WHERE rolconnlimit < 0))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'no role but superusers may log in' END))
  FROM pg_roles
 WHERE rolcanlogin AND NOT rolsuper

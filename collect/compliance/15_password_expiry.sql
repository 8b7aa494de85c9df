-- id: C15
-- title: Passwords expire within 90 days
-- category: ACCESS_CONTROL
-- severity: MEDIUM
-- asks: Each role that may log in, but for the bootstrap role, has VALID UNTIL not more than 90 days ahead. Whether a role has a password at all cannot be seen; roles that log in by certificate or a directory are listed, too.
-- clause: PCI DSS | 8.3.9 | Passwords that are the only factor are changed every 90 days
-- clause: HIPAA | 164.308(a)(5)(ii)(D) | Password management
-- remediation: ALTER ROLE ... VALID UNTIL '<in 90 days>' at each change of the password, or log people in by certificate, LDAP or GSSAPI and write that exception down.
-- evidence: pg_roles
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE late) = 0 END,
       round(100.0 * count(*) FILTER (WHERE NOT late) / nullif(count(*), 0), 2),
       jsonb_strip_nulls(jsonb_build_object(
           'login_roles', count(*),
           'without_expiry', count(*) FILTER (WHERE late),
           'roles', to_jsonb((array_agg(rolname::text ORDER BY rolname) FILTER (WHERE late))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'no role but the bootstrap role may log in' END))
  FROM (SELECT rolname, rolvaliduntil IS NULL OR rolvaliduntil > now() + interval '90 days' AS late
          FROM pg_roles
         WHERE rolcanlogin AND oid <> 10) AS r

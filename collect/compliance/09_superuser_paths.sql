-- id: C09
-- title: No role reaches superuser through membership
-- category: ACCESS_CONTROL
-- severity: CRITICAL
-- asks: No role that is no superuser can SET ROLE to one, or give itself the right to, over any number of memberships.
-- clause: SOX | 404 / COBIT DSS06.03 | Manage roles, responsibilities, access privileges and levels of authority
-- clause: PCI DSS | 7.2.1 | An access control model is defined and grants by need
-- clause: SOC 2 | CC6.3 | Access is by role, least privilege and segregation of duties
-- remediation: REVOKE the superuser's role from the listed ones; where somebody must be able to act as superuser, give a named role for it that C08 shows.
-- evidence: pg_auth_members, pg_roles
WITH RECURSIVE reach AS (
    SELECT m.member, m.roleid, to_jsonb(m) ->> 'set_option' AS may_set, m.admin_option FROM pg_auth_members m
    UNION
    SELECT r.member, m.roleid, to_jsonb(m) ->> 'set_option', m.admin_option FROM reach r JOIN pg_auth_members m ON m.member = r.roleid
     WHERE r.may_set IS DISTINCT FROM 'false' OR r.admin_option
)
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('roles_with_a_path', count(*), 'roles', to_jsonb((array_agg(rolname::text ORDER BY rolname))[1:20])))
  FROM pg_roles who
 WHERE NOT who.rolsuper
   AND EXISTS (SELECT FROM reach JOIN pg_roles super ON super.oid = reach.roleid AND super.rolsuper
                WHERE reach.member = who.oid AND (reach.may_set IS DISTINCT FROM 'false' OR reach.admin_option))

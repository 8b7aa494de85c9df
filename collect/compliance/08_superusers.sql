-- id: C08
-- title: Only the bootstrap role is a superuser
-- category: ACCESS_CONTROL
-- severity: CRITICAL
-- asks: No role but the one that the server was made with has the attribute SUPERUSER.
-- clause: SOX | 404 / COBIT DSS05.04 | Manage user identity and logical access
-- clause: PCI DSS | 7.2.2 | Access is assigned by job function and least privilege
-- clause: SOC 2 | CC6.3 | Access is by role, least privilege and segregation of duties
-- clause: HIPAA | 164.308(a)(4)(i) | Information access management
-- remediation: ALTER ROLE ... NOSUPERUSER, and grant what the role really needs (pg_monitor, pg_maintain, CREATE on a database).
-- evidence: pg_roles
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('extra_superusers', count(*), 'roles', to_jsonb((array_agg(rolname::text ORDER BY rolname))[1:20])))
  FROM pg_roles
 WHERE rolsuper AND oid <> 10

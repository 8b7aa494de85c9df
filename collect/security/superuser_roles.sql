-- check: superuser_roles
-- kind: STATE
-- event: SUPERUSER_ROLE
-- description: Roles other than the server's first that are superusers, or can become one through memberships
WITH RECURSIVE reach AS (
    SELECT r.oid AS role, r.oid AS through FROM pg_roles r
    UNION
    -- From PostgreSQL 16 on a membership may come without the right to take on the role.
    SELECT reach.role, m.roleid
      FROM reach
      JOIN pg_auth_members m ON m.member = reach.through
     WHERE to_jsonb(m) ->> 'set_option' IS DISTINCT FROM 'false'
)
SELECT 'SUPERUSER_ROLE', 'HIGH', who.rolname::text, NULL::timestamptz, who.rolname::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('role', who.rolname, 'superuser', who.rolsuper, 'can_log_in', who.rolcanlogin,
           'through', coalesce(jsonb_agg(super.rolname ORDER BY super.rolname) FILTER (WHERE super.oid <> who.oid), '[]')),
       40.0,
       ARRAY[CASE WHEN who.rolsuper THEN format('If nobody approved it: ALTER ROLE %I NOSUPERUSER', who.rolname)
                  ELSE format('If nobody approved it: REVOKE %I FROM %I', min(super.rolname::text), who.rolname) END,
             'See in the server''s log who granted it'],
       NULL::numeric
  FROM reach
  JOIN pg_roles super ON super.oid = reach.through AND super.rolsuper
  JOIN pg_roles who ON who.oid = reach.role
 WHERE who.oid <> 10  -- the role that the server was made with
 GROUP BY who.oid, who.rolname, who.rolsuper, who.rolcanlogin

-- check: public_create
-- kind: STATE
-- event: PUBLIC_CREATE_GRANT
-- description: Schemas in which everybody may create objects, and so put their own in the way of others' calls
SELECT 'PUBLIC_CREATE_GRANT', 'MEDIUM', n.nspname::text, NULL::timestamptz, NULL::text, NULL::inet, current_database()::text, NULL::text[],
       jsonb_build_object('schema', n.nspname, 'owner', pg_get_userbyid(n.nspowner)), 20.0,
       ARRAY[format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC', n.nspname),
             format('Look for functions and operators in %I that shadow those of pg_catalog', n.nspname)], NULL::numeric
  FROM pg_namespace n
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
                WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')

-- check: open_definers
-- kind: STATE
-- event: SECURITY_DEFINER_WITHOUT_SEARCH_PATH
-- description: Routines that run with their owner's rights and resolve names by the caller's search_path; those of extensions are left out
SELECT 'SECURITY_DEFINER_WITHOUT_SEARCH_PATH',
       CASE WHEN r.rolsuper AND everybody.may THEN 'HIGH' WHEN everybody.may THEN 'MEDIUM' ELSE 'LOW' END,
       p.oid::regprocedure::text, NULL::timestamptz, r.rolname::text, NULL::inet, current_database()::text, NULL::text[],
       jsonb_build_object('function', p.oid::regprocedure::text, 'owner', r.rolname, 'owner_is_superuser', r.rolsuper,
                          'public_may_call', everybody.may), 25.0,
       ARRAY[format('ALTER ROUTINE %s SET search_path = pg_catalog, %I, pg_temp', p.oid::regprocedure, n.nspname),
             format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure)], NULL::numeric
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_roles r ON r.oid = p.proowner,
       LATERAL (SELECT EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
                                WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE') AS may) AS everybody
 WHERE p.prosecdef
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS c WHERE c LIKE 'search_path=%')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')

-- id: C14
-- title: SECURITY DEFINER routines are pinned and not for PUBLIC
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: Each routine of this database that runs with its owner's rights has a search_path of its own and cannot be called by everybody; triggers cannot be called and need only the former.
-- clause: PCI DSS | 2.2.6 | System security parameters are configured to prevent misuse
-- clause: SOC 2 | CC6.8 | Unauthorized or malicious software is prevented or detected
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- remediation: ALTER ROUTINE ... SET search_path = pg_catalog, ..., pg_temp; REVOKE EXECUTE ON ROUTINE ... FROM PUBLIC, and grant it to the roles that need it.
-- evidence: pg_proc
WITH routine AS (
    SELECT p.oid::regprocedure::text AS name,
           p.prosecdef AS definer,
           p.prosecdef
           AND (NOT EXISTS (SELECT FROM unnest(p.proconfig) AS o WHERE o LIKE 'search_path=%')
                OR p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
                   AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0)) AS open
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname !~ '^pg_'
       AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
)
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE open) = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'routines_of_its_own', count(*),
           'security_definer', count(*) FILTER (WHERE definer),
           'open_routines', count(*) FILTER (WHERE open),
           'routines', to_jsonb((array_agg(name ORDER BY name) FILTER (WHERE open))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'this database has no routine of its own: have the collector connect to the one with the data' END))
  FROM routine

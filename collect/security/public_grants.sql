-- check: public_grants
-- kind: STATE
-- event: PUBLIC_GRANT
-- description: Tables and views that everybody may read or change; those of extensions are left out
-- Of more than 500 tables one finding for each schema.
WITH open AS (
    SELECT n.nspname, format('%I.%I', n.nspname, c.relname) AS name, pg_get_userbyid(c.relowner) AS owner,
           array_agg(a.privilege_type ORDER BY a.privilege_type) AS privileges,
           bool_or(a.privilege_type <> 'SELECT') AS writes, count(*) OVER () AS tables
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace,
           aclexplode(c.relacl) AS a
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND a.grantee = 0
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     GROUP BY n.nspname, c.relname, c.relowner
),
found AS (
    SELECT CASE WHEN tables > 500 THEN format('schema %I', nspname) ELSE name END AS object, min(nspname::text) AS schema, min(owner::text) AS owner,
           bool_or(writes) AS writes, count(*) AS tables, (array_agg(name ORDER BY writes DESC, name))[1:50] AS names,
           min(array_to_string(privileges, ', ')) AS privileges
      FROM open
     GROUP BY 1
)
SELECT 'PUBLIC_GRANT', CASE WHEN writes THEN 'HIGH' ELSE 'MEDIUM' END, object, NULL::timestamptz, NULL::text, NULL::inet, current_database()::text, names,
       jsonb_build_object('schema', schema, 'tables', tables, 'names', names, 'privileges', privileges, 'owner', owner), 40.0,
       ARRAY[CASE WHEN tables = 1 THEN format('REVOKE ALL ON %s FROM PUBLIC', names[1])
                  ELSE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', schema) END,
             'Give the roles that need it the privilege by name'], NULL::numeric
  FROM found

-- check: privilege_changes
-- kind: CHANGE
-- event: PRIVILEGES_CHANGED
-- description: Privileges that were given or taken: on schemas, tables, columns, sequences, routines, the database, and by default
-- One event for each schema and look. Of more than 10000 objects with privileges only a hash for each schema is kept.
WITH granted AS (
    SELECT n.nspname::text AS schema, format('schema %I', n.nspname) AS object, n.nspacl AS acl FROM pg_namespace n WHERE n.nspacl IS NOT NULL
    UNION ALL
    SELECT n.nspname, format('%s %I.%I', CASE c.relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, n.nspname, c.relname), c.relacl
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relacl IS NOT NULL AND NOT c.relispartition
    UNION ALL
    SELECT n.nspname, format('column %I.%I.%I', n.nspname, c.relname, a.attname), a.attacl
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND NOT c.relispartition
    UNION ALL
    SELECT n.nspname, 'routine ' || p.oid::regprocedure, p.proacl
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT 'database', format('database %I', d.datname), d.datacl FROM pg_database d WHERE d.datname = current_database() AND d.datacl IS NOT NULL
    UNION ALL
    SELECT coalesce(n.nspname, 'database'), format('defaults of %s for %s in %s', pg_get_userbyid(d.defaclrole), d.defaclobjtype, coalesce(n.nspname, 'every schema')), d.defaclacl
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
),
listed AS (
    SELECT g.schema, g.object, count(*) OVER () AS objects,
           ARRAY(SELECT a::text FROM unnest(g.acl) AS a ORDER BY a::text) AS acl,
           EXISTS (SELECT FROM aclexplode(g.acl) AS a WHERE a.grantee = 0 AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'CREATE')) AS everybody_writes
      FROM granted g
     WHERE g.schema !~ '^pg_' AND g.schema <> 'information_schema'
)
SELECT 'PRIVILEGES_CHANGED', CASE WHEN bool_or(everybody_writes) THEN 'HIGH' ELSE 'MEDIUM' END,
       CASE WHEN objects > 10000 THEN 'schema ' || schema ELSE object END,
       NULL::timestamptz, NULL::text, NULL::inet, current_database()::text, NULL::text[],
       jsonb_build_object('group', schema, 'state',
           CASE WHEN objects > 10000 OR bool_or(cardinality(acl) > 30)
                THEN jsonb_build_object('entries', sum(cardinality(acl)), 'hash', md5(string_agg(object || acl::text, ',' ORDER BY object)))
                ELSE jsonb_build_object('privileges', to_jsonb(min(acl))) END),
       60.0,
       ARRAY['Compare with what was agreed: \dp, \df+, \dn+ in psql', 'See in the server''s log who gave it'], NULL::numeric
  FROM listed
 GROUP BY schema, CASE WHEN objects > 10000 THEN 'schema ' || schema ELSE object END, objects

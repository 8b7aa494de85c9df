-- file: grants.csv
-- about: Who may do what with the schema monitoring, its tables, columns and functions; partitions have no rights of their own.
SELECT g.kind,
       g.object,
       who.grantee,
       a.privilege_type AS privilege,
       a.is_grantable AS grantable,
       pg_get_userbyid(g.owner)::text AS owner
  FROM (
        SELECT 'SCHEMA' AS kind, n.nspname::text AS object, n.nspowner AS owner, coalesce(n.nspacl, acldefault('n', n.nspowner)) AS acl
          FROM pg_namespace n
         WHERE n.nspname = 'monitoring'
        UNION ALL
        SELECT 'TABLE', c.relname::text, c.relowner, coalesce(c.relacl, acldefault('r', c.relowner))
          FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
        UNION ALL
        SELECT 'COLUMN', c.relname || '.' || t.attname, c.relowner, t.attacl
          FROM pg_class c
          JOIN pg_attribute t ON t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attacl IS NOT NULL
         WHERE c.relnamespace = 'monitoring'::regnamespace AND NOT c.relispartition
        UNION ALL
        SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
          FROM pg_proc p
         WHERE p.pronamespace = 'monitoring'::regnamespace
       ) AS g,
       aclexplode(g.acl) AS a,
       LATERAL (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee)::text END AS grantee) AS who
 ORDER BY g.kind COLLATE "C", g.object COLLATE "C", who.grantee COLLATE "C", a.privilege_type COLLATE "C"

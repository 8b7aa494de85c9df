-- id: C13
-- title: No table is granted to PUBLIC
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: No table, view or column of this database is readable or writable for everybody; objects of extensions and of the system are left out.
-- clause: HIPAA | 164.308(a)(4)(ii)(C) | Access establishment and modification
-- clause: GDPR | Art. 25(2) | Data protection by default: not accessible to an indefinite number of persons
-- clause: GDPR | Art. 32(1)(b) | Ongoing confidentiality, integrity, availability and resilience
-- clause: PCI DSS | 7.3.3 | Access control is set to deny all by default
-- remediation: REVOKE ALL ON ... FROM PUBLIC, and grant to the roles that need it.
-- evidence: pg_class, pg_attribute
WITH open_column AS MATERIALIZED (
    SELECT DISTINCT t.attrelid FROM pg_attribute t, aclexplode(t.attacl) AS a WHERE t.attacl IS NOT NULL AND a.grantee = 0
),
relation AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS name,
           EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = 0)
           OR c.oid IN (SELECT o.attrelid FROM open_column o) AS open
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND n.nspname !~ '^pg_'
       AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE open) = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'tables_and_views', count(*),
           'public_objects', count(*) FILTER (WHERE open),
           'objects', to_jsonb((array_agg(name ORDER BY name) FILTER (WHERE open))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'this database has no table of its own: have the collector connect to the one with the data' END))
  FROM relation

-- id: C12
-- title: PUBLIC cannot create in any schema
-- category: ACCESS_CONTROL
-- severity: MEDIUM
-- asks: In no schema of this database may everybody make objects, and so put their own in the way of others' calls.
-- clause: PCI DSS | 7.3.3 | Access control is set to deny all by default
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- clause: GDPR | Art. 25(2) | Data protection by default: not accessible to an indefinite number of persons
-- remediation: REVOKE CREATE ON SCHEMA ... FROM PUBLIC, and look for objects that were made there meanwhile.
-- evidence: pg_namespace
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'open_schemas', count(*),
           'schemas', to_jsonb((array_agg(n.nspname::text ORDER BY n.nspname))[1:20])))
  FROM pg_namespace n
 WHERE n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND EXISTS (SELECT FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a WHERE a.grantee = 0 AND a.privilege_type = 'CREATE')

-- id: C30
-- title: Tables of tenants have row-level security
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: Each table of this database with a column tenant_hk has row-level security; the score is the share that has.
-- clause: GDPR | Art. 25(1) | Data protection by design
-- clause: GDPR | Art. 32(1)(b) | Ongoing confidentiality, integrity, availability and resilience
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- clause: HIPAA | 164.312(a)(1) | Access control
-- remediation: ALTER TABLE ... ENABLE ROW LEVEL SECURITY, and CREATE POLICY for the roles that use it.
-- evidence: pg_class
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE NOT c.relrowsecurity) = 0 END,
       round(100.0 * count(*) FILTER (WHERE c.relrowsecurity) / nullif(count(*), 0), 2),
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'tables', count(*),
           'without', count(*) FILTER (WHERE NOT c.relrowsecurity),
           'names', to_jsonb((array_agg(c.oid::regclass::text ORDER BY c.oid::regclass::text) FILTER (WHERE NOT c.relrowsecurity))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'this database has no table with a column tenant_hk' END))
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_hk' AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p')
   AND NOT c.relispartition
   AND c.relpersistence <> 't'

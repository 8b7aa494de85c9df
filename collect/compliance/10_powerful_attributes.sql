-- id: C10
-- title: Powerful attributes are not given away
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: No role that is no superuser has CREATEROLE, CREATEDB or BYPASSRLS.
-- clause: PCI DSS | 7.2.5 | Application and system accounts have least privilege
-- clause: SOC 2 | CC6.3 | Access is by role, least privilege and segregation of duties
-- clause: SOX | 404 / COBIT DSS05.04 | Manage user identity and logical access
-- remediation: ALTER ROLE ... NOCREATEROLE NOCREATEDB NOBYPASSRLS; make databases and roles as the administrator.
-- evidence: pg_roles
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('powerful_roles', count(*),
           'roles', to_jsonb((array_agg(concat_ws(' ', rolname, CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                                                  CASE WHEN rolbypassrls THEN 'BYPASSRLS' END) ORDER BY rolname))[1:20])))
  FROM pg_roles
 WHERE NOT rolsuper AND (rolcreaterole OR rolcreatedb OR rolbypassrls)

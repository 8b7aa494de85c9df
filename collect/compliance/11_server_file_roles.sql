-- id: C11
-- title: Nobody may read the server's files or run programs
-- category: ACCESS_CONTROL
-- severity: CRITICAL
-- asks: No role that is no superuser is a member, over any number of memberships, of pg_execute_server_program, pg_read_server_files or pg_write_server_files.
-- clause: PCI DSS | 7.2.2 | Access is assigned by job function and least privilege
-- clause: SOC 2 | CC6.8 | Unauthorized or malicious software is prevented or detected
-- clause: HIPAA | 164.312(a)(1) | Access control
-- remediation: REVOKE the role from the listed ones; import and export with \copy on the client.
-- evidence: pg_roles, pg_auth_members
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('members', count(*), 'grants', to_jsonb((array_agg(r.rolname || ' is ' || p.rolname ORDER BY r.rolname, p.rolname))[1:20])))
  FROM pg_roles r
  JOIN pg_roles p ON p.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files') AND p.oid <> r.oid
 WHERE NOT r.rolsuper AND pg_has_role(r.oid, p.oid, 'MEMBER')

-- file: roles.csv
-- about: The roles of the vault's server, what they may do by their attributes, and whose members they are.
SELECT r.rolname AS role,
       r.rolcanlogin AS may_log_in,
       r.rolsuper AS superuser,
       r.rolcreaterole AS create_role,
       r.rolcreatedb AS create_database,
       r.rolbypassrls AS bypass_row_security,
       r.rolreplication AS replication,
       r.rolconnlimit AS connection_limit,
       r.rolvaliduntil AS password_valid_until,
       (SELECT jsonb_agg(g.rolname ORDER BY g.rolname COLLATE "C")
          FROM pg_auth_members m
          JOIN pg_roles g ON g.oid = m.roleid
         WHERE m.member = r.oid) AS member_of
  FROM pg_roles r
 WHERE r.rolname !~ '^pg_'
 ORDER BY r.rolname COLLATE "C"

-- check: role_changes
-- kind: CHANGE
-- event: ROLE_CHANGED
-- description: Roles that came, went or changed: attributes, memberships, validity of the password, settings
-- Names of settings are kept, their values as a hash only: an application may keep a secret in one. Whether
-- a password itself changed is seen by superusers alone, and not here.
SELECT 'ROLE_CHANGED',
       CASE WHEN r.rolsuper OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls
              OR pg_has_role(r.oid, 'pg_execute_server_program', 'MEMBER')
              OR pg_has_role(r.oid, 'pg_read_server_files', 'MEMBER')
              OR pg_has_role(r.oid, 'pg_write_server_files', 'MEMBER') THEN 'HIGH' ELSE 'MEDIUM' END,
       'role ' || quote_ident(r.rolname), NULL::timestamptz, r.rolname::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('state', jsonb_build_object(
           'superuser', r.rolsuper, 'createrole', r.rolcreaterole, 'createdb', r.rolcreatedb, 'login', r.rolcanlogin,
           'replication', r.rolreplication, 'bypassrls', r.rolbypassrls, 'inherit', r.rolinherit,
           'connection_limit', r.rolconnlimit, 'valid_until', r.rolvaliduntil,
           'member_of', coalesce(membership.roles, '[]'), 'settings', coalesce(setting.names, '[]'), 'settings_hash', setting.hash)),
       50.0,
       ARRAY['See in the server''s log who did it, and whether it was approved',
             format('Look at it: \du+ %I', r.rolname)],
       NULL::numeric
  FROM pg_roles r
  LEFT JOIN LATERAL (
           SELECT jsonb_agg(format('%I%s', g.rolname, CASE WHEN m.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END) ORDER BY g.rolname, m.admin_option) AS roles
             FROM pg_auth_members m
             JOIN pg_roles g ON g.oid = m.roleid
            WHERE m.member = r.oid) AS membership ON true
  LEFT JOIN LATERAL (
           SELECT jsonb_agg(DISTINCT split_part(c, '=', 1)) AS names, left(md5(string_agg(s.setdatabase || c, ',' ORDER BY s.setdatabase, c)), 12) AS hash
             FROM pg_db_role_setting s, unnest(s.setconfig) AS c
            WHERE s.setrole = r.oid) AS setting ON true
 WHERE r.rolname !~ '^pg_'

-- check: weak_settings
-- kind: STATE
-- event: WEAK_SETTING
-- description: Settings of the server with which it protects or records less than it can
-- Words are taken apart so that this text is not found by dangerous_statements.
SELECT 'WEAK_SETTING', weak.severity, s.name, NULL::timestamptz, NULL::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('setting', s.name, 'value', s.reset_val, 'why', weak.why), 30.0,
       ARRAY[format('ALTER ' || 'SYSTEM SET %s = %L; %s', s.name, weak.better, CASE s.context WHEN 'postmaster' THEN 'then restart the server' ELSE 'SELECT pg_reload_conf()' END),
             'See in the server''s log and in pg_file_settings when it was changed'], NULL::numeric
  FROM (VALUES ('ssl', 'off', 'MEDIUM', 'on', 'passwords and rows travel in clear text'),
               ('password_encryption', 'md5', 'HIGH', 'scram-sha-256', 'new passwords are kept as MD5, which is broken'),
               ('log_connections', 'off', 'LOW', 'on', 'nobody can tell later who logged in'),
               ('logging_collector', 'off', 'LOW', 'on', 'failed log-ins cannot be read by OneVault'),
               ('log_statement', 'none', 'LOW', 'ddl', 'who changed the schema is not recorded'),
               ('row_security', 'off', 'HIGH', 'on', 'queries fail, or are run by roles that bypass the policies'),
               ('fsync', 'off', 'HIGH', 'on', 'a crash destroys the database'),
               ('full_page_writes', 'off', 'HIGH', 'on', 'a crash destroys the database'),
               ('allow_system_table_mods', 'on', 'HIGH', 'off', 'the catalog can be changed by hand'),
               ('ignore_checksum_failure', 'on', 'HIGH', 'off', 'damaged pages are read as if they were whole'),
               ('zero_damaged_pages', 'on', 'HIGH', 'off', 'damaged pages are emptied'),
               ('ignore_system_indexes', 'on', 'MEDIUM', 'off', 'the catalog is read without its indexes'),
               ('log_min_messages', 'fatal', 'MEDIUM', 'warning', 'errors are not recorded'),
               ('log_min_messages', 'panic', 'HIGH', 'warning', 'failed log-ins and errors are not recorded')
       ) AS weak (name, value, severity, better, why)
  JOIN pg_settings s ON s.name = weak.name AND s.reset_val = weak.value

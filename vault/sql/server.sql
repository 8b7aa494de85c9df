-- What the vault's server is and what this role may do; nothing of the schema is needed.
SELECT current_setting('server_version') AS version,
       current_user::text AS role,
       current_database()::text AS database,
       coalesce((SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user), false) AS superuser,
       pg_has_role(current_user, 'pg_monitor', 'MEMBER') AS monitor,
       -- NULL while the schema is not there.
       has_table_privilege(to_regclass('monitoring.alert_instance_s'), 'INSERT') AS may_insert,
       EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_stat_statements') AS statements_installed,
       -- The view hides what the role may not see; current_setting would raise.
       EXISTS (SELECT FROM pg_settings p
                WHERE p.name = 'shared_preload_libraries' AND p.setting LIKE '%pg_stat_statements%') AS statements_loaded

/* onevault check */
-- Who answers, and what decides what can be measured there: one row, with no more rights than to connect.
SELECT current_setting('server_version') AS version,
       current_user::text AS role,
       current_database()::text AS database,
       r.rolsuper AS superuser,
       pg_is_in_recovery() AS standby,
       coalesce((SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()), false) AS encrypted,
       coalesce(inet_client_addr() = inet_server_addr(), true) AS local,
       -- Through an inherited membership: one that takes SET ROLE gives a collector nothing.
       pg_has_role(r.oid, 'pg_monitor', 'USAGE') AS monitor,
       EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'pg_stat_statements') AS statements_created,
       EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = 'pg_stat_statements') AS statements_available,
       -- The view hides what the role may not see; current_setting would raise.
       (SELECT p.setting FROM pg_settings p WHERE p.name = 'shared_preload_libraries') AS preloaded,
       current_setting('track_io_timing')::boolean AS io_timing
  FROM pg_roles r
 WHERE r.rolname = current_user

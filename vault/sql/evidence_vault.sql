-- Which vault this is, and as whom it is read: one row.
SELECT clock_timestamp(),
       session_user::text,
       current_user::text,
       CASE WHEN monitoring.may_read_reports() THEN 'ALL'
            ELSE coalesce((SELECT string_agg(encode(t, 'hex'), ',' ORDER BY t) FROM unnest(monitoring.reader_tenants()) AS t), 'NONE') END AS scope,
       (SELECT c.system_identifier::text FROM pg_control_system() AS c) AS system_identifier,
       current_database()::text,
       current_setting('server_version'),
       coalesce((SELECT min(m.tstamp)::text FROM public.onevault_migrations m), '') AS migrated_first,
       coalesce((SELECT max(m.version_id) FROM public.onevault_migrations m WHERE m.is_applied), 0) AS schema_version

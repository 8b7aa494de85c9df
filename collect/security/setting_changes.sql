-- check: setting_changes
-- kind: CHANGE
-- event: SETTING_CHANGED
-- description: Settings of authentication, logging, encryption, preloaded libraries, archiving and replication that changed
-- needs: pg_read_all_settings
-- Commands are kept as a hash: they may hold a secret. What a role may set for itself is left out.
SELECT 'SETTING_CHANGED',
       CASE WHEN s.name ~ '^(hba_file|ident_file|listen_addresses|shared_preload_libraries|log_destination|logging_collector|log_directory|ssl|password_encryption|archive_command|archive_library)$'
            THEN 'HIGH' ELSE 'MEDIUM' END,
       'setting ' || s.name, NULL::timestamptz, NULL::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('state', CASE WHEN s.name ~ '(_command|_passphrase)' THEN jsonb_build_object('hash', left(md5(s.setting), 12))
                                        ELSE jsonb_build_object('value', left(s.setting, 300)) END), 60.0,
       ARRAY['See in the server''s log when it was reloaded and by whom', 'Compare pg_file_settings with what was agreed'], NULL::numeric
  FROM pg_settings s
 WHERE s.context IN ('postmaster', 'sighup')
   AND (s.name ~ '^(log_|logging_|ssl|krb_|hba_|ident_|archive_|unix_socket_|authentication_)'
        OR s.name IN ('listen_addresses', 'port', 'shared_preload_libraries', 'wal_level', 'max_wal_senders', 'fsync', 'full_page_writes',
                      'password_encryption', 'allow_alter_system', 'event_source', 'syslog_facility', 'bonjour', 'db_user_namespace', 'restore_command', 'recovery_end_command'))

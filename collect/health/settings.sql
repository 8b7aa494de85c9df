-- metric pending_restart_settings [count] AVAILABILITY warning 1: Settings that wait for a restart
-- metric settings_changed [count] AVAILABILITY: Settings that differ from the defaults
-- metric settings_fingerprint [hash] AVAILABILITY: A number that moves when any setting of the server does
-- every 5m
-- from pg_settings

-- What sessions set for themselves is left out. The number is the first 32 bits of a digest; a role without
-- pg_read_all_settings (pg_monitor has it) does not see all settings, and another number.
SELECT count(*) FILTER (WHERE pending_restart) AS pending_restart_settings,
       count(*) FILTER (WHERE source NOT IN ('default', 'override', 'client', 'session', 'database', 'user', 'database user')) AS settings_changed,
       ('x' || left(md5(string_agg(name || '=' || coalesce(reset_val, ''), E'\n' ORDER BY name)
                        FILTER (WHERE source NOT IN ('client', 'session', 'database', 'user', 'database user')
                                  AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable', 'in_hot_standby'))), 8))::bit(32)::bigint AS settings_fingerprint
  FROM pg_settings

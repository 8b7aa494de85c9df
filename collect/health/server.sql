-- metric uptime_s: Time since the server started
-- metric uptime_lost_per_s: Above 0 when the server was started anew within the last 10 minutes, between two samples
-- metric xid_age_pct: Transaction ids used up before wraparound
-- metric xid_age_of_freeze_max_pct: Oldest transaction id in per cent of autovacuum_freeze_max_age
-- metric mxid_age_pct: Multixact ids used up before wraparound
-- metric pending_restart_settings: Settings that wait for a restart
-- metric invalid_indexes: Indexes that are not valid, without those being built now
-- metric worst_dead_tuple_pct: Share of dead rows in the worst table with over 10,000 of them
-- metric vacuums_running: Vacuums in progress
WITH ages AS (
    SELECT max(age(datfrozenxid))::numeric AS xid, max(mxid_age(datminmxid))::numeric AS mxid FROM pg_database
),
dead AS (
    SELECT max(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0)) AS pct FROM pg_stat_user_tables WHERE n_dead_tup > 10000
)
SELECT m.*
  FROM ages a, dead d,
       LATERAL (VALUES
           ('uptime_s', 'AVAILABILITY', 's', round(extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())), NULL::numeric, NULL::numeric, false, 'pg_postmaster_start_time', NULL::jsonb),
           -- The counter is the moment of the start: it moves when there is another one, and a first sample is none.
           ('uptime_lost_per_s', 'AVAILABILITY', 's/s', NULL, NULL, NULL, false, 'pg_postmaster_start_time', jsonb_build_object('count', extract(epoch FROM pg_postmaster_start_time()), 'over_s', 600)),
           ('xid_age_pct', 'AVAILABILITY', '%', round(100 * a.xid / 2000000000, 2), 50, 75, false, 'pg_database', NULL),
           ('xid_age_of_freeze_max_pct', 'PERFORMANCE', '%', round(100 * a.xid / current_setting('autovacuum_freeze_max_age')::numeric, 2), 110, 125, false, 'pg_database', NULL),
           ('mxid_age_pct', 'AVAILABILITY', '%', round(100 * a.mxid / 2000000000, 2), 50, 75, false, 'pg_database', NULL),
           ('pending_restart_settings', 'AVAILABILITY', 'count', (SELECT count(*) FROM pg_settings WHERE pending_restart), 1, NULL, false, 'pg_settings', NULL),
           ('invalid_indexes', 'AVAILABILITY', 'count', (SELECT count(*) FROM pg_index WHERE NOT indisvalid
                                                                 AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL)), 1, NULL, false, 'pg_index', NULL),
           ('worst_dead_tuple_pct', 'PERFORMANCE', '%', round(coalesce(d.pct, 0), 2), 20, 40, false, 'pg_stat_user_tables', NULL),
           ('vacuums_running', 'PERFORMANCE', 'count', (SELECT count(*) FROM pg_stat_progress_vacuum), NULL, NULL, false, 'pg_stat_progress_vacuum', NULL)
       ) AS m (name, category, unit, value, warning, critical, low_is_bad, source, counter)

-- metric uptime_s [s] AVAILABILITY: Time since the server started
-- metric uptime_lost_per_s [s/s] AVAILABILITY rate over 10m: Above 0 when the server was started anew within the last 10 minutes, between two samples
-- metric timeline [count] AVAILABILITY: The timeline of the server's WAL; it grows when a standby is promoted
-- metric in_recovery [bool] AVAILABILITY: 1 on a standby, 0 on a primary
-- metric checkpoint_age_s [s] AVAILABILITY: Time since the newest checkpoint
-- metric xid_age_pct [%] AVAILABILITY warning 50 critical 75: Transaction ids used up before wraparound
-- metric xid_age_of_freeze_max_pct [%] PERFORMANCE warning 110 critical 125: Oldest transaction id in per cent of autovacuum_freeze_max_age
-- metric mxid_age_pct [%] AVAILABILITY warning 50 critical 75: Multixact ids used up before wraparound
-- metric vacuums_running [count] PERFORMANCE: Vacuums in progress
-- metric base_backups_running [count] BACKUP: Base backups in progress
-- metric prepared_transactions [count] PERFORMANCE: Transactions that were prepared and neither committed nor rolled back
-- metric oldest_prepared_transaction_s [s] PERFORMANCE warning 300 critical 3600: Age of the oldest of them: it holds its locks and the vacuum horizon until somebody ends it
-- from pg_database

WITH ages AS (
    SELECT max(age(datfrozenxid))::numeric AS xid, max(mxid_age(datminmxid))::numeric AS mxid FROM pg_database
),
prepared AS (
    SELECT count(*) AS total, coalesce(max(extract(epoch FROM clock_timestamp() - prepared)), 0) AS oldest FROM pg_prepared_xacts
)
SELECT round(extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())) AS uptime_s,
       -- The counter is the moment of the start: it moves when there is another one, and a first sample is none.
       extract(epoch FROM pg_postmaster_start_time()) AS uptime_lost_per_s,
       c.timeline_id AS timeline,
       pg_is_in_recovery() AS in_recovery,
       round(extract(epoch FROM clock_timestamp() - c.checkpoint_time)) AS checkpoint_age_s,
       round(100 * a.xid / 2000000000, 2) AS xid_age_pct,
       round(100 * a.xid / current_setting('autovacuum_freeze_max_age')::numeric, 2) AS xid_age_of_freeze_max_pct,
       round(100 * a.mxid / 2000000000, 2) AS mxid_age_pct,
       (SELECT count(*) FROM pg_stat_progress_vacuum) AS vacuums_running,
       (SELECT count(*) FROM pg_stat_progress_basebackup) AS base_backups_running,
       p.total AS prepared_transactions,
       round(p.oldest) AS oldest_prepared_transaction_s
  FROM ages a, prepared p, pg_control_checkpoint() AS c

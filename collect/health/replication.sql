-- metric replica_count: Connected replicas
-- metric replication_lag_bytes: WAL that the slowest replica has not replayed
-- metric replication_lag_s: Replay lag of the slowest replica
-- metric standby_replay_delay_s: Replay delay of this standby; 0 when fully replayed
-- metric inactive_slots: Replication slots without a consumer
-- metric slot_retained_wal_bytes: WAL that the slowest replication slot retains
-- metric inactive_slot_retained_wal_bytes: WAL that the slowest replication slot without a consumer retains
-- metric slots_losing_wal: Replication slots whose WAL is being removed
-- Works on a primary and on a standby; the replay delay exists on a standby only. A role without
-- pg_read_all_stats (pg_monitor has it) sees no positions of replicas: their lag is unknown, not 0.
WITH here AS (
    SELECT pg_is_in_recovery() AS standby,
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn
),
replicas AS (
    SELECT count(*) AS total,
           CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN coalesce(max(pg_wal_lsn_diff(h.lsn, r.replay_lsn)), 0) END AS lag_bytes,
           CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN coalesce(max(extract(epoch FROM r.replay_lag)), 0) END AS lag_s
      FROM here h LEFT JOIN pg_stat_replication r ON true
     WHERE r.pid IS NOT NULL
),
slots AS (
    SELECT count(*) FILTER (WHERE NOT s.active) AS inactive,
           count(*) FILTER (WHERE s.wal_status IN ('unreserved', 'lost')) AS losing,
           max(pg_wal_lsn_diff(h.lsn, s.restart_lsn)) AS retained,
           max(pg_wal_lsn_diff(h.lsn, s.restart_lsn)) FILTER (WHERE NOT s.active) AS retained_idly
      FROM pg_replication_slots s, here h
)
SELECT m.*
  FROM replicas r, slots s,
       LATERAL (VALUES
           ('replica_count', 'AVAILABILITY', 'count', r.total::numeric, NULL::numeric, NULL::numeric, false, 'pg_stat_replication', NULL::jsonb),
           ('replication_lag_bytes', 'AVAILABILITY', 'B', r.lag_bytes, 52428800, 1073741824, false, 'pg_stat_replication', NULL),
           ('replication_lag_s', 'AVAILABILITY', 's', round(r.lag_s, 3), 30, 300, false, 'pg_stat_replication', NULL),
           ('inactive_slots', 'AVAILABILITY', 'count', s.inactive, 1, 3, false, 'pg_replication_slots', NULL),
           ('slot_retained_wal_bytes', 'CAPACITY', 'B', coalesce(s.retained, 0), 5368709120, 21474836480, false, 'pg_replication_slots', NULL),
           ('inactive_slot_retained_wal_bytes', 'CAPACITY', 'B', coalesce(s.retained_idly, 0), 1073741824, 5368709120, false, 'pg_replication_slots', NULL),
           ('slots_losing_wal', 'AVAILABILITY', 'count', s.losing, 1, 1, false, 'pg_replication_slots', NULL)
       ) AS m (name, category, unit, value, warning, critical, low_is_bad, source, counter)
UNION ALL
SELECT 'standby_replay_delay_s', 'AVAILABILITY', 's',
       -- Fully replayed is no delay, however long the primary has been idle.
       CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
            ELSE round(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 3) END,
       60, 600, false, 'pg_last_xact_replay_timestamp', NULL
  FROM here
 WHERE standby

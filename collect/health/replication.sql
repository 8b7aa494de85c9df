-- metric replica_count [count] AVAILABILITY: Connected replicas
-- metric replication_lag_bytes [B] AVAILABILITY warning 52428800 critical 1073741824: WAL that the slowest replica has not replayed
-- metric replication_lag_s [s] AVAILABILITY warning 30 critical 300: Replay lag of the slowest replica
-- metric inactive_slots [count] AVAILABILITY warning 1 critical 3: Replication slots without a consumer
-- metric slot_retained_wal_bytes [B] CAPACITY warning 5368709120 critical 21474836480: WAL that the slowest replication slot retains
-- metric inactive_slot_retained_wal_bytes [B] CAPACITY warning 1073741824 critical 5368709120: WAL that the slowest replication slot without a consumer retains
-- metric slots_losing_wal [count] AVAILABILITY warning 1 critical 1: Replication slots whose WAL is being removed
-- from pg_stat_replication

-- Works on a primary and on a standby. A role without pg_read_all_stats (pg_monitor has it) sees no
-- positions of replicas: their lag is unknown, not 0.
WITH here AS (
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END AS lsn
),
replicas AS (
    SELECT count(r.pid) AS total,
           coalesce(max(pg_wal_lsn_diff(h.lsn, r.replay_lsn)), 0) AS lag_bytes,
           round(coalesce(max(extract(epoch FROM r.replay_lag)), 0), 3) AS lag_s
      FROM here h LEFT JOIN pg_stat_replication r ON true
),
slots AS (
    SELECT count(*) FILTER (WHERE NOT s.active) AS inactive,
           count(*) FILTER (WHERE s.wal_status IN ('unreserved', 'lost')) AS losing,
           max(pg_wal_lsn_diff(h.lsn, s.restart_lsn)) AS retained,
           max(pg_wal_lsn_diff(h.lsn, s.restart_lsn)) FILTER (WHERE NOT s.active) AS retained_idly
      FROM pg_replication_slots s, here h
)
SELECT r.total AS replica_count,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN r.lag_bytes END AS replication_lag_bytes,
       CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN r.lag_s END AS replication_lag_s,
       s.inactive AS inactive_slots,
       coalesce(s.retained, 0) AS slot_retained_wal_bytes,
       coalesce(s.retained_idly, 0) AS inactive_slot_retained_wal_bytes,
       s.losing AS slots_losing_wal
  FROM replicas r, slots s

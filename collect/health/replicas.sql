-- metric replica_lag_bytes [B] AVAILABILITY warning 52428800 critical 1073741824: WAL that a replica has not replayed
-- metric replica_write_lag_s [s] AVAILABILITY optional: Time until a replica had written recent WAL
-- metric replica_flush_lag_s [s] AVAILABILITY optional: Time until a replica had flushed recent WAL
-- metric replica_replay_lag_s [s] AVAILABILITY optional warning 30 critical 300: Time until a replica had replayed recent WAL
-- metric replica_streaming [bool] AVAILABILITY low warning 0: 1 while a replica streams; 0 while it catches up or is backed up from
-- metric replica_synchronous [bool] AVAILABILITY: 1 for a replica that commits wait for
-- by replica, client
-- from pg_stat_replication
-- requires role pg_read_all_stats

-- An idle replica has no lag in time: the server then shows NULL. Two replicas of one name on one host are one line, the worse.
SELECT r.application_name AS replica,
       coalesce(host(r.client_addr), 'local') AS client,
       max(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, r.replay_lsn)) AS replica_lag_bytes,
       round(max(extract(epoch FROM r.write_lag)), 3) AS replica_write_lag_s,
       round(max(extract(epoch FROM r.flush_lag)), 3) AS replica_flush_lag_s,
       round(max(extract(epoch FROM r.replay_lag)), 3) AS replica_replay_lag_s,
       bool_and(r.state = 'streaming') AS replica_streaming,
       bool_or(r.sync_state IN ('sync', 'quorum')) AS replica_synchronous
  FROM pg_stat_replication r
 WHERE r.application_name <> 'pg_basebackup'
 GROUP BY 1, 2
 ORDER BY 3 DESC NULLS LAST
 LIMIT 50

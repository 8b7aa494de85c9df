-- metric standby_replay_delay_s [s] AVAILABILITY warning 60 critical 600: Replay delay of this standby; 0 when fully replayed
-- metric standby_unreplayed_bytes [B] AVAILABILITY optional warning 52428800 critical 1073741824: WAL that this standby has received and not replayed
-- metric standby_receiving [bool] AVAILABILITY low warning 0: 1 while this standby streams WAL; 0 as well where it reads an archive
-- metric standby_replay_paused [bool] AVAILABILITY warning 1: 1 while somebody has paused the replay
-- on standby
-- from pg_last_xact_replay_timestamp

-- Fully replayed is no delay, however long the primary has been idle.
SELECT CASE WHEN pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_last_wal_replay_lsn() THEN 0
            ELSE round(greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0), 3) END AS standby_replay_delay_s,
       -- What came from an archive was never received.
       greatest(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), 0) AS standby_unreplayed_bytes,
       EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS standby_receiving,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END AS standby_replay_paused

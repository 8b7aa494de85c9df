-- metric wal_syncs_per_s [1/s] PERFORMANCE rate optional: How often WAL was flushed to disk, per second
-- metric wal_sync_ms [ms] PERFORMANCE mean of wal_syncs optional warning 20 critical 100: Mean time of a flush of WAL; needs track_wal_io_timing
-- every 5m
-- from pg_stat_wal
-- since stats_reset

-- From PostgreSQL 18 on the times stand in pg_stat_io.

-- versions 14-17
SELECT wal_sync AS wal_syncs_per_s,
       wal_sync AS wal_syncs,
       CASE WHEN current_setting('track_wal_io_timing')::boolean THEN wal_sync_time END AS wal_sync_ms,
       stats_reset
  FROM pg_stat_wal

-- versions 18-
SELECT sum(fsyncs) AS wal_syncs_per_s,
       sum(fsyncs) AS wal_syncs,
       CASE WHEN current_setting('track_wal_io_timing')::boolean THEN sum(fsync_time) END AS wal_sync_ms,
       max(stats_reset) AS stats_reset
  FROM pg_stat_io
 WHERE object = 'wal'

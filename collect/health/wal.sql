-- metric wal_size_gb [GB] PERFORMANCE warning 2 critical 4: Size of the WAL directory
-- metric wal_files [count] PERFORMANCE: Files of the WAL directory
-- metric wal_bytes_per_s [B/s] PERFORMANCE rate: WAL written per second
-- metric wal_records_per_s [1/s] PERFORMANCE rate: Records of WAL per second
-- metric wal_full_pages_per_s [1/s] PERFORMANCE rate: Whole pages written to WAL per second: the first change after a checkpoint
-- metric wal_buffers_full_per_h [1/h] PERFORMANCE rate: How often WAL was written because wal_buffers were full, per hour
-- from pg_stat_wal
-- since stats_reset

SELECT round(d.bytes / 1073741824.0, 4) AS wal_size_gb,
       d.files AS wal_files,
       w.wal_bytes AS wal_bytes_per_s,
       w.wal_records AS wal_records_per_s,
       w.wal_fpi AS wal_full_pages_per_s,
       w.wal_buffers_full AS wal_buffers_full_per_h,
       w.stats_reset
  FROM pg_stat_wal w, (SELECT coalesce(sum(size), 0) AS bytes, count(*) AS files FROM pg_ls_waldir()) AS d

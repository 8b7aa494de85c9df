-- metric wal_size_gb: Size of the WAL directory
-- metric wal_bytes_per_s: WAL written per second
-- metric archive_failing: 1 while the newest WAL archiving attempt failed
-- metric archive_age_s: Age of the newest archived WAL file
-- The archiver is left out where archive_mode is off: there is nothing to fail.
SELECT 'wal_size_gb', 'PERFORMANCE', 'GB', round(coalesce(sum(size), 0) / 1073741824.0, 4), 2::numeric, 4::numeric, false, 'pg_ls_waldir', NULL::jsonb
  FROM pg_ls_waldir()
UNION ALL
SELECT 'wal_bytes_per_s', 'PERFORMANCE', 'B/s', NULL, NULL, NULL, false, 'pg_stat_wal', jsonb_build_object('count', wal_bytes)
  FROM pg_stat_wal
UNION ALL
SELECT 'archive_failing', 'AVAILABILITY', 'bool',
       CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN 1 ELSE 0 END, 1, 1, false, 'pg_stat_archiver', NULL
  FROM pg_stat_archiver
 WHERE current_setting('archive_mode') <> 'off'
UNION ALL
SELECT 'archive_age_s', 'AVAILABILITY', 's', round(extract(epoch FROM clock_timestamp() - last_archived_time)), NULL, NULL, false, 'pg_stat_archiver', NULL
  FROM pg_stat_archiver
 WHERE current_setting('archive_mode') <> 'off' AND last_archived_time IS NOT NULL

-- metric archive_failing [bool] AVAILABILITY warning 1 critical 1: 1 while the newest WAL archiving attempt failed
-- metric archive_age_s [s] AVAILABILITY optional: Age of the newest archived WAL file
-- metric archived_files_per_h [1/h] AVAILABILITY rate: WAL files archived per hour
-- metric archive_failures_per_h [1/h] AVAILABILITY rate warning 1 critical 60: Attempts to archive a WAL file that failed, per hour
-- from pg_stat_archiver
-- since stats_reset
-- empty archive_mode is off

-- The archiver is left out where archive_mode is off: there is nothing to fail.
SELECT last_failed_time > coalesce(last_archived_time, '-infinity') IS TRUE AS archive_failing,
       round(extract(epoch FROM clock_timestamp() - last_archived_time)) AS archive_age_s,
       archived_count AS archived_files_per_h,
       failed_count AS archive_failures_per_h,
       stats_reset
  FROM pg_stat_archiver
 WHERE current_setting('archive_mode') <> 'off'

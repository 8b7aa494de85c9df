-- metric archive_backlog_files [count] AVAILABILITY warning 10 critical 100: WAL files that wait to be archived
-- metric archive_backlog_age_s [s] AVAILABILITY warning 900 critical 3600: How long the oldest of them has waited
-- every 5m
-- from pg_ls_archive_statusdir
-- empty archive_mode is off

SELECT count(*) AS archive_backlog_files,
       coalesce(round(extract(epoch FROM clock_timestamp() - min(modification))), 0) AS archive_backlog_age_s
  FROM pg_ls_archive_statusdir()
 WHERE name LIKE '%.ready' AND current_setting('archive_mode') <> 'off'
HAVING current_setting('archive_mode') <> 'off'

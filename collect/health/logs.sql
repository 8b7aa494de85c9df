-- metric log_directory_bytes [B] CAPACITY: Size of the server's log files
-- metric log_files [count] CAPACITY: How many log files there are
-- metric log_age_s [s] AVAILABILITY optional: Time since the newest log file was written to
-- every 1h
-- from pg_ls_logdir
-- empty logging_collector is off

SELECT coalesce(sum(size), 0) AS log_directory_bytes,
       count(*) AS log_files,
       round(extract(epoch FROM clock_timestamp() - max(modification))) AS log_age_s
  FROM pg_ls_logdir()
 WHERE current_setting('logging_collector')::boolean
HAVING current_setting('logging_collector')::boolean

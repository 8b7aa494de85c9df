-- metric database_transactions_per_s [1/s] PERFORMANCE rate: Transactions per second in a database
-- metric database_rollback_pct [%] PERFORMANCE share of database_transactions_per_s warning 10 critical 30: Transactions of a database that rolled back
-- metric database_cache_hit_pct [%] PERFORMANCE share of blocks_asked low warning 95 critical 90: Block reads of a database answered from shared buffers
-- metric database_blocks_read_per_s [1/s] PERFORMANCE rate: Blocks per second that a database read from outside shared buffers
-- metric database_read_ms_per_s [ms/s] PERFORMANCE rate optional: Time in which sessions of a database waited for blocks, per second; needs track_io_timing
-- metric database_rows_fetched_per_s [1/s] PERFORMANCE rate: Rows per second that queries of a database fetched
-- metric database_rows_written_per_s [1/s] PERFORMANCE rate: Rows per second that were inserted, updated or deleted in a database
-- metric database_temp_bytes_per_s [B/s] PERFORMANCE rate warning 10485760 critical 104857600: Bytes per second that a database wrote to temporary files
-- metric database_deadlocks_per_h [1/h] PERFORMANCE rate over 1h warning 1 critical 12: Deadlocks per hour in a database, over the last hour
-- metric database_conflicts_per_h [1/h] AVAILABILITY rate over 1h: Queries per hour that a standby cancelled because of recovery, over the last hour
-- metric database_sessions_per_s [1/s] PERFORMANCE rate: Sessions per second that began in a database
-- metric database_sessions_lost_per_h [1/h] AVAILABILITY rate over 1h: Sessions per hour that broke off, failed or were killed, over the last hour
-- by database
-- every 5m
-- from pg_stat_database
-- since stats_reset

SELECT datname AS database,
       xact_commit + xact_rollback AS database_transactions_per_s,
       xact_rollback AS database_rollback_pct,
       blks_hit AS database_cache_hit_pct,
       blks_hit + blks_read AS blocks_asked,
       blks_read AS database_blocks_read_per_s,
       CASE WHEN current_setting('track_io_timing')::boolean THEN blk_read_time END AS database_read_ms_per_s,
       tup_fetched AS database_rows_fetched_per_s,
       tup_inserted + tup_updated + tup_deleted AS database_rows_written_per_s,
       temp_bytes AS database_temp_bytes_per_s,
       deadlocks AS database_deadlocks_per_h,
       conflicts AS database_conflicts_per_h,
       sessions AS database_sessions_per_s,
       sessions_abandoned + sessions_fatal + sessions_killed AS database_sessions_lost_per_h,
       stats_reset
  FROM pg_stat_database
 WHERE datname NOT IN ('template0', 'template1')
 ORDER BY xact_commit DESC
 LIMIT 50

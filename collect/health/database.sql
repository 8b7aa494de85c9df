-- metric cache_hit_ratio_pct [%] PERFORMANCE share of blocks_asked low warning 95 critical 90: Block reads answered from shared buffers since the previous sample
-- metric rollback_ratio_pct [%] PERFORMANCE share of transactions_per_s warning 10 critical 30: Transactions that rolled back since the previous sample
-- metric transactions_per_s [1/s] PERFORMANCE rate: Transactions per second since the previous sample
-- metric deadlocks_per_h [1/h] PERFORMANCE rate over 1h warning 1 critical 12: Deadlocks per hour, over the last hour
-- metric temp_bytes_per_s [B/s] PERFORMANCE rate warning 10485760 critical 104857600: Bytes per second written to temporary files
-- metric temp_files_per_h [1/h] PERFORMANCE rate: Temporary files per hour: sorts and hashes that found no room in work_mem
-- metric checksum_failures [count] AVAILABILITY warning 1 critical 1: Data pages whose checksum failed
-- from pg_stat_database
-- since stats_reset

-- All databases of the server together.
SELECT sum(blks_hit) AS cache_hit_ratio_pct,
       sum(blks_hit) + sum(blks_read) AS blocks_asked,
       sum(xact_rollback) AS rollback_ratio_pct,
       sum(xact_commit) + sum(xact_rollback) AS transactions_per_s,
       sum(deadlocks) AS deadlocks_per_h,
       sum(temp_bytes) AS temp_bytes_per_s,
       sum(temp_files) AS temp_files_per_h,
       coalesce(sum(checksum_failures), 0) AS checksum_failures,
       max(stats_reset) AS stats_reset
  FROM pg_stat_database

-- metric database_size_gb: Size of the connected database
-- metric cache_hit_ratio_pct: Block reads answered from shared buffers since the previous sample
-- metric rollback_ratio_pct: Transactions that rolled back since the previous sample
-- metric transactions_per_s: Transactions per second since the previous sample
-- metric deadlocks_per_h: Deadlocks per hour, over the last hour
-- metric temp_bytes_per_s: Bytes per second written to temporary files
-- metric checksum_failures: Data pages whose checksum failed
-- Counters since the last statistics reset go into "counter"; the vault turns two of them into a rate.
WITH totals AS (
    SELECT sum(blks_hit) AS hit, sum(blks_read) AS read, sum(xact_commit) AS committed, sum(xact_rollback) AS rolled_back,
           sum(deadlocks) AS deadlocks, sum(temp_bytes) AS temp_bytes, sum(checksum_failures) AS checksum_failures
      FROM pg_stat_database
)
SELECT m.*
  FROM totals t,
       LATERAL (VALUES
           ('database_size_gb', 'CAPACITY', 'GB', round(pg_database_size(current_database()) / 1073741824.0, 4), 50::numeric, 80::numeric, false, 'pg_database_size', NULL::jsonb),
           ('cache_hit_ratio_pct', 'PERFORMANCE', '%', NULL, 95, 90, true, 'pg_stat_database', jsonb_build_object('part', 100 * t.hit, 'whole', t.hit + t.read)),
           ('rollback_ratio_pct', 'PERFORMANCE', '%', NULL, 10, 30, false, 'pg_stat_database', jsonb_build_object('part', 100 * t.rolled_back, 'whole', t.committed + t.rolled_back)),
           ('transactions_per_s', 'PERFORMANCE', '1/s', NULL, NULL, NULL, false, 'pg_stat_database', jsonb_build_object('count', t.committed + t.rolled_back)),
           ('deadlocks_per_h', 'PERFORMANCE', '1/h', NULL, 1, 12, false, 'pg_stat_database', jsonb_build_object('count', t.deadlocks, 'per_s', 3600, 'over_s', 3600)),
           ('temp_bytes_per_s', 'PERFORMANCE', 'B/s', NULL, 10485760, 104857600, false, 'pg_stat_database', jsonb_build_object('count', t.temp_bytes)),
           ('checksum_failures', 'AVAILABILITY', 'count', coalesce(t.checksum_failures, 0), 1, 1, false, 'pg_stat_database', NULL)
       ) AS m (name, category, unit, value, warning, critical, low_is_bad, source, counter)

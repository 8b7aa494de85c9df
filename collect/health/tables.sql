-- metric invalid_indexes [count] AVAILABILITY warning 1: Indexes that are not valid, without those being built now
-- metric worst_dead_tuple_pct [%] PERFORMANCE warning 20 critical 40: Share of dead rows in the worst table with over 10,000 of them
-- every 5m
-- from pg_stat_user_tables
-- scope database

SELECT (SELECT count(*) FROM pg_index
         WHERE NOT indisvalid
           AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL)) AS invalid_indexes,
       (SELECT round(coalesce(max(100.0 * n_dead_tup / nullif(n_live_tup + n_dead_tup, 0)), 0), 2)
          FROM pg_stat_user_tables
         WHERE n_dead_tup > 10000) AS worst_dead_tuple_pct

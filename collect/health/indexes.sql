-- metric unused_index_bytes [B] PERFORMANCE optional: Size of an index that no query used since the statistics began; unique ones and those under 10 MB are left out
-- metric invalid_index [bool] PERFORMANCE optional warning 1: 1 for an index that is not valid and that nobody is building now
-- by table, index
-- every 1h
-- from pg_stat_user_indexes
-- scope database

-- The size is asked of the indexes that are shown, and the pages of the catalog choose them.
WITH candidate AS MATERIALIZED (
    SELECT i.indexrelid, s.schemaname, s.relname, s.indexrelname, i.indisvalid
      FROM pg_index i
      JOIN pg_stat_user_indexes s USING (indexrelid)
      JOIN pg_class c ON c.oid = i.indexrelid
     WHERE NOT i.indisvalid AND i.indexrelid NOT IN (SELECT p.index_relid FROM pg_stat_progress_create_index p WHERE p.index_relid IS NOT NULL)
        OR i.indisvalid AND s.idx_scan = 0 AND NOT i.indisunique AND c.relpages::bigint * current_setting('block_size')::bigint > 10485760
     ORDER BY i.indisvalid, c.relpages DESC
     LIMIT 50
)
SELECT c.schemaname || '.' || c.relname AS "table",
       c.indexrelname AS index,
       CASE WHEN c.indisvalid THEN pg_relation_size(c.indexrelid) END AS unused_index_bytes,
       CASE WHEN NOT c.indisvalid THEN 1 END AS invalid_index
  FROM candidate c

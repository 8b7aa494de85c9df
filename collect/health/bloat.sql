-- metric table_bloat_pct [%] PERFORMANCE warning 50 critical 75: Share of a table's pages that its rows would not need, as its statistics estimate it
-- metric table_bloat_bytes [B] CAPACITY: Bytes of a table that its rows would not need, as its statistics estimate it
-- by table
-- every 1h
-- rows 20
-- from pg_stats
-- reason reason
-- scope database

-- Pages against the pages that rows of the average width would fill. pg_stats tells of a table only to
-- who may read it; of others the width is not known, and so the bloat is not.
WITH large AS MATERIALIZED (
    SELECT c.oid, c.relname, n.nspname, c.relpages, c.reltuples::numeric AS rows,
           current_setting('block_size')::numeric AS page
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm')
       AND c.relpages > 1000
       AND c.reltuples > 0
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
     ORDER BY c.relpages DESC
     LIMIT 50
),
width AS (
    SELECT s.schemaname, s.tablename, sum((1 - s.null_frac) * s.avg_width)::numeric AS bytes
      FROM pg_stats s
     WHERE (s.schemaname, s.tablename) IN (SELECT l.nspname, l.relname FROM large l)
     GROUP BY s.schemaname, s.tablename
),
estimate AS (
    SELECT l.nspname || '.' || l.relname AS "table", l.relpages, l.page,
           -- 28 bytes of each row are its header and its pointer, 24 of each page its header.
           ceil(l.rows * (28 + w.bytes) / (l.page - 24)) AS needed
      FROM large l
      LEFT JOIN width w ON w.schemaname = l.nspname AND w.tablename = l.relname
)
SELECT e."table",
       CASE WHEN e.needed IS NOT NULL THEN greatest(0, round(100 * (1 - e.needed / e.relpages), 1)) END AS table_bloat_pct,
       CASE WHEN e.needed IS NOT NULL THEN greatest(0, (e.relpages - e.needed) * e.page) END AS table_bloat_bytes,
       CASE WHEN e.needed IS NULL
            THEN 'the statistics of the table are not visible: ANALYZE it, and GRANT SELECT on it (or pg_read_all_data) to the role of the collector' END AS reason
  FROM estimate e
 ORDER BY (e.relpages - e.needed) DESC NULLS LAST
 LIMIT 20

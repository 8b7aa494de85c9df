-- resource TABLE: the 20 largest tables of the connected database, with their TOAST and without their indexes
-- resource INDEX: the 20 largest indexes of the connected database
-- A size is a system call per gigabyte and fork, so candidates are chosen by what the catalog remembers
-- (relpages, as of the last VACUUM or ANALYZE), and only these are measured. Tables that were never vacuumed
-- nor analyzed are remembered with nothing; the youngest of them are candidates as well. What somebody holds in
-- an exclusive lock (VACUUM FULL) is not waited for, but counted in a row without a size.
WITH relations AS (
    SELECT c.oid, c.relnamespace, c.relname, c.relkind = 'i' AS is_index, c.relpages::bigint + coalesce(t.relpages, 0) AS pages,
           c.reltuples < 0 AND c.relkind <> 'i' AS unknown
      FROM pg_class c
      LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't' AND c.relnamespace <> 'pg_toast'::regnamespace
),
candidates AS (
    (SELECT * FROM relations WHERE NOT is_index ORDER BY pages DESC LIMIT 100)
    UNION
    (SELECT * FROM relations WHERE is_index ORDER BY pages DESC LIMIT 100)
    UNION
    (SELECT * FROM relations WHERE unknown ORDER BY oid DESC LIMIT 500)
),
held AS MATERIALIZED (
    SELECT l.relation
      FROM pg_locks l
     WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
),
measured AS (
    SELECT c.*, CASE WHEN c.is_index THEN pg_relation_size(c.oid) ELSE pg_table_size(c.oid) END AS size
      FROM candidates c
     WHERE c.oid NOT IN (SELECT h.relation FROM held h)
),
ranked AS (
    -- NULL: dropped meanwhile.
    SELECT m.*, row_number() OVER (PARTITION BY m.is_index ORDER BY m.size DESC, m.oid) AS place FROM measured m WHERE m.size IS NOT NULL
)
SELECT CASE WHEN r.is_index THEN 'INDEX' ELSE 'TABLE' END,
       format('%I.%I.%I', current_database(), n.nspname, r.relname), r.size, NULL::bigint,
       CASE WHEN r.is_index THEN 'pg_relation_size' ELSE 'pg_table_size' END
  FROM ranked r
  JOIN pg_namespace n ON n.oid = r.relnamespace
 WHERE r.place <= 20
UNION ALL
SELECT 'TABLE', count(*) || ' tables or indexes that are locked exclusively', NULL, NULL, 'pg_locks'
  FROM candidates c
 WHERE c.oid IN (SELECT h.relation FROM held h)
HAVING count(*) > 0

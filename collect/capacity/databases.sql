-- resource DATABASE: the 100 largest databases
-- resource TABLESPACE: all tablespaces
-- A database knows no limit of its own: what it fills is its disk; and so is what is left to a tablespace. A size
-- is asked of the file system, file by file: where nothing lies elsewhere, the default tablespace is what its
-- databases are, and is not walked through a second time.
WITH sizes AS MATERIALIZED (
    SELECT d.datname, pg_database_size(d.oid) AS bytes FROM pg_database d
),
places AS (
    SELECT t.oid, t.spcname,
           pg_has_role('pg_read_all_stats', 'USAGE') OR has_tablespace_privilege(t.oid, 'CREATE') AS readable,
           count(*) FILTER (WHERE t.spcname NOT IN ('pg_default', 'pg_global')) OVER () > 0 AS several FROM pg_tablespace t
)
(SELECT 'DATABASE', s.datname::text, s.bytes, NULL::bigint, 'pg_database_size'
   FROM sizes s
  WHERE s.datname NOT IN ('template0', 'template1')
  ORDER BY 3 DESC NULLS LAST
  LIMIT 100)
UNION ALL
SELECT 'TABLESPACE', p.spcname || CASE WHEN p.readable THEN '' ELSE ' (needs pg_monitor)' END,
       CASE WHEN NOT p.readable THEN NULL
            WHEN p.spcname = 'pg_default' AND NOT p.several THEN (SELECT sum(s.bytes)::bigint FROM sizes s)
            ELSE pg_tablespace_size(p.oid) END,
       NULL::bigint, 'pg_tablespace_size'
  FROM places p

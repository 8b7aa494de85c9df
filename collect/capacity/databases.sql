-- resource DATABASE: the 100 largest databases
-- A database knows no limit of its own: what it fills is its disk.
SELECT 'DATABASE', d.datname::text, pg_database_size(d.oid), NULL::bigint, 'pg_database_size'
  FROM pg_database d
 WHERE d.datname NOT IN ('template0', 'template1')
 ORDER BY 3 DESC NULLS LAST
 LIMIT 100

-- resource TEMP: temporary files of running queries, in all tablespaces
-- Those that parallel workers share lie in directories of their own and are not counted.
SELECT 'TEMP', 'pgsql_tmp', coalesce(sum(f.size), 0)::bigint, NULL::bigint, 'pg_ls_tmpdir'
  FROM pg_tablespace t,
       LATERAL pg_ls_tmpdir(t.oid) AS f
 WHERE t.spcname <> 'pg_global'

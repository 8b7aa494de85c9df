-- resource TABLESPACE: all tablespaces
-- What is left to them is told by the disk that they lie on.
SELECT 'TABLESPACE', t.spcname::text, pg_tablespace_size(t.oid), NULL::bigint, 'pg_tablespace_size'
  FROM pg_tablespace t

-- What an index on some tables would have to know, by their oids ($1, an oid[]).
-- [{oid, schema, name, root: the partitioned table that it is a part of, columns: [...],
--   indexed: the columns with which an index begins that is valid and covers all rows}, ...]
SELECT coalesce(json_agg(json_build_object(
           'oid', c.oid::bigint,
           'schema', n.nspname,
           'name', c.relname,
           'root', (SELECT r.relname FROM pg_class r WHERE r.oid = pg_partition_root(c.oid)),
           'columns', (SELECT json_agg(a.attname ORDER BY a.attnum)
                         FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum BETWEEN 1 AND 400 AND NOT a.attisdropped),
           'indexed', (SELECT coalesce(json_agg(DISTINCT a.attname), '[]')
                         FROM pg_index x
                         JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
                        WHERE x.indrelid = c.oid AND x.indisvalid AND x.indpred IS NULL))), '[]') AS tables
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY ($1::oid[])

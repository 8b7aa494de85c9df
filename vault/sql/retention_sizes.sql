-- What the schema monitoring takes, its database, and all that the server holds beside monitoring. Of
-- databases that this role may not connect to the size is not told; template databases are nobody's data.
SELECT m.bytes, d.bytes,
       (SELECT coalesce(sum(pg_database_size(o.oid)), 0)::bigint
          FROM pg_database o
         WHERE NOT o.datistemplate
           AND (pg_has_role('pg_read_all_stats', 'MEMBER') OR has_database_privilege(o.oid, 'CONNECT'))) - m.bytes
  FROM (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS bytes
          FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'm')) AS m,
       (SELECT pg_database_size(current_database()) AS bytes) AS d

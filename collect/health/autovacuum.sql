-- metric table_vacuum_debt [ratio] PERFORMANCE warning 3 critical 10: Dead rows of a table against those at which autovacuum begins; above 1 it is due
-- metric table_dead_rows [count] PERFORMANCE: Dead rows of a table
-- metric table_dead_tuple_pct [%] PERFORMANCE optional warning 20 critical 40: Share of dead rows in a table
-- by table
-- every 5m
-- rows 20
-- from pg_stat_user_tables
-- scope database

-- A table's own settings of autovacuum go before the server's.
WITH debtor AS MATERIALIZED (
    SELECT s.relid, s.schemaname, s.relname, s.n_dead_tup, s.n_live_tup
      FROM pg_stat_user_tables s
     WHERE s.n_dead_tup > 1000
     ORDER BY s.n_dead_tup DESC
     LIMIT 100
)
SELECT d.schemaname || '.' || d.relname AS "table",
       round(d.n_dead_tup / greatest(o.threshold + o.scale * greatest(c.reltuples, 0)::numeric, 1), 3) AS table_vacuum_debt,
       d.n_dead_tup AS table_dead_rows,
       round(100.0 * d.n_dead_tup / nullif(d.n_live_tup + d.n_dead_tup, 0), 2) AS table_dead_tuple_pct
  FROM debtor d
  JOIN pg_class c ON c.oid = d.relid
 CROSS JOIN LATERAL (
           SELECT coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold'),
                           current_setting('autovacuum_vacuum_threshold'))::numeric AS threshold,
                  coalesce(max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor'),
                           current_setting('autovacuum_vacuum_scale_factor'))::numeric AS scale
             FROM pg_options_to_table(c.reloptions)) AS o
 ORDER BY table_vacuum_debt DESC
 LIMIT 20

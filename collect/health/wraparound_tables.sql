-- metric table_xid_age [xids] AVAILABILITY warning 1000000000 critical 1500000000: Transactions since a table (with its TOAST) was frozen
-- by table
-- every 1h
-- rows 20
-- from pg_class
-- scope database

SELECT n.nspname || '.' || c.relname AS "table",
       greatest(age(c.relfrozenxid), age(t.relfrozenxid)) AS table_xid_age
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
 ORDER BY 2 DESC, 1
 LIMIT 20

-- metric database_xid_age [xids] AVAILABILITY warning 1000000000 critical 1500000000: Transactions since a database was frozen as a whole
-- metric database_xid_age_pct [%] PERFORMANCE warning 110 critical 125: The same in per cent of autovacuum_freeze_max_age
-- metric database_mxid_age [xids] AVAILABILITY warning 1000000000 critical 1500000000: Multixact ids since a database was frozen as a whole
-- by database
-- every 1h
-- from pg_database

SELECT datname AS database,
       age(datfrozenxid) AS database_xid_age,
       round(100.0 * age(datfrozenxid) / current_setting('autovacuum_freeze_max_age')::numeric, 2) AS database_xid_age_pct,
       mxid_age(datminmxid) AS database_mxid_age
  FROM pg_database
 ORDER BY 2 DESC
 LIMIT 50

-- file: guards.csv
-- about: The triggers that keep the vault's history from being changed, and whether each is in force. A table whose guards are missing is a row without a trigger.
SELECT c.relname AS table_name,
       g.tgname AS trigger,
       p.proname AS function,
       CASE g.tgenabled WHEN 'O' THEN 'ENABLED' WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA_ONLY' WHEN 'D' THEN 'DISABLED' END AS state,
       coalesce(g.tgenabled IN ('O', 'A'), false) AS in_force
  FROM pg_class c
  LEFT JOIN pg_trigger g ON g.tgrelid = c.oid AND NOT g.tgisinternal
  LEFT JOIN pg_proc p ON p.oid = g.tgfoid
 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
   AND (g.oid IS NOT NULL OR c.relname ~ '_[hls]$')
 ORDER BY c.relname COLLATE "C", g.tgname COLLATE "C"

-- The triggers of the vault's tables that do not fire, those of foreign keys among them.
SELECT c.relname || ': ' || string_agg(CASE WHEN g.tgisinternal THEN 'foreign key ' || k.conname ELSE g.tgname::text END, ', ' ORDER BY g.tgisinternal, g.tgname)
  FROM pg_trigger g
  JOIN pg_class c ON c.oid = g.tgrelid
  LEFT JOIN pg_constraint k ON k.oid = g.tgconstraint
 WHERE c.relnamespace = to_regnamespace('monitoring')
   AND g.tgenabled IN ('D', 'R')
 GROUP BY c.relname
 ORDER BY c.relname

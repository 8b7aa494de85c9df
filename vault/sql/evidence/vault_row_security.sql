-- file: row_security.csv
-- about: The row-level security of the vault's tables: who sees which rows.
SELECT c.relname AS table_name,
       c.relrowsecurity AS enabled,
       p.polname AS policy,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' WHEN '*' THEN 'ALL' END AS command,
       (SELECT jsonb_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o)::text END ORDER BY o) FROM unnest(p.polroles) AS o) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS condition
  FROM pg_class c
  LEFT JOIN pg_policy p ON p.polrelid = c.oid
 WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
 ORDER BY c.relname COLLATE "C", p.polname COLLATE "C"

-- check: mass_deletions
-- kind: SURGE
-- event: MASS_DELETE, TABLE_TRUNCATED
-- description: Tables of which half the rows or a million went between two looks, and tables that were truncated
-- The 5000 largest tables. The vault's own are left out: they lose rows by retention alone, which records it.
WITH largest AS (
    SELECT s.schemaname, s.relname, s.n_tup_del, s.n_live_tup, c.relfilenode
      FROM pg_stat_user_tables s
      JOIN pg_class c ON c.oid = s.relid
     WHERE NOT (s.schemaname = 'monitoring' AND EXISTS (SELECT FROM pg_tables v WHERE v.schemaname = 'monitoring' AND v.tablename = 'security_event_h'))
     ORDER BY greatest(s.n_live_tup, s.n_tup_del) DESC, s.relid
     LIMIT 5000
)
SELECT 'MASS_DELETE', 'HIGH', format('%I.%I', t.schemaname, t.relname), NULL::timestamptz, NULL::text, NULL::inet, current_database()::text,
       ARRAY[format('%I.%I', t.schemaname, t.relname)],
       jsonb_build_object('state', jsonb_build_object('deleted', t.n_tup_del, 'rows', t.n_live_tup, 'file', t.relfilenode)), 50.0,
       ARRAY['Ask the owner of the application whether a purge was due', 'Keep the backups and the WAL of before: do not let them expire until it is known'],
       t.n_tup_del::numeric
  FROM largest t

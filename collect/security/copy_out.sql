-- check: copy_out
-- kind: COUNT
-- event: BULK_EXPORT_STATEMENT
-- description: COPY statements that took 100,000 rows or more out of the database at a time
-- requires: pg_stat_statements
-- needs: pg_read_all_stats
SELECT 'BULK_EXPORT_STATEMENT', 'MEDIUM',
       format('%s %s %s', coalesce(r.rolname::text, s.userid::text), coalesce(d.datname::text, s.dbid::text), s.queryid),
       NULL::timestamptz, r.rolname::text, NULL::inet, d.datname::text, NULL::text[],
       jsonb_build_object('statement', left(s.query, 10000), 'query_hash', s.queryid::text, 'rows_per_call', s.rows / s.calls), 70.0,
       ARRAY['Backups and loads into a warehouse do so rightly: see whether this role is theirs',
             'Find who ran it: pg_stat_statements keeps no time and no address, the server''s log does'], s.calls::numeric
  FROM pg_stat_statements s
  LEFT JOIN pg_roles r ON r.oid = s.userid
  LEFT JOIN pg_database d ON d.oid = s.dbid
 WHERE s.queryid IS NOT NULL AND s.calls > 0 AND s.rows / s.calls >= 100000
   AND s.query ~* '^\s*copy\M.*\mto\M' AND s.query !~* '^\s*copy\M.*\mfrom\s+(stdin|'')'

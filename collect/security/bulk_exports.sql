-- check: bulk_exports
-- kind: WINDOW
-- event: BULK_EXPORT
-- description: Exports under way at the moment of the look: COPY TO of more than 100 MB, pg_dump, base backups
-- needs: pg_read_all_stats
WITH export AS (
    SELECT a.pid, 'COPY TO of more than 100 MB' AS what, p.relid::regclass::text AS relation, p.bytes_processed AS bytes
      FROM pg_stat_progress_copy p
      JOIN pg_stat_activity a ON a.pid = p.pid
     WHERE p.command = 'COPY TO' AND p.bytes_processed > 100000000 AND p.datname = current_database()
    UNION ALL
    SELECT b.pid, 'base backup', NULL, b.backup_streamed FROM pg_stat_progress_basebackup b
    UNION ALL
    SELECT a.pid, a.application_name, NULL, NULL FROM pg_stat_activity a WHERE a.application_name IN ('pg_dump', 'pg_dumpall')
)
SELECT 'BULK_EXPORT', CASE WHEN bool_or(a.client_addr IS NOT NULL AND NOT a.client_addr <<= '127.0.0.0/8' AND a.client_addr <> '::1') THEN 'MEDIUM' ELSE 'LOW' END,
       format('%s %s %s', a.usename, e.what, coalesce(host(a.client_addr), 'local')), clock_timestamp(), a.usename::text, a.client_addr, min(a.datname::text),
       (array_agg(DISTINCT e.relation) FILTER (WHERE e.relation IS NOT NULL))[1:20],
       jsonb_strip_nulls(jsonb_build_object('what', e.what, 'application', left(min(a.application_name), 100), 'sessions', count(DISTINCT e.pid),
                                            'began', min(a.query_start), 'bytes', sum(e.bytes))), 80.0,
       ARRAY['See whether a backup or a migration is due at this hour, and from this address', format('End it if not: SELECT pg_terminate_backend(%s)', min(e.pid))],
       NULL::numeric
  FROM export e
  JOIN pg_stat_activity a ON a.pid = e.pid
 GROUP BY a.usename, e.what, a.client_addr

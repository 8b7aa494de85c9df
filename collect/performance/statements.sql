-- One document about all statements that pg_stat_statements counts: the counters of every entry, the
-- names behind their oids, and what is needed to judge them. Texts are not read: their file may be large.
-- entries: [userid, dbid, queryid, toplevel, calls, total_exec_time, rows, shared_blks_hit, shared_blks_read,
--           shared_blks_dirtied, temp_blks_read, temp_blks_written, wal_bytes, time of block reads and writes]
-- PostgreSQL 17 renamed blk_*_time to shared_blk_*_time. A column that the version lacks is found one level
-- further out, in "absent", as 0: so one text serves all versions.
SELECT json_build_object(
           'sampled_at', clock_timestamp(),
           'stats_reset', i.stats_reset,
           'evicted', i.dealloc,
           'readable', pg_has_role('pg_read_all_stats', 'USAGE'),
           'work_mem_bytes', pg_size_bytes(current_setting('work_mem')),
           'block_bytes', current_setting('block_size')::integer,
           'databases', (SELECT json_object_agg(d.oid, d.datname) FROM pg_database d),
           'roles', (SELECT json_object_agg(r.oid, r.rolname)
                       FROM pg_roles r
                      WHERE r.oid IN (SELECT s.userid FROM pg_stat_statements(false) s)),
           'entries', (SELECT coalesce(json_agg(json_build_array(
                                  s.userid, s.dbid, s.queryid, s.toplevel, s.calls, s.total_exec_time, s.rows,
                                  s.shared_blks_hit, s.shared_blks_read, s.shared_blks_dirtied,
                                  s.temp_blks_read, s.temp_blks_written, s.wal_bytes,
                                  (SELECT blk_read_time + blk_write_time + shared_blk_read_time + shared_blk_write_time
                                     FROM (SELECT s.*) AS this_version))), '[]')
                         FROM (VALUES (0, 0, 0, 0)) AS absent (blk_read_time, blk_write_time, shared_blk_read_time, shared_blk_write_time),
                              pg_stat_statements(false) AS s
                        WHERE s.queryid IS NOT NULL)) AS sample
  FROM pg_stat_statements_info AS i

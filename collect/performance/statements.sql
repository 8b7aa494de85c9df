-- One document about all statements that pg_stat_statements counts: the counters of every entry, the
-- names behind their oids, and what is needed to judge them. Texts are not read: their file may be large.
-- entries: [userid, dbid, queryid, toplevel, calls, total_exec_time, rows, shared_blks_hit, shared_blks_read,
--           shared_blks_dirtied, temp_blks_read, temp_blks_written, wal_bytes, time of block reads and writes,
--           plans, total_plan_time, time of just-in-time compilation, when the entry's counters began]
-- PostgreSQL 17 renamed blk_*_time to shared_blk_*_time and added stats_since, 15 added jit_*. A column that
-- the version lacks is found one level further out, in "absent", as 0 or NULL: so one text serves all versions.
-- tables: how often the tables of 8 MB and more, the 1,000 largest, were read from end to end:
--           [oid, seq_scan, seq_tup_read, live rows, pages]. Only of the database to which we are connected. After
--           a reset nobody counts the live rows: then those that the last ANALYZE found.
-- plans_refused: why no plan may be asked for. The planner runs immutable and stable functions, which others
-- wrote: with the rights of a role that may do harm it would be their way to these rights.
WITH counted AS MATERIALIZED (
    SELECT s.* FROM pg_stat_statements(false) AS s WHERE s.queryid IS NOT NULL
)
SELECT json_build_object(
           'sampled_at', clock_timestamp(),
           'stats_reset', i.stats_reset,
           'evicted', i.dealloc,
           'readable', pg_has_role('pg_read_all_stats', 'USAGE'),
           'work_mem_bytes', pg_size_bytes(current_setting('work_mem')),
           'block_bytes', current_setting('block_size')::integer,
           'database', (SELECT d.oid::bigint FROM pg_database d WHERE d.datname = current_database()),
           'databases', (SELECT json_object_agg(d.oid, d.datname) FROM pg_database d),
           'roles', (SELECT json_object_agg(r.oid, r.rolname)
                       FROM pg_roles r
                      WHERE r.oid IN (SELECT s.userid FROM counted s)),
           'plans_refused', (SELECT CASE WHEN r.rolsuper THEN 'the collector logs in as a superuser'
                                         WHEN r.rolcreaterole OR r.rolbypassrls OR r.rolreplication
                                           OR pg_has_role('pg_execute_server_program', 'MEMBER')
                                           OR pg_has_role('pg_write_server_files', 'MEMBER')
                                           OR pg_has_role('pg_read_server_files', 'MEMBER')
                                           OR pg_has_role('pg_write_all_data', 'MEMBER')
                                         THEN 'the role of the collector has more rights than reading' END
                               FROM pg_roles r
                              WHERE r.rolname = session_user),
           'entries', (SELECT coalesce(json_agg(
                                  (SELECT json_build_array(
                                              userid, dbid, queryid, toplevel, calls, total_exec_time, rows,
                                              shared_blks_hit, shared_blks_read, shared_blks_dirtied,
                                              temp_blks_read, temp_blks_written, wal_bytes,
                                              blk_read_time + blk_write_time + shared_blk_read_time + shared_blk_write_time,
                                              plans, total_plan_time,
                                              jit_generation_time + jit_inlining_time + jit_optimization_time + jit_emission_time,
                                              stats_since)
                                     FROM (SELECT s.*) AS this_version)), '[]')
                         FROM (VALUES (0, 0, 0, 0, NULL::float8, NULL::float8, NULL::float8, NULL::float8, NULL::timestamptz))
                                  AS absent (blk_read_time, blk_write_time, shared_blk_read_time, shared_blk_write_time,
                                             jit_generation_time, jit_inlining_time, jit_optimization_time, jit_emission_time,
                                             stats_since),
                              counted AS s),
           'tables', (SELECT coalesce(json_agg(json_build_array(
                                 large.oid::bigint, pg_stat_get_numscans(large.oid), pg_stat_get_tuples_returned(large.oid),
                                 coalesce(nullif(pg_stat_get_live_tuples(large.oid), 0), greatest(large.reltuples, 0)::bigint),
                                 large.relpages)), '[]')
                        FROM (SELECT c.oid, c.relpages, c.reltuples
                                FROM pg_class c
                               WHERE c.relkind IN ('r', 'm')
                                 AND c.relpersistence <> 't'
                                 AND c.relnamespace <> 'pg_catalog'::regnamespace
                                 -- A table that was never analyzed does not know its pages. Its size on disk is
                                 -- not asked: that would wait for whoever holds the table's lock.
                                 AND (c.relpages >= (SELECT 8388608 / current_setting('block_size')::integer)
                                      OR c.relpages = 0 AND pg_stat_get_live_tuples(c.oid) >= 50000)
                               ORDER BY c.relpages DESC, c.oid
                               LIMIT 1000) AS large)) AS sample
  FROM pg_stat_statements_info AS i

-- metric avg_query_time_ms: Mean execution time of statements since the previous sample
-- Mean execution time of the statements that ended between two samples; counters only, no texts read.
SELECT 'avg_query_time_ms', 'PERFORMANCE', 'ms', NULL::numeric, 200::numeric, 500::numeric, false, 'pg_stat_statements',
       jsonb_build_object('part', coalesce(sum(total_exec_time), 0), 'whole', coalesce(sum(calls), 0))
  FROM pg_stat_statements(false)
 WHERE toplevel

-- metric avg_query_time_ms [ms] PERFORMANCE mean of calls warning 200 critical 500: Mean execution time of statements since the previous sample
-- metric statement_entries_pct [%] PERFORMANCE warning 95: Entries of pg_stat_statements in per cent of pg_stat_statements.max
-- from pg_stat_statements
-- requires extension pg_stat_statements

-- Mean execution time of the statements that ended between two samples; counters only, no texts read.
SELECT coalesce(sum(total_exec_time) FILTER (WHERE toplevel), 0) AS avg_query_time_ms,
       coalesce(sum(calls) FILTER (WHERE toplevel), 0) AS calls,
       round(100.0 * count(*) / nullif(current_setting('pg_stat_statements.max', true), '')::numeric, 2) AS statement_entries_pct
  FROM pg_stat_statements(false)

-- metric sessions_by_state [connections] PERFORMANCE: Client sessions of a database in a state
-- metric sessions_by_state_oldest_s [s] PERFORMANCE: The longest time that one of them has been in it
-- by database, state
-- every 60s
-- from pg_stat_activity
-- requires role pg_read_all_stats

SELECT coalesce(datname, '') AS database,
       coalesce(state, '') AS state,
       count(*) AS sessions_by_state,
       round(greatest(coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0), 0), 1) AS sessions_by_state_oldest_s
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
 GROUP BY 1, 2
 ORDER BY 3 DESC
 LIMIT 50

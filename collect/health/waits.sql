-- metric sessions_waiting [connections] PERFORMANCE: Active client sessions that wait for an event; type CPU: they wait for none
-- by type, event
-- every 60s
-- from pg_stat_activity
-- requires role pg_read_all_stats

SELECT coalesce(wait_event_type, 'CPU') AS type,
       coalesce(wait_event, 'running') AS event,
       count(*) AS sessions_waiting
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid()
 GROUP BY 1, 2
 ORDER BY 3 DESC
 LIMIT 50

-- metric locks_granted [count] PERFORMANCE: Locks of a mode that are held
-- metric locks_waiting [count] PERFORMANCE: Locks of a mode that sessions wait for
-- by mode
-- every 5m
-- from pg_locks

SELECT mode,
       count(*) FILTER (WHERE granted) AS locks_granted,
       count(*) FILTER (WHERE NOT granted) AS locks_waiting
  FROM pg_locks
 WHERE pid IS DISTINCT FROM pg_backend_pid()
 GROUP BY mode

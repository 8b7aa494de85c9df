-- metric longest_lock_wait_s [s] PERFORMANCE warning 60 critical 300 evidence sessions: Longest wait for a lock now; the sample holds who blocks whom
-- metric blocking_sessions [count] PERFORMANCE warning 1 critical 5: Sessions that block others and wait for nobody themselves
-- from pg_blocking_pids
-- requires role pg_read_all_stats

-- pg_blocking_pids() stops the lock manager for a moment, so it is asked for sessions that wait only, 50
-- of them. Statements are shown up to their first literal, without comments, and with ? for numbers.
WITH activity AS MATERIALIZED (
    SELECT a.pid, a.usename, a.datname, a.application_name, a.state, a.wait_event_type, a.xact_start, a.state_change, a.query_start, a.query
      FROM pg_stat_activity a
     WHERE a.backend_type IS DISTINCT FROM 'walsender'
),
waiter AS MATERIALIZED (
    SELECT w.pid, pg_blocking_pids(w.pid) AS blockers
      FROM (SELECT a.pid FROM activity a WHERE a.wait_event_type = 'Lock' ORDER BY a.query_start LIMIT 50) AS w
),
lock AS (
    SELECT l.pid, min(l.waitstart) AS since
      FROM pg_locks l
     -- Nobody waits: then the table of locks is not looked at.
     WHERE NOT l.granted AND (SELECT count(*) > 0 FROM waiter)
     GROUP BY l.pid
),
involved AS (
    SELECT w.pid FROM waiter w WHERE cardinality(w.blockers) > 0
    UNION
    SELECT b FROM waiter w, unnest(w.blockers) AS b
),
told AS (
    SELECT a.pid, w.pid IS NULL AS root, extract(epoch FROM clock_timestamp() - coalesce(l.since, a.query_start)) AS wait_s,
           jsonb_strip_nulls(jsonb_build_object(
               'pid', i.pid,
               'blocked_by', to_jsonb(w.blockers),
               'wait_s', CASE WHEN w.pid IS NOT NULL THEN round(extract(epoch FROM clock_timestamp() - coalesce(l.since, a.query_start)), 1) END,
               'transaction_s', round(extract(epoch FROM clock_timestamp() - a.xact_start), 1),
               'user', a.usename, 'database', a.datname, 'application', left(a.application_name, 60), 'state', a.state,
               'query', left(regexp_replace(regexp_replace(regexp_replace(a.query,
                            '/\*(?:(?!\*/).)*(?:\*/|$)|--[^\n]*', ' ', 'g'),
                            '[''$].*$', '...'),
                            '\m\d[\d.]*', '?', 'g'), 300))) AS session
      FROM involved i
      LEFT JOIN activity a ON a.pid = i.pid
      LEFT JOIN waiter w ON w.pid = i.pid AND cardinality(w.blockers) > 0
      LEFT JOIN lock l ON l.pid = i.pid
)
SELECT coalesce(round(max(t.wait_s) FILTER (WHERE NOT t.root), 1), 0) AS longest_lock_wait_s,
       count(*) FILTER (WHERE t.root) AS blocking_sessions,
       jsonb_agg(t.session ORDER BY t.root DESC, t.wait_s DESC) AS sessions
  FROM told t

-- metric active_sessions [count] AVAILABILITY warning 1000 critical 5000: Active sessions of the application
-- from auth.session_state_s
-- requires table auth.session_state_s

-- Sessions of the application, where its schema stands in the same database.
SELECT count(*) AS active_sessions
  FROM auth.session_state_s
 WHERE session_status = 'ACTIVE' AND load_end_date IS NULL

-- metric active_sessions: Active sessions of the application
-- requires: auth.session_state_s
-- Sessions of the application, where its schema stands in the same database.
SELECT 'active_sessions', 'AVAILABILITY', 'count', count(*)::numeric, 1000::numeric, 5000::numeric, false, 'auth.session_state_s', NULL::jsonb
  FROM auth.session_state_s
 WHERE session_status = 'ACTIVE' AND load_end_date IS NULL

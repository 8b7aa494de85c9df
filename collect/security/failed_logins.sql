-- check: failed_logins
-- kind: WINDOW
-- event: EXCESSIVE_FAILED_LOGINS
-- description: More than 10 users of the application failed to log in more than 5 times each, the last time within the hour
-- requires: auth.user_auth_s (failed_login_attempts, last_failed_login, load_end_date, username)
SELECT 'EXCESSIVE_FAILED_LOGINS', 'HIGH', 'auth.user_auth_s', f.last_failure, NULL::text, NULL::inet, current_database()::text,
       ARRAY['auth.user_auth_s'],
       jsonb_build_object('failed_login_count', f.users, 'threshold', 10, 'most_failures', f.names, 'last_failure', f.last_failure),
       30.0, ARRAY['See from where the log-ins come; block the address at the proxy or firewall',
                   'Lock the accounts and have their owners choose new passwords'], NULL::numeric
  FROM (SELECT count(*) AS users, max(u.last_failed_login) AS last_failure,
               (array_agg(u.username::text ORDER BY u.failed_login_attempts DESC, u.username))[1:20] AS names
          FROM auth.user_auth_s u
         WHERE u.failed_login_attempts > 5
           AND u.last_failed_login > clock_timestamp() - interval '1 hour' AND u.last_failed_login <= clock_timestamp()
           AND u.load_end_date IS NULL) AS f
 WHERE f.users > 10

-- id: C33
-- title: Accounts are locked after 10 failed log-ins
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: No user of the application who has failed to log in 10 times is unlocked, and a user who failed is locked: the lock-out was seen at work. PostgreSQL itself locks no role.
-- clause: PCI DSS | 8.3.4 | Invalid authentication attempts are limited: lock-out after at most 10
-- clause: HIPAA | 164.308(a)(5)(ii)(C) | Log-in monitoring
-- remediation: Correct the application's lock-out, and lock the listed accounts until their owners have proved who they are.
-- evidence: auth.user_auth_s
-- requires: auth.user_auth_s
SELECT CASE WHEN count(*) FILTER (WHERE u.open) > 0 THEN false
            WHEN count(*) FILTER (WHERE u.locked) > 0 THEN true END,
       NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'users', count(*),
           'locked_with_failures', count(*) FILTER (WHERE u.locked),
           'unlocked_after_10_failures', count(*) FILTER (WHERE u.open),
           'names', to_jsonb((array_agg(u.username::text ORDER BY u.username) FILTER (WHERE u.open))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'auth.user_auth_s holds no users'
                          WHEN count(*) FILTER (WHERE u.open OR u.locked) = 0
                          THEN 'no user has failed 10 times or was locked for failing: the lock-out was not seen at work' END))
  FROM (SELECT username,
               coalesce(failed_login_attempts >= 10, false) AND NOT coalesce(account_locked, false) AS open,
               coalesce(failed_login_attempts > 0, false) AND coalesce(account_locked, false) AS locked
          FROM auth.user_auth_s
         WHERE load_end_date IS NULL) AS u

-- id: C33
-- title: Accounts are locked after 10 failed log-ins
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: No user of the application with more than 10 failed log-ins is unlocked. PostgreSQL itself locks no role.
-- clause: PCI DSS | 8.3.4 | Invalid authentication attempts are limited: lock-out after at most 10
-- clause: HIPAA | 164.308(a)(5)(ii)(C) | Log-in monitoring
-- remediation: Correct the application's lock-out, and lock the listed accounts until their owners have proved who they are.
-- evidence: auth.user_auth_s
-- requires: auth.user_auth_s
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE open) = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('users', count(*), 'unlocked_after_10_failures', count(*) FILTER (WHERE open),
           'names', to_jsonb((array_agg(username::text ORDER BY username) FILTER (WHERE open))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'auth.user_auth_s holds no users' END))
  FROM (SELECT username, coalesce(failed_login_attempts > 10, false) AND NOT coalesce(account_locked, false) AS open
          FROM auth.user_auth_s
         WHERE load_end_date IS NULL) AS u

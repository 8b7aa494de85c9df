-- id: C06
-- title: No trust, password, ident or md5 in pg_hba.conf
-- category: ACCESS_CONTROL
-- severity: CRITICAL
-- asks: No line of pg_hba.conf lets anybody in without proof of who they are, or with one that can be read or replayed.
-- clause: PCI DSS | 8.3.1 | User access is authenticated by at least one factor
-- clause: PCI DSS | 8.3.2 | Strong cryptography makes authentication factors unreadable in transmission and storage
-- clause: HIPAA | 164.312(d) | Person or entity authentication
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- clause: SOX | 404 / COBIT DSS05.04 | Manage user identity and logical access
-- remediation: Replace the method of the listed lines by scram-sha-256, cert, ldap or gss (local sockets: peer), then SELECT pg_reload_conf(). A line that is shown with an error must be corrected, too: the file as it stands will not load.
-- evidence: pg_hba_file_rules
-- needs: GRANT SELECT ON pg_hba_file_rules TO the collector's role; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO it (a superuser does both)
SELECT CASE WHEN count(*) = 0 THEN NULL ELSE count(*) FILTER (WHERE bad) = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('rules', count(*), 'weak_rules', count(*) FILTER (WHERE bad),
           'lines', to_jsonb((array_agg(concat_ws(' ', 'line', line_number || ':', type, coalesce(auth_method, error)) ORDER BY line_number) FILTER (WHERE bad))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'pg_hba.conf shows no rules' END))
  FROM (SELECT *, coalesce(auth_method IN ('trust', 'password', 'ident', 'md5'), true) AS bad FROM pg_hba_file_rules) AS h

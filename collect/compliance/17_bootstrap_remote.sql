-- id: C17
-- title: The bootstrap superuser is not used from other hosts
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: At the moment of the check, no session from another host is the shared role that the server was made with. A sample, not a proof: pg_hba.conf decides.
-- clause: PCI DSS | 8.2.2 | Group, shared and generic accounts are used by exception only
-- clause: HIPAA | 164.312(a)(2)(i) | Unique user identification
-- clause: SOX | 404 / COBIT DSS06.03 | Manage roles, responsibilities, access privileges and levels of authority
-- remediation: Give each person and program a role of its own, and refuse the bootstrap role on host lines: `host all <role> all reject` first in pg_hba.conf.
-- evidence: pg_stat_activity
SELECT CASE WHEN s.allowed THEN s.found = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'sessions_looked_at', s.seen,
           'sessions', s.found,
           'addresses', s.addresses,
           'reason', CASE WHEN NOT s.allowed THEN 'role ' || current_user || ' does not see the sessions of others: GRANT pg_monitor' END))
  FROM (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS allowed,
               count(*) AS seen,
               count(*) FILTER (WHERE a.bootstrap) AS found,
               to_jsonb((array_agg(DISTINCT host(a.client_addr)) FILTER (WHERE a.bootstrap))[1:20]) AS addresses
          FROM (SELECT client_addr,
                       usesysid = 10 AND client_addr IS NOT NULL AND NOT client_addr <<= '127.0.0.0/8' AND client_addr <> '::1' AS bootstrap
                  FROM pg_stat_activity
                 WHERE usesysid IS NOT NULL) AS a) AS s

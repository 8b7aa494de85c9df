-- id: C03
-- title: No unencrypted session from another host
-- category: DATA_ENCRYPTION
-- severity: HIGH
-- asks: At the moment of the check, no session over the network is without TLS or GSSAPI encryption. A sample, not a proof, and NOT_TESTED where there is no such session: pg_hba.conf decides.
-- clause: HIPAA | 164.312(e)(1) | Transmission security
-- clause: PCI DSS | 4.2.1 | Strong cryptography protects PAN during transmission over open, public networks
-- clause: GDPR | Art. 32(1)(a) | Pseudonymisation and encryption of personal data
-- clause: SOC 2 | CC6.7 | Transmission of information is restricted and protected
-- remediation: Write hostssl (or hostgssenc) instead of host in pg_hba.conf, set sslmode=verify-full in the clients' connection strings, then SELECT pg_reload_conf() and end the sessions that are listed.
-- evidence: pg_stat_activity, pg_stat_ssl, pg_stat_gssapi
WITH remote AS (
    SELECT a.usename, NOT coalesce(s.ssl, false) AND NOT coalesce(g.encrypted, false) AS plain
      FROM pg_stat_activity a
      LEFT JOIN pg_stat_ssl s USING (pid)
      LEFT JOIN pg_stat_gssapi g USING (pid)
     WHERE a.client_addr IS NOT NULL
       AND NOT a.client_addr <<= '127.0.0.0/8'
       AND a.client_addr <> '::1'
)
SELECT CASE WHEN r.allowed AND count(q.*) > 0 THEN count(*) FILTER (WHERE q.plain) = 0 END,
       CASE WHEN count(q.*) > 0 THEN round(100.0 * count(*) FILTER (WHERE NOT q.plain) / count(q.*), 2) END,
       jsonb_strip_nulls(jsonb_build_object(
           'remote_sessions', count(q.*),
           'plain_sessions', count(*) FILTER (WHERE q.plain),
           'roles', to_jsonb((array_agg(DISTINCT q.usename::text ORDER BY q.usename::text) FILTER (WHERE q.plain))[1:20]),
           'reason', CASE WHEN NOT r.allowed THEN 'role ' || current_user || ' does not see the sessions of others: GRANT pg_monitor'
                          WHEN count(q.*) = 0 THEN 'no session from another host was there at the moment of the check' END))
  FROM (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS allowed) AS r
  LEFT JOIN remote AS q ON true
 GROUP BY r.allowed

-- check: plain_sessions
-- kind: WINDOW
-- event: PLAINTEXT_SESSION
-- description: Sessions from other hosts without TLS or GSSAPI encryption, at the moment of the look
-- needs: pg_read_all_stats
SELECT 'PLAINTEXT_SESSION', CASE WHEN bool_or(r.rolsuper) THEN 'HIGH' ELSE 'MEDIUM' END,
       format('%s from %s', a.usename, net.work), clock_timestamp(), a.usename::text, min(a.client_addr), min(a.datname::text), NULL::text[],
       jsonb_build_object('network', net.work, 'application', left(min(a.application_name), 100)), 40.0,
       ARRAY['Set sslmode=verify-full in the client''s connection string', 'Write hostssl instead of host in pg_hba.conf'], NULL::numeric
  FROM pg_stat_activity a
  JOIN pg_roles r ON r.oid = a.usesysid
  LEFT JOIN pg_stat_ssl s ON s.pid = a.pid
  LEFT JOIN pg_stat_gssapi g ON g.pid = a.pid,
       LATERAL (SELECT network(set_masklen(a.client_addr, CASE family(a.client_addr) WHEN 4 THEN 24 ELSE 48 END))::text AS work) AS net
 WHERE a.client_addr IS NOT NULL AND NOT a.client_addr <<= '127.0.0.0/8' AND a.client_addr <> '::1'
   AND NOT coalesce(s.ssl, false) AND NOT coalesce(g.encrypted, false)
 GROUP BY a.usename, net.work

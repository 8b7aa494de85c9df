-- check: client_networks
-- kind: SIGHTING
-- event: NEW_CLIENT_NETWORK
-- description: Sessions of a role from a network (/24, /48) from which it did not come within 90 days; seen only if open at the moment of a look
-- needs: pg_read_all_stats
SELECT 'NEW_CLIENT_NETWORK', CASE WHEN bool_or(r.rolsuper OR r.rolreplication) THEN 'HIGH' ELSE 'MEDIUM' END,
       format('%s from %s', a.usename, net.work), clock_timestamp(), a.usename::text, min(a.client_addr), min(a.datname::text), NULL::text[],
       jsonb_build_object('network', net.work, 'sessions', count(*), 'application', left(min(a.application_name), 100)), 70.0,
       ARRAY['Ask whether somebody moved: an application, a person, an office', 'If nobody did: change the password of the role, and narrow its rule in pg_hba.conf'],
       NULL::numeric
  FROM pg_stat_activity a
  JOIN pg_roles r ON r.oid = a.usesysid,
       LATERAL (SELECT network(set_masklen(a.client_addr, CASE family(a.client_addr) WHEN 4 THEN 24 ELSE 48 END))::text AS work) AS net
 WHERE a.client_addr IS NOT NULL AND NOT a.client_addr <<= '127.0.0.0/8' AND a.client_addr <> '::1'
 GROUP BY a.usename, net.work

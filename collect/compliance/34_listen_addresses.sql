-- id: C34
-- title: The server does not listen on every interface
-- category: NETWORK_SECURITY
-- severity: MEDIUM
-- asks: listen_addresses names the interfaces that clients need. In a container the network of the platform decides instead.
-- clause: PCI DSS | 1.4.4 | Systems that store cardholder data are not directly accessible from untrusted networks
-- clause: PCI DSS | 2.2.4 | Only necessary services, protocols, daemons and functions are enabled
-- clause: SOC 2 | CC6.6 | Measures against threats from outside the system boundaries
-- remediation: ALTER SYSTEM SET listen_addresses = 'localhost, <address>' and restart; in a container restrict the published port, and write that exception down.
-- evidence: pg_settings
SELECT NOT EXISTS (SELECT FROM regexp_split_to_table(setting, '\s*,\s*') AS one WHERE btrim(one, ' "') IN ('*', '0.0.0.0', '::')), NULL::numeric,
       jsonb_build_object('listen_addresses', setting)
  FROM pg_settings
 WHERE name = 'listen_addresses'

-- id: C07
-- title: No rule for the whole world without TLS
-- category: NETWORK_SECURITY
-- severity: HIGH
-- asks: No line of pg_hba.conf lets every address connect without TLS.
-- clause: PCI DSS | 1.4.2 | Inbound traffic from untrusted networks is restricted to what is authorized
-- clause: PCI DSS | 1.4.4 | Systems that store cardholder data are not directly accessible from untrusted networks
-- clause: SOC 2 | CC6.6 | Measures against threats from outside the system boundaries
-- remediation: Name the networks of the clients in the listed lines, and write hostssl instead of host, then SELECT pg_reload_conf().
-- evidence: pg_hba_file_rules
-- needs: GRANT SELECT ON pg_hba_file_rules TO the collector's role; GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO it (a superuser does both)
SELECT CASE WHEN count(*) FILTER (WHERE h.open) > 0 THEN false
            WHEN count(*) > 0 AND count(*) FILTER (WHERE h.auth_method IS NULL) = 0 THEN true END,
       NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'rules', count(*),
           'open_rules', count(*) FILTER (WHERE h.open),
           'lines', to_jsonb((array_agg(format('line %s: %s %s %s', h.line_number, h.type, h.address, h.auth_method) ORDER BY h.line_number)
                              FILTER (WHERE h.open))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'pg_hba.conf shows no rules'
                          WHEN count(*) FILTER (WHERE h.open) = 0 AND count(*) FILTER (WHERE h.auth_method IS NULL) > 0
                          THEN 'lines of pg_hba.conf cannot be read, see C06: what they would let in is not known' END))
  FROM (SELECT *,
               coalesce(type IN ('host', 'hostnossl', 'hostnogssenc') AND auth_method <> 'reject'
                        AND (address = 'all' OR address IN ('0.0.0.0', '::') AND netmask IN ('0.0.0.0', '::')), false) AS open
          FROM pg_hba_file_rules) AS h

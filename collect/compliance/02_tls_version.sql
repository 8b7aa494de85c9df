-- id: C02
-- title: TLS 1.2 or newer only
-- category: DATA_ENCRYPTION
-- severity: HIGH
-- asks: Where TLS is offered, versions before 1.2 are refused.
-- clause: PCI DSS | 4.2.1 | Strong cryptography protects PAN during transmission over open, public networks
-- clause: PCI DSS | 2.2.7 | Non-console administrative access is encrypted with strong cryptography
-- clause: HIPAA | 164.312(e)(2)(ii) | Encryption of ePHI in transmission
-- clause: SOC 2 | CC6.7 | Transmission of information is restricted and protected
-- remediation: ALTER SYSTEM SET ssl_min_protocol_version = 'TLSv1.2' (or 'TLSv1.3'), then SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT CASE WHEN current_setting('ssl') = 'on' THEN setting IN ('TLSv1.2', 'TLSv1.3') END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('ssl_min_protocol_version', setting, 'ssl', current_setting('ssl'),
           'reason', CASE WHEN current_setting('ssl') <> 'on' THEN 'the server offers no TLS, see C01' END))
  FROM pg_settings
 WHERE name = 'ssl_min_protocol_version'

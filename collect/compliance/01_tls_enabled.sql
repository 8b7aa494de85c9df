-- id: C01
-- title: TLS is enabled
-- category: DATA_ENCRYPTION
-- severity: CRITICAL
-- asks: The server offers TLS to its clients.
-- clause: HIPAA | 164.312(e)(1) | Transmission security
-- clause: PCI DSS | 4.2.1 | Strong cryptography protects PAN during transmission over open, public networks
-- clause: PCI DSS | 2.2.7 | Non-console administrative access is encrypted with strong cryptography
-- clause: GDPR | Art. 32(1)(a) | Pseudonymisation and encryption of personal data
-- clause: SOC 2 | CC6.7 | Transmission of information is restricted and protected
-- remediation: Put a certificate and its key where ssl_cert_file and ssl_key_file say, ALTER SYSTEM SET ssl = on, then SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT setting = 'on', NULL::numeric, jsonb_build_object('ssl', setting)
  FROM pg_settings
 WHERE name = 'ssl'

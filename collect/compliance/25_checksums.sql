-- id: C25
-- title: Data checksums are on
-- category: DATA_INTEGRITY
-- severity: MEDIUM
-- asks: Each page of data carries a checksum, so that silent corruption is found.
-- clause: HIPAA | 164.312(c)(1) | Integrity of ePHI
-- clause: HIPAA | 164.312(c)(2) | Mechanism to authenticate ePHI
-- clause: GDPR | Art. 5(1)(f) | Integrity and confidentiality
-- clause: SOX | 404 / COBIT DSS06.05 | Ensure traceability and accountability for information events
-- remediation: Stop the server, run pg_checksums --enable, start it again (on a standby first, then switch over).
-- evidence: pg_settings
SELECT setting = 'on', NULL::numeric, jsonb_build_object('data_checksums', setting)
  FROM pg_settings
 WHERE name = 'data_checksums'

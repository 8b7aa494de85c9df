-- id: C38
-- title: No column is named like a secret in plain text
-- category: DATA_ENCRYPTION
-- severity: CRITICAL
-- asks: No text column of this database is called password, secret, cvv, card_number, pan, ssn or the like. Names are looked at, never data: a column of another name is not found.
-- clause: PCI DSS | 3.3.1 | Sensitive authentication data is not stored after authorization
-- clause: PCI DSS | 3.5.1 | PAN is unreadable anywhere it is stored
-- clause: GDPR | Art. 32(1)(a) | Pseudonymisation and encryption of personal data
-- clause: HIPAA | 164.312(a)(2)(iv) | Encryption and decryption of stored ePHI
-- remediation: Store hashes of passwords, tokens of cards and encrypted numbers under names that say so (password_hash, card_token), and drop the column.
-- evidence: pg_attribute
WITH texts AS (
    SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name,
           a.attname ~* '^(password|passwd|pwd|secret|cvv2?|cvc2?|card_?number|pan|ssn|social_security(_number)?)$' AS telling
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relkind IN ('r', 'p', 'm', 'f')
       AND NOT c.relispartition
       AND n.nspname !~ '^pg_'
       AND n.nspname <> 'information_schema'
       AND a.atttypid IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype)
)
SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (WHERE telling) = 0 END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'text_columns', count(*),
           'found', count(*) FILTER (WHERE telling),
           'columns', to_jsonb((array_agg(name ORDER BY name) FILTER (WHERE telling))[1:20]),
           'reason', CASE WHEN count(*) = 0 THEN 'this database has no text column: have the collector connect to the one with the data' END))
  FROM texts

-- check: weak_hba_rules
-- kind: STATE
-- event: HBA_RULE_WEAK, HBA_RULE_BROKEN
-- description: Rules of pg_hba.conf that let in without a password or with a weak method, from every address without TLS, or that are broken
-- requires: pg_hba_file_rules
-- calls: pg_hba_file_rules()
WITH rule AS (
    SELECT concat_ws(' ', h.type, array_to_string(h.database, ','), array_to_string(h.user_name, ','), h.address, h.netmask, h.auth_method) AS text,
           min(h.line_number) AS line, min(h.auth_method) AS method, min(h.error) AS error,
           bool_and(h.type = 'local' OR h.address IN ('127.0.0.1', '::1', 'samehost', 'localhost')) AS from_here,
           bool_or(h.type = 'host' AND (h.address = 'all' OR h.netmask IN ('0.0.0.0', '::'))) AS plain_from_everywhere
      FROM pg_hba_file_rules h
     GROUP BY 1
),
judged AS (
    SELECT *, CASE WHEN error IS NOT NULL THEN 'the rule is broken, and the server keeps what it read before: ' || error
                   WHEN method = 'trust' THEN 'no password is asked for'
                   WHEN method = 'password' THEN 'the password travels in clear text'
                   WHEN method = 'md5' THEN 'MD5 is broken; a hash that is stolen logs in'
                   WHEN method = 'ident' THEN 'the client''s own word is taken for who it is'
                   WHEN plain_from_everywhere AND method <> 'reject' THEN 'sessions without TLS are taken from every address' END AS why
      FROM rule
)
SELECT CASE WHEN error IS NULL THEN 'HBA_RULE_WEAK' ELSE 'HBA_RULE_BROKEN' END,
       CASE WHEN error IS NOT NULL THEN 'MEDIUM' WHEN from_here THEN 'LOW' WHEN method IN ('trust', 'password') THEN 'HIGH' ELSE 'MEDIUM' END,
       coalesce(nullif(text, ''), 'line ' || line), NULL::timestamptz, NULL::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('rule', text, 'line', line, 'why', why), 30.0,
       ARRAY['Write scram-sha-256 (or cert) and hostssl, narrow the addresses, then SELECT pg_reload_conf()'], NULL::numeric
  FROM judged
 WHERE why IS NOT NULL

-- id: C05
-- title: No MD5 password is stored
-- category: ACCESS_CONTROL
-- severity: HIGH
-- asks: No role has a password that is stored as an MD5 hash.
-- clause: PCI DSS | 8.3.2 | Strong cryptography makes authentication factors unreadable in transmission and storage
-- clause: HIPAA | 164.308(a)(5)(ii)(D) | Password management
-- clause: SOC 2 | CC6.1 | Logical access security protects information assets
-- remediation: Have each listed role set its password anew (\password) while password_encryption is scram-sha-256.
-- evidence: pg_authid
-- needs: a superuser: pg_authid holds the hashes of passwords, do not grant it to a collector. A superuser's check by hand is the alternative.
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object('md5_passwords', count(*), 'roles', to_jsonb((array_agg(rolname::text ORDER BY rolname))[1:20])))
  FROM pg_authid
 WHERE rolpassword LIKE 'md5%'

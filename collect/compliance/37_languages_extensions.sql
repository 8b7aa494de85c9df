-- id: C37
-- title: No untrusted language and no risky extension
-- category: CONFIGURATION
-- severity: MEDIUM
-- asks: This database has no untrusted language but C, and none of adminpack, dblink, file_fdw, lo, pg_surgery.
-- clause: PCI DSS | 2.2.4 | Only necessary services, protocols, daemons and functions are enabled
-- clause: SOC 2 | CC6.8 | Unauthorized or malicious software is prevented or detected
-- remediation: DROP EXTENSION ... where nothing needs it; where something does, write that exception down.
-- evidence: pg_language, pg_extension
SELECT count(*) = 0, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'database', current_database(),
           'databases_not_looked_at', (SELECT count(*) FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> current_database()),
           'found', count(*),
           'names', to_jsonb((array_agg(name ORDER BY name))[1:20])))
  FROM (SELECT 'language ' || lanname AS name FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')
        UNION ALL
        SELECT 'extension ' || extname FROM pg_extension WHERE extname IN ('adminpack', 'dblink', 'file_fdw', 'lo', 'pg_surgery')) AS q

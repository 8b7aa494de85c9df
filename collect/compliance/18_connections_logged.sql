-- id: C18
-- title: Connections and disconnections are logged
-- category: AUDIT_LOGGING
-- severity: HIGH
-- asks: log_connections and log_disconnections are on; from PostgreSQL 18 on log_connections at least with authentication or authorization.
-- clause: HIPAA | 164.308(a)(5)(ii)(C) | Log-in monitoring
-- clause: PCI DSS | 10.2.1 | Audit logs are enabled and active
-- clause: SOC 2 | CC7.2 | System components are monitored for anomalies
-- remediation: ALTER SYSTEM SET log_connections = 'on'; ALTER SYSTEM SET log_disconnections = 'on'; SELECT pg_reload_conf().
-- evidence: pg_settings
SELECT bool_and(yes), round(100.0 * count(*) FILTER (WHERE yes) / nullif(count(*), 0), 2), jsonb_object_agg(name, setting)
  FROM (SELECT name, setting, lower(setting) ~ '^(on|true|yes|1|all)$' OR lower(setting) ~ '(authentication|authorization|all)' AS yes
          FROM pg_settings
         WHERE name IN ('log_connections', 'log_disconnections')) AS s

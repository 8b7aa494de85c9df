-- id: C31
-- title: The release is supported and patched
-- category: PATCHING
-- severity: MEDIUM
-- asks: The major release still gets corrections, and the minor one is at least what the setting minimum_postgres_minor asks for, {"17": 170006} by server_version_num.
-- clause: PCI DSS | 6.3.3 | System components are protected from known vulnerabilities by patches
-- clause: SOC 2 | CC7.1 | Changes that introduce vulnerabilities are detected
-- clause: SOX | 404 / COBIT DSS05.07 | Manage vulnerabilities and monitor for security-related events
-- remediation: Install the newest minor release and restart; plan pg_upgrade before the major one ends. Keep the setting minimum_postgres_minor of monitoring.monitor_config_s up to date.
-- evidence: server_version, monitoring.monitor_config_s
-- requires: monitoring.monitor_config_s
SELECT CASE WHEN v.ended THEN false WHEN v.required IS NOT NULL THEN v.num >= v.required END, NULL::numeric,
       jsonb_strip_nulls(jsonb_build_object(
           'running', current_setting('server_version'),
           'required', v.required,
           'major_supported_until', v.ends,
           'reason', CASE WHEN NOT v.ended AND v.required IS NULL THEN 'no setting minimum_postgres_minor says which minor release is patched' END))
  FROM (SELECT n.num, e.ends,
               -- Of a release that is newer than this list the end lies ahead; what is older has ended.
               CASE WHEN n.num < 120000 THEN true ELSE coalesce(e.ends <= now(), false) END AS ended,
               (SELECT (s.config_value ->> (n.num / 10000)::text)::integer
                  FROM monitoring.monitor_config_s s
                 WHERE s.config_name = 'minimum_postgres_minor' AND s.load_end_date IS NULL AND s.is_enabled
                 LIMIT 1) AS required
          FROM (SELECT current_setting('server_version_num')::integer AS num) AS n
          LEFT JOIN (VALUES (12, date '2024-11-21'), (13, date '2025-11-13'), (14, date '2026-11-12'), (15, date '2027-11-11'),
                            (16, date '2028-11-09'), (17, date '2029-11-08'), (18, date '2030-11-14')) AS e (major, ends) ON e.major = n.num / 10000) AS v

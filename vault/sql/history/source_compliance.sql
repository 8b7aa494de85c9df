-- The inputs of compliance at each of a series of looks, of the versions that stood then.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH stood AS (
    SELECT n, coalesce(s.control_id, h.compliance_check_bk) AS control, s.check_status AS status, s.remediation_priority AS priority,
           s.remediation_required AND s.remediation_deadline < (($1::timestamptz + make_interval(secs => $2::float8 * n)) AT TIME ZONE 'UTC')::date AS overdue
      FROM monitoring.compliance_check_s s
      JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.load_date - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, coalesce(ceil(extract(epoch FROM s.load_end_date - $1::timestamptz) / $2::numeric)::integer, $3)) - 1) AS n
     WHERE s.check_status <> 'NOT_TESTED' AND h.target_name = $4::text AND (h.tenant_hk IS NULL OR h.tenant_hk = $5::bytea) AND $6::float8 IS NOT NULL
)
SELECT c.n, i.name, i.value::text
  FROM (SELECT n, count(DISTINCT control) FILTER (WHERE status = 'NON_COMPLIANT') AS failing,
               count(DISTINCT control) FILTER (WHERE status = 'NON_COMPLIANT' AND priority = 'CRITICAL') AS critical,
               count(DISTINCT control) FILTER (WHERE status <> 'COMPLIANT' AND overdue) AS overdue
          FROM stood
         GROUP BY n) AS c
 CROSS JOIN LATERAL (VALUES ('non_compliant_count', c.failing), ('critical_non_compliant_count', c.critical), ('overdue_remediation_count', c.overdue)) AS i (name, value)

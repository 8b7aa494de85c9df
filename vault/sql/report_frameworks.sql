-- Where the controls of each framework stood at $1.
SELECT v.compliance_framework,
       count(*) FILTER (WHERE v.check_status = 'COMPLIANT') AS compliant,
       count(*) FILTER (WHERE v.check_status = 'PARTIALLY_COMPLIANT') AS partial,
       count(*) FILTER (WHERE v.check_status = 'NON_COMPLIANT') AS failing,
       count(*) FILTER (WHERE coalesce(v.check_status, 'NOT_TESTED') = 'NOT_TESTED') AS not_tested
  FROM monitoring.compliance_check_h h
  JOIN LATERAL (
           SELECT s.compliance_framework, s.check_status
             FROM monitoring.compliance_check_s s
            WHERE s.compliance_check_hk = h.compliance_check_hk
              AND coalesce(s.last_check_timestamp, s.load_date) < $1
            ORDER BY s.load_date DESC
            LIMIT 1) AS v ON true
 GROUP BY v.compliance_framework
 ORDER BY v.compliance_framework

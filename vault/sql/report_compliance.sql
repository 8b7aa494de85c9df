-- The results of [$1, $2) whose status differs from the one before, the newest first; an empty status before
-- is a first result.
SELECT s.compliance_framework, s.check_name, h.target_name, coalesce(b.check_status, '') AS before, coalesce(s.check_status, 'NOT_TESTED') AS after,
       coalesce(s.last_check_timestamp, s.load_date) AS checked_at,
       coalesce(s.remediation_priority, '') AS priority, coalesce(s.remediation_deadline::text, '') AS deadline
  FROM monitoring.compliance_check_h h
  JOIN monitoring.compliance_check_s s USING (compliance_check_hk)
  LEFT JOIN LATERAL (
           SELECT coalesce(x.check_status, 'NOT_TESTED') AS check_status
             FROM monitoring.compliance_check_s x
            WHERE x.compliance_check_hk = s.compliance_check_hk
              AND x.load_date < s.load_date
            ORDER BY x.load_date DESC
            LIMIT 1) AS b ON true
 WHERE coalesce(s.last_check_timestamp, s.load_date) >= $1
   AND coalesce(s.last_check_timestamp, s.load_date) < $2
   AND coalesce(s.check_status, 'NOT_TESTED') IS DISTINCT FROM b.check_status
 ORDER BY checked_at DESC, s.compliance_framework, s.check_name

-- How the controls of the target $1, NULL: of all, stand at $2, the worst first.
SELECT h.target_name, s.compliance_framework, coalesce(s.control_id, h.compliance_check_bk), s.check_name, coalesce(s.check_description, ''),
       coalesce(s.check_category, ''), coalesce(s.control_severity, s.remediation_priority, ''), coalesce(s.clauses, '[]'),
       coalesce(s.check_status, 'NOT_TESTED'), s.compliance_score::float8, s.status_since, coalesce(s.last_check_timestamp, s.load_date),
       coalesce(s.remediation_required, false), coalesce(s.remediation_deadline::text, ''),
       coalesce(s.remediation_required AND s.remediation_deadline < ($2::timestamptz AT TIME ZONE 'UTC')::date, false) AS overdue,
       coalesce(s.remediation, ''), s.finding_details, coalesce(s.evidence_location, ''), coalesce(s.audit_trail_reference, '')
  FROM monitoring.compliance_check_s s
  JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
 WHERE s.load_end_date IS NULL
   AND h.target_name = coalesce($1, h.target_name)
   AND NOT coalesce(s.finding_details ? 'retired', false)
 ORDER BY array_position(ARRAY['NON_COMPLIANT', 'PARTIALLY_COMPLIANT', 'NOT_TESTED', 'COMPLIANT'], coalesce(s.check_status, 'NOT_TESTED')::text),
          array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], coalesce(s.control_severity, s.remediation_priority)::text),
          3, h.target_name, s.compliance_framework

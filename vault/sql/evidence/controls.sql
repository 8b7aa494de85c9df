-- file: controls.csv
-- about: The controls of the framework: every version that stood in the period, the one that stood at its beginning among them.
SELECT h.target_name AS target,
       s.compliance_framework AS framework,
       coalesce(s.control_id, h.compliance_check_bk) AS control,
       s.check_name AS title,
       s.check_description AS asks,
       s.check_category AS category,
       coalesce(s.control_severity, s.remediation_priority) AS severity,
       s.clauses,
       coalesce(s.check_status, 'NOT_TESTED') AS status,
       s.compliance_score AS score_percent,
       s.finding_details AS evidence,
       s.remediation_required,
       s.remediation_deadline,
       s.remediation,
       s.responsible_party,
       s.evidence_location,
       s.audit_trail_reference AS run,
       s.status_since,
       s.last_check_timestamp AS checked_at,
       s.record_source AS recorded_by,
       s.load_date AS recorded_from,
       CASE WHEN s.load_end_date < @period_to THEN s.load_end_date END AS recorded_until
  FROM monitoring.compliance_check_s s
  JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
 WHERE s.compliance_framework = @framework
   AND (@target::text IS NULL OR h.target_name = @target)
   AND s.load_date < @period_to
   AND (s.load_end_date IS NULL OR s.load_end_date > @period_from)
 ORDER BY h.target_name COLLATE "C", h.compliance_check_bk COLLATE "C", s.load_date
